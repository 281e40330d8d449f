"""The table of a cohort, cohort.csv: a line a row in the order of the manifest, written as results come in."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from .manifest import Row
from .work import Result

WAITING = "waiting"
METRICS = ("EN", "ENfg", "SD", "SF", "AG", "MI", "SCD", "VIF", "Qabf", "SSIM", "CC", "PSNR", "MSSSIM")
_HASHES = ("anatomical", "functional", "second", "weights", "fused")
_SHARE, _OFTEN = 20, 1.0  # writing takes a twentieth of the time at most, and once a second is enough


class Table:
    """Rows and what came of them so far. Memory: a few hundred bytes a row, and its thumbnail."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self.rows = tuple(rows)
        self.results: dict[str, Result] = {}

    def add(self, result: Result) -> None:
        """Take in the result of a row."""
        self.results[result.id] = result

    @property
    def counts(self) -> Counter[str]:
        """How many rows have each status."""
        counts = Counter(result.status for result in self.results.values())
        counts[WAITING] = len(self.rows) - len(self.results)
        return +counts

    def write(self, path: Path) -> None:
        """Write the table: whole, or not at all. Rows that nothing has come of yet are "waiting"."""
        from ..files import write_csv

        write_csv([_line(row, self.results.get(row.id)) for row in self.rows], path)


class Seldom:
    """Calls ``write`` when asked, but no more often than makes sense for a file that people look at now and then."""

    def __init__(self, write: Callable[[], None]) -> None:
        self._write, self._due = write, 0.0

    def __call__(self) -> None:
        """Write, unless that was done just now."""
        begun = time.monotonic()
        if begun >= self._due:
            self._write()
            self._due = time.monotonic() + max(_OFTEN, _SHARE * (time.monotonic() - begun))


def _line(row: Row, result: Result | None) -> dict[str, object]:
    told = result or Result(row.id, WAITING)
    facts: dict[str, object] = {
        "id": row.id,
        "status": told.status,
        "reason": told.reason,
        "seconds": told.seconds if told.seconds else "",
        "warnings": " | ".join(told.warnings),
    }
    facts |= {name: told.metrics.get(name, "") for name in METRICS}
    facts |= {"output": told.output, "anatomical": row.anatomical, "functional": row.functional or ""}
    facts |= {"second": row.second or "", "options": row.options}
    return facts | {f"{name}_sha256": told.hashes.get(name, "") for name in _HASHES} | {"worker": told.worker}
