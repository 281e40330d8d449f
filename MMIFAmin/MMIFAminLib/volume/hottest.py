"""Where to look first: the lesion-like spot of highest uptake."""

from collections.abc import Sequence

import numpy as np
from scipy.ndimage import gaussian_filter

_CORE, _AROUND = 2.5, 10.0  # mm: standard deviations of a lesion's scale and of its surroundings'
_STEP = 2.0  # mm: finer than this, voxels tell nothing more


def hottest_spot(uptake: np.ndarray, spacing: Sequence[float]) -> tuple[int, int, int]:
    """The voxel (k, j, i) where `uptake` (K, J, I), within its window in [0, 1], most exceeds its surroundings.

    Uptake at the scale of a lesion less that around it (difference of Gaussians, 2.5 and 10 mm). Within the window a full
    bladder, heart or brain is no higher than a lesion, and being large it exceeds its surroundings less. `spacing`: mm along
    K, J, I. What is not a number counts as none.
    """
    steps = [max(1, int(_STEP / mm)) for mm in spacing]
    coarse = np.nan_to_num(uptake[tuple(slice(None, None, step) for step in steps)].astype(np.float32))
    np.clip(coarse, 0, 1, out=coarse)
    widths = [step * mm for step, mm in zip(steps, spacing)]
    contrast = gaussian_filter(coarse, [_CORE / mm for mm in widths])
    contrast -= gaussian_filter(coarse, [_AROUND / mm for mm in widths])
    place = np.unravel_index(int(contrast.argmax()), contrast.shape)
    k, j, i = (int(index) * step for index, step in zip(place, steps))
    return k, j, i
