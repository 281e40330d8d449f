"""``mmifamin truth``: what can be read off the fused colours, beside the plain overlay and classical fusion."""

import argparse
from pathlib import Path

from ..errors import InputError
from ..study.outputs import check_outputs, short_name
from .common import load_fuser
from .terminal import print_table, progress_bar, say

_SHOWN = {
    "reading_uptake": "uptake",
    "reading_anatomy": "anatomy",
    "reading_ratio": "of overlay",
    "between_slices": "slices",
    "saturation": "white",
    "fall": "fall",
    "cold": "cold",
    "neutral": "neutral",
}


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument(
        "pairs",
        type=Path,
        nargs="+",
        metavar="PAIR",
        help="ANATOMICAL FUNCTIONAL, the volumes or DICOM folders of a pair; more pairs may follow",
    )
    parser.add_argument(
        "--color-table", action="append", metavar="NAME", help="measure these colours; repeatable (default: inferno)"
    )
    parser.add_argument("--window", default="auto", metavar="SPEC", help="anatomical window, as for fuse")
    parser.add_argument("--functional-window", default="auto", metavar="SPEC", help="functional window, as for fuse")
    parser.add_argument(
        "--lesions",
        type=Path,
        metavar="CSV",
        help="known lesions of the first pair: columns where, x_lps_mm, y_lps_mm, z_lps_mm, fwhm_mm",
    )
    parser.add_argument("--frame", type=int, metavar="N", help="which of several time points of a volume (from 1)")
    parser.add_argument("--insist", action="store_true", help="measure although a volume seems to be a label map")
    parser.add_argument("--different-patients", action="store_true", help="measure although the patient ids differ")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="write the table")


def truth(options: argparse.Namespace) -> None:
    """Measure what can be read off the fused picture, beside the plain overlay and classical fusion.

    Columns: the mean error of uptake and anatomy read off the colours, and their sum relative to the 50 % overlay's; how
    far the same tissue differs between slices; the share of voxels at white below 95 % of the uptake's window; the largest
    fall of chroma where uptake rises, the largest chroma of cold tissue, the least of hot tissue as dark as anatomy; and
    the CIELAB distance of every lesion to the tissue around it. Overlay and classical fusion get the same windows.
    """
    from ..display.color import DEFAULT, ColorTable
    from ..evaluation.truth_study import screen, truth_study
    from ..files.writing import write_csv
    from ..study.sources import read_sources, told

    paths = options.pairs
    if len(paths) % 2:
        raise InputError(f"{paths[-1]} has no partner: give an anatomical and a functional volume for every pair")
    check_outputs([options.csv], paths)
    tables = [ColorTable.named(name) for name in options.color_table or [DEFAULT]]
    fuser, rows = load_fuser(options), []
    for number, (anatomical, functional) in enumerate(zip(paths[::2], paths[1::2])):
        asked = {"anatomical": anatomical, "functional": functional, "second": None, "unit": None}
        _, files, warnings = read_sources(argparse.Namespace(**vars(options) | asked))
        volumes = files[0].image, files[1].image
        if volumes[0].GetNumberOfComponentsPerPixel() > 1:
            raise InputError(f"{anatomical} is in colours: the anatomical volume of a pair must be grey")
        with progress_bar() as progress:
            fused = fuser.fuse(
                *volumes,
                anatomical_window=options.window,
                functional_window=options.functional_window,
                **told(*files),
                names=(anatomical.name, functional.name),
                insist=options.insist,
                progress=progress,
            )
        for warning in (*warnings, *fused.report["warnings"]):
            say("warning", warning)
        lesions = options.lesions if number == 0 else None
        rows.append(truth_study(screen(short_name(functional), volumes[0], fused, lesions), tables))
    if options.csv:
        columns = list(dict.fromkeys(name for found in rows for row in found for name in row))
        write_csv([{name: row.get(name) for name in columns} for found in rows for row in found], options.csv)
    for found in rows:
        distances = [name for name in found[0] if name.startswith("distance_")]
        columns = [*_SHOWN, *distances]
        headings = [*_SHOWN.values(), *(name.removeprefix("distance_") for name in distances)]
        lines = [[row["method"], row["table"] or "grey", *(_text(row[name]) for name in columns)] for row in found]
        print_table(f"Truth on the screen: {found[0]['case']}", ["method", "colours", *headings], lines)


def _text(value) -> str:
    if value is None:
        return "-"
    return f"{value:.1f}" if value >= 2 else f"{value:.4f}"
