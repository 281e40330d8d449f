"""The option ``-o`` of ``fuse``: a file, or a folder for DICOM."""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any


class OutputAction(argparse.Action):
    """The path of the output; one that ends in a slash asks for DICOM (a ``Path`` would forget the slash)."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        """Set ``output`` and, by the slash, ``dicom``."""
        text = str(values)
        namespace.output = Path(text)
        if text.endswith(tuple(filter(None, ("/", os.sep, os.altsep)))):
            namespace.dicom = True


def add_options(fuse: argparse.ArgumentParser) -> None:
    """Add the options on the output to the parser of ``fuse``."""
    fuse.add_argument(
        "-o",
        "--output",
        action=OutputAction,
        required=True,
        metavar="OUT",
        help="fused volume: .nrrd, .nii.gz, .nii, .mha, or a new or empty FOLDER/ for a DICOM series",
    )
