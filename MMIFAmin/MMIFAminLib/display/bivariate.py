"""The colours of anatomy and uptake together: a bivariate colour map, from which both can be read.

An overlay whose opacity rises with uptake. Without uptake a colour is the grey of the anatomy, of lightness 100 x the fused
value. As uptake rises, the anatomy's share falls, the table's colour is added, and chroma rises, in CIELAB. Three rules go
before the table: chroma never falls while uptake rises to the table's most chromatic colour; cold tissue stays grey; the
hottest keep part of that chroma, where the table would turn white. The numbers were chosen by measurement of what can be
read off the colours and of how far lesions stand out (``evaluation.truth``). Tables of greys show the fused value itself.

A table that falls in lightness (inverted grey) gives the negative of the map of its negative: dark uptake on light anatomy.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from ..volume.shown import HEADROOM, HOTTEST
from .lab import in_gamut, lab_to_rgb, rgb_to_lab

FUSED_LEVELS, UPTAKE_LEVELS = 512, 256
_ANATOMY_LEVELS = 101  # up to `_BRIGHTEST`
_BRIGHTEST = 1 / HEADROOM  # of anatomy: where two pictures are fused, anatomy alone may be white
_SHARE_STEPS = 32


class _Mixture(NamedTuple):
    """How a table is mixed with anatomy's grey: chosen by measurement."""

    opacity: float  # the table's share at full uptake; below, opacity * (1 - (1 - u)^n)^p with (n, p) = rise
    rise: tuple[float, float]
    retreat: float  # the anatomy's share is 1 - retreat * (1 - (1 - u)^withdrawal)
    withdrawal: float
    shade: float  # taken off the table's colours: darker, more saturated
    chroma: float  # times that of the mixture
    cold: float  # of uptake: chroma rises from 0 up to here
    hot: float  # what part of the fading of hot colours is taken back


# Where a table's own lightness rises evenly with uptake (inferno, hot iron), anatomy can leave it the lightness; where
# it does not (PET heat is light from a third on), or even falls (rainbow), chroma and hue have to tell uptake.
_EVEN = _Mixture(0.741, (3.268, 0.567), 0.593, 1.011, 0.0201, 1.469, 0.027, 0.225)
_UNEVEN = _Mixture(0.67, (4.085, 0.5), 0.344, 1.743, 0.007, 1.191, 0.049, 0.2)
_FALLING = _Mixture(0.67, (4.085, 0.376), 0.377, 1.615, 0.0149, 1.084, 0.0538, 0.148)
_UNEVENNESS = 25.0  # L*: how far a table's lightness may be from a straight line
_FALL = 25.0  # L*: how far it may fall while uptake rises
_LEAST_CHROMA = 25.0  # what bright colours keep at least, if they have it: they become darker before they become white


@lru_cache(maxsize=16)
def bivariate_map(colors: bytes) -> tuple[np.ndarray, np.ndarray, bool]:
    """L* and a*, b* at every fused value and uptake, and whether they are those of the negative.

    `colors`: float64 sRGB (256, 3) along the table, as bytes. Shapes (512, 256) and (512, 256, 2), float32; all colours
    can be shown. The fused value is undone as ``volume.shown`` makes it.
    """
    table = np.frombuffer(colors).reshape(UPTAKE_LEVELS, 3)
    negative = bool(_lightness(table[0]) > _lightness(table[-1]))
    lightness, chroma = _by_anatomy(1 - table if negative else table)
    fused, uptake = np.linspace(0, 1, FUSED_LEVELS)[:, None], np.linspace(0, 1, UPTAKE_LEVELS)
    anatomy = (fused - HOTTEST * uptake) / (HEADROOM + (1 - HOTTEST - HEADROOM) * uptake)
    place = np.clip(anatomy / _BRIGHTEST, 0, 1) * (_ANATOMY_LEVELS - 1)
    below = np.minimum(place.astype(int), _ANATOMY_LEVELS - 2)
    part, column = place - below, np.arange(UPTAKE_LEVELS)

    def between(values, part):
        return ((1 - part) * values[below, column] + part * values[below + 1, column]).astype(np.float32)

    return between(lightness, part), between(chroma, part[..., None]), negative


