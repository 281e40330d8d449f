"""Three at once: which volumes they may be, and what the second anatomical one is taken for."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import InputError
from . import intensity
from .choices import Choices, Kind
from .recognition import Hints, recognise

_RULE = "three at once are two anatomical volumes (MR, CT) and one of uptake (PET, SPECT)"


@dataclass(frozen=True)
class SecondChoice:
    """The window of the second anatomical volume, "head" or "trunk" where it is a CT that tells (else None), and what the
    report says of it.
    """

    window: intensity.Window
    region: str | None
    taken_for: dict[str, Any]


def choose_second(
    values: np.ndarray, spacing: tuple[float, float, float], spec: "intensity.WindowSpec", hints: Hints
) -> SecondChoice:
    """The choices for the second anatomical volume, (K, J, I) on its own grid of ``spacing`` (K, J, I; mm).

    ``spec`` is a window as ``intensity.choose_window`` takes it. Raises InputError for what shows uptake or cannot be used.
    """
    shows = recognise(values, spacing, "anatomical", hints)
    if intensity.shows_uptake(values, spec, shows):
        raise InputError(f"The second anatomical volume shows uptake (told by its {shows.why}): {_RULE}.")
    window = intensity.choose_window(values, spec, "anatomical", "second anatomical volume", shows)
    taken_for = {
        "shows": shows.kind,
        "told_by": shows.why,
        "region": shows.region,
        "unit": hints.unit or ("HU" if (shows.scale, shows.offset) == (1.0, 0.0) else None),
        "at_upper_end": float(np.count_nonzero(values >= window.high) / values.size),
    }
    return SecondChoice(window, shows.region if shows.kind == "ct" else None, taken_for)


def check_three(choices: Choices) -> None:
    """Raise InputError unless the first two volumes of three are an anatomical one and measured uptake."""
    shows = {role: choices.taken_for[role]["shows"] for role in ("anatomical", "functional")}
    if shows["anatomical"] == "uptake":
        raise InputError(f"The anatomical volume shows uptake: {_RULE}.")
    if choices.kind is Kind.LUMA:
        raise InputError(f"The functional volume is in colours of no known palette: {_RULE}.")
    if choices.kind is not Kind.UPTAKE:
        raise InputError(
            f"The functional volume is taken for an anatomical one ({shows['functional'].upper()}): {_RULE}."
        )
