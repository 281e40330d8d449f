"""Intensities to [0, 1]: windows for CT, MR and uptake, chosen by rule and described in words.

Every window carries an ``origin``: a sentence for the report that says how it was chosen. Arrays may be of any integer
or floating type and of any number of dimensions; big volumes are sub-sampled for percentiles.
"""

from dataclasses import dataclass
from itertools import product

import numpy as np

from ..errors import InputError
from .hounsfield import AIR_HU, display_window, hounsfield_scale, looks_like_ct, sample
from .recognition import Shows, above_air

PRESETS = {
    "ct-brain": (0.0, 100.0),
    "ct-soft-tissue": (-135.0, 215.0),
    "ct-bone": (-100.0, 900.0),
    "ct-lung": (-1200.0, 200.0),
}
"""CT windows in HU: the display presets of 3D Slicer's Volumes module (brain, abdomen, bone, lung)."""

_CHUNK = 64
_CANDIDATES = 512
_SUPPORTERS = 4
_SUV_TOP = 10.0
_TAKEN_OVER = 15.0
"""Times the body's median: where uptake of a trunk ends that reaches far beyond. It is SUV 10 in a body of 0.7."""


@dataclass(frozen=True)
class Window:
    """An interval of intensities shown as black (``low``) to white (``high``), and where it comes from.

    ``low`` and ``high`` are in the units of the volume; ``origin`` is a phrase for the report. Raises
    :class:`InputError` unless both are finite and ``low < high``.
    """

    low: float
    high: float
    origin: str = "given"

    def __post_init__(self) -> None:
        low, high = float(self.low), float(self.high)
        if not (np.isfinite(low) and np.isfinite(high) and low < high and np.isfinite(high - low)):
            raise InputError(f"intensity window {self.low}:{self.high} is empty; give LOW:HIGH with LOW below HIGH")
        object.__setattr__(self, "low", low)
        object.__setattr__(self, "high", high)

    def __str__(self) -> str:
        return f"{self.low:g}:{self.high:g} ({self.origin})"

    def to_unit(self, array: np.ndarray) -> np.ndarray:
        """Map ``array`` (any real type and shape) to a new float32 array in [0, 1]; NaN becomes 0."""
        width = self.high - self.low
        reach = max(abs(self.low), abs(self.high))
        # float32 has 24 bits: a narrow window far from zero, or a huge or tiny one, is computed in float64.
        kind = np.float32 if reach < 1e4 * width and 1e-30 < width < 1e30 else np.float64
        with np.errstate(over="ignore"):
            out = np.asarray(array).astype(kind)
            out -= kind(self.low)
            out /= kind(width)
        np.fmax(out, 0, out=out)
        np.fmin(out, 1, out=out)
        return out.astype(np.float32, copy=False)


WindowSpec = str | tuple[float, float] | Window
"""What :func:`choose_window` takes as a wish."""


def clean(array: np.ndarray, name: str = "volume") -> tuple[np.ndarray, int]:
    """Return ``(array, invalid_count)`` with NaN and infinities replaced by the background value.

    A finite array comes back as it is (bool as uint8), with no copy; otherwise a float32 copy does. Raises
    :class:`InputError` for empty, complex, non-numeric arrays and for arrays without any finite value.
    """
    array = np.asarray(array)
    if array.size == 0:
        raise InputError(f"{name} is empty; choose another volume")
    if array.dtype.kind == "b":
        return array.view(np.uint8), 0
    if array.dtype.kind == "c":
        raise InputError(f"{name} holds complex numbers; take the magnitude first")
    if array.dtype.kind not in "iuf":
        raise InputError(f"{name} holds values of type {array.dtype}, not numbers")
    if array.dtype.kind in "iu" or _all_finite(array):
        return array, 0
    valid = np.isfinite(array)
    invalid_count = int(array.size - np.count_nonzero(valid))
    if invalid_count == array.size:
        raise InputError(f"{name} holds no finite value (NaN or infinite everywhere); choose another volume")
    with np.errstate(over="ignore"):
        out = array.astype(np.float32)
    out[~valid] = background_value(array[valid])
    return out, invalid_count


def background_value(array: np.ndarray) -> float:
    """What "nothing there" is in the units of finite ``array``: 0, air for a CT, the minimum where none is above 0."""
    low, high = float(np.min(array)), float(np.max(array))
    scale = hounsfield_scale(array)
    if scale is not None:
        return max(low, AIR_HU * scale[0] + scale[1])
    return 0.0 if high > 0 else low


