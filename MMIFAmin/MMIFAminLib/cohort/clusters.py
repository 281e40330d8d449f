"""Where rows are worked on: processes of this machine, a dask scheduler that runs already, or jobs of a cluster."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InputError

if TYPE_CHECKING:
    from distributed import Client

KINDS = {"slurm": "SLURMCluster", "pbs": "PBSCluster", "lsf": "LSFCluster", "sge": "SGECluster"}
CORES_PER_WORKER = 4
"""How many cores a worker has where neither their number nor a GPU says otherwise."""
ANSWERS_WITHIN = "10s"
"""How long a scheduler that runs already may take to answer."""
SUBMIT_AGAIN = 30.0
"""Seconds between two looks at whether jobs of a cluster have ended before the cohort has."""
_MISSING = 'cohorts need dask: pip install ".[cohort]" in a checkout, or pip install "mmifamin[cohort]"'


@contextmanager
def connected(
    *,
    workers: int | None = None,
    scheduler: str | None = None,
    cluster: str | None = None,
    config: Mapping[str, Any] | None = None,
    device: str = "auto",
) -> Iterator[Client]:
    """A client of dask: of the ``scheduler`` at an address, of jobs of a ``cluster`` (one of ``KINDS``) as ``config`` says,
    or else of ``workers`` processes here, which end with the block.

    Raises InputError where dask is not installed or the scheduler does not answer.
    """
    try:
        from dask import config as dask_config
        from distributed import Client
    except ImportError:
        raise InputError(_MISSING) from None
    # A worker is given one row at a time: what waits with it would be lost, and counted against the row, if it died.
    settings = {"distributed.scheduler.worker-saturation": 1.0, "distributed.admin.log-format": "%(message)s"}
    with dask_config.set(settings):
        if scheduler:
            try:
                client = Client(scheduler, timeout=ANSWERS_WITHIN, name="mmifamin-cohort")
            except (OSError, ValueError, TimeoutError) as error:
                reason = " ".join(str(error).split()) or type(error).__name__
                raise InputError(f"no dask scheduler answers at {scheduler} ({reason})") from None
            with client:
                yield client
            return
        with (
            _kept_environment(),
            _jobs(cluster, config or {}) if cluster else local_cluster(workers, device) as made,
            Client(made) as client,
        ):
            yield client


@contextmanager
def _kept_environment() -> Iterator[None]:
    """dask sets the threads of its workers in this process, too, where they would count for the next cohort."""
    from dask import config as dask_config

    before = {name: os.environ.get(name) for name in dask_config.get("distributed.nanny.pre-spawn-environ")}
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def local_cluster(workers: int | None = None, device: str = "auto") -> Any:
    """One process for each GPU that ``device`` means, else ``workers`` processes that share the cores and the memory."""
    from dask import config as dask_config
    from dask.system import CPU_COUNT
    from distributed import Nanny, Scheduler
    from distributed.deploy.spec import SpecCluster
    from distributed.system import MEMORY_LIMIT

    gpus = _gpus(device)
    count = workers or len(gpus) or max(1, CPU_COUNT // CORES_PER_WORKER)
    silent: Any = {"silence_logs": logging.CRITICAL}
    options = {
        "host": "127.0.0.1",
        "nthreads": 1,
        "memory_limit": MEMORY_LIMIT // count,
        "preload": ["MMIFAminLib.cohort.worker"],
        **silent,
    }
    nannies = {
        number: {
            "cls": Nanny,
            "options": options | {"env": gpus[number % len(gpus)] if gpus else {}},
        }
        for number in range(count)
    }
    free = {"port": 0, "dashboard_address": "127.0.0.1:0"}  # two cohorts may run at once
    place = {"cls": Scheduler, "options": {"host": "127.0.0.1", "dashboard": False, **free}}
    # Each worker fuses one row at a time with all its threads. What the environment says goes before this.
    threads = {"distributed.nanny.pre-spawn-environ.OMP_NUM_THREADS": max(1, CPU_COUNT // count)}
    with dask_config.set(threads):
        return SpecCluster(nannies, place, **silent)


def job_cluster(kind: str, config: Mapping[str, Any]) -> Any:
    """A dask-jobqueue cluster of ``kind``; no job is submitted yet.

    ``config`` has what that cluster's class takes (queue, account, cores, memory, walltime, ...) without "jobs". Each job
    is one worker, which fuses one row at a time with all its cores. Raises InputError for what cannot be used.
    """
    _check_kind(kind)
    try:
        dask_jobqueue = _imported()
        from dask import config as dask_config
    except ImportError:
        raise InputError(_MISSING) from None
    settings = dict(config)
    if missing := [name for name in ("cores", "memory") if name not in settings]:
        raise InputError(f"the cluster's configuration has no '{missing[0]}': say what a job gets")
    # dask-jobqueue would submit these at once; jobs are counted by "jobs".
    if settings.pop("n_workers", None):
        raise InputError("the cluster's configuration has 'n_workers': say 'jobs' instead, each is one worker")
    if settings.get("processes") not in (None, 1):
        raise InputError(
            f"the cluster's configuration has processes: {settings['processes']}; leave it out: each job is one worker"
        )
    prologue = [*_lines(settings, "job_script_prologue"), f"export OMP_NUM_THREADS={settings['cores']}"]
    arguments = [*_lines(settings, "worker_extra_args"), "--nthreads", "1"]
    settings |= {"processes": 1, "job_script_prologue": prologue, "worker_extra_args": arguments}
    # A free port: on a login node others hold the usual one, and dask would say so in several lines.
    told = settings.get("scheduler_options") or dask_config.get(f"jobqueue.{kind}.scheduler-options", None) or {}
    settings["scheduler_options"] = {"dashboard_address": ":0"} | told
    try:
        return getattr(dask_jobqueue, KINDS[kind])(**settings)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(f"the cluster's configuration cannot be used: {' '.join(str(error).split())}") from None


def _imported() -> Any:
    """The module dask_jobqueue, whose import takes Ctrl-C from the command: it would end without a word."""
    handler = signal.getsignal(signal.SIGINT)
    import dask_jobqueue

    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, handler)
    return dask_jobqueue


def _check_kind(kind: str) -> None:
    if kind not in KINDS:
        raise InputError(f"there is no cluster '{kind}': choose one of {', '.join(KINDS)}")


def _lines(settings: dict[str, Any], name: str) -> list[str]:
    """A setting that is a list of lines, or one line."""
    value = settings.pop(name, None) or []
    return [value] if isinstance(value, str) else list(value)


def read_config(path: Path, kind: str) -> dict[str, Any]:
    """The settings for a cluster of ``kind`` in a YAML file, as keywords of its class or in the form of dask's own
    configuration (jobqueue: slurm: cores: ...); raises InputError for what holds none.
    """
    import yaml

    _check_kind(kind)
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(f"{path} cannot be read: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict):
        raise InputError(f"{path} holds no settings: lines such as 'cores: 8' are wanted")
    if "jobqueue" not in content:
        return _keywords(content)
    clusters = content["jobqueue"]
    if not isinstance(clusters, dict) or not isinstance(clusters.get(kind), dict):
        raise InputError(f"{path} holds no settings for {kind} under 'jobqueue'")
    settings = _keywords(clusters[kind])
    if "name" in settings:  # there it is the job's
        settings["job_name"] = settings.pop("name")
    return {"jobs": content["jobs"]} | settings if "jobs" in content else settings


def _keywords(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings as keywords: what is null there is not given, and dask's files write hyphens."""
    named = {str(name).replace("-", "_"): value for name, value in settings.items()}
    return {name: value for name, value in named.items() if value is not None or name == "jobs"}


