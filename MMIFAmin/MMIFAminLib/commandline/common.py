"""What the commands share: the fuser that was asked for, and the files they read and write."""

import argparse
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InputError

if TYPE_CHECKING:
    from ..engine.fusion import VolumeFuser


def load_fuser(options: argparse.Namespace) -> "VolumeFuser":
    """The fuser that the engine options ask for."""
    from ..engine.fusion import VolumeFuser

    return VolumeFuser.load(options.device, options.precision, options.weights)


def check_outputs(outputs: "Iterable[Path | None]", sources: Iterable[Path]) -> None:
    """Tell of a place that cannot be written, or that would overwrite a source, before the work rather than after."""
    from ..files.writing import check_output

    sources, seen = {source.resolve() for source in sources}, set()
    for path in filter(None, outputs):
        place = check_output(path)
        if place in sources:
            raise InputError(f"{path} is one of the sources; choose another name for the output")
        if place in seen:
            raise InputError(f"{path} is the name of two outputs; choose another name for one of them")
        seen.add(place)


def short_name(path: Path) -> str:
    """The file's name without its endings."""
    return path.name.split(".")[0] or path.name