def choose_window(
    array: np.ndarray,
    spec: WindowSpec = "auto",
    role: str = "anatomical",
    name: str = "volume",
    shows: Shows | None = None,
) -> Window:
    """Choose the :class:`Window` that scales ``array`` to [0, 1]; NaN and infinities count as in :func:`clean`.

    ``spec`` is "auto", "mr", "uptake", a name of :data:`PRESETS`, "LOW:HIGH", a pair ``(low, high)`` or a Window.
    "auto" goes by what the volume ``shows`` (``recognition.recognise``): a CT gets the brain window for a head and the
    soft-tissue window for a trunk; uptake in SUV of a trunk 0 to 10. Where nobody says, values like HU are those of a
    head; otherwise it is "mr" for ``role`` "anatomical" and "uptake" for "functional".

    - "mr": from the 0.5th percentile of all voxels to the 99.8th of the foreground.
    - "uptake": from 0 to the highest uptake that a few neighbouring voxels share (:func:`robust_maximum`). Choose it on
      the volume's own grid: resampling turns a hot voxel into a small lesion. In a trunk a full bladder or an injection
      site may be far beyond all else: then it ends at 15 times the body's median uptake.

    Raises :class:`InputError`, naming ``name``, for volumes that :func:`clean` refuses, for constant volumes, for
    uptake that is nowhere above 0, for windows that leave the volume blank, and for a ``spec`` that cannot be read.
    """
    if role not in ("anatomical", "functional"):
        raise InputError(f"role is 'anatomical' or 'functional', not {role!r}")
    array, _ = clean(array, name)
    low, high = np.min(array), np.max(array)
    if not low < high:
        raise InputError(
            f"{name} is constant (every voxel is {low:g}): there is nothing to fuse; choose another volume"
        )

    window = given_window(spec)
    if window is not None:
        if window.high <= low or window.low >= high:
            raise InputError(
                f"intensity window {window.low:g}:{window.high:g} leaves {name} blank: "
                f"its values go from {low:g} to {high:g}; choose a window inside them"
            )
        return window
    spec = str(spec).strip().lower()  # as given_window reads it
    shows = shows or Shows("ct" if looks_like_ct(array) else "mr" if role == "anatomical" else "uptake", scale=1.0)
    if spec == "auto":
        if shows.kind == "ct" and shows.scale is not None:
            window = _ct_window(shows)
            if window.low < high and low < window.high:
                return window
        if shows.kind == "ct" and (around := display_window(array)):
            return Window(*around, origin="CT cut to a display window recognised: around its soft tissue")
        spec = "uptake" if shows.kind == "uptake" else "mr"
    return _mr_window(array, low, high) if spec == "mr" else _uptake_window(array, high, name, shows)


def shows_uptake(array: np.ndarray, spec: WindowSpec = "auto", shows: Shows | None = None) -> bool:
    """Whether a functional volume shown through ``spec`` is measured uptake (PET, SPECT) rather than a picture.

    CT and MR are pictures: named by a window (a CT preset, "mr"), else told by what it ``shows``, else by values like HU.
    """
    if isinstance(spec, str) and spec.strip().lower().startswith(("ct-", "mr", "uptake")):
        return spec.strip().lower() == "uptake"
    if shows is not None:
        return shows.kind == "uptake"
    return not looks_like_ct(array)


def robust_maximum(array: np.ndarray) -> float:
    """The highest value of ``array`` that is not an isolated spike.

    A voxel counts when at least four of its direct and diagonal neighbours reach half its value: true at the centre of
    any spot of 2 voxels full width at half maximum or more, in a volume or in a single slice of thick ones, and false
    for one to three hot voxels. So a lesion of 3 voxels' diameter is never clipped and no spike stretches the window.
    """
    array = np.asarray(array)
    array = array.reshape([n for n in array.shape if n > 1] or [1])
    flat = array.reshape(-1)
    whole = flat.size // _CHUNK * _CHUNK
    peaks = flat[:whole].reshape(-1, _CHUNK).max(axis=1)
    if whole < flat.size:
        peaks = np.append(peaks, flat[whole:].max())
    order = np.argsort(peaks)[::-1]  # chunks of voxels, the hottest first: nearly always the first batch settles it
    best = -np.inf
    for start in range(0, order.size, _CANDIDATES):
        batch = order[start : start + _CANDIDATES]
        if peaks[batch[0]] <= best:
            break
        indices = (batch[:, None] * _CHUNK + np.arange(_CHUNK)).reshape(-1)
        indices = indices[indices < flat.size]
        indices = indices[flat[indices] > best]
        supported = indices[_is_supported(array, indices)]
        if supported.size:
            best = max(best, float(flat[supported].max()))
    return best if np.isfinite(best) else float(flat.max())


