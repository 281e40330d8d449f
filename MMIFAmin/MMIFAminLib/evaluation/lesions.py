"""Does the fused volume tell the truth about uptake? Synthetic lesions, fused with and without, and two more measures.

Gaussian hot and cold lesions (6 to 15 mm FWHM, 10 to 60 % of the local uptake) are put one at a time at random places
of the brain in a real functional volume. The only difference between the two fusions is the lesion, so their difference
is what the lesion did to the fused image. Arrays are (D, H, W), slices first, as the fusing function takes them.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, cast
from zlib import crc32

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from ..display.color import ColorTable, luma
from ..errors import InputError
from ..files.volumes import read_volume
from ..volume.geometry import finite, same_grid
from ..volume.intensity import choose_window
from ..volume.through_plane import through_plane_ratio

PROTOCOLS = ("scalar", "ycbcr")
FWHM = (6.0, 15.0)  # mm
CONTRAST = (0.1, 0.6)  # of the local uptake, hot or cold
STRONG = 0.2  # lesions from this contrast on must change the fused image in the right direction
SEEN = 1e-4  # smaller changes of the fused image, in units of its range, are rounding

Fuse = Callable[[np.ndarray, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Case:
    """A registered pair for the study.

    ``anatomical``: (D, H, W) float32 in [0, 1]. ``uptake``: same shape, float32, at least 0, any unit. ``spacing``: mm
    along D, H, W. ``table``: the colours the ycbcr protocol shows uptake in.
    """

    name: str
    anatomical: np.ndarray
    uptake: np.ndarray
    spacing: tuple[float, float, float]
    table: ColorTable | None = None

    def __post_init__(self) -> None:
        if self.anatomical.ndim != 3 or self.anatomical.shape != self.uptake.shape:
            shapes = f"{self.anatomical.shape} and {self.uptake.shape}"
            raise InputError(f"Case {self.name}: the two volumes have shapes {shapes}, but must be 3D on one grid.")

    @cached_property
    def brain(self) -> np.ndarray:
        """(D, H, W) bool: see ``brain_mask``."""
        return brain_mask(self.uptake, self.spacing)


@dataclass(frozen=True)
class Lesion:
    """A Gaussian lesion: centre voxel along D, H, W; full width at half maximum in mm; signed part of local uptake."""

    center: tuple[int, int, int]
    fwhm: float
    contrast: float


@dataclass(frozen=True)
class Change:
    """What a lesion changed, mean over its core (at least half its peak, inside the brain), in units of [0, 1]."""

    lesion: Lesion
    uptake: float
    fused: float

    @property
    def recovery(self) -> float:
        """Fused change over uptake change: 1 where all contrast arrives, 0 where none does, negative if inverted."""
        return self.fused / self.uptake

    @property
    def right(self) -> bool:
        """Whether the fused image became brighter at a hot lesion or darker at a cold one."""
        return np.sign(self.lesion.contrast) * self.fused > SEEN


def load_case(
    anatomical: str | Path, functional: str | Path, *, table: str | None = None, name: str | None = None
) -> Case:
    """Read a case from two volume files on one grid; `table` names the colour table of the ycbcr protocol."""
    images = [finite(read_volume(path), str(path))[0] for path in (anatomical, functional)]
    if not same_grid(*images):
        raise InputError(f"{anatomical} and {functional} lie on different grids: resample one to the other first.")
    mr, uptake = (sitk.GetArrayFromImage(image).astype(np.float32) for image in images)
    mr = choose_window(mr, role="anatomical", name=str(anatomical)).to_unit(mr)
    colors = ColorTable.named(table) if table else None
    return Case(name or str(functional), mr, np.maximum(uptake, 0), images[0].GetSpacing()[::-1], colors)


def brain_mask(uptake: np.ndarray, spacing: Sequence[float]) -> np.ndarray:
    """(D, H, W) bool: where a brain scan's uptake is that of brain tissue.

    Uptake above 35 % of its 99th percentile, opened by 7 mm and reduced to the largest part, which leaves ventricles,
    eyes, glands and scalp out.
    """
    smooth = ndimage.gaussian_filter(np.asarray(uptake, np.float32), [2.0 / s for s in spacing])
    warm = smooth > 0.35 * np.percentile(uptake[uptake > 0], 99) if (uptake > 0).any() else np.zeros(uptake.shape, bool)
    labels, parts = cast(tuple[np.ndarray, int], ndimage.label(distance_inside(warm, spacing) > 7))
    if not parts:
        raise InputError("No brain was found in the functional volume: it has no connected region of high uptake.")
    core = labels == 1 + np.bincount(labels.ravel())[1:].argmax()
    return warm & (uptake > 0) & (distance_inside(~core, spacing) < 9)


def distance_inside(mask: np.ndarray, spacing: Sequence[float]) -> np.ndarray:
    """(D, H, W) distance in mm of each voxel of ``mask`` to the nearest one outside it; 0 outside."""
    return cast(np.ndarray, ndimage.distance_transform_edt(mask, sampling=spacing))


def draw_lesions(case: Case, n: int, seed: int) -> list[Lesion]:
    """`n` random lesions in the brain of a case: the same for every method, since only case and seed decide."""
    random = np.random.default_rng([seed, crc32(case.name.encode())])
    centers = np.argwhere(case.brain)[random.integers(case.brain.sum(), size=n)]
    widths, contrasts = random.uniform(*FWHM, n), random.uniform(*CONTRAST, n) * random.choice([-1, 1], n)
    return [Lesion((int(z), int(y), int(x)), float(w), float(k)) for (z, y, x), w, k in zip(centers, widths, contrasts)]


def measure_lesion(fuse: Fuse, case: Case, lesion: Lesion, protocol: str = "scalar") -> Change:
    """Fuse the slices through the lesion's core with and without it, under one window that clips neither."""
    reach = int(np.floor(lesion.fwhm / 2 / case.spacing[0]))
    first, last = max(0, lesion.center[0] - reach), lesion.center[0] + reach + 1
    anatomical, plain, brain = (array[first:last] for array in (case.anatomical, case.uptake, case.brain))
    center = (lesion.center[0] - first, *lesion.center[1:])
    squared = sum(
        (((np.arange(size) - c) * s) ** 2).reshape([-1 if axis == d else 1 for axis in range(3)])
        for d, (size, c, s) in enumerate(zip(plain.shape, center, case.spacing))
    )
    profile = np.exp2(-squared / (lesion.fwhm / 2) ** 2).astype(np.float32)
    core = (profile >= 0.5) & brain
    local = float(plain[core].mean())
    lesioned = np.maximum(plain + lesion.contrast * local * profile, 0)

    top = max(float(case.uptake.max()), float(lesioned.max()))
    fused = [fuse(anatomical, _shown(case, uptake / top, protocol)) for uptake in (plain, lesioned)]
    return Change(
        lesion,
        uptake=float((lesioned[core] - plain[core]).mean(dtype=np.float64)) / top,
        fused=float((fused[1][core].astype(np.float64) - fused[0][core]).mean()),
    )


