"""A Gaussian bump of uptake in a slice, and its core."""

import numpy as np


def _distance(shape, center):
    rows, columns = np.indices(shape)
    return np.hypot(rows - center[0], columns - center[1])


def bump(shape, center, fwhm):
    """A Gaussian of peak 1 and full width at half maximum ``fwhm`` pixels at ``center`` (row, column)."""
    return np.exp(-4 * np.log(2) * (_distance(shape, center) / fwhm) ** 2)


def core(shape, center, fwhm):
    """Where the bump has at least half its peak."""
    return _distance(shape, center) <= fwhm / 2
