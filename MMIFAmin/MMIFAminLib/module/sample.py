"""A sample pair made by formula: registered T1 MR and FDG-PET of a head phantom, for a first try without a network.

The head is an ellipsoid of scalp, skull, cerebrospinal fluid, folded cortex, white matter and ventricles. PET has the
uptake 4:1 of grey to white matter, a hot and a cold spot, a scanner's resolution and noise, and a coarser grid.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import SimpleITK as sitk  # when the pair is made, not when Slicer starts and the pair is offered

FILES = {"MMIFAmin-phantom-MR.nrrd": "Phantom MR", "MMIFAmin-phantom-PET.nrrd": "Phantom PET"}
"""File names in the cache, and the names of their nodes: anatomical first."""

HEAD = (78.0, 98.0, 78.0)  # half axes of the head in mm: left-right, front-back, up-down
RESOLUTION = 6.0  # mm, full width at half maximum
T1 = (180.0, 820.0, 620.0, 250.0, 120.0, 900.0)  # ventricles, white, cortex, fluid, skull, scalp
FDG = (0.2, 2.0, 8.0, 0.3, 0.2, 0.6)  # the same in SUV


def build_phantom_pair(spacing: Sequence[float] = (1.5, 1.5, 1.5)) -> tuple[sitk.Image, sitk.Image]:
    """T1 MR (int16) with voxels of `spacing` mm, and FDG-PET (float32, SUV) with voxels 1.6 times as large; LPS, mm."""
    import SimpleITK as sitk

    fine = np.asarray(spacing, dtype=float)
    noise = np.random.default_rng(7)
    mr = np.select(_tissues(*_grid(fine)), T1, 0.0)
    mr = sitk.GetArrayFromImage(sitk.SmoothingRecursiveGaussian(_image(mr, fine), [0.7] * 3))
    mr += noise.normal(0.0, 12.0, mr.shape)

    coarse = fine * 1.6
    x, y, z = _grid(coarse)
    uptake = np.select(_tissues(x, y, z), FDG, 0.0)
    uptake += 9.0 * _spot(x, y, z, (38, -12, 20), 7.0) - 6.0 * _spot(x, y, z, (-40, 30, 22), 11.0)
    pet = sitk.GetArrayFromImage(sitk.SmoothingRecursiveGaussian(_image(uptake, coarse), [RESOLUTION / 2.3548] * 3))
    pet += noise.normal(0.0, 0.15, pet.shape) * (uptake > 0)
    return (
        _image(np.rint(np.clip(mr, 0, None)).astype(np.int16), fine),
        _image(np.clip(pet, 0, None).astype(np.float32), coarse),
    )


def register(download: Callable[[Any], Any], icons: str) -> None:
    """Offer the pair in Slicer's Sample Data module: `download(source)` loads it. No network is needed."""
    import SampleData
    import slicer

    cache = Path(slicer.mrmlScene.GetCacheManager().GetRemoteCacheDirectory()).absolute()
    SampleData.SampleDataLogic.registerCustomSampleDataSource(
        category="MMIFAmin",
        sampleName="MMIFAminPhantom",
        thumbnailFileName=str(Path(icons) / "MMIFAminPhantom.png"),
        uris=[(cache / name).as_uri() for name in FILES],
        fileNames=list(FILES),
        nodeNames=list(FILES.values()),
        customDownloader=download,
    )


def write_sample(folder: str | Path) -> list[Path]:
    """The two files of `FILES` in `folder`, written if they are not there; returns their paths."""
    from ..files.volumes import write_volume

    paths = [Path(folder) / name for name in FILES]
    if not all(path.exists() for path in paths):
        for path, image in zip(paths, build_phantom_pair()):
            write_volume(image, path)
    return paths


def _grid(spacing):
    """Coordinates (K, J, I) of x, y and z in mm around the centre of the head."""
    counts = np.maximum(np.ceil(2.0 * (np.array(HEAD) + 8.0) / spacing).astype(int), 4)
    axes = [(np.arange(n) - (n - 1) / 2.0) * s for n, s in zip(counts, spacing)]
    z, y, x = np.meshgrid(*axes[::-1], indexing="ij")
    return x, y, z


def _tissues(x, y, z):
    """Masks of the tissues of `T1`, from the innermost outwards: the first that holds a voxel counts."""
    azimuth = np.arctan2(y / HEAD[1], x / HEAD[0])
    height = z / HEAD[2]
    folds = 0.035 * np.sin(17 * azimuth + 9 * np.sin(5 * height)) * np.cos(11 * height + 2 * np.sin(3 * azimuth))
    radius = np.sqrt((x / HEAD[0]) ** 2 + (y / HEAD[1]) ** 2 + height**2)
    fissure = (np.abs(x) < 2.0) & (z > 8.0)
    ventricles = ((np.abs(x) - 9) / 6) ** 2 + ((y + 4) / 26) ** 2 + ((z - 8) / 11) ** 2 < 1
    thalamus = ((np.abs(x) - 14) / 9) ** 2 + ((y - 8) / 14) ** 2 + ((z + 6) / 10) ** 2 < 1
    white = (radius < 0.68 + 1.6 * folds) & ~fissure & ~thalamus
    grey = (radius < 0.80 + folds) & ~fissure
    return [ventricles, white, grey, radius < 0.85, radius < 0.92, radius < 1.0]


def _spot(x, y, z, center, width):
    distance = sum((axis - c) ** 2 for axis, c in zip((x, y, z), center))
    return np.exp(-distance / (2.0 * width**2))


def _image(array, spacing) -> sitk.Image:
    import SimpleITK as sitk

    image = sitk.GetImageFromArray(array)
    image.SetSpacing([float(s) for s in spacing])
    extent = (np.array(array.shape[::-1]) - 1) * spacing
    image.SetOrigin((-extent / 2.0).tolist())
    return image
