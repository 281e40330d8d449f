"""What the network is shown of the slices of two volumes: where their content lies, in square pixels."""

from collections.abc import Sequence

import numpy as np

from .intensity import Window

_MOST_STRETCHED = 8  # times; pixels of slices far apart are not made quite square
_MARGIN = 16  # pixels kept around the head, so that the network sees its border and has the 16 that it takes at least


def content(sources: Sequence[tuple[np.ndarray, Window]], multiple: int) -> tuple[list[int], tuple[slice, slice]]:
    """Which slices of two ``(D, H, W)`` views have anything above their windows' lower ends, and one box that holds it.

    The box has a margin and, where the image allows, sides that are multiples of ``multiple``.
    """
    (a, window_a), (b, window_b) = sources
    # Along the memory, whichever axis of the view that is: looking across it takes many times as long.
    order = np.argsort([-abs(stride) for stride in a.strides], kind="stable")
    a, b = a.transpose(order), b.transpose(order)
    used = [np.zeros(length, bool) for length in a.shape]
    for index in range(a.shape[0]):
        filled = (a[index] > window_a.low) | (b[index] > window_b.low)
        rows = filled.any(axis=1)
        used[0][index] = rows.any()
        used[1] |= rows
        used[2] |= filled.any(axis=0)
    slices, rows, columns = (used[axis] for axis in np.argsort(order))
    return np.flatnonzero(slices).tolist(), (_padded(rows, multiple), _padded(columns, multiple))


def squaring(row_spacing: float, column_spacing: float) -> tuple[int, int]:
    """How many times as many rows and columns make pixels square, as nearly as whole numbers can.

    The network has learned on square pixels; ``Testing/benchmarks/square_pixels.py`` measures what it does with others.
    """
    ratio = row_spacing / column_spacing
    rows, columns = (int(min(max(1, round(r)), _MOST_STRETCHED)) for r in (ratio, 1 / ratio))
    return rows, columns


def stretched(images: np.ndarray, factors: tuple[int, int]) -> np.ndarray:
    """``(N, h, w)`` with rows and columns put between the old ones, which stay as they are, by linear interpolation."""
    for axis, factor in enumerate(factors, start=1):
        size = images.shape[axis]
        if factor > 1 and size > 1:
            places = np.linspace(0, size - 1, (size - 1) * factor + 1)
            before = np.minimum(places.astype(int), size - 2)
            share = (places - before).astype(np.float32).reshape(-1, *[1] * (2 - axis))
            images = images.take(before, axis) * (1 - share) + images.take(before + 1, axis) * share
    return images


def _padded(used: np.ndarray, multiple: int) -> slice:
    where = np.flatnonzero(used)
    if not where.size:
        return slice(0, used.size)
    start = max(0, (where[0] - _MARGIN) // multiple * multiple)
    stop = min(used.size, -(-(where[-1] + 1 + _MARGIN) // multiple) * multiple)
    return slice(int(start), int(stop))
