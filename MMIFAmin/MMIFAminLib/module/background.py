"""Work in a thread of its own, polled from the thread that started it.

An embedded interpreter such as Slicer's may hold Python's lock while its event loop idles, so that worker threads only
advance while the main thread waits in Python: `Runner.poll`, called by a timer, does that for a few milliseconds.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from ..errors import FusionCancelled

PATIENCE = 0.7
"""Seconds that a cancelled job may take to stop before its owner lets go of it."""


class Job:
    """One call of `work(progress)` in a worker thread.

    The work calls `progress(fraction, text)`, which returns False once `cancel` was called. The owner looks at
    `finished`, `fraction` (0 to 1), `text` and `seconds_left`, and takes `result`. `after` is a job that may still be
    winding down: this one waits for it, so that two never share the memory. Work that tells the time left itself (the
    engine does, from the first slice on) is started without `estimate`.
    """

    def __init__(self, work: Callable, *, after: Job | None = None, estimate: bool = True) -> None:
        self.fraction, self.text = 0.0, ""
        self._work = work
        self._after = after
        self._cancelled = threading.Event()
        self._value = self._error = None
        self._estimate = estimate
        self._pace: tuple[float, float] | None = None  # when the first part was done, and how much it was
        self._thread = threading.Thread(target=self._run, name="MMIFAmin", daemon=True)
        self._thread.start()

    @property
    def finished(self) -> bool:
        return not self._thread.is_alive()

    @property
    def cancelled(self) -> bool:
        return self._cancelled.is_set()

    @property
    def seconds_left(self) -> float | None:
        """Seconds that the rest takes at the pace since the first part was done; None while that cannot be told."""
        if self._pace is None or not self._estimate:
            return None
        elapsed, done = time.monotonic() - self._pace[0], self.fraction - self._pace[1]
        return elapsed * (1.0 - self.fraction) / done if elapsed >= 1.0 and done >= 0.05 else None

    def describe(self) -> str:
        """What the work is doing, and about how long it will take."""
        if self.cancelled:
            return "Stopping..."
        left = self.seconds_left
        if left is None or "left" in self.text:  # the engine says it itself while it fuses
            return self.text
        return f"{self.text}, about {left:.0f} s left"

    def cancel(self) -> None:
        """Ask the work to stop; it does so at its next call of `progress`."""
        self._cancelled.set()

    def wait(self, seconds: float) -> bool:
        """Let the worker run for up to `seconds`; whether it has finished."""
        self._thread.join(seconds)
        return self.finished

    def result(self) -> Any:
        """What the work returned. Raises what it raised, and FusionCancelled after `cancel`, whatever it returned."""
        if self.cancelled:
            raise FusionCancelled("Cancelled; nothing was changed.")
        if self._error is not None:
            raise self._error
        return self._value

    def _run(self) -> None:
        try:
            while self._after is not None and not self._after.wait(0.05):
                if self.cancelled:
                    return
            self._after = None
            self._value = self._work(self._report)
        except BaseException as error:  # noqa: BLE001 - handed to the owner, who shows it
            self._error = error

    def _report(self, fraction: float, text: str) -> bool:
        self.fraction, self.text = min(max(float(fraction), 0.0), 1.0), text
        if self._pace is None and self.fraction > 0.0:  # loading and waiting are no measure of the work
            self._pace = (time.monotonic(), self.fraction)
        return not self.cancelled


def _ignore(job: Job) -> None:
    """What becomes of a job that nobody waits for."""


class Runner:
    """One job at a time: `start` it, `poll` it from a timer until it calls `done(job)`, `cancel` or `drop` it."""

    def __init__(self) -> None:
        self.job: Job | None = None
        self._done: Callable = _ignore
        self._winding: Job | None = None
        self._deadline = 0.0

    @property
    def busy(self) -> bool:
        return self.job is not None

    def start(self, work: Callable, done: Callable, *, estimate: bool = True) -> Job:
        """Start `work(progress)`; `poll` calls `done(job)` once, in its own thread, when it ends or is cancelled."""
        if self.busy:
            raise RuntimeError("a job is running already")
        winding = self._winding if self._winding is not None and not self._winding.finished else None
        self.job, self._done, self._winding = Job(work, after=winding, estimate=estimate), done, None
        return self.job

    def poll(self, seconds: float = 0.03) -> None:
        """Let the worker run for up to `seconds`; end the job if it has finished, or takes long to be cancelled."""
        if self.job is None:
            return
        late = self.job.cancelled and time.monotonic() > self._deadline
        if self.job.wait(seconds) or late:
            job, done = self.job, self._done
            self._winding = None if job.finished else job
            self.job, self._done = None, _ignore
            done(job)

    def cancel(self) -> None:
        """Ask the job to stop; `done` is called within `PATIENCE` seconds of polling."""
        if self.job is not None and not self.job.cancelled:
            self.job.cancel()
            self._deadline = time.monotonic() + PATIENCE

    def drop(self, seconds: float = 0.0) -> None:
        """Cancel the job and forget it: `done` is never called. Waits up to `seconds` for workers to stop."""
        if self.job is not None:
            self.job.cancel()
            self._winding, self.job, self._done = self.job, None, _ignore
        if self._winding is not None and seconds:
            self._winding.wait(seconds)
