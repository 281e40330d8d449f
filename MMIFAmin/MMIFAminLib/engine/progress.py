"""How far a fusion is: what its callers are told, and the seconds of its stages."""

import time
from collections.abc import Callable

from ..errors import FusionCancelled

Progress = Callable[[float, str], "bool | None"]
"""Called with the fraction done and a text; cancels by returning False."""


class Clock:
    """Seconds spent in each stage."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, stage: str) -> None:
        now = time.perf_counter()
        self.seconds[stage] = self.seconds.get(stage, 0.0) + now - self._last
        self._last = now


class Reporter:
    """Maps the progress of one stage onto its share of the whole, and turns a refusal into FusionCancelled."""

    def __init__(self, progress: Progress | None, start: float, stop: float) -> None:
        self._progress, self._start, self._stop = progress, start, stop

    def __call__(self, fraction: float, text: str) -> None:
        if self._progress is None:
            return
        if self._progress(self._start + fraction * (self._stop - self._start), text) is False:
            raise FusionCancelled("Fusion was cancelled; nothing was changed.")


def rising(progress: Progress | None) -> Progress | None:
    """`progress` that is never told less than before: a look that is taken meanwhile is no step back."""
    if progress is None:
        return None
    highest = 0.0

    def told(fraction: float, text: str) -> bool | None:
        nonlocal highest
        highest = max(highest, fraction)
        return progress(highest, text)

    return told


def remaining(done: int, total: int, started: float) -> str:
    """What there is to say when ``done`` of ``total`` slices are fused since ``started`` (``time.perf_counter``)."""
    if done == total:
        return f"Fused {total} slices"
    text = f"Fusing slice {done + 1} of {total}"
    if not done:
        return text
    return f"{text}, about {(time.perf_counter() - started) / done * (total - done):.0f} s left"
