"""Hounsfield units, told from the values alone: as they are, padded, shifted by 1024, clipped, or scaled to [0, 1].

A CT has what no other image has: air and soft tissue are 1000 units apart and each of them is within a few tens of
units of its own value, fat about 100 below soft tissue, bone far above (Hounsfield, Br J Radiol 1973).
"""

import numpy as np

AIR_HU = -1000.0
_SAMPLE = 200_000
_PADDING = -1500.0  # no CT measures less; -2000, -3024, -32768 fill what lies outside of the reconstructed circle
_OFFSETS = (1024.0, 1000.0)


def sample(array: np.ndarray) -> np.ndarray:
    """About 200,000 voxels spread over the whole array, the same ones every time, as a flat view."""
    flat = array.reshape(-1)
    return flat[:: max(1, flat.size // _SAMPLE) | 1]  # an odd step visits every column of the usual even rows


def looks_like_ct(array: np.ndarray) -> bool:
    """Whether finite ``array`` seems a CT in HU: air at -500 or less, tissue around 0, the range of such scanners.

    Padding below -1500 does not count, where it is of three values at most; nor does it matter where air was clipped.
    """
    array = np.asarray(array)
    return array.dtype.kind in "if" and _in_hu(_unpadded(sample(array)))


def hounsfield_scale(array: np.ndarray) -> tuple[float, float] | None:
    """``(scale, offset)`` with HU = (value - offset) / scale where finite ``array`` seems a CT, else None.

    (1, 0) is HU as they are, (1, 1024) those of unsigned files without their intercept; of a CT that was scaled to
    [0, 1] both are estimated from air and soft tissue, right within about 50 HU.
    """
    array = np.asarray(array)
    if array.dtype.kind not in "iuf":
        return None
    values = _unpadded(sample(array))
    if array.dtype.kind in "if" and _in_hu(values):
        return 1.0, 0.0
    low, high = values.min(), values.max()
    if low >= 0 and 1500 < high < 70000:
        for offset in _OFFSETS:
            shifted = values - offset
            if np.mean(shifted <= -500) >= 0.05 and _soft_tissue(shifted[shifted > -500]):
                return 1.0, offset
    return _of_unit_range(values) if array.dtype.kind == "f" and low >= 0 and 0.9 <= high <= 1 else None


def display_window(array: np.ndarray) -> tuple[float, float] | None:
    """The (low, high) around soft tissue of a finite CT that was cut to a wide display window, as 8-bit pictures are; or None.

    Air and bone have one value each then, and half of what lies between is within a tenth of the range. Elsewhere either is
    missing: over 600 MR slices of the shared data that reach white in 1 % of their pixels take a fifth of the range and more.
    """
    values = sample(np.asarray(array)).astype(np.float64)
    low, high = float(values.min()), float(values.max())
    between = values[(values > low) & (values < high)]
    if between.size < 100 or np.mean(values == low) < 0.2 or np.mean(values == high) < 0.03:
        return None
    first, middle, third = np.percentile(between, (25, 50, 75))
    spread = float(third - first)
    if not 0 < spread < 0.1 * (high - low):
        return None
    return max(low, float(middle) - 4 * spread), min(high, float(middle) + 5 * spread)  # about the brain window's width


def _unpadded(values):
    values = values.astype(np.float64)
    below = values < _PADDING
    if below.any() and below.mean() < 0.8 and (below.mean() < 0.01 or np.unique(values[below]).size <= 3):
        return values[~below]
    return values


def _in_hu(values):
    low, high = values.min(), values.max()
    if low < -10000 or high < 0 or high > 40000:
        return False
    if low > -500:  # air is not there: was it clipped, and is the rest soft tissue?
        clipped = low <= -100 and np.mean(values == low) >= 0.05
        return bool(clipped and _soft_tissue(values[values > low]))
    air = np.mean(values <= -500)
    tissue = np.mean((values > -200) & (values < 300))
    return bool(air >= 0.05 and tissue >= 0.02)


def _soft_tissue(values):
    """Whether ``values``, without air, are mostly those of soft tissue and fat, which is a tenth of the way to air."""
    if not values.size:
        return False
    soft = np.mean((values >= -10) & (values <= 90))
    fat = np.mean((values >= -130) & (values <= -60))
    return bool(soft >= 0.25 and soft + fat >= 0.5)


def _of_unit_range(values):
    """The scale of a CT in [0, 1]: one narrow peak of soft tissue about half way between air and bone."""
    air = float(np.median(values[values < 0.1])) if np.any(values < 0.1) else 0.0
    above = values[values > air + 0.1]
    if above.size < 100:
        return None
    counts, edges = np.histogram(above, bins=256, range=(0.0, 1.0))
    counts = np.convolve(counts, np.ones(5), mode="same")
    peak = int(counts.argmax())
    tissue = float((edges[peak] + edges[peak + 1]) / 2)
    scale = (tissue - air) / (40.0 - AIR_HU)
    narrow = np.mean(np.abs(above - tissue) <= 45 * scale)
    bone = np.mean(above > tissue + 250 * scale)
    reach = (values.max() - tissue) / scale
    if narrow < 0.4 or not 0.03 <= bone <= 0.4 or not 700 <= reach <= 4000:
        return None
    return scale, air - AIR_HU * scale
