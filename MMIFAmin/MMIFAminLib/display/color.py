"""Colour: tables that colour uptake, recovery of uptake from coloured images, luma, and the coloured fused image.

Colours of tables are sRGB in [0, 1]; images are uint8 with a last axis of 3. The fused colour image is made in CIELAB
(D65): lightness is the fused value, hue and chroma come from the table at the uptake.
"""

from dataclasses import dataclass
from functools import cache, lru_cache

import numpy as np

from ..errors import InputError

_LIGHTNESS_LEVELS = 512
_UPTAKE_LEVELS = 256
_SHARE_STEPS = 16
_BLOCK = 1 << 16


@dataclass(frozen=True, eq=False, init=False)
class ColorTable:
    """Colours along a scalar: ``values`` (N,) rising from 0 to 1, ``colors`` (N, 3) sRGB in [0, 1], linear between.

    ``values=None`` spaces the colours evenly. Raises :class:`InputError` when the arrays do not fit this description.
    """

    name: str
    values: np.ndarray
    colors: np.ndarray

    def __init__(self, name: str, values: np.ndarray | None, colors: np.ndarray):
        object.__setattr__(self, "name", name)
        colors = np.array(colors, dtype=np.float64)
        if colors.ndim != 2 or colors.shape[1] != 3 or len(colors) < 2:
            raise InputError(f"colour table {self.name} needs at least two colours of three components")
        values = np.linspace(0, 1, len(colors)) if values is None else np.array(values, dtype=np.float64)
        if values.shape != (len(colors),) or not np.all(np.diff(values) > 0) or values[0] != 0 or values[-1] != 1:
            raise InputError(f"colour table {self.name} needs one value per colour, rising from 0 to 1")
        if not (colors.min() >= 0 and colors.max() <= 1):
            raise InputError(f"colour table {self.name} has colours outside 0 to 1")
        values.flags.writeable = colors.flags.writeable = False
        object.__setattr__(self, "values", values)
        object.__setattr__(self, "colors", colors)

    def __call__(self, unit: np.ndarray) -> np.ndarray:
        """The colours (..., 3), float32 in [0, 1], at values ``unit`` (...); outside [0, 1] those of the ends."""
        unit = np.asarray(unit)
        out = np.empty(unit.shape + (3,), np.float32)
        for channel in range(3):
            out[..., channel] = np.interp(unit, self.values, self.colors[:, channel])
        return out

    @staticmethod
    def named(name: str) -> "ColorTable":
        """One of the built-in tables (:data:`TABLES`). Raises :class:`InputError` for another name."""
        try:
            return _builtin(name)
        except KeyError:
            raise InputError(f"colour table {name!r} is unknown; choose one of {', '.join(TABLES)}") from None


# Control points: (position, (R, G, B)), RGB in 0..255. pet-heat is 3D Slicer's PET-Heat, rainbow its PET-Rainbow2.
_CONTROL_POINTS = {
    "pet-heat": (
        (0, (0, 0, 0)),
        (35, (92, 0, 0)),
        (38, (128, 0, 0)),
        (50, (178, 26, 0)),
        (70, (178, 128, 0)),
        (87, (255, 255, 0)),
        (255, (255, 255, 255)),
    ),
    "rainbow": (
        (0, (0, 0, 0)),
        (32, (64, 0, 128)),
        (64, (0, 0, 255)),
        (96, (0, 255, 0)),
        (160, (255, 255, 0)),
        (192, (255, 192, 0)),
        (255, (255, 3, 0)),
    ),
    "grey": ((0, (0, 0, 0)), (1, (255, 255, 255))),
    "hot-iron": ((0, (0, 0, 0)), (128, (255, 0, 0)), (191, (255, 126, 0)), (255, (255, 255, 255))),
    "inferno": tuple(
        enumerate(
            (
                *((0, 0, 4), (12, 8, 38), (36, 12, 79), (66, 10, 104), (93, 18, 110), (120, 28, 109), (147, 38, 103)),
                *((174, 48, 92), (199, 62, 76), (221, 81, 58), (237, 105, 37), (248, 133, 15), (252, 165, 10)),
                *((250, 198, 45), (242, 230, 97), (252, 255, 164)),
            )
        )
    ),
}

