"""A cohort from end to end: find the studies, give them to dask, and keep the table, the page and the log."""

from __future__ import annotations

import argparse
import json
import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from functools import partial
from itertools import islice
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import IO, TYPE_CHECKING, Any

from .. import __version__
from ..errors import InputError, MMIFAminError
from ..study import check_options, default_options
from .clusters import connected
from .manifest import Row, Studies
from .results import folder_of_results
from .studies import check_places, find_studies
from .table import Table
from .work import FAILED, KEPT, Result
from .worker import installed_version, why_not_compute, work_row

if TYPE_CHECKING:
    from distributed import Future

_LOST = "the scheduler is lost; what is done is kept: start it again and say the same command"
_TICK = 0.5  # seconds between two looks at the workers
_AHEAD = 64  # rows that the scheduler has at least, so that no worker waits for the next one
_JOIN = 60.0  # seconds that a scheduler's first worker may take to join


@dataclass(frozen=True)
class State:
    """How far a cohort is: the row that has just come (or None), how many of all are done, the seconds that are left (None
    where nothing tells yet), which row each worker is at, and how many workers there are (None where that is not told).
    """

    result: Result | None
    done: int
    total: int
    seconds_left: float | None
    busy: Mapping[str, str]
    workers: int | None = None


Watch = Callable[[State], None]


def run_cohort(
    source: str | Path | Studies,
    output: str | Path,
    *,
    options: argparse.Namespace | None = None,
    filters: Sequence[str] = (),
    workers: int | None = None,
    scheduler: str | None = None,
    cluster: str | None = None,
    cluster_config: Mapping[str, Any] | None = None,
    force: bool = False,
    log: str | Path | None = None,
    watch: Watch = lambda state: None,
    work: Callable[..., Result] = work_row,
) -> Table:
    """Fuse all studies of ``source`` (what ``find_studies`` takes, or its answer) into the folder ``output``.

    ``options`` are those of ``study.default_options``. The work is done by ``workers`` processes here, by the ``scheduler``
    at an address, or by jobs of a ``cluster`` as ``cluster_config`` says. What is done already and unchanged is kept,
    unless ``force``. ``watch`` is told of each result and, between them, of the workers; what it raises ends the run, as
    Ctrl-C does: what is done is kept. ``log`` gets a line of JSON a row. ``work`` stands in for ``work_row`` in tests.

    Returns the table, which lies in ``output`` as cohort.csv and cohort.html. Raises InputError before any work for what
    cannot be used, MMIFAminError when the scheduler is lost.
    """
    from ..files import check_output

    options = options or default_options()
    check_options(options)
    if not isinstance(source, Studies):
        check_places(source, output)
    studies = source if isinstance(source, Studies) else find_studies(source, filters)
    with ExitStack() as stack:
        results = stack.enter_context(folder_of_results(studies, output, options.dicom))
        table = results.table
        log = check_output(log) if log else None
        client = stack.enter_context(
            connected(
                workers=workers, scheduler=scheduler, cluster=cluster, config=cluster_config, device=options.device
            )
        )
        _wait_for_a_worker(
            client, None if cluster else _JOIN, lambda: watch(State(None, 0, len(table.rows), None, {}, 0))
        )
        _check_versions(client)
        if work is work_row:
            _check_engine(client, options)
        line = stack.enter_context(_log(log)) if log else None
        results.begin()
        stack.callback(results.write_all)  # however it ends, before the workers are let go
        task = partial(work, output=results.folder, options=options, force=force, version=__version__)
        begun, fresh = time.monotonic(), 0
        for told in _results(client, table.rows, task):
            result, given = (told, {}) if isinstance(told, Result) else (None, told)
            if result:
                results.add(result)
                fresh += result.status != KEPT
                if line:
                    _tell(line, result)
            left = (time.monotonic() - begun) / fresh * (len(table.rows) - len(table.results)) if fresh else None
            busy = {worker: row for worker, row in given.items() if row}
            watch(State(result, len(table.results), len(table.rows), left, busy, None if result else len(given)))
    return table


def _results(
    client: Any, rows: Sequence[Row], task: Callable[[Row], Result]
) -> Iterator[Result | dict[str, str | None]]:
    """What ``_asked`` yields; raises MMIFAminError where the scheduler is lost in the middle of a question."""
    from distributed.comm.core import CommClosedError

    try:
        yield from _asked(client, rows, task)
    except (CommClosedError, CancelledError):  # the second while results are fetched
        raise MMIFAminError(_LOST) from None


