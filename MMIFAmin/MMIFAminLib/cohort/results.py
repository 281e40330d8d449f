"""The folder of a cohort's results: one command at a time, its table and its page, and studies fused there one by one."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InputError
from .manifest import Row, Studies
from .page import write_page
from .table import Seldom, Table
from .work import STATE, Result, fuse_row

if TYPE_CHECKING:
    from ..engine import VolumeFuser
    from ..engine.progress import Progress


class Results:
    """The ``folder`` with the ``table`` of what has come so far; its files are written as results are added, not too often."""

    def __init__(self, folder: Path, table: Table, dataset: Path | None = None) -> None:
        self.folder, self.table, self._dataset = folder, table, dataset
        self._written = (Seldom(self._write_table), Seldom(self._write_page))

    def begin(self) -> None:
        """Say what will lie here, where that is derivatives of a BIDS dataset: once nothing keeps the work from beginning."""
        if self._dataset:
            from .derivatives import describe_dataset

            describe_dataset(self.folder, self._dataset)

    def add(self, result: Result) -> None:
        """Take in what has come of a row."""
        self.table.add(result)
        for write in self._written:
            write()

    def write_all(self) -> None:
        """Write table and page as they are now."""
        self._write_table()
        self._write_page()

    def _write_table(self) -> None:
        self.table.write(self.folder / "cohort.csv")

    def _write_page(self) -> None:
        write_page(self.table, self.folder / "cohort.html")


@contextmanager
def folder_of_results(studies: Studies, folder: str | Path, dicom: bool) -> Iterator[Results]:
    """Make the folder of the results of ``studies`` and keep other commands out of it; where nothing comes to lie there,
    none is left.

    Raises InputError where one is at work there, where it cannot be made, and for ``dicom`` of a BIDS dataset.
    """
    if studies.dataset and dicom:
        raise InputError("--dicom is not for BIDS datasets: their derivatives are NIfTI")
    folder = Path(folder).expanduser().resolve()
    with _alone(folder):
        yield Results(folder, Table([_resolved(row) for row in studies.rows]), studies.dataset)


class OneByOne:
    """A cohort without workers: its ``rows`` are fused one after the other in this process, as its owner asks for them.

    ``options`` are those of ``study.default_options``; ``load`` gives the network, and is called when it is first needed.
    Nothing is written before ``open``, which raises InputError as ``folder_of_results`` does; ``fuse`` runs in any thread.
    ``close`` in the end, whatever happened: what is done is kept and told in the folder.
    """

    def __init__(
        self, studies: Studies, folder: str | Path, options: argparse.Namespace, load: Callable[[], VolumeFuser]
    ) -> None:
        self.rows = studies.rows
        self._place = folder_of_results(studies, folder, options.dicom)
        self._options, self._load = options, load
        self._stack = ExitStack()

    def open(self) -> None:
        """Make the folder of the results, and keep others out of it."""
        self._results = self._stack.enter_context(self._place)
        self._results.begin()
        self._stack.callback(self._results.write_all)

    def fuse(self, row: Row, progress: Progress) -> Result:
        """Fuse a row, unless that is done and unchanged; whatever is wrong with it is in the result.

        Raises FusionCancelled when ``progress`` returns False.
        """
        return fuse_row(row, self._results.folder, self._options, self._load, progress=progress)

    def add(self, result: Result) -> None:
        """Take in what has come of a row, for the table and the page."""
        self._results.add(result)

    def close(self) -> None:
        """Write table and page, and let others into the folder."""
        self._stack.close()


def _resolved(row: Row) -> Row:
    """``row`` with paths that hold in other processes."""
    paths = {
        name: path and path.absolute()
        for name in ("anatomical", "functional", "second")
        if (path := getattr(row, name))
    }
    return replace(row, **paths)


@contextmanager
def _alone(output: Path) -> Iterator[None]:
    """Make ``output`` and keep other commands out of it; raises InputError where one is at work.

    What was made and stays empty is taken away again.
    """
    from ..files import make_folder
    from ..files.locking import locked

    lock = output / STATE / "lock"
    made = [path for path in lock.parents if not path.exists()]
    make_folder(lock.parent)
    with ExitStack() as stack:
        try:
            stack.enter_context(locked(lock, wait=False))
        except BlockingIOError:
            raise InputError(f"another command is at work in {output}: wait for it, or name another folder") from None
        try:
            yield
        finally:
            stack.close()
            with suppress(OSError):  # the first that is not empty; on Windows, the lock
                for path in made:
                    path.rmdir()
