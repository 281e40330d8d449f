"""What runs in a worker: one row at a time, with weights that are loaded once."""

from __future__ import annotations

import argparse
import os
import signal
import socket
import threading
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from .. import __version__
from ..errors import FusionCancelled, MMIFAminError
from .hashes import output_hash
from .manifest import Row
from .work import FAILED, Result, fuse_row

if TYPE_CHECKING:
    from ..engine import VolumeFuser
    from ..engine.progress import Progress

_one_at_a_time = threading.Lock()  # a fusion uses all cores of its worker, however many tasks the worker takes at once


def work_row(row: Row, output: Path, options: argparse.Namespace, force: bool, version: str) -> Result:
    """``fuse_row`` in this process, which keeps its fuser for the next row; a version other than the command's fails."""
    if version != __version__:
        return Result(row.id, FAILED, f"the worker has MMIFAmin {__version__}, the command {version}", worker=_name())
    with _one_at_a_time, suppress(FusionCancelled):
        return fuse_row(
            row, output, options, lambda: _engine(options), force=force, worker=_name(), progress=_while_wanted()
        )
    return Result(row.id, FAILED, "the command that asked for it has ended", worker=_name())  # and nobody reads this


def why_not_compute(options: argparse.Namespace) -> str:
    """Why this process cannot compute as ``options`` ask for it, or ""; the engine is loaded then."""
    try:
        _engine(options)
    except MMIFAminError as error:
        return str(error)
    return ""


def dask_setup(worker: object) -> None:
    """Leave Ctrl-C to the command: a worker of this machine would die of it, with a traceback, before its row is let go.

    dask calls this where a worker that has this file as its preload starts.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def installed_version() -> str:
    """The version of MMIFAmin in this process."""
    return __version__


def _engine(options: argparse.Namespace) -> VolumeFuser:
    """The engine that ``options`` ask for: loaded once, and anew where the file of the weights has changed."""
    from ..engine.weights import find_weights

    return _fuser(options.device, options.precision, options.weights, output_hash(find_weights(options.weights)))


@lru_cache(maxsize=2)
def _fuser(device: str, precision: str, weights: str | None, content: str) -> VolumeFuser:
    import torch

    from ..engine import VolumeFuser
    from ..engine.execution import limit_itk

    # PyTorch itself goes by MKL_NUM_THREADS, which dask sets to 1.
    if (threads := os.environ.get("OMP_NUM_THREADS", "")).isdecimal() and int(threads):
        torch.set_num_threads(int(threads))
    fuser = VolumeFuser.load(device, precision, weights)
    limit_itk(fuser.threads)
    return fuser


def _while_wanted() -> Progress:
    """A progress that ends the row once nobody waits for it any more: the command was stopped, or killed."""
    from distributed import get_worker

    try:
        worker = get_worker()
        tasks, key = worker.state.tasks, worker.get_current_task()
    except ValueError:
        return lambda fraction, text: None  # outside of a worker

    def wanted(fraction: float, text: str) -> bool:
        return (task := tasks.get(key)) is not None and task.state != "cancelled"

    return wanted


def _name() -> str:
    """The worker's name among all, or the host's outside of one."""
    from distributed import get_worker

    try:
        return f"{socket.gethostname()}:{get_worker().name}"
    except ValueError:
        return socket.gethostname()
