"""Truth on the screen: what a person can read off a fused picture, and whether a lesion is seen in it.

Volumes are (D, H, W): anatomy and uptake float in [0, 1], each within its window; pictures uint8 sRGB (D, H, W, 3).
Tissue is where either exceeds `TISSUE`: the background of a scan would count for most of it.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from ..display.lab import rgb_to_lab
from ..errors import InputError

TISSUE = 0.02
_LEVELS = 20  # of a channel: about what an eye tells apart in a picture full of structure
_BANDS = (0.0, 0.1, 0.3, 0.5, 0.7, 1.0)
_BINS, _LEAST = 12, 50
_ALIKE = 0.15  # of anatomy: the same tissue
_COLD, _HOT = 0.03, 0.5
_WHITE = 1 - 0.5 / 255  # what an 8-bit screen shows as white

Paint = Callable[[np.ndarray, np.ndarray], np.ndarray]


class Spot(NamedTuple):
    """A lesion: its name, its centre (voxel, fractions allowed, along D, H, W) and its full width at half maximum, mm."""

    name: str
    center: tuple[float, float, float]
    fwhm: float


class Order(NamedTuple):
    """How colours follow uptake, over all anatomy, in CIELAB.

    ``fall``: the largest fall of chroma while uptake rises to the table's most chromatic colour. ``cold``: the largest
    chroma of uptake below 3 %. ``neutral``: the least chroma of uptake above 50 % at a lightness that anatomy without
    uptake has; infinite where no such colour is that dark.
    """

    fall: float
    cold: float
    neutral: float


def reading(picture: np.ndarray, values: np.ndarray, tissue: np.ndarray) -> float:
    """The mean error in [0, 1] of reading `values` (...) off the colours of `picture` (..., 3) within `tissue` (...).

    Colours count in 20 levels a channel. A random half of the voxels teaches each colour its mean value, each twentieth
    of the values counting alike; the error is that on the other half, averaged over bands of values (0, .1, .3, .5, .7,
    1) so that rare ones count too. A colour that was never seen reads as 0.
    """
    _check(picture, values)
    levels = (picture.reshape(-1, 3) * np.uint16(_LEVELS) // 256).astype(np.int32)
    colors = (levels @ np.array([_LEVELS**2, _LEVELS, 1], np.int32)).reshape(values.shape)
    learn = np.random.default_rng(0).random(values.shape) < 0.5
    known, truth = colors[learn & tissue], values[learn & tissue]
    twentieth = np.minimum((truth * 20).astype(np.int32), 19)
    weight = 1 / np.bincount(twentieth, minlength=20).clip(1)[twentieth]
    count, total = (np.bincount(known, w, _LEVELS**3) for w in (weight, weight * truth))
    mean = np.divide(total, count, out=np.zeros(_LEVELS**3), where=count > 0)
    truth = values[~learn & tissue]
    error = np.abs(mean[colors[~learn & tissue]] - truth)
    band = np.digitize(truth, _BANDS[1:-1])
    count, total = np.bincount(band, minlength=5), np.bincount(band, error, 5)
    return float((total[count > 0] / count[count > 0]).mean()) if count.any() else float("nan")


def visibility(picture: np.ndarray, anatomy: np.ndarray, spot: Spot, spacing: Sequence[float]) -> float:
    """CIELAB distance of the median colours of a lesion's core and of a ring of the same tissue around it.

    The core is closer than a third of the lesion's width, the ring lies at 1.3 to 2.2 widths and has anatomy within .15
    of the core's mean. `spacing`: mm along D, H, W. Not a number where there is no such ring.
    """
    _check(picture, anatomy)
    cut, (core, ring) = regions(anatomy, spot, spacing)
    if not core.any() or not ring.any():
        return float("nan")
    core, ring = (np.median(rgb_to_lab(picture[cut][part] / 255), axis=0) for part in (core, ring))
    return float(np.linalg.norm(core - ring))


def regions(
    anatomy: np.ndarray, spot: Spot, spacing: Sequence[float]
) -> tuple[tuple[slice, ...], tuple[np.ndarray, np.ndarray]]:
    """The cut (slices) of a volume around a lesion and, within it, the masks of its core and of its ring."""
    reach = [2.2 * spot.fwhm / mm for mm in spacing]
    cut = tuple(
        slice(max(0, int(c - r)), max(0, min(n, int(np.ceil(c + r)) + 1)))
        for c, r, n in zip(spot.center, reach, anatomy.shape)
    )
    axes = np.ogrid[cut]
    distance = np.sqrt(sum(((axis - c) * mm) ** 2 for axis, c, mm in zip(axes, spot.center, spacing))) / spot.fwhm
    core = distance < 1 / 3
    near = (distance > 1.3) & (distance < 2.2)
    if not core.any():
        return cut, (core, near & False)
    return cut, (core, near & (np.abs(anatomy[cut] - anatomy[cut][core].mean()) < _ALIKE))


def between_slices(fused: np.ndarray, anatomy: np.ndarray, uptake: np.ndarray) -> float:
    """How far the same tissue differs between slices: the deviation over slices of a tissue's mean of `fused` (D, H, W).

    A tissue is one of 12 x 12 bins of anatomy and uptake; it counts in slices where it has 50 voxels, and by its voxels.
    """
    _check(fused, anatomy, uptake)
    depth = len(fused)
    bins = [np.clip((x * _BINS).astype(np.int32), 0, _BINS - 1) for x in (anatomy, uptake)]
    place = (np.arange(depth)[:, None, None] * _BINS + bins[0]) * _BINS + bins[1]
    tissue = (anatomy > TISSUE) | (uptake > TISSUE)
    count, total = (
        np.bincount(place[tissue], w, depth * _BINS**2).reshape(depth, -1) for w in (None, fused[tissue].astype(float))
    )
    counted = count >= _LEAST
    several = counted.sum(axis=0) > 1
    if not several.any():
        return float("nan")
    mean = np.divide(total, count, out=np.full(count.shape, np.nan), where=counted)[:, several]
    weight = np.where(counted, count, 0).sum(axis=0)[several]
    return float(np.average(np.nanstd(mean, axis=0), weights=weight))


def saturation(fused: np.ndarray, uptake: np.ndarray) -> float:
    """The share of voxels of uptake below 95 % of its window at which `fused`, in [0, 1], is white."""
    _check(fused, uptake)
    below = uptake < 0.95
    return float((fused[below] >= _WHITE).mean()) if below.any() else 0.0


def order(paint: Paint, peak: float) -> Order:
    """How the colours of `paint`, which turns anatomy and uptake (...) into uint8 (..., 3), follow uptake.

    `peak` in [0, 1]: where along uptake the colour table is most chromatic.
    """
    anatomy, uptake = np.meshgrid(np.linspace(0, 1, 101), np.linspace(0, 1, 201), indexing="ij")
    lab = rgb_to_lab(paint(anatomy, uptake) / 255)
    chroma, lightness = np.linalg.norm(lab[..., 1:], axis=-1), lab[..., 0]
    rising = chroma[:, uptake[0] <= peak]
    fall = (np.maximum.accumulate(rising, axis=1) - rising).max()
    cold = chroma[:, uptake[0] < _COLD].max()
    bare = lightness[:, 0]
    dark = (uptake > _HOT) & (lightness >= bare.min()) & (lightness <= bare.max())
    return Order(float(fall), float(cold), float(chroma[dark].min()) if dark.any() else float("inf"))


def _check(first: np.ndarray, *others: np.ndarray) -> None:
    for other in others:
        if first.shape[: other.ndim] != other.shape:
            raise InputError(f"a picture and its sources differ in shape: {first.shape} and {other.shape}")
