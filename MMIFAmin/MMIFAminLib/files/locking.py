"""Locks between processes that share a folder, on one machine or on several."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO


@contextmanager
def locked(path: Path, *, wait: bool) -> Iterator[None]:
    """Hold ``path``, a file that nothing else uses, as a lock among all that see it; afterwards the file is gone.

    Waits for another holder or, unless ``wait``, raises BlockingIOError. Where the system (Windows) or the file system
    (some of clusters) has no such locks, none is held: the user is trusted.
    """
    while True:
        with open(path, "w") as file:
            _take(file, wait)
            if not _is_at(file, path):  # who held it has removed it meanwhile
                continue
            try:
                yield
            finally:
                with suppress(OSError):  # Windows keeps what is open
                    path.unlink()
            return


def _take(file: IO[str], wait: bool) -> None:
    try:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        raise
    except (ImportError, OSError):
        pass


def _is_at(file: IO[str], path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), os.stat(path))
    except FileNotFoundError:
        return False