def anatomy_fixed_correlation(
    anatomical: np.ndarray, uptake: np.ndarray, fused: np.ndarray, mask: np.ndarray, bins: int = 64, least: int = 200
) -> float:
    """Spearman correlation between `fused` and `uptake` where the anatomical image shows the same.

    The voxels of `mask` are sorted into `bins` narrow classes of anatomical intensity in [0, 1]; within each class of
    at least `least` voxels the rank correlation is taken (0 where one of the two is constant), then averaged by voxels.
    """
    from scipy.stats import rankdata

    anatomical, uptake, fused = (np.asarray(array)[mask] for array in (anatomical, uptake, fused))
    classes = np.minimum((anatomical * bins).astype(int), bins - 1)
    total = weight = 0.0
    for label in np.flatnonzero(np.bincount(classes, minlength=bins) >= least):
        inside = classes == label
        ranks = [rankdata(array[inside]) for array in (uptake, fused)]
        ranks = [rank - rank.mean() for rank in ranks]
        norm = np.sqrt(np.vdot(ranks[0], ranks[0]) * np.vdot(ranks[1], ranks[1]))
        total += inside.sum() * (np.vdot(*ranks) / norm if norm > 0 else 0.0)
        weight += inside.sum()
    return float(total / weight) if weight else float("nan")