# The colour scales of the Harvard Whole Brain Atlas: straight lines between corner colours, sampled at whole steps and
# rounded down. PET has one sampling, SPECT two (of 72 and of 92 colours, by scanner): the step numbers at the corners.
# Uptake is the way along the path, each step counted as the sum of its channels' changes.
_PALETTE_PATHS = {
    "harvard-pet": (
        ((0, 0, 0), (0, 0, 255 * 15 / 31), (0, 85, 255), (255, 255, 0), (255, 0, 0), (255, 0, 255)),
        ((0, 15, 31, 63, 95, 127),),
    ),
    "harvard-spect": (
        ((0, 0, 0), (41, 71, 73), (83, 0, 144), (190, 90, 121), (255, 114, 0), (255, 222, 255)),
        ((0, 10, 25, 40, 57, 71), (0, 13.005, 33.21, 52.003, 73.668, 91)),
    ),
}

PALETTES = tuple(_PALETTE_PATHS)
"""Tables whose colours :func:`recover_uptake` turns back into uptake."""

TABLES = (*_CONTROL_POINTS, *PALETTES)
"""Names of the built-in colour tables."""


@cache
def _builtin(name):
    if name in PALETTES:
        return ColorTable(name, *_palette(name))
    positions, colors = (np.array(column, float) for column in zip(*_CONTROL_POINTS[name]))
    return ColorTable(name, positions / positions[-1], colors / 255)


def _palette(name):
    """The uptake (N,) and the colours (N, 3), multiples of 1/255, of an atlas palette, in the order of uptake."""
    corners, samplings = _PALETTE_PATHS[name]
    places, colors = [], []
    for steps in samplings:
        at = np.arange(steps[-1] + 1)
        places.append(np.interp(at, steps, np.arange(len(steps))))
        channels = [np.interp(at, steps, channel) for channel in np.array(corners, float).T]
        colors.append(np.floor(np.stack(channels, axis=1) + 1e-9))
    colors = np.concatenate(colors)[np.argsort(np.concatenate(places), kind="stable")]
    steps = np.abs(np.diff(colors, axis=0)).sum(axis=1)
    new = np.append(True, steps > 0)  # colours that both samplings have
    return np.append(0, steps.cumsum())[new] / steps.sum(), colors[new] / 255


@cache
def _palette_codes(name):
    """The colours of a palette as sorted codes (see :func:`_pack`), and the float32 uptake of each."""
    table = ColorTable.named(name)
    codes = _pack(np.rint(table.colors * 255))
    order = np.argsort(codes)
    return codes[order], table.values[order].astype(np.float32)


def _pack(rgb):
    rgb = np.asarray(rgb)
    return rgb[..., 0].astype(np.uint32) << 16 | rgb[..., 1].astype(np.uint32) << 8 | rgb[..., 2].astype(np.uint32)


def luma(rgb: np.ndarray) -> np.ndarray:
    """The luma of uint8 ``rgb`` (..., 3): round(0.299 R + 0.587 G + 0.114 B), uint8."""
    rgb = _checked_rgb(rgb)
    return np.rint(rgb[..., 0] * 0.299 + rgb[..., 1] * 0.587 + rgb[..., 2] * 0.114).astype(np.uint8)


def recover_uptake(rgb: np.ndarray) -> tuple[np.ndarray, str]:
    """Turn a colour-coded uint8 image (..., 3) back into uptake: ``(float32 (...) in [0, 1], name of the palette)``.

    Exact: every pixel must be a colour of one known palette. Raises :class:`InputError` otherwise (JPEG compression and
    blending change colours).
    """
    codes = _pack(_checked_rgb(rgb))
    shares = {}
    for name in PALETTES:
        known, values = _palette_codes(name)
        index = np.searchsorted(known, codes).clip(max=len(known) - 1)
        fits = known[index] == codes
        if fits.all():
            return values[index], name
        shares[name] = fits.mean()
    best = max(shares, key=shares.__getitem__)
    raise InputError(
        f"the colours fit no known palette (the best, {best}, explains {100 * shares[best]:.4g} % of the pixels); "
        "use the ycbcr protocol"
    )


def _checked_rgb(rgb):
    rgb = np.asarray(rgb)
    if rgb.dtype != np.uint8 or rgb.ndim < 1 or rgb.shape[-1] != 3:
        raise InputError(f"an RGB image of type uint8 is needed, not {rgb.dtype} of shape {rgb.shape}")
    return rgb


