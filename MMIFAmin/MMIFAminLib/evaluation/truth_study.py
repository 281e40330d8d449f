"""Truth on the screen of a pair: the fused colours beside the plain overlay and classical fusion."""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import SimpleITK as sitk

from ..display.color import ColorTable, colorize, overlay
from ..display.lab import rgb_to_lab
from ..errors import InputError
from ..volume.shown import shown
from . import baselines, truth

if TYPE_CHECKING:
    from ..engine.fused import FusedVolume

OURS = "mmif-amin"
OPACITIES = (0.3, 0.5, 0.7)
CLASSICAL = ("maximum", "laplacian_pyramid", "pca")


class Screen(NamedTuple):
    """A fused pair as it is shown: anatomy, uptake and fused value (D, H, W) in [0, 1], and its lesions, if known."""

    name: str
    anatomy: np.ndarray
    uptake: np.ndarray
    fused: np.ndarray
    spacing: tuple[float, float, float]
    spots: Sequence[truth.Spot] = ()


def screen(name: str, anatomical: sitk.Image, fused: "FusedVolume", lesions: "Path | None" = None) -> Screen:
    """What a ``FusedVolume`` of the scalar volume `anatomical` shows, and the lesions of a CSV (see ``read_spots``)."""
    anatomy = fused.anatomical_window.to_unit(sitk.GetArrayViewFromImage(anatomical))
    uptake = fused.functional_window.to_unit(sitk.GetArrayViewFromImage(fused.functional))
    spacing = tuple(anatomical.GetSpacing()[::-1])
    spots = read_spots(lesions, anatomical) if lesions else ()
    return Screen(name, anatomy, uptake, sitk.GetArrayFromImage(fused.image), spacing, spots)


def read_spots(path: Path, grid: sitk.Image) -> list[truth.Spot]:
    """The lesions of a CSV with the columns where, x_lps_mm, y_lps_mm, z_lps_mm and fwhm_mm, as voxels of `grid`."""
    spots = []
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:  # Excel begins its CSV with a mark
            for number, row in enumerate(csv.DictReader(file)):
                place, fwhm = [float(row[f"{axis}_lps_mm"]) for axis in "xyz"], float(row["fwhm_mm"])
                if not (np.isfinite(place).all() and 0 < fwhm < np.inf):
                    raise ValueError(f"line {number + 2}")
                center = grid.TransformPhysicalPointToContinuousIndex(place)[::-1]
                spots.append(truth.Spot(f"{number}_{row['where']}", tuple(center), fwhm))
    except (KeyError, TypeError, ValueError) as error:
        needed = "where, x_lps_mm, y_lps_mm, z_lps_mm, fwhm_mm"
        raise InputError(
            f"{path} is no list of lesions: it needs the columns {needed} in every line ({error})"
        ) from error
    if not spots:
        raise InputError(f"{path} lists no lesion: give a line for each, below the names of the columns")
    return spots


def truth_study(case: Screen, tables: Sequence[ColorTable]) -> list[dict[str, Any]]:
    """One row for ours and each opacity of the overlay in every table, and for classical fusion, which is grey.

    Columns: case, method, table; reading_uptake, reading_anatomy, reading (their sum), and reading_ratio, that to the 50 %
    overlay's in the same table (grey: none); between_slices and saturation of the grey values; fall, cold and neutral as in
    ``truth.Order``; distance_* of every lesion. None where a measure has no meaning.
    """
    a, u = case.anatomy, case.uptake
    rows = []
    for table in tables:

        def ours(a: np.ndarray, u: np.ndarray, table: ColorTable = table) -> np.ndarray:
            return colorize(shown(a, u), u, table)

        row = _colored(case, OURS, table, colorize(case.fused, u, table), ours) | _grey(case, case.fused)
        overlays = {}
        for opacity in OPACITIES:

            def plain(a: np.ndarray, u: np.ndarray, table: ColorTable = table, opacity: float = opacity) -> np.ndarray:
                return overlay(a, u, table, opacity)

            found = _colored(case, f"overlay {opacity:g}", table, plain(a, u), plain)
            overlays[opacity] = found | _grey(case, (1 - opacity) * a + opacity * u)
        plainly = overlays[0.5]["reading"]
        for found in (row, *overlays.values()):
            rows.append(found | {"reading_ratio": found["reading"] / plainly if plainly else None})
    for name in CLASSICAL:
        fused = baselines.BASELINES[name](a, u)
        picture = np.repeat(np.rint(fused * 255).astype(np.uint8)[..., None], 3, axis=-1)
        rows.append(_measured(case, name, picture) | _grey(case, fused))
    return rows


def _measured(case: Screen, method: str, picture: np.ndarray) -> dict[str, Any]:
    """Every column, with what the picture itself tells."""
    tissue = (case.anatomy > truth.TISSUE) | (case.uptake > truth.TISSUE)
    uptake, anatomy = (truth.reading(picture, values, tissue) for values in (case.uptake, case.anatomy))
    row = {"case": case.name, "method": method, "table": None}
    row |= {"reading_uptake": uptake, "reading_anatomy": anatomy, "reading": uptake + anatomy, "reading_ratio": None}
    row |= {"between_slices": None, "saturation": None} | dict.fromkeys(truth.Order._fields)
    spots = case.spots
    return row | {f"distance_{s.name}": truth.visibility(picture, case.anatomy, s, case.spacing) for s in spots}


def _colored(case: Screen, method: str, table: ColorTable, picture: np.ndarray, paint: truth.Paint) -> dict[str, Any]:
    order = truth.order(paint, _most_chromatic(table))._asdict()
    return _measured(case, method, picture) | {"table": table.name} | order


def _grey(case: Screen, fused: np.ndarray) -> dict[str, Any]:
    return {
        "between_slices": truth.between_slices(fused, case.anatomy, case.uptake),
        "saturation": truth.saturation(fused, case.uptake),
    }


def _most_chromatic(table: ColorTable) -> float:
    """Where along [0, 1] the table has its largest chroma; 1 for greys."""
    chroma = np.linalg.norm(rgb_to_lab(table(np.linspace(0, 1, 256)).astype(np.float64))[:, 1:], axis=1)
    return float(chroma.argmax() / 255) if chroma.max() > 1 else 1.0
