"""Small cohorts: pairs of phantom volumes and a table of them, work that stands in for fusing, and dask's processes."""

import os
import subprocess
import sys
import time
from pathlib import Path

import SimpleITK as sitk

from MMIFAminLib.cohort import Result
from MMIFAminLib.cohort.worker import _while_wanted
from MMIFAminLib.study import default_options
from support import phantoms

MR = phantoms.Grid((24, 28, 20), (8.0, 8.0, 8.5)).centred_at()
PET = phantoms.Grid((18, 20, 16), (11.0, 11.0, 11.5)).centred_at()


def make_cohort(folder, count, extra=()):
    """A table ``studies.csv`` of ``count`` pairs s000, s001, ... that differ, and of ``extra`` lines; its path."""
    lines = ["id,anatomical,functional,options"]
    for number in range(count):
        for name, grid, kind, scale in (("mr", MR, "mr", 900.0), ("pet", PET, "pet", 8.0)):
            image = phantoms.head(grid, kind, scale * (1 + number / 100))
            sitk.WriteImage(image, str(folder / f"{name}{number:03}.nrrd"))
        lines.append(f"s{number:03},mr{number:03}.nrrd,pet{number:03}.nrrd,")
    table = folder / "studies.csv"
    table.write_text("\n".join([*lines, *extra]) + "\n")
    return table


def stub(row, output, options, force, version):
    """Stands in for fusing: does what the row's options say with the file that its anatomical volume names."""
    mark = Path(row.anatomical)
    if row.options == "dies once" and not mark.exists():
        mark.write_text("")
        os._exit(1)
    if row.options == "dies":
        os._exit(1)
    if row.options == "raises":
        raise RuntimeError("a fault of ours")
    if row.options == "slow":
        time.sleep(0.3)
    if row.options == "until unwanted":
        mark.write_text("begun")
        wanted, deadline = _while_wanted(), time.monotonic() + 60
        while wanted(0.0, "") and time.monotonic() < deadline:
            time.sleep(0.02)
        mark.write_text("let go" if time.monotonic() < deadline else "wanted")
    return Result(row.id, "fused", seconds=0.1)


def engine_here():
    """Of the worker that is asked: how often weights were loaded, the threads of the engine last loaded, and those of ITK."""
    from MMIFAminLib.cohort.worker import _engine, _fuser

    loaded = _fuser.cache_info().misses
    threads = _engine(default_options(device="cpu", precision="fp32")).threads
    return loaded, threads, sitk.ProcessObject.GetGlobalDefaultNumberOfThreads()


def start_dask(folder, *arguments, allowed_failures=1, threads=1):
    """A process of dask ("scheduler" or "worker" with their options), connected by a file in ``folder``; a worker computes
    with so many ``threads``.
    """
    library = Path(__file__).resolve().parents[2]
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(map(str, (library / "MMIFAmin", library / "Testing"))),
        "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": str(allowed_failures),
        "OMP_NUM_THREADS": str(threads),
    }
    kind, *rest = arguments
    places = ["--host", "127.0.0.1", "--no-dashboard", "--scheduler-file", str(folder / "scheduler.json")]
    places += ["--port", "0"] if kind == "scheduler" else ["--nthreads", "1", "--death-timeout", "60"]
    with open(folder / f"{kind}.log", "a") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "dask", kind, *places, *rest], env=environment, stdout=log, stderr=log, cwd=folder
        )


def address(folder, seconds=120.0):
    """The address of the scheduler that was started in ``folder``, once it is there."""
    import json

    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if (folder / "scheduler.json").is_file():
            return json.loads((folder / "scheduler.json").read_text())["address"]
        time.sleep(0.05)
    raise TimeoutError((folder / "scheduler.log").read_text())


def stop(processes):
    """End processes that were started here, and wait for them."""
    for process in processes:
        process.terminate()
    for process in processes:
        process.wait(60)
