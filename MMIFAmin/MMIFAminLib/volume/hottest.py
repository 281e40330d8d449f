"""Where to look first: the lesion-like spot of highest uptake, and the hottest spots with what they measure."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk
from scipy.ndimage import binary_dilation, gaussian_filter, label, maximum_filter

from ..errors import InputError
from .geometry import check_volume, index_to_physical

_CORE, _AROUND = 2.5, 10.0  # mm: standard deviations of a lesion's scale and of its surroundings'
_STEP = 2.0  # mm: finer than this, voxels tell nothing more
_HOT, _ORGAN = 0.9, 3e4  # the window's end, and how much of it in one piece (mm3) is a bladder, heart or brain
_BORDER = 8.0  # mm: how far such a piece shines
_PLAIN = 0.1  # how much a lesion exceeds its surroundings at least
_SAME = 0.5  # share of its maximum down to which uptake that hangs together is one spot
_NOISE = 0.01  # share of the hottest below which nothing is a spot: a lesion beside the fullest bladder has more
PEAK_RADIUS = 10 * (3 / (4 * math.pi)) ** (1 / 3)
"""Of a sphere of 1 ml, in mm: 6.2."""


@dataclass(frozen=True)
class Spot:
    """A spot of uptake: `place` of its hottest voxel (RAS, mm), the `maximum` there and the `peak`, in the volume's unit.

    `peak` is the mean of the voxels whose centres lie within the sphere of 1 ml around `place`: SUVpeak of PERCIST (Wahl et
    al., J Nucl Med 2009, 50 Suppl 1, 122S), centred as the local intensity peak of the IBSI. `distance` is in mm from the
    hottest spot of all.
    """

    place: tuple[float, float, float]
    maximum: float
    peak: float
    distance: float


def hottest_spots(
    image: sitk.Image,
    count: int = 10,
    apart: float = 10.0,
    name: str = "volume",
    progress: Callable[[float, str], object] = lambda fraction, text: None,
) -> list[Spot]:
    """Up to `count` spots of a scalar 3D `image` (LPS, mm), the highest maximum first.

    A spot is a voxel than which none is hotter within `apart` mm along any axis, nor the next one there. Uptake that
    hangs together above half of its maximum, as an organ's or a lesion's does, is one spot; what has less than a hundredth
    of the hottest is none, nor what is not a finite number. Raises InputError, naming `name`, for a colour volume, for one
    without uptake above 0, and for a `count` below 1.
    """
    check_volume(image, name)
    if image.GetNumberOfComponentsPerPixel() != 1:
        raise InputError(f"{name} is in colours: spots are found in the uptake itself, choose a scalar volume")
    if count < 1 or not 0 < apart < math.inf:
        raise InputError(f"{count} spots, {apart:g} mm apart, cannot be found: give at least 1 and more than 0 mm")
    progress(0.0, "Looking for spots")
    uptake = np.nan_to_num(sitk.GetArrayFromImage(image).astype(np.float32), posinf=0, neginf=0)
    reach = [2 * max(1, int(apart / mm)) + 1 for mm in image.GetSpacing()[::-1]]
    candidates = np.flatnonzero((uptake == maximum_filter(uptake, reach)) & (uptake > _NOISE * max(uptake.max(), 0)))
    if not candidates.size:
        raise InputError(f"{name} has no uptake above 0")
    candidates = candidates[np.argsort(-uptake.reshape(-1)[candidates], kind="stable")]
    to_lps, spots, regions = index_to_physical(image), [], np.empty(uptake.shape, np.int32)
    while candidates.size and len(spots) < count:
        progress(len(spots) / count, f"Spot {len(spots) + 1} of {count}")
        place = np.unravel_index(candidates[0], uptake.shape)
        label(uptake >= _SAME * uptake[place], output=regions)
        candidates = candidates[regions.reshape(-1)[candidates] != regions[place]]
        spots.append(_spot(uptake, place, to_lps, spots))
    return spots


def _spot(uptake, place, to_lps, before) -> Spot:
    lps = to_lps[:3] @ [*place[::-1], 1.0]
    ras = (-float(lps[0]), -float(lps[1]), float(lps[2]))
    distance = math.dist(ras, before[0].place) if before else 0.0
    return Spot(ras, float(uptake[place]), _peak(uptake, place, to_lps), distance)


def _peak(uptake, place, to_lps) -> float:
    """The mean of the voxels with centres in the sphere of 1 ml around `place` (k, j, i)."""
    spacing = np.linalg.norm(to_lps[:3, :3], axis=0)[::-1]
    box = tuple(
        slice(max(0, index - int(PEAK_RADIUS / mm)), index + int(PEAK_RADIUS / mm) + 1)
        for index, mm in zip(place, spacing)
    )
    values = uptake[box]
    steps = [np.arange(values.shape[axis]) + box[axis].start - place[axis] for axis in range(3)]
    k, j, i = np.meshgrid(*steps, indexing="ij")
    offsets = np.stack([i, j, k], axis=-1) @ to_lps[:3, :3].T
    return float(values[np.linalg.norm(offsets, axis=-1) <= PEAK_RADIUS].mean(dtype=np.float64))


def hottest_spot(uptake: np.ndarray, spacing: Sequence[float]) -> tuple[int, int, int]:
    """The voxel (k, j, i) where `uptake` (K, J, I), within its window in [0, 1], most exceeds its surroundings.

    Uptake at the scale of a lesion less that around it (difference of Gaussians, 2.5 and 10 mm). What lies in or beside
    a piece of more than 30 ml at the window's end, as a full bladder, counts only where nothing else stands out.
    `spacing`: mm along K, J, I. What is not a number counts as none.
    """
    steps = [max(1, int(_STEP / mm)) for mm in spacing]
    coarse = np.nan_to_num(uptake[tuple(slice(None, None, step) for step in steps)].astype(np.float32))
    np.clip(coarse, 0, 1, out=coarse)
    widths = [step * mm for step, mm in zip(steps, spacing)]
    contrast = gaussian_filter(coarse, [_CORE / mm for mm in widths])
    contrast -= gaussian_filter(coarse, [_AROUND / mm for mm in widths])
    elsewhere = np.where(_organs(coarse, widths), 0, contrast)
    if elsewhere.max() >= _PLAIN:
        contrast = elsewhere
    place = np.unravel_index(int(contrast.argmax()), contrast.shape)
    k, j, i = (int(index) * step for index, step in zip(place, steps))
    return k, j, i


def _organs(uptake: np.ndarray, spacing: Sequence[float]) -> np.ndarray:
    """Where large pieces at the window's end are, and their surroundings: bool, like `uptake`."""
    pieces = np.empty(uptake.shape, np.int32)
    label(uptake >= _HOT, output=pieces)
    large = np.bincount(pieces.ravel()) * np.prod(spacing) > _ORGAN
    large[0] = False
    reach = [round(_BORDER / mm) for mm in spacing]
    k, j, i = np.meshgrid(*(np.arange(-n, n + 1) * mm for n, mm in zip(reach, spacing)), indexing="ij")
    return binary_dilation(large[pieces], k**2 + j**2 + i**2 <= _BORDER**2)
