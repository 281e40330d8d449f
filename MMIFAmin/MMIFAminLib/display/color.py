"""Colour: tables that colour uptake, recovery of uptake from coloured images, luma, and the coloured fused image.

Colours of tables are sRGB in [0, 1]; images are uint8 with a last axis of 3. How anatomy and uptake become one colour
is in ``bivariate``.
"""

from dataclasses import dataclass
from functools import cache, lru_cache

import numpy as np

from ..errors import InputError
from ..volume.shown import HOTTEST
from .bivariate import FUSED_LEVELS, UPTAKE_LEVELS, bivariate_map
from .lab import lab_to_rgb, lightness

_LIGHT_LEVELS = 1024
_BLOCK = 1 << 16


@dataclass(frozen=True, eq=False, init=False)
class ColorTable:
    """Colours along a scalar: ``values`` (N,) rising from 0 to 1, ``colors`` (N, 3) sRGB in [0, 1], linear between.

    ``values=None`` spaces the colours evenly. Raises :class:`InputError` when the arrays do not fit this description.
    """

    name: str
    values: np.ndarray
    colors: np.ndarray

    def __init__(self, name: str, values: np.ndarray | None, colors: np.ndarray) -> None:
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

DEFAULT = "inferno"
"""The table in which uptake is shown where nobody chose one: the one that measures best (docs/results.md)."""

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


def values_of(rgb: np.ndarray) -> tuple[np.ndarray, str | None]:
    """What uint8 ``rgb`` (..., 3) measures: its uptake and the name of its palette, or its luma (float32) and None."""
    try:
        return recover_uptake(rgb)
    except InputError:
        return luma(rgb).astype(np.float32), None


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

    The anatomy is recovered from both (``volume.shown``); without uptake it stays grey, of CIELAB L* 100 x fused, and as
    uptake rises the colour goes over to the table's (``display.bivariate``). ``weight`` in [0, 1] scales the chroma; weight 0
    gives grey. Uptake is resolved in 256 steps, as colour tables are; the fused value in 512. Raises :class:`InputError` for
    arrays of different shapes and other weights.
    """
    fused, uptake = np.asarray(fused), np.asarray(uptake)
    if fused.shape != uptake.shape:
        raise InputError(f"fused values and uptake differ in shape: {fused.shape} and {uptake.shape}")
    lut = _lut(table, weight)
    out = np.empty(fused.shape + (3,), np.uint8)
    flat, fused, uptake = out.reshape(-1, 3), fused.reshape(-1), uptake.reshape(-1)
    for start in range(0, fused.size, _BLOCK):  # in blocks: bounded memory, and what is read stays in the cache
        block = slice(start, start + _BLOCK)
        index = _level(fused[block], FUSED_LEVELS)
        index *= UPTAKE_LEVELS
        index += _level(uptake[block], UPTAKE_LEVELS)
        np.take(lut, index, axis=0, out=flat[block], mode="clip")
    return out


def overlay(anatomy: np.ndarray, uptake: np.ndarray, table: ColorTable, opacity: float = 0.5) -> np.ndarray:
    """The plain overlay: the colours of ``uptake`` (...) over grey ``anatomy`` (...), both in [0, 1]; uint8 (..., 3)."""
    mixed = table(uptake)
    mixed *= np.float32(opacity)
    mixed += (np.clip(anatomy, 0, 1) * np.float32(1 - opacity))[..., None]
    return np.rint(np.clip(mixed, 0, 1, out=mixed) * 255).astype(np.uint8)


def fused_of(rgb: np.ndarray, uptake: np.ndarray, table: ColorTable, weight: float = 1.0) -> np.ndarray:
    """The fused value, float32 (...), that :func:`colorize` made ``rgb`` (..., 3) of, at ``uptake`` (...) in [0, 1].

    Read from the lightness; where several fused values have the same (no anatomy is that bright or dark at that uptake) it
    is one of them. Raises :class:`InputError` for other arrays and weights.
    """
    rgb, uptake = _checked_rgb(rgb), np.asarray(uptake)
    if rgb.shape[:-1] != uptake.shape:
        raise InputError(f"the picture and uptake differ in shape: {rgb.shape[:-1]} and {uptake.shape}")
    lut = _lut(table, weight).reshape(FUSED_LEVELS, UPTAKE_LEVELS, 3)
    if lightness(lut[0, 0]) > lightness(lut[-1, 0]):  # a negative: its lightness need not rise where the map's does
        lut, rgb = 255 - lut, 255 - rgb
    light = lightness(lut)
    values, units = np.linspace(0, 1, FUSED_LEVELS), np.linspace(0, 1, _LIGHT_LEVELS)
    inverse = np.empty((_LIGHT_LEVELS, UPTAKE_LEVELS), np.float32)
    for column, least in enumerate(HOTTEST * np.linspace(0, 1, UPTAKE_LEVELS)):  # the least is that on black anatomy
        rising = np.maximum.accumulate(light[:, column]) + values * 1e-6
        inverse[:, column] = np.interp(units, rising, np.maximum(values, least))
    return inverse[_level(lightness(rgb), _LIGHT_LEVELS), _level(uptake, UPTAKE_LEVELS)]


def _lut(table, weight):
    """The colours, uint8 (fused levels x uptake levels, 3)."""
    if not 0 <= weight <= 1:
        raise InputError(f"functional weight {weight} is outside 0 to 1")
    along = table(np.linspace(0, 1, UPTAKE_LEVELS)).astype(np.float64)
    return _colored(along.tobytes(), float(weight))


@lru_cache(maxsize=16)
def _colored(colors, weight):
    light, chroma, negative = bivariate_map(colors)
    rgb = np.clip(lab_to_rgb(light, weight * chroma), 0, 1)
    return np.rint((1 - rgb if negative else rgb) * 255).astype(np.uint8).reshape(-1, 3)


def _level(unit, levels):
    scaled = np.multiply(unit, levels - 1, dtype=np.float32)
    scaled += 0.5
    np.fmax(scaled, 0, out=scaled)
    np.fmin(scaled, levels - 1, out=scaled)
    return scaled.astype(np.int32)
