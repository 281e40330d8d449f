"""Numbers of regions rather than intensities: label maps and masks, told from their values alone."""

import numpy as np

_EVIDENCE_VOXELS = 4096
_FEW = 8
_CODES = 1000  # labels of a map of few values lie closer together; a phantom of few intensities spans more
_FLAT = 0.7
_SLICES = 24
_COUNTED = 2**20  # values; a volume of more different ones is sorted


def looks_like_labels(array: np.ndarray) -> bool:
    """Whether ``array`` (K, J, I) seems a label map, whatever its type: whole numbers, and few of them, or flat patches.

    Eight values or fewer are labels; more are where at least 70 % of neighbours inside the object are equal and the
    others jump: a smooth image of coarse steps is as flat, but goes from one step to the next. A digital phantom in HU
    or with few values far apart is an image.
    """
    if array.ndim != 3 or array.size < _EVIDENCE_VOXELS or array.dtype.kind not in "iuf":
        return False
    part = array.reshape(-1)[:: array.size // _EVIDENCE_VOXELS | 1]
    if not _whole(part) or array.min() <= -100:
        return False
    values = np.unique(part)
    if values.size <= _FEW and _whole(array):
        values = np.unique(array)
        if values.size <= _FEW:
            beyond = values[values != 0]
            return values.size > 1 and float(beyond.max()) - float(beyond.min()) < _CODES
    slices = array[:: max(1, len(array) // _SLICES)]
    if not _whole(slices):
        return False
    ranks = _ranks(slices)
    background = np.bincount(ranks.reshape(-1)).argmax() if np.mean(slices == slices.min()) < 0.2 else 0
    return _patches(ranks, background)


def _whole(values):
    if values.dtype.kind in "iu":
        return True
    return bool(np.all(np.isfinite(values)) and np.all(values == np.rint(values)))


def _ranks(values):
    """Which of the different whole ``values`` each one is, counted from the lowest, int32 of their shape."""
    low, high = int(values.min()), int(values.max())
    if high - low >= _COUNTED:
        return np.unique(values, return_inverse=True)[1].reshape(values.shape).astype(np.int32)
    codes = values.astype(np.int64) - low
    there = np.bincount(codes.reshape(-1)) > 0  # to count them takes a fifth of sorting them
    return (np.cumsum(there, dtype=np.int32) - 1)[codes]


def _patches(ranks, background):
    """Whether neighbours along rows and columns are mostly equal, and otherwise jump or go up and down."""
    equal = pairs = changes = jumps = turns = runs = 0
    for axis in (1, 2):
        lines = np.moveaxis(ranks, axis, 2)
        step = np.diff(lines, axis=2)
        inside = (lines[..., 1:] != background) & (lines[..., :-1] != background)
        pairs += np.count_nonzero(inside)
        equal += np.count_nonzero(inside & (step == 0))
        changed = step[inside & (step != 0)]
        changes += changed.size
        jumps += np.count_nonzero(np.abs(changed) > 2)
        turns += np.count_nonzero(np.signbit(changed[1:]) != np.signbit(changed[:-1]))
        runs += max(0, changed.size - 1)
    if not pairs or equal < _FLAT * pairs:
        return False
    return changes == 0 or jumps >= 0.4 * changes or turns >= 0.35 * runs