def _asked(client: Any, rows: Sequence[Row], task: Callable[[Row], Result]) -> Iterator[Result | dict[str, str | None]]:
    """The results as they come and, between them, which row (or None) each worker is at. Bounded is what dask holds at once.

    A row whose workers died is tried once more at the end, alone: dask blames whatever waited at the same worker, too.
    """
    token, finished, waiting = secrets.token_hex(4), SimpleQueue(), iter(rows)
    order = {row.id: number for number, row in enumerate(rows)}
    running: dict[Future, Row] = {}
    blamed: list[Row] = []
    alone: Row | None = None
    looked = 0.0
    while True:
        if time.monotonic() - looked > _TICK:
            _check_scheduler(client, running)
            given = client.processing()
            yield _busy(given, order)
            ahead, looked = max(_AHEAD, 2 * len(given)), time.monotonic()
        chosen = list(islice(waiting, ahead - len(running)))
        if not chosen and not running and blamed:
            token, alone = secrets.token_hex(4), blamed.pop(0)
            chosen = [alone]
        for row in chosen:
            future = client.submit(task, row, key=(f"row-{token}", row.id), pure=False)
            running[future] = row
            future.add_done_callback(finished.put)
        if not running:
            return
        try:
            done = [finished.get(timeout=_TICK)]
        except Empty:
            continue
        with suppress(Empty):
            while True:
                done.append(finished.get_nowait())
        _check_scheduler(client, done)
        ended = {future: running.pop(future) for future in done}
        if alone is None:
            blamed += [ended.pop(future) for future in done if _is_killed(future)]
        yield from _gathered(client, ended)


def _busy(given: Mapping[str, Sequence[Any]], order: Mapping[str, int]) -> dict[str, str | None]:
    """The row that each worker is at: the first of those that it was ``given``, as they are taken in ``order``; or None.

    A scheduler that others use, too, tells of their tasks as well.
    """
    rows = {
        worker: [key[1] for key in keys if isinstance(key, tuple) and key[1] in order] for worker, keys in given.items()
    }
    return {worker: min(mine, key=order.__getitem__, default=None) for worker, mine in rows.items()}


def _is_killed(future: Future) -> bool:
    from distributed import KilledWorker

    return future.status == "error" and isinstance(future.exception(), KilledWorker)


def _gathered(client: Any, done: Mapping[Future, Row]) -> list[Result]:
    """What tasks returned, in one go, or that a row has failed where its task could tell nothing."""
    whole = [future for future in done if future.status == "finished"]
    results: list[Result] = client.gather(whole)
    for future, row in done.items():
        if future in whole:
            continue
        error = future.exception()
        said = " ".join(f"{type(error).__name__}: {error}".split())
        if _is_killed(future):
            said = "its workers died one after the other (out of memory?); others were not stopped"
        results.append(Result(row.id, FAILED, said))
    return results


def _check_scheduler(client: Any, futures: Sequence[Future] | Mapping[Future, Row]) -> None:
    """Raise MMIFAminError where the scheduler is gone, and with it what it was to tell."""
    if client.status not in ("running", "connecting") or any(f.status in ("cancelled", "lost") for f in futures):
        raise MMIFAminError(_LOST)


def _wait_for_a_worker(client: Any, patience: float | None, waiting: Callable[[], None]) -> None:
    """Wait for the first worker, and say now and then that this is what is done; raises InputError where none joins in
    ``patience`` seconds (None: however long, as a cluster's queue may).
    """
    from distributed import TimeoutError as NoWorker

    begun = time.monotonic()
    while patience is None or time.monotonic() - begun < patience:
        try:
            client.wait_for_workers(1, timeout=_TICK)
            return
        except (TimeoutError, NoWorker):
            waiting()
    raise InputError(f"no worker has joined the scheduler within {patience:.0f} s: start some")


def _check_versions(client: Any) -> None:
    """Raise InputError where a worker has not this version of MMIFAmin."""
    try:
        versions = client.run(installed_version)
    except Exception as error:  # whatever a worker meets that cannot unpickle the call
        raise InputError(f"the workers cannot import MMIFAmin ({error}): install version {__version__} there") from None
    for worker, version in versions.items():
        if version != __version__:
            raise InputError(f"the worker at {worker} has MMIFAmin {version}, this command {__version__}: install one")


def _check_engine(client: Any, options: argparse.Namespace) -> None:
    """Raise InputError where the first worker that has loaded its engine cannot compute as ``options`` ask for it."""
    from distributed import as_completed

    token = secrets.token_hex(4)
    asked = [
        client.submit(why_not_compute, options, key=f"engine-{token}-{number}", workers=[worker])
        for number, worker in enumerate(client.nthreads())
    ]
    first = next(as_completed(asked))
    if first.status == "finished" and (reason := first.result()):
        raise InputError(reason)


@contextmanager
def _log(path: Path) -> Iterator[IO[str]]:
    with open(path, "a", encoding="utf-8", buffering=1) as file:
        yield file


def _tell(log: IO[str], result: Result) -> None:
    facts = asdict(result) | {"time": datetime.now(timezone.utc).isoformat(timespec="seconds")}
    del facts["thumbnail"]
    log.write(json.dumps(facts) + "\n")