def _is_supported(array, indices):
    """For each flat index: do enough of the up to 3^n - 1 neighbours reach half its value?"""
    shape = np.array(array.shape)
    position = np.stack(np.unravel_index(indices, array.shape))
    half = array.reshape(-1)[indices].astype(np.float64) / 2
    needed = min(_SUPPORTERS, array.size - 1)
    count = np.zeros(indices.size, np.int8)
    for offset in product((-1, 0, 1), repeat=array.ndim):
        if any(offset):
            near = position + np.array(offset)[:, None]
            inside = np.all((near >= 0) & (near < shape[:, None]), axis=0)
            value = array[tuple(np.clip(near, 0, shape[:, None] - 1))]
            count += inside & (value >= half)
    return count >= needed


def _ct_window(shows):
    preset = "ct-soft-tissue" if shows.region == "trunk" else "ct-brain"
    low, high = (value * shows.scale + shows.offset for value in PRESETS[preset])
    units = "HU" if shows.scale == 1 and shows.offset == 0 else f"HU x {shows.scale:.4g} + {shows.offset:.4g}"
    of_region = f" of a {shows.region}" if shows.region else ""
    return Window(low, high, origin=f"CT{of_region} in {units} recognised: {preset} preset")


def _uptake_window(array, high, name, shows):
    if high <= 0:
        raise InputError(f"{name} has no uptake above 0 (its maximum is {high:g}); give a window LOW:HIGH")
    if (
        shows.suv and shows.region == "trunk" and high >= 1
    ):  # a body averages 1 by definition: below, it is another scale
        return Window(0.0, _SUV_TOP, origin="SUV of a trunk: 0 to 10")
    top = robust_maximum(array)
    if top <= 0:
        top = float(high)
    if shows.region == "trunk":
        values = above_air(array)
        inside = values[values > 0.5 * np.percentile(values, 75)] if values.size else values
        end = _TAKEN_OVER * float(np.median(inside)) if inside.size else top
        if top > 1.5 * end > 0:
            return Window(0.0, end, origin="uptake of a trunk: 0 to 15 times the body's median, far below its hottest")
    return Window(0.0, top, origin="uptake: 0 to the highest value that neighbouring voxels share")


def _mr_window(array, low, high):
    values = sample(array).astype(np.float64)  # NumPy before 2.3 takes percentiles of float32 in float32
    if values.min() == values.max():  # a small object that the sub-sampling missed
        values = array.reshape(-1)
    bottom = float(np.percentile(values, 0.5))
    above = values[values > bottom]
    if above.size:
        # Foreground: above a twentieth of the bright end, so that air and Rician noise do not dilute the percentile.
        bright = float(np.percentile(above, 99.9))
        foreground = above[above > bottom + 0.05 * (bright - bottom)]
        top = float(np.percentile(foreground, 99.8)) if foreground.size else bright
    if not above.size or not bottom < top:
        return Window(float(low), float(high), origin="full range")
    return Window(bottom, top, origin="MR: 0.5th percentile of all voxels to 99.8th of the foreground")


def given_window(spec: WindowSpec) -> Window | None:
    """The :class:`Window` that ``spec`` states outright, or None when it asks for a choice.

    Raises :class:`InputError` for a ``spec`` that cannot be read.
    """
    if isinstance(spec, Window):
        return spec
    if isinstance(spec, str):
        text = spec.strip().lower()
        if text in ("auto", "mr", "uptake"):
            return None
        if text in PRESETS:
            return Window(*PRESETS[text], origin=f"{text} preset")
        parts = text.split(":")
    elif isinstance(spec, (tuple, list)):
        parts = spec
    else:
        parts = ()
    try:
        low, high = (float(part) for part in parts)
    except (TypeError, ValueError):
        choices = ", ".join(["auto", "mr", "uptake", *PRESETS])
        raise InputError(f"intensity window {spec!r} is not understood; use LOW:HIGH or one of {choices}") from None
    return Window(low, high, origin="given")


def _all_finite(array):
    return bool(np.isfinite(np.min(array)) and np.isfinite(np.max(array)))