def lesion_study(
    fuse: Fuse,
    cases: Iterable[Case],
    *,
    n: int = 200,
    seed: int = 0,
    protocol: str = "scalar",
    progress: Callable[[float, str], None] | None = None,
) -> list[dict[str, Any]]:
    """How truly `fuse` shows uptake: one row per case and a last row, "all", over all lesions.

    `fuse` takes (D, H, W) float32 anatomical and functional arrays in [0, 1] and returns the fused one. `n` lesions are
    drawn per case. `protocol` "scalar" gives it the uptake itself, "ycbcr" the luma of the uptake's colours. Columns:
    case, protocol, lesions; strong, the number of lesions of at least 20 % contrast; right, hot_right, cold_right, the
    fraction of these that changed the fused image in the right direction; recovery, the median contrast recovery of all
    lesions; spearman, ``anatomy_fixed_correlation`` in the brain; through_plane, ``through_plane_ratio`` ("all" has the
    mean of the former, the largest of the latter). `progress(fraction, text)` is told how far the study is.
    """
    cases = list(cases)
    check_protocol(protocol)
    if not cases or n < 1:
        raise InputError("A lesion study needs at least one case and one lesion.")
    rows, every = [], []
    for number, case in enumerate(cases):
        changes = []
        for lesion in draw_lesions(case, n, seed):
            changes.append(measure_lesion(fuse, case, lesion, protocol))
            if progress:
                progress((number + len(changes) / n) / len(cases), case.name)
        shown = _shown(case, case.uptake / case.uptake.max(), protocol)
        fused = fuse(case.anatomical, shown)
        rows.append(
            {
                **_summary(case.name, protocol, changes),
                "spearman": anatomy_fixed_correlation(case.anatomical, case.uptake, fused, case.brain),
                "through_plane": through_plane_ratio(case.anatomical, shown, fused),
            }
        )
        every += changes
    return rows + [
        {
            **_summary("all", protocol, every),
            "spearman": float(np.mean([row["spearman"] for row in rows])),
            "through_plane": max(row["through_plane"] for row in rows),
        }
    ]


def check_protocol(name: str) -> None:
    """Raise InputError if there is no protocol of that name."""
    if name not in PROTOCOLS:
        raise InputError(f"There is no protocol '{name}': choose one of {', '.join(PROTOCOLS)}.")


def _shown(case: Case, unit: np.ndarray, protocol: str) -> np.ndarray:
    """Uptake in [0, 1] as the fusing function gets it: itself, or the luma of its colours."""
    if protocol == "scalar":
        return unit
    if case.table is None:
        raise InputError(f"Case {case.name} has no colour table, which ycbcr needs: give one (--color-table).")
    return luma(np.rint(255 * case.table(unit)).astype(np.uint8)).astype(np.float32) / 255


def _summary(name: str, protocol: str, changes: Sequence[Change]) -> dict[str, Any]:
    strong = [change for change in changes if abs(change.lesion.contrast) >= STRONG]

    def right(some: list[Change]) -> float:
        return float(np.mean([change.right for change in some])) if some else float("nan")

    return {
        "case": name,
        "protocol": protocol,
        "lesions": len(changes),
        "strong": len(strong),
        "right": right(strong),
        "hot_right": right([change for change in strong if change.lesion.contrast > 0]),
        "cold_right": right([change for change in strong if change.lesion.contrast < 0]),
        "recovery": float(np.median([change.recovery for change in changes])),
    }
