"""What the two volumes of a fusion are taken for, and the windows that follow: what is told, before what is guessed."""

from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np

from ..errors import InputError
from . import intensity
from .recognition import Hints, Shows, recognise


class Kind(Enum):
    """What a second source is: measured uptake, an anatomical picture, or the luma of colours."""

    UPTAKE = "uptake"
    ANATOMICAL = "anatomical"
    LUMA = "luma"


_LARGEST_SUV = 100.0  # that a window is plausibly given to
KINDS = ("auto", "uptake", "anatomical")


@dataclass(frozen=True)
class Choices:
    """The kind of the pair, both windows, and what the report says of them."""

    kind: Kind
    windows: tuple[intensity.Window, intensity.Window]
    taken_for: dict[str, Any]
    warnings: tuple[str, ...]


def check_kind(kind: str) -> None:
    """Raise InputError unless ``kind`` is one of :data:`KINDS`."""
    if kind not in KINDS:
        raise InputError(f"there is no kind of pair '{kind}'; choose one of {', '.join(KINDS)}")


def window_in_suv(spec: intensity.WindowSpec, hints: Hints) -> intensity.WindowSpec:
    """``spec`` without its "suv:"; raises InputError where it names SUV and the values are in another unit."""
    if not (isinstance(spec, str) and spec.strip().lower().startswith("suv:")):
        return spec
    if not hints.in_suv:
        unit = hints.unit or "an unknown unit"
        raise InputError(
            f"the window {spec.strip()} is in SUV, the functional volume in {unit}: give LOW:HIGH in its own values"
        )
    return spec.strip()[4:]


def choose(
    a: np.ndarray,
    b: np.ndarray,
    spacings: tuple[tuple[float, float, float], tuple[float, float, float]],
    specs: tuple[Any, Any],
    hints: tuple[Hints, Hints],
    kind: str = "auto",
    luma: bool = False,
    region: str | None = None,
) -> Choices:
    """The choices for anatomical ``a`` and functional ``b``, (K, J, I) each on its own grid of ``spacings`` (K, J, I; mm).

    ``specs`` are both windows as ``intensity.choose_window`` takes them; ``kind`` is one of :data:`KINDS`; ``luma`` says
    that ``b`` came as colours of no known palette; ``region`` is what a CT beside the two tells. Raises InputError for
    volumes and windows that cannot be used.
    """
    first, second = (
        recognise(array, spacing, role, told)
        for array, spacing, role, told in zip((a, b), spacings, ("anatomical", "functional"), hints)
    )
    warnings = []
    if kind == "auto" and str(specs[1]).strip().lower() == "auto" and second.kind == "ct" and first.kind != "ct":
        warnings.append("The functional volume looks like a CT: if it is meant as the anatomical one, swap the two.")
    if kind == "uptake":
        chosen, second = Kind.UPTAKE, _as(second, "uptake", hints[1])
    elif kind == "anatomical":
        chosen, second = Kind.ANATOMICAL, second if second.kind == "ct" else _as(second, "mr", hints[1])
    else:
        uptake = intensity.shows_uptake(b, specs[1], second)
        chosen = Kind.LUMA if uptake and luma else Kind.UPTAKE if uptake else Kind.ANATOMICAL
    region = first.region if first.kind == "ct" and first.region else region
    if second.kind == "uptake" and region:
        second = _in_region(second, region)
    if hints[1].in_suv:
        _check_suv(specs[1], float(b.max()))
    windows = (
        intensity.choose_window(a, specs[0], "anatomical", "anatomical volume", first),
        intensity.choose_window(b, specs[1], "functional", "functional volume", second),
    )
    taken_for: dict[str, Any] = {"pair": chosen.value}
    for role, shows, told, window, array in zip(("anatomical", "functional"), (first, second), hints, windows, (a, b)):
        taken_for[role] = {
            "shows": shows.kind,
            "told_by": shows.why,
            "region": shows.region,
            "unit": told.unit or ("SUV" if shows.suv else "HU" if (shows.scale, shows.offset) == (1.0, 0.0) else None),
            "at_upper_end": float(np.count_nonzero(array >= window.high) / array.size),
        }
    return Choices(chosen, windows, taken_for, tuple(warnings))


def _check_suv(spec, highest):
    """Refuse a window that is none of SUV, which is seldom above 30: one of Bq/ml would leave the uptake black."""
    window = intensity.given_window(spec)
    if window is not None and window.high > max(_LARGEST_SUV, 10 * highest):
        raise InputError(
            f"the functional window {window.low:g}:{window.high:g} is far beyond the volume, which is in SUV up to "
            f"{highest:.3g}: give a window in SUV, or read the values as they are stored",
            typed='--unit bqml; in Python read_volume(path, unit="bqml")',
        )


def _as(shows: Shows, kind: str, hints: Hints) -> Shows:
    return Shows(kind, shows.region, "kind", suv=shows.suv or (kind == "uptake" and hints.in_suv))


def _in_region(shows: Shows, region: str) -> Shows:
    return Shows(shows.kind, region, shows.why, suv=shows.suv)
