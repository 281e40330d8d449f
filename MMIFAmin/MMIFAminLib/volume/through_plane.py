"""Through the slices: a fused volume must not change from one slice to the next more than its sources do.

The network sees one slice at a time, and what it adds to the sources adds to their changes as well. Where the total
variation along the slice axis grows beyond what the livelier source has, voxels that stand out from both their
neighbours are drawn towards the nearer one, all by the same small amount at most. Everything else stays as it is.
"""

from collections.abc import Sequence

import numpy as np

from .intensity import Window

LIMIT = 1.05  # times the larger variation of the two sources
_AIM = 1.045  # on the rows that are looked at
_ROWS = 64  # to look at: enough to know the variation within half a per cent
_AT_ONCE = 16  # rows that are damped together: little memory
_MOST = 0.1  # of the grey range: what a voxel may be moved at most


def through_plane_ratio(anatomical: np.ndarray, functional: np.ndarray, fused: np.ndarray) -> float:
    """Total variation of ``fused`` along the first axis over the larger of the two sources': above 1, slices flicker.

    Three arrays ``(D, H, W)`` in [0, 1]; NaN where neither source changes along that axis.
    """
    largest = max(_variation(anatomical), _variation(functional))
    return _variation(fused) / largest if largest > 0 else float("nan")


def sampled_ratio(fused: np.ndarray, sources: Sequence[tuple[np.ndarray, Window]]) -> float:
    """``through_plane_ratio`` on some rows of ``fused`` and of ``sources``: two ``(D, H, W)`` arrays with their windows."""
    few = _few(fused)
    first, second = (window.to_unit(source[:, few]) for source, window in sources)
    return through_plane_ratio(first, second, fused[:, few])


def steady(fused: np.ndarray, sources: Sequence[tuple[np.ndarray, Window]]) -> tuple[float, float]:
    """Damp ``fused``, float32 ``(D, H, W)`` in [0, 1], in place until ``through_plane_ratio`` is at most ``LIMIT``.

    ``sources`` are the two ``(D, H, W)`` arrays with the windows they are seen through; no voxel falls below both of them
    for it. Returns the ratio that ``fused`` then has, as measured on some rows, and by how much a voxel was moved at most.
    That is 0 where nothing had to be done, and where damping would not be enough: what varies more without standing out is
    contrast, not flicker.
    """
    few = _few(fused)
    units = [window.to_unit(source[:, few]) for source, window in sources]
    largest, floor = max(_variation(unit) for unit in units), np.minimum(*units)
    sample = np.array(fused[:, few], order="C")
    before = _variation(sample)

    def enough(strength: float) -> bool:
        return _variation(_damped(sample, floor, strength)) <= _AIM * largest

    if before <= _AIM * largest:
        return before / largest if largest > 0 else float("nan"), 0.0
    # Upwards, since too much swaps the slices of a flicker instead of evening them out.
    high = next((step for step in np.linspace(0, _MOST, 9)[1:].tolist() if enough(step)), None)
    if high is None:
        return before / largest if largest > 0 else float("inf"), 0.0
    low = high - _MOST / 8
    for _ in range(5):  # to a tenth of a grey level
        middle = (low + high) / 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    for start in range(0, fused.shape[1], _AT_ONCE):
        rows = slice(start, start + _AT_ONCE)
        darker = np.minimum(*(window.to_unit(source[:, rows]) for source, window in sources))
        fused[:, rows] = _damped(fused[:, rows], darker, high)
    return _variation(_damped(sample, floor, high)) / largest, high


def _few(volume: np.ndarray) -> slice:
    return slice(None, None, max(1, volume.shape[1] // _ROWS))


def _damped(volume: np.ndarray, floor: np.ndarray, strength: float) -> np.ndarray:
    """Every voxel moved into the range of its two neighbours along the first axis, by ``strength`` at most and not below
    ``floor``, where it lies above.
    """
    here = volume[1:-1]
    nearest = np.clip(here, np.minimum(volume[:-2], volume[2:]), np.maximum(volume[:-2], volume[2:]))
    down = np.minimum(np.maximum(here - floor[1:-1], 0), np.float32(strength))
    up = np.minimum(here, np.float32(strength))  # not by more than its own value: background stays background
    damped = volume.copy()
    damped[1:-1] += np.clip(nearest - here, -down, up)
    return damped


def _variation(array: np.ndarray) -> float:
    return float(np.abs(np.diff(array, axis=0)).sum(dtype=np.float64))
