"""Shown: the grey value of anatomy and uptake together, and the anatomy that it was made from.

Four corners, bilinear between them: nothing at all is black, anatomy alone ends at `HEADROOM`, uptake alone at
`HOTTEST`, both together at white. So the value rises with uptake on any anatomy, and given the uptake the anatomy can
be read back.
"""

import numpy as np

HEADROOM = 0.6
"""Lightness of the brightest anatomy without uptake: what is left above it is for uptake."""

HOTTEST = 0.9
"""Lightness of the highest uptake on black anatomy."""

_BLOCK = 1 << 16


def shown(anatomy: np.ndarray, uptake: np.ndarray) -> np.ndarray:
    """``H a (1 - u) + u (T + (1 - T) a)``, float32 (...), of `anatomy` a and `uptake` u (...), each within its window.

    H is `HEADROOM`, T is `HOTTEST`. Values outside [0, 1] count as the nearer end; what is not a number stays so.
    Raises ValueError where the shapes differ.
    """
    return _by_blocks(_shown, anatomy, uptake)


def anatomy_of(fused: np.ndarray, uptake: np.ndarray) -> np.ndarray:
    """The anatomy, float32 (...) in [0, 1], that ``shown`` turns into `fused` (...) at `uptake` (...): its inverse.

    A fused value that no anatomy has at that uptake gives the nearer end. The hotter, the more an error of the fused
    value counts: by 1 / H where cold, by 1 / (1 - T) = 10 at the hottest. Raises ValueError where the shapes differ.
    """
    return _by_blocks(_anatomy_of, fused, uptake)


def _shown(a, u):
    a = np.clip(a, 0, 1)
    cold = a * np.float32(HEADROOM)
    a *= np.float32(1 - HOTTEST)
    a += np.float32(HOTTEST)
    a -= cold
    a *= np.clip(u, 0, 1)
    a += cold
    return a


def _anatomy_of(fused, u):
    u = np.clip(u, 0, 1)
    a = fused - np.float32(HOTTEST) * u
    u *= np.float32(1 - HOTTEST - HEADROOM)
    u += np.float32(HEADROOM)
    a /= u
    return np.clip(a, 0, 1, out=a)


def _by_blocks(function, first, second):
    """`function` of both arrays as float32, in blocks: no copies of a whole volume, and what is read stays in the
    cache.
    """
    first, second = np.asarray(first), np.asarray(second)
    if first.shape != second.shape:
        raise ValueError(f"two arrays of one shape are needed, not {first.shape} and {second.shape}")
    out = np.empty(first.shape, np.float32)
    flat, first, second = out.reshape(-1), first.reshape(-1), second.reshape(-1)
    for start in range(0, flat.size, _BLOCK):
        block = slice(start, start + _BLOCK)
        flat[block] = function(first[block].astype(np.float32), second[block].astype(np.float32))
    return out