@contextmanager
def _jobs(kind: str, config: Mapping[str, Any]) -> Iterator[Any]:
    settings = dict(config)
    jobs = settings.pop("jobs", 1)
    if type(jobs) is not int or jobs < 1:
        raise InputError(f"the cluster's configuration has jobs: {jobs}; say how many, at least 1")
    with job_cluster(kind, settings) as made:
        _submit(made, jobs)
        made.loop.add_callback(_keep_jobs, made, jobs)
        yield made


def _keep_jobs(made: Any, jobs: int) -> None:
    """Submit anew what has ended before the cohort: a job that reached its walltime, or lost its node."""
    from distributed import Status

    if made.status is Status.running:
        made.scale(jobs=jobs)
        made.loop.call_later(SUBMIT_AGAIN, _keep_jobs, made, jobs)


def _submit(made: Any, jobs: int) -> None:
    """Submit so many jobs of a cluster; raises InputError where they are not taken."""
    from distributed import Status

    command = made.job_cls.submit_command
    if shutil.which(command) is None:
        raise InputError(f"there is no '{command}' here: give out the cohort on a machine that jobs are submitted from")
    for name in ("tornado.application", "asyncio"):  # they would tell the exception a second time, with its traceback
        logging.getLogger(name).setLevel(logging.CRITICAL)

    async def submitted() -> None:
        await made  # has tried each job, and keeps what was wrong to itself
        for job in made.workers.values():
            await job

    made.scale(jobs=jobs)
    try:
        made.sync(submitted)
    except RuntimeError as error:
        for job in made.workers.values():
            if job.job_id is None:
                job.status = Status.failed  # dask does not close what never began, and would say so
        reason = str(error).rpartition("stderr:")[2]
        raise InputError(f"{command} takes no job: {' '.join(reason.split())}") from None


def _gpus(device: str) -> list[dict[str, str]]:
    """For each GPU that ``device`` means, what the environment of its worker says: which one it is to have."""
    if device == "cpu":
        return []
    import torch

    if device.startswith("cuda:") or device == "mps":
        return [{}]  # that one, by its number
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    names = visible.split(",") if visible else [str(number) for number in range(torch.cuda.device_count())]
    if found := names[: torch.cuda.device_count()]:
        return [{"CUDA_VISIBLE_DEVICES": name} for name in found]
    return [{}] if device == "auto" and torch.backends.mps.is_available() else []
