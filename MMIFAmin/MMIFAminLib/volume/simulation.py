"""A simulated PET: uptake with lesions of known place, seen through a scanner's resolution, grid and noise."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import SimpleITK as sitk
from scipy.ndimage import gaussian_filter

from .geometry import image_like

_RESOLUTION = 6.0  # mm, full width at half maximum
_NOISE, _AT = 0.06, 8.0  # standard deviation at an uptake of so many SUV, as a fraction of it
_GRAIN = 0.6  # voxels: how far reconstruction smooths the noise
_SEED = 152
_TILT = (8.0, -5.0, 12.0)  # degrees about x, y, z


class Lesion(NamedTuple):
    """A Gaussian change of the uptake: where (LPS, mm), how wide (mm, half maximum) and how much (SUV)."""

    center: tuple[float, float, float]
    width: float
    change: float


LESIONS = {
    "head": (
        Lesion((44.0, -14.0, 22.0), 13.0, 10.0),  # left frontal
        Lesion((-42.0, 36.0, 24.0), 22.0, -6.0),  # right parietal
    ),
    "trunk": (
        Lesion((5.0, -128.0, 346.0), 16.0, 12.0),  # lumbar vertebra
        Lesion((-95.0, -119.0, 262.0), 12.0, 12.0),  # right iliac wing
        Lesion((90.0, -121.0, 178.0), 14.0, 10.0),  # left acetabulum
        Lesion((-105.0, -190.0, 385.0), 14.0, 9.0),  # liver
    ),
}
"""The lesions of the simulated head, in MNI space, and of the trunk of the samples; the one to look at first."""


def with_lesions(uptake: sitk.Image, lesions: Iterable[Lesion]) -> sitk.Image:
    """`uptake` (SUV, axes along those of the patient) with `lesions`, as float32, nowhere below 0."""
    changed = sitk.GetArrayFromImage(uptake).astype(np.float32)
    k, j, i = (index.astype(np.float32) for index in np.ogrid[tuple(map(slice, changed.shape))])
    origin, spacing, direction = uptake.GetOrigin(), uptake.GetSpacing(), uptake.GetDirection()
    x, y, z = (origin[n] + direction[4 * n] * spacing[n] * index for n, index in enumerate((i, j, k)))
    for center, width, change in lesions:
        distance = (x - center[0]) ** 2 + (y - center[1]) ** 2 + (z - center[2]) ** 2
        changed += change * np.exp(-4 * np.log(2) * distance / width**2)
    return image_like(uptake, np.clip(changed, 0, None))


def scan(uptake: sitk.Image, spacing: tuple[float, float, float] = (2.6, 2.6, 3.2)) -> sitk.Image:
    """What a scanner of 6 mm resolution sees of `uptake` (float32, SUV), always the same: float32, SUV, with noise.

    Its grid has voxels of `spacing` mm, is oblique, and holds all of `uptake`.
    """
    sigma = _RESOLUTION / np.sqrt(8 * np.log(2))
    seen = sitk.SmoothingRecursiveGaussian(uptake, sigma)
    turn = sitk.Euler3DTransform()
    turn.SetRotation(*np.deg2rad(_TILT))
    direction = np.array(turn.GetMatrix()).reshape(3, 3)
    extent = np.abs(direction.T) @ (np.array(uptake.GetSize()) * uptake.GetSpacing())  # of the body, along its own axes
    size = np.ceil(extent / spacing).astype(int)
    center = uptake.TransformContinuousIndexToPhysicalPoint([(n - 1) / 2 for n in uptake.GetSize()])
    origin = np.array(center) - direction @ ((size - 1) / 2 * spacing)
    grid = (origin.tolist(), spacing, direction.ravel().tolist())
    image = sitk.Resample(seen, size.tolist(), sitk.Transform(), sitk.sitkLinear, *grid)
    counts = sitk.GetArrayFromImage(image)
    # Counting noise grows with the square root of the uptake.
    noise = gaussian_filter(np.random.default_rng(_SEED).standard_normal(counts.shape), _GRAIN)
    noise *= _NOISE * _AT / noise.std() * np.sqrt(np.clip(counts, 0, None) / _AT)
    return image_like(image, np.clip(counts + noise, 0, None).astype(np.float32))
