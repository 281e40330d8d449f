"""The libraries of a fusion, loaded in the background once the panel is entered, so that the first click need not wait.

Importing a large library holds Python's lock while the system reads its files; on a cold disk that freezes the
application for seconds. So the files are read first, which frees the lock, and the import then finds them in memory.
"""

from __future__ import annotations

import importlib
import importlib.util
import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from . import packages

if TYPE_CHECKING:
    from ..engine.progress import Progress

_CHUNK = 1 << 22  # bytes
_LIBRARIES = ("numpy", "SimpleITK", "safetensors", "torch", "scipy.ndimage")
_BINARY = (".so", ".dll", ".dylib", ".pyd")
_state = {"given up": False, "loaded": False}


def wanted() -> bool:
    """Whether there is something to load that is installed."""
    return not (_state["loaded"] or _state["given up"]) and not packages.missing()


def give_up() -> None:
    """Leave the loading, and the error that it ends in, to the fusion."""
    _state["given up"] = True


def load(progress: Progress, fuser: Callable[[], object]) -> None:
    """Read and import what a fusion needs, then call `fuser()`, which loads the network; any thread.

    `progress(fraction, text)` is called between the steps and stops it by returning False.
    """
    quiet_matplotlib()
    for index, name in enumerate(_LIBRARIES):
        for path in binaries(name) if name not in sys.modules else ():
            if progress(index / len(_LIBRARIES), f"Reading {name}") is False:
                return
            read_through(path)
        if progress(index / len(_LIBRARIES), f"Loading {name}") is False:
            return
        importlib.import_module(name)
    fuser()
    _state["loaded"] = True


def quiet_matplotlib() -> None:
    """Keep matplotlib's debugging records, made where it is imported in a thread, from Slicer's log window."""
    logging.getLogger("matplotlib").setLevel(logging.INFO)


def binaries(name: str) -> list[Path]:
    """The compiled files of an installed package, without importing it."""
    spec = importlib.util.find_spec(name.split(".")[0])
    folders = [Path(folder) for folder in (spec.submodule_search_locations or ())] if spec is not None else []
    found = (
        path for folder in folders for path in folder.rglob("*") if _BINARY[0] in path.name or path.suffix in _BINARY
    )
    return sorted(path for path in found if path.is_file())


def read_through(path: Path) -> None:
    """Have the system hold a file in memory."""
    try:
        with path.open("rb", buffering=0) as file:
            while file.read(_CHUNK):
                pass
    except OSError:
        pass  # the import will say what is wrong with it