def colorize(fused: np.ndarray, uptake: np.ndarray, table: ColorTable, weight: float = 1.0) -> np.ndarray:
    """Colour ``fused`` (...) by ``uptake`` (...), both in [0, 1], with ``table``: uint8 sRGB (..., 3).

    CIELAB L* is 100 x fused; hue is the table's at the uptake; chroma is the table's, reduced where sRGB has no such
    colour at that lightness, times ``weight`` in [0, 1]. Weight 0 gives grey. Uptake is resolved in 256 steps, as
    colour tables are; lightness in 512. Raises :class:`InputError` for arrays of different shapes and other weights.
    """
    fused, uptake = np.asarray(fused), np.asarray(uptake)
    if fused.shape != uptake.shape:
        raise InputError(f"fused values and uptake differ in shape: {fused.shape} and {uptake.shape}")
    if not 0 <= weight <= 1:
        raise InputError(f"functional weight {weight} is outside 0 to 1")
    lut = _colored(*_chroma_lut(table.values.tobytes(), table.colors.tobytes()), weight)
    out = np.empty(fused.shape + (3,), np.uint8)
    flat, fused, uptake = out.reshape(-1, 3), fused.reshape(-1), uptake.reshape(-1)
    for start in range(0, fused.size, _BLOCK):  # in blocks: bounded memory, and what is read stays in the cache
        block = slice(start, start + _BLOCK)
        index = _level(fused[block], _LIGHTNESS_LEVELS)
        index *= _UPTAKE_LEVELS
        index += _level(uptake[block], _UPTAKE_LEVELS)
        np.take(lut, index, axis=0, out=flat[block], mode="clip")
    return out


def _level(unit, levels):
    scaled = np.multiply(unit, levels - 1, dtype=np.float32)
    scaled += 0.5
    np.fmax(scaled, 0, out=scaled)
    np.fmin(scaled, levels - 1, out=scaled)
    return scaled.astype(np.int32)


@lru_cache(maxsize=16)
def _chroma_lut(values, colors):
    """L* (levels, 1) and the displayable a*, b* (lightness levels, uptake levels, 2) at weight 1."""
    table = ColorTable("", np.frombuffer(values), np.frombuffer(colors).reshape(-1, 3))
    chroma = _rgb_to_lab(table(np.linspace(0, 1, _UPTAKE_LEVELS)))[:, 1:]
    lightness = np.linspace(0, 100, _LIGHTNESS_LEVELS)
    share = np.zeros(_LIGHTNESS_LEVELS * _UPTAKE_LEVELS)
    row, column = (index.reshape(-1) for index in np.indices((_LIGHTNESS_LEVELS, _UPTAKE_LEVELS), np.int32))
    # The largest share of the chroma that sRGB can show: down in steps (towards yellow the way to grey leaves sRGB and
    # comes back, which bisection alone would miss), then bisection within the step.
    open_ = np.arange(share.size)
    for step in np.arange(_SHARE_STEPS, 0, -1) / _SHARE_STEPS:
        fits = _in_gamut(_lab_to_rgb(lightness[row[open_]], step * chroma[column[open_]]))
        share[open_[fits]] = step
        open_ = open_[~fits]
    reduced = np.flatnonzero(share < 1)
    width = 1 / _SHARE_STEPS
    for _ in range(5):
        width /= 2
        more = share[reduced] + width
        fits = _in_gamut(_lab_to_rgb(lightness[row[reduced]], more[:, None] * chroma[column[reduced]]))
        share[reduced[fits]] += width
    return lightness, share.reshape(_LIGHTNESS_LEVELS, _UPTAKE_LEVELS, 1) * chroma


def _colored(lightness, chroma, weight):
    rgb = _lab_to_rgb(lightness[:, None], weight * chroma)
    return np.rint(np.clip(rgb, 0, 1) * 255).astype(np.uint8).reshape(-1, 3)


def _in_gamut(rgb):
    return np.all((rgb > -1e-6) & (rgb < 1.001), axis=-1)


# sRGB (IEC 61966-2-1) to CIE XYZ; the white point is the sum of the rows, so that neutral colours stay exactly neutral.
_RGB_TO_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)
_WHITE = _RGB_TO_XYZ.sum(axis=1)
_XYZ_TO_RGB = np.linalg.inv(_RGB_TO_XYZ)
_DELTA = 6 / 29


def _rgb_to_lab(rgb):
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    t = linear @ _RGB_TO_XYZ.T / _WHITE
    f = np.where(t > _DELTA**3, np.cbrt(t), t / (3 * _DELTA**2) + 4 / 29)
    return np.stack([116 * f[..., 1] - 16, 500 * (f[..., 0] - f[..., 1]), 200 * (f[..., 1] - f[..., 2])], axis=-1)


def _lab_to_rgb(lightness, chroma):
    """sRGB, not clipped, of L* (...) and a*, b* (..., 2)."""
    fy = (lightness + 16) / 116
    f = np.stack(np.broadcast_arrays(fy + chroma[..., 0] / 500, fy, fy - chroma[..., 1] / 200), axis=-1)
    xyz = np.where(f > _DELTA, f**3, 3 * _DELTA**2 * (f - 4 / 29)) * _WHITE
    linear = xyz @ _XYZ_TO_RGB.T
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * np.abs(linear) ** (1 / 2.4) - 0.055)
