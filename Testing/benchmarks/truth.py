"""Measures what can be read off the screen, and draws every lesion of the trunk in CT, PET, overlay and fused colours.

    python Testing/benchmarks/truth.py --shared ../shared

Writes ``results/truth.csv`` and docs/pictures/truth-trunk.png.
"""

import argparse
from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.patches import Circle

from MMIFAminLib import VolumeFuser
from MMIFAminLib.commandline.demo import T1_WINDOW, build_demo_pair
from MMIFAminLib.display.color import DEFAULT, ColorTable, colorize, overlay
from MMIFAminLib.errors import InputError
from MMIFAminLib.evaluation.truth_study import screen, truth_study
from MMIFAminLib.files import read_volume
from MMIFAminLib.files.datasets import require
from MMIFAminLib.files.writing import atomic_path, write_csv

TABLES = ("inferno", "pet-heat", "hot-iron", "rainbow")
REACH = 80  # mm around a lesion
RESULTS = Path(__file__).resolve().parent / "results" / "truth.csv"
PICTURE = Path(__file__).resolve().parents[2] / "docs" / "pictures" / "truth-trunk.png"


def pairs(data: Path):
    """Name, anatomical and functional volume, their windows and the list of lesions, if there is one."""
    body, volumes = data / "body", data / "volumes"
    trunk = (read_volume(body / "ct.nrrd"), read_volume(body / "fdg.nrrd"))
    yield "trunk", *trunk, "ct-soft-tissue", "0:10", body / "lesions.csv"
    yield "demo", *build_demo_pair(), T1_WINDOW, "auto", None
    for name, kind in (("pet41", "pet"), ("spect21", "spect")):
        pair = (read_volume(volumes / f"{name}_{other}.nrrd") for other in ("mr", kind))
        yield name, *pair, "0:255", "0:1000", None


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shared", type=Path, default=Path("../shared"), help="folder of data and reference")
    data = parser.parse_args().shared / "data"
    try:
        require(data / "body", "body")
        require(data / "body" / "fdg.nrrd", "body")
        require(data / "volumes", "harvard")
    except InputError as error:
        parser.error(str(error))
    fuser, tables, rows = VolumeFuser.load(), [ColorTable.named(name) for name in TABLES], []
    for name, anatomical, functional, window, functional_window, lesions in pairs(data):
        fused = fuser.fuse(anatomical, functional, anatomical_window=window, functional_window=functional_window)
        case = screen(name, anatomical, fused, lesions)
        rows += truth_study(case, tables)
        if lesions:
            draw(case)
    write_csv([{column: row.get(column) for column in rows[0]} for row in rows], RESULTS)


def draw(case):
    """The picture of every lesion of `case`."""
    table, spots = ColorTable.named(DEFAULT), case.spots
    figure = Figure(figsize=(10, 2.5 * len(spots) + 0.4), layout="constrained", facecolor="black")
    titles = ("CT", "PET", "overlay, 50 %", "fused")
    for number, (axes, spot) in enumerate(zip(figure.subplots(len(spots), 4), spots)):
        k, j, i = (round(c) for c in spot.center)
        rows, columns = (
            slice(max(0, center - round(REACH / mm)), center + round(REACH / mm))
            for center, mm in zip((j, i), case.spacing[1:])
        )
        a, u, f = (volume[k, rows, columns] for volume in (case.anatomy, case.uptake, case.fused))
        pictures = (a, table(u), overlay(a, u, table), colorize(f, u, table))
        for axis, picture, title in zip(axes, pictures, titles):
            axis.imshow(picture, cmap="gray", vmin=0, vmax=1, aspect=case.spacing[1] / case.spacing[2])
            place = (spot.center[2] - columns.start, spot.center[1] - rows.start)
            axis.add_patch(Circle(place, 1.1 * spot.fwhm / case.spacing[2], fill=False, color="cyan", lw=0.8))
            axis.set_axis_off()
            if not number:
                axis.set_title(title, fontsize=9, color="white")
        axes[0].text(2, 2, spot.name.split("_")[1], color="white", fontsize=9, va="top")
    with atomic_path(PICTURE) as temporary:
        figure.savefig(temporary, format="png", dpi=90)


if __name__ == "__main__":
    main()
