"""What runs in a worker: one row at a time, with weights that are loaded once."""

from __future__ import annotations

import argparse
import signal
import socket
import threading
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

from .. import __version__
from ..errors import MMIFAminError
from .manifest import Row
from .work import FAILED, Result, fuse_row

if TYPE_CHECKING:
    from ..engine import VolumeFuser

_one_at_a_time = threading.Lock()  # a fusion uses all cores of its worker, however many tasks the worker takes at once


def work_row(row: Row, output: Path, options: argparse.Namespace, force: bool, version: str) -> Result:
    """``fuse_row`` in this process, which keeps its fuser for the next row; a version other than the command's fails."""
    if version != __version__:
        return Result(row.id, FAILED, f"the worker has MMIFAmin {__version__}, the command {version}", worker=_name())
    with _one_at_a_time:
        load = partial(_fuser, options.device, options.precision, options.weights)
        return fuse_row(row, output, options, load, force=force, worker=_name())


def why_not_compute(options: argparse.Namespace) -> str:
    """Why this process cannot compute as ``options`` ask for it, or ""; the engine is loaded then."""
    try:
        _fuser(options.device, options.precision, options.weights)
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


@cache
def _fuser(device: str, precision: str, weights: str | None) -> VolumeFuser:
    from ..engine import VolumeFuser
    from ..engine.execution import limit_itk

    fuser = VolumeFuser.load(device, precision, weights)
    limit_itk(fuser.threads)
    return fuser


def _name() -> str:
    """The worker's name among all, or the host's outside of one."""
    from distributed import get_worker

    try:
        return f"{socket.gethostname()}:{get_worker().name}"
    except ValueError:
        return socket.gethostname()
