"""``mmifamin mip`` and ``mmifamin hottest``: a functional volume as it is read, alone."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InputError
from ..study.outputs import check_outputs
from .terminal import print_table, progress_bar, say

if TYPE_CHECKING:
    from ..files import VolumeFile


def add_mip_options(parser: argparse.ArgumentParser) -> None:
    """The options of ``mmifamin mip``."""
    _add_volume(parser)
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="FILM", help="a .gif, or a new folder for a series of PNG"
    )
    parser.add_argument("--angles", type=int, default=36, metavar="N", help="pictures in a turn (default: 36)")
    parser.add_argument(
        "--suv-max",
        type=float,
        metavar="VALUE",
        help="what is black: SUV, or the volume's own unit where that is another (default: as fuse chooses)",
    )
    parser.add_argument("--height", type=int, default=512, metavar="PIXELS", help="of the pictures (default: 512)")


def add_hottest_options(parser: argparse.ArgumentParser) -> None:
    """The options of ``mmifamin hottest``."""
    _add_volume(parser)
    parser.add_argument("--count", type=int, default=10, metavar="N", help="how many spots (default: 10)")
    parser.add_argument(
        "--apart", type=float, default=10.0, metavar="MM", help="nearest that two spots may be (default: 10)"
    )
    parser.add_argument("--csv", type=Path, metavar="FILE", help="write the table")


def mip(options: argparse.Namespace) -> None:
    """Turn the maximum intensity projection of a PET or SPECT volume around the body and write it as a film.

    Inverted grey: white without uptake, black at the upper end of the window.
    """
    from ..display.film import film
    from ..files.writing import check_film, write_film
    from ..volume.projection import Turntable, angles_around, mip_window, wished_window
    from ..volume.recognition import Hints

    check_film(options.output)
    angles_around(options.angles)
    if not 16 <= options.height <= 4096:
        raise InputError(f"pictures cannot be {options.height} pixels high: give 16 to 4096")
    file = _read(options)
    name, unit = str(options.functional), file.about.unit or ""
    turntable = Turntable(file.image, name)
    hints = Hints(file.about.modality, file.about.unit, options.functional.name)
    if options.suv_max is not None:
        window = wished_window(file.image, options.suv_max, hints, name)
    else:
        window = mip_window(file.image, hints, name)
    with progress_bar() as progress:
        frames = film(
            turntable,
            window,
            count=options.angles,
            unit=unit,
            height=options.height,
            progress=progress,
        )
    write_film(frames, options.output)
    print(f"{options.output}: {len(frames)} views of {name}")


def hottest(options: argparse.Namespace) -> None:
    """List the hottest spots of a PET or SPECT volume: place, maximum, peak and the distance from the hottest.

    The peak is the mean in a sphere of 1 ml around the hottest voxel. Places are R, A, S in mm, as 3D Slicer shows them.
    Uptake that hangs together above half of its maximum, as an organ's does, counts as one spot.
    """
    from ..display.legend import plain_number
    from ..files.writing import write_csv
    from ..volume.hottest import hottest_spots

    check_outputs([options.csv], [options.functional])
    file = _read(options)
    with progress_bar() as progress:
        spots = hottest_spots(file.image, options.count, options.apart, str(options.functional), progress)
    rows = [
        {
            "spot": number,
            # Adding 0 makes 0 of -0.
            **{f"{axis}_mm": round(mm, 1) + 0.0 for axis, mm in zip("RAS", spot.place)},
            "maximum": spot.maximum,
            "peak_1ml": spot.peak,
            "distance_mm": round(spot.distance, 1),
            "unit": file.about.unit or "",
        }
        for number, spot in enumerate(spots, 1)
    ]
    if options.csv:
        write_csv(rows, options.csv)
    unit = file.about.unit or "unit of the volume"
    headings = ("", "R", "A", "S (mm)", f"maximum ({unit})", "peak of 1 ml", "mm from the first")
    lines = [
        [plain_number(value, 4) if isinstance(value, float) else str(value) for value in row.values()][:-1]
        for row in rows
    ]
    print_table(f"Hottest spots of {options.functional}", headings, lines)


def _add_volume(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "functional",
        type=Path,
        metavar="FUNCTIONAL",
        help="PET or SPECT: NRRD, NIfTI, MHA, MGH, DICOM (FOLDER, FILE, FOLDER::#2)",
    )
    parser.add_argument("--unit", metavar="UNIT", help="of a PET, as for fuse (default: SUV where its headers give it)")
    parser.add_argument("--frame", type=int, metavar="N", help="which of several time points (from 1)")


def _read(options) -> "VolumeFile":
    from ..files import read_volume_file

    file = read_volume_file(options.functional, frame=options.frame, unit=options.unit)
    for warning in file.warnings:
        say("warning", warning)
    return file
