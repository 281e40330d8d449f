"""``mmifamin data``: the folders that training, tables and tests read, from clones of public repositories."""

import argparse
from collections.abc import Callable
from pathlib import Path

from ..errors import InputError
from .terminal import progress_bar


def data(options: argparse.Namespace) -> None:
    """Lay out a data set from a clone of the public repository that holds it. Nothing is downloaded.

    harvard    pairs of the Whole Brain Atlas, palettes, volumes made of slices
               https://github.com/xianming-gu/Havard-Medical-Image-Fusion-Datasets
    roadscene  infrared and visible road scenes
               https://github.com/StaRainJ/road-scene-infrared-visible-images
    templates  group averages of T1, T2, PD, PET and SPECT
               https://github.com/spm/spm12
    body       a CT of the trunk (without the uptake that was simulated on it)
               https://github.com/wasserth/TotalSegmentator

    Files are known by the SHA-256 of their content, wherever they lie in the clone; the lists, which also say what is
    for training and what for validation, are part of MMIFAmin. What is missing is told.
    """
    from ..files.datasets import lay_out

    with progress_bar() as progress:
        told = lay_out(options.name, options.clone, options.output, progress)
    for line in told:
        print(line)


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument("name", metavar="NAME", help="harvard, roadscene, templates or body")
    parser.add_argument("clone", type=Path, metavar="CLONE", help="folder of the clone")
    parser.add_argument(
        "--output",
        type=Path,
        default=Path("../shared/data"),
        metavar="DATA",
        help="where the folders go (default: ../shared/data, where scripts and tests look)",
    )


def folder_of(name: str, inside: str = "") -> Callable[[str], Path]:
    """A type for options of scripts: a folder that has ``inside`` of the data set ``name``, or one line on how to get it."""

    def folder(text: str) -> Path:
        from ..files.datasets import require

        try:
            require(Path(text) / inside, name)
        except InputError as error:
            raise argparse.ArgumentTypeError(str(error)) from None
        return Path(text)

    return folder
