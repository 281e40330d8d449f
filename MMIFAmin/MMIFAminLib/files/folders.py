"""Walking through folders as archives hold them."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path


def walk(folder: Path, onerror: Callable[[OSError], None] | None = None) -> Iterator[tuple[str, list[str], list[str]]]:
    """As ``os.walk``, through links to folders, too: each folder once, as links may run in circles."""
    seen: set[str] = set()
    for root, folders, names in os.walk(folder, onerror=onerror, followlinks=True):
        real = os.path.realpath(root)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        yield root, folders, names
