"""The options on how a study is fused: those of ``fuse`` and ``cohort``, and of each row of a cohort."""

import argparse
import re
import shlex
from copy import copy
from functools import cache

from ..errors import InputError
from .presets import full_name, settled


def add_fusion_options(parser: argparse.ArgumentParser) -> None:
    """Add the options on how volumes are read, fused and shown; `presets.settled` says what holds where none is given."""
    parser.add_argument(
        "--preset",
        type=_preset,
        metavar="NAME",
        help="windows, plane, kind and colours for a kind of study; what is given besides goes before it",
    )
    parser.add_argument("--rgb", action="store_true", help="write the fused volume in colours instead of grey")
    parser.add_argument(
        "--color-table", metavar="NAME", help="colours of the functional values (default: inferno, or its own)"
    )
    parser.add_argument(
        "--functional-weight", type=float, metavar="W", help="strength of the colours, 0 to 1 (default: 1)"
    )
    parser.add_argument(
        "--plane",
        metavar="PLANE",
        help="slices to fuse: axial (default), coronal, sagittal or acquisition",
    )
    window = "LOW:HIGH, auto (default), mr, uptake, ct-brain, ct-soft-tissue, ct-bone or ct-lung"
    parser.add_argument("--window", metavar="SPEC", help=f"anatomical intensities from black to white: {window}")
    parser.add_argument(
        "--functional-window",
        metavar="SPEC",
        help="functional ones, likewise; suv:0:10 for SUV 0 to 10",
    )
    parser.add_argument(
        "--second-window", default="auto", metavar="SPEC", help="those of the second anatomical volume, likewise"
    )
    parser.add_argument(
        "--unit",
        type=str.lower,
        metavar="UNIT",
        help="of a PET: suv (default where its headers give it), suv-lbm, suv-lbm-james, "
        "suv-lbm-james-120, suv-bsa, suv-ibw, bqml, counts",
    )
    parser.add_argument(
        "--kind",
        metavar="KIND",
        help="auto (default), uptake (PET, SPECT) or anatomical (two MR or CT)",
    )
    parser.add_argument(
        "--register", action="store_true", help="move the functional (and second) volume onto the anatomical one first"
    )
    parser.add_argument("--insist", action="store_true", help="fuse although a volume seems to be a label map")
    parser.add_argument(
        "--frame",
        type=int,
        metavar="N",
        help="which time point, echo, phase or stack of a source with several (from 1)",
    )
    parser.add_argument("--different-patients", action="store_true", help="fuse although the patient ids differ")
    parser.add_argument(
        "--preview-at",
        type=_place,
        metavar="R,A,S",
        help="where its planes cross, in mm to the right, front and head (default: the hottest spot of uptake)",
    )
    parser.add_argument(
        "--preview-overlay", action="store_true", help="add the plain overlay to the picture, for comparison"
    )
    parser.add_argument(
        "--dicom", action="store_true", help="write a DICOM series into a folder, with or without a / at its end"
    )
    parser.add_argument("--uid-root", metavar="ROOT", help="root of the DICOM series' new UIDs (default: 2.25)")
    parser.add_argument(
        "--anonymous", action="store_true", help="name neither the patient nor the sources in DICOM, picture and report"
    )


def add_engine_options(parser: argparse.ArgumentParser) -> None:
    """Add the options on what computes."""
    engine = parser.add_argument_group("engine")
    engine.add_argument("--device", default="auto", metavar="NAME", help="auto (default), cpu, cuda, cuda:1 or mps")
    engine.add_argument("--precision", default="auto", metavar="NAME", help="auto (default), fp32, bf16 or fp16")
    engine.add_argument("--weights", metavar="NAME", help="a .safetensors file, or the name of shipped weights")


class _Parser(argparse.ArgumentParser):
    def error(self, message):
        raise InputError(message)


@cache
def _fusion_parser() -> _Parser:
    parser = _Parser(add_help=False)
    add_fusion_options(parser)
    return parser


def default_options(**changes: object) -> argparse.Namespace:
    """The options of ``fuse`` on how and on what to compute as they are when none is given, with ``changes`` by name.

    Raises InputError for a name that is none of them.
    """
    parser = _Parser(add_help=False)
    add_fusion_options(parser)
    add_engine_options(parser)
    options = parser.parse_args([])
    if unknown := sorted(set(changes) - set(vars(options))):
        raise InputError(f"there is no option '{unknown[0]}': choose from {', '.join(sorted(vars(options)))}")
    vars(options).update(changes)
    return options


def check_options(options: argparse.Namespace) -> None:
    """Raise InputError for values that no study can be fused with, whatever its volumes are."""
    from ..display.color import ColorTable
    from ..files.units import check_unit
    from ..volume.choices import check_kind
    from ..volume.geometry import check_plane
    from ..volume.intensity import given_window

    options = settled(options)
    if options.color_table and isinstance(options.color_table, str):
        ColorTable.named(options.color_table)
    if not 0 <= options.functional_weight <= 1:
        raise InputError(f"the functional weight is from 0 to 1, not {options.functional_weight:g}")
    check_unit(options.unit)
    check_kind(options.kind)
    check_plane(options.plane)
    windows = [options.window, options.functional_window, options.second_window]
    if isinstance(windows[1], str):
        windows[1] = windows[1].strip().lower().removeprefix("suv:")
    for window in windows:
        given_window(window)


def with_options(options: argparse.Namespace, text: str) -> argparse.Namespace:
    """A copy of ``options`` with those that ``text`` names as on the command line, such as "--plane coronal --rgb".

    These are options on how to fuse, not on what computes. Raises InputError for what is none of them.
    """
    try:
        words = shlex.split(text)
    except ValueError as error:  # a quotation that does not end
        raise InputError(f"the options {text!r} cannot be read: {error}") from None
    return _fusion_parser().parse_args(joined(words), copy(options))


def joined(arguments: list[str]) -> list[str]:
    """`--window -160:240` as `--window=-160:240`: argparse would take the range, or a place, for an option."""
    joined: list[str] = []
    for argument in arguments:
        if re.match(r"-[\d.]+[:,]", argument) and joined and joined[-1].startswith("--"):
            joined[-1] += f"={argument}"
        else:
            joined.append(argument)
    return joined


def _preset(text: str) -> str:
    try:
        return full_name(text)
    except InputError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _place(text: str) -> tuple[float, float, float]:
    """LPS (mm) of "R,A,S" as Slicer shows it."""
    try:
        right, front, head = (float(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text} is no place: give R,A,S in mm, such as 12,-40,85") from None
    return -right, -front, head
