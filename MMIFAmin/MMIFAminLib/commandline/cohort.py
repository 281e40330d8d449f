"""``mmifamin cohort``: many studies, on the workers of dask."""

import argparse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InputError
from ..study import add_fusion_options, check_options
from .terminal import print_table, say

if TYPE_CHECKING:
    from ..cohort import Row
    from ..cohort.run import State
    from ..cohort.table import Table

INCOMPLETE = 1
_BAD = ("refused", "failed")
_WAITING = "there is no worker: waiting for one"


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument(
        "source",
        type=Path,
        metavar="INPUT",
        help="a table (.csv, .tsv: columns id, anatomical, functional, second, options), a BIDS dataset, or a folder of "
        "DICOM studies or of volumes named by their modality",
    )
    parser.add_argument(
        "output", type=Path, metavar="OUTPUT", help="the folder of the results; an old one is gone on with"
    )
    parser.add_argument("--dry-run", action="store_true", help="show the studies and what is left out; fuse none")
    parser.add_argument("--force", action="store_true", help="fuse again what is done already")
    parser.add_argument(
        "--filter",
        action="append",
        default=[],
        metavar="ENTITY=VALUE",
        help="of a BIDS dataset, as subject=01,02 or anatomical:suffix=T2w; repeatable",
    )
    parser.add_argument("--log", type=Path, metavar="FILE", help="add a line of JSON for each study")
    where = parser.add_argument_group("workers")
    where.add_argument(
        "--workers",
        type=int,
        metavar="N",
        help="processes on this machine (default: one for each GPU, else for each four cores)",
    )
    where.add_argument("--scheduler", metavar="ADDRESS", help="a dask scheduler that runs already, as tcp://host:8786")
    where.add_argument("--cluster", metavar="KIND", help="submit the workers as jobs: slurm, pbs, lsf or sge")
    where.add_argument(
        "--cluster-config",
        type=Path,
        metavar="FILE",
        help="what a job gets: YAML with jobs, cores, memory, queue, walltime",
    )
    add_fusion_options(parser)


def cohort(options: argparse.Namespace) -> int:
    """Fuse many studies: those of a table, of a BIDS dataset, or of a folder of DICOM studies or of volumes (ct.nrrd
    beside pet.nrrd).

    OUTPUT gets BIDS derivatives for a BIDS dataset, else a folder for each study; cohort.csv, the table of what happened;
    and cohort.html, which shows it. Said again, the command does only what is missing or whose inputs, options, weights or
    version have changed. Exit code 1: some studies were refused or have failed.
    """
    from ..cohort import find_studies, run_cohort
    from ..cohort.clusters import job_cluster, read_config
    from ..cohort.studies import check_places

    if sum(map(bool, (options.workers, options.scheduler, options.cluster))) > 1:
        raise InputError("--workers, --scheduler and --cluster exclude each other: say one of them")
    if options.workers is not None and options.workers < 1:
        raise InputError(f"--workers {options.workers}: at least one worker is needed")
    if bool(options.cluster) != bool(options.cluster_config):
        raise InputError("--cluster and --cluster-config belong together: say both")
    check_options(options)
    config = read_config(options.cluster_config, options.cluster) if options.cluster else None
    check_places(options.source, options.output)
    studies = find_studies(options.source, options.filter)
    for one in studies.left_out:
        say("warning", f"left out: {one.what}: {one.why}")
    if options.dry_run:
        columns = ("id", "anatomical", "functional", "second", "options")
        lines = [
            (row.id, str(row.anatomical), str(row.functional or ""), str(row.second or ""), row.options)
            for row in studies.rows
        ]
        for row in studies.rows:
            _tell_missing(row)
        print_table(f"{len(lines)} studies to fuse, {len(studies.left_out)} left out", columns, lines)
        if config:
            with job_cluster(
                options.cluster, {name: value for name, value in config.items() if name != "jobs"}
            ) as made:
                print(made.job_script())
        return 0
    try:
        with _watching() as watch:
            table = run_cohort(
                studies,
                options.output,
                options=_of_a_row(options),
                workers=options.workers,
                scheduler=options.scheduler,
                cluster=options.cluster,
                cluster_config=config,
                force=options.force,
                log=options.log,
                watch=watch,
            )
    except KeyboardInterrupt:
        print(
            f"mmifamin: stopped; what is done is kept in {options.output}: say the same command to go on with the rest"
        )
        raise
    return _told(table, options.output)


def _of_a_row(options: argparse.Namespace) -> argparse.Namespace:
    """Those of ``options`` that a study is fused by."""
    from ..study import default_options

    names = vars(default_options())
    return argparse.Namespace(**{name: value for name, value in vars(options).items() if name in names})


def _tell_missing(row: "Row") -> None:
    """Say which volumes of ``row`` are not there, for which it would be refused."""
    from ..files.volumes import split_series

    for path in filter(None, (row.anatomical, row.functional, row.second)):
        if not (place := split_series(path)[0]).exists():
            say("warning", f"{row.id} would be refused: {place}: no such file or folder")


def _told(table: "Table", output: Path) -> int:
    for result in table.results.values():
        if result.status in _BAD:
            say("warning", f"{result.id} {result.status}: {result.reason}")
    counts = ", ".join(f"{count} {status}" for status, count in sorted(table.counts.items()))
    print(f"{output}: {counts}; look at {output / 'cohort.html'}")
    return INCOMPLETE if any(table.counts[status] for status in _BAD) else 0


@contextmanager
def _watching() -> Iterator[Callable[["State"], None]]:
    """What shows how far the cohort is: a bar and a line for each worker in a terminal, else a line for each study."""
    from rich.console import Console, Group
    from rich.live import Live
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
    from rich.text import Text

    console = Console(stderr=True)
    if not console.is_terminal:
        yield _Plain()
        return
    bar = Progress(TextColumn("studies"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"))
    whole = bar.add_task("", total=None)
    with Live(bar, console=console, transient=True, refresh_per_second=4) as live:

        def show(state: "State") -> None:
            bar.update(whole, completed=state.done, total=state.total, description=_left(state.seconds_left))
            if state.result is None:
                lines = [Text(f"{worker}  {row}") for worker, row in sorted(state.busy.items())]
                lines += [Text(_WAITING)] if state.workers == 0 else []
                live.update(Group(bar, *lines))
            elif state.result.status in _BAD:
                live.console.print(Text(_line(state)))

        yield show


class _Plain:
    """A line for each study, and one when there begins to be no worker."""

    def __init__(self) -> None:
        self._workers: int | None = None

    def __call__(self, state: "State") -> None:
        if state.result is not None:
            print(_line(state), flush=True)
            return
        if state.workers == 0 and self._workers != 0:
            print(_WAITING, flush=True)
        self._workers = state.workers


def _line(state: "State") -> str:
    result = state.result
    assert result is not None
    said = f": {result.reason}" if result.reason else f" in {result.seconds:.1f} s" if result.status == "fused" else ""
    return f"{state.done}/{state.total} {result.id} {result.status}{said}"


def _left(seconds: float | None) -> str:
    if seconds is None:
        return ""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02} left"