def _by_anatomy(table: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """L* (anatomy, uptake) and a*, b* (anatomy, uptake, 2), within sRGB, of a table whose last colour is no darker."""
    anatomy, uptake = np.linspace(0, _BRIGHTEST, _ANATOMY_LEVELS)[:, None], np.linspace(0, 1, UPTAKE_LEVELS)
    own = rgb_to_lab(table)
    size = np.linalg.norm(own[:, 1:], axis=1)
    peak = int(size.argmax())
    if size[peak] < 1:  # greys: the fused value as it is
        fused = HEADROOM * anatomy * (1 - uptake) + uptake * (HOTTEST + (1 - HOTTEST) * anatomy)
        return 100 * np.minimum(fused, 1), np.zeros((*fused.shape, 2))
    mixture = _mixture(own[:, 0])
    opacity = mixture.opacity * (1 - (1 - uptake) ** mixture.rise[0]) ** mixture.rise[1]
    share = 1 - mixture.retreat * (1 - (1 - uptake) ** mixture.withdrawal)
    grey = lab_to_rgb(100 * HEADROOM * anatomy[:, 0], np.zeros((_ANATOMY_LEVELS, 2)))
    mixed = grey[:, None] * share[:, None] + opacity[:, None] * (_kept_hot(own, peak, mixture.hot) - mixture.shade)
    lab = rgb_to_lab(np.clip(mixed, 0, 1))
    lightness, chroma = lab[..., 0], lab[..., 1:] * (mixture.chroma * np.minimum(1, uptake / mixture.cold))[:, None]
    lightness = _lowered(lightness, chroma, _LEAST_CHROMA)
    size = np.linalg.norm(chroma, axis=-1)
    kept = size * _displayable(lightness, chroma)
    kept[:, : peak + 1] = np.minimum.accumulate(kept[:, peak::-1], axis=1)[:, ::-1]
    return lightness, chroma * (kept / np.maximum(size, 1e-9))[..., None]


def _mixture(lightness: np.ndarray) -> _Mixture:
    """How a table of that `lightness` (256) is mixed."""
    straight = np.linspace(lightness[0], lightness[-1], UPTAKE_LEVELS)
    if np.abs(lightness - straight).max() < _UNEVENNESS:
        return _EVEN
    fall = (np.maximum.accumulate(lightness) - lightness).max()
    return _FALLING if fall > _FALL else _UNEVEN


def _kept_hot(own: np.ndarray, peak: int, hot: float) -> np.ndarray:
    """sRGB (256, 3) of a table's L*, a*, b*, whose colours past the most chromatic one, `peak`, fade less."""
    lab = own.copy()
    size = np.linalg.norm(own[:, 1:], axis=1)
    hue = own[peak, 1:] / size[peak]
    for place in range(peak + 1, UPTAKE_LEVELS):
        if size[place] > size[peak] / 10:  # nearer to grey a hue means nothing
            hue = own[place, 1:] / size[place]
        kept = size[place] + hot * (size[peak] - size[place])
        lab[place, 1:] = kept * hue
    lab[peak:, 0] = _lowered(lab[peak:, 0], lab[peak:, 1:], _LEAST_CHROMA)
    share = _displayable(lab[:, 0], lab[:, 1:])
    return np.clip(lab_to_rgb(lab[:, 0], share[:, None] * lab[:, 1:]), 0, 1)


def _lowered(lightness: np.ndarray, chroma: np.ndarray, least: float) -> np.ndarray:
    """`lightness` (...), lower where sRGB cannot show there as much as `least` of the size of `chroma` (..., 2)."""
    size = np.linalg.norm(chroma, axis=-1, keepdims=True)
    needed = chroma * np.minimum(1, least / np.maximum(size, 1e-9))
    lightness = lightness.copy()
    for _ in range(80):
        short = ~in_gamut(lab_to_rgb(lightness, needed)) & (lightness > 50)
        lightness[short] -= 0.5
    return lightness


def _displayable(lightness: np.ndarray, chroma: np.ndarray) -> np.ndarray:
    """The largest share (...) of `chroma` (..., 2), in steps, that sRGB can show at `lightness` (...).

    Down from all of it: towards yellow the way to grey leaves sRGB and comes back, which bisection would miss.
    """
    share, left = np.zeros(lightness.shape), np.arange(lightness.size)
    found, lightness, chroma = share.reshape(-1), lightness.reshape(-1), chroma.reshape(-1, 2)
    for step in np.arange(_SHARE_STEPS, 0, -1) / _SHARE_STEPS:
        fits = in_gamut(lab_to_rgb(lightness[left], step * chroma[left]))
        found[left[fits]] = step
        left = left[~fits]
    return share


def _lightness(rgb: np.ndarray) -> float:
    return float(rgb_to_lab(rgb)[0])
