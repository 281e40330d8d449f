"""CIELAB (CIE 1976, D65) of sRGB (IEC 61966-2-1) and back, in numpy.

sRGB is in [0, 1] with a last axis of 3; L* is in [0, 100].
"""

import numpy as np


def in_gamut(rgb: np.ndarray) -> np.ndarray:
    """Whether sRGB (..., 3), not clipped, can be shown: (...) bool, within what 8 bits resolve."""
    return np.all((rgb > -1e-6) & (rgb < 1.001), axis=-1)


# sRGB (IEC 61966-2-1) to CIE XYZ; the white point is the sum of the rows, so that neutral colours stay exactly neutral.
_RGB_TO_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)
_WHITE = _RGB_TO_XYZ.sum(axis=1)
_XYZ_TO_RGB = np.linalg.inv(_RGB_TO_XYZ)
_DELTA = 6 / 29


def rgb_to_lab(rgb: np.ndarray) -> np.ndarray:
    """L*, a*, b* (..., 3) of sRGB (..., 3)."""
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    t = linear @ _RGB_TO_XYZ.T / _WHITE
    f = np.where(t > _DELTA**3, np.cbrt(t), t / (3 * _DELTA**2) + 4 / 29)
    return np.stack([116 * f[..., 1] - 16, 500 * (f[..., 0] - f[..., 1]), 200 * (f[..., 1] - f[..., 2])], axis=-1)


def lab_to_rgb(lightness: np.ndarray, chroma: np.ndarray) -> np.ndarray:
    """sRGB, not clipped, of L* (...) and a*, b* (..., 2)."""
    fy = (lightness + 16) / 116
    f = np.stack(np.broadcast_arrays(fy + chroma[..., 0] / 500, fy, fy - chroma[..., 1] / 200), axis=-1)
    xyz = np.where(f > _DELTA, f**3, 3 * _DELTA**2 * (f - 4 / 29)) * _WHITE
    linear = xyz @ _XYZ_TO_RGB.T
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * np.abs(linear) ** (1 / 2.4) - 0.055)


def lightness(rgb: np.ndarray) -> np.ndarray:
    """L* / 100 of uint8 sRGB (..., 3): float32 in [0, 1]."""
    level = np.arange(256) / 255
    linear = np.where(level <= 0.04045, level / 12.92, ((level + 0.055) / 1.055) ** 2.4).astype(np.float32)
    y = linear[rgb] @ _RGB_TO_XYZ[1].astype(np.float32)
    return np.where(y > 216 / 24389, 1.16 * np.cbrt(y) - 0.16, y * (243.89 / 27)).astype(np.float32)
