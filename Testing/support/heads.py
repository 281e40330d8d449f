"""The pair that the tests of the engine fuse: MR and, on a coarser oblique grid, PET of the phantom."""

import numpy as np
import SimpleITK as sitk

from support import phantoms

FINE = phantoms.Grid((32, 36, 22), (6.0, 6.0, 6.0)).centred_at()
COARSE = phantoms.Grid(
    (22, 24, 16), (9.0, 9.0, 11.0), direction=tuple(phantoms.rotation((8, -5, 12)).ravel())
).centred_at()


def head_pair() -> tuple[sitk.Image, sitk.Image]:
    return phantoms.head(FINE, scale=1000.0, dtype=np.int16), phantoms.head(COARSE, "pet", 12.0)


def voxels(fused) -> np.ndarray:
    """The values of what was fused."""
    return sitk.GetArrayFromImage(fused.image)
