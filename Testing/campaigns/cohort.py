"""Kill the scheduler, a worker or the command of cohorts at random moments, and look at what is left.

    python Testing/campaigns/cohort.py [--count 30] [--studies 6] [--output Testing/benchmarks/results/faults_cohort.csv]

A scheduler, two workers and the command run as processes of their own, forked so that the packages are imported once. One
of them is killed (SIGKILL) somewhere in the run of a cohort; what is gone is started again, and so is the command where
it has ended (also where it gave a row up that was struck four times), until the cohort is done: every file must be what
one fusion after the other writes. Exit code 1 if anything was lost. POSIX only.
"""

import argparse
import asyncio
import csv
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from contextlib import suppress
from functools import partial
from pathlib import Path

from distributed import Scheduler, Worker
from faults import finish, run, save_untrained, start

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from MMIFAminLib.cohort import find_studies, fuse_row, run_cohort
from MMIFAminLib.engine import VolumeFuser
from MMIFAminLib.files.writing import write_csv
from MMIFAminLib.study import default_options
from support.cohorts import make_cohort

RESULTS = Path(__file__).resolve().parents[1] / "benchmarks" / "results" / "faults_cohort.csv"
TARGETS = ("scheduler", "worker", "command")
_LONGEST = 300.0  # seconds that a cohort may go without an end before it counts as hung


class Site:
    """The processes of a cohort; what has ended is started again by ``mend``."""

    def __init__(self, table: Path, output: Path, weights: Path):
        self.table, self.output, self.file = table, output, output.with_name("scheduler.json")
        self.options = default_options(device="cpu", precision="fp32", weights=str(weights))
        self.running: dict[str, int] = {}

    def mend(self) -> None:
        """Start the processes that are missing. Workers follow their scheduler, and are not kept beyond it."""
        if "scheduler" not in self.running:
            for name in [name for name in self.running if name != "command"]:
                self.kill(name)
            self.file.unlink(missing_ok=True)
            self.running["scheduler"] = start(lambda: asyncio.run(self.serve()))
        for name in ("worker 1", "worker 2"):
            if name not in self.running:
                self.running[name] = start(lambda: asyncio.run(self.help()))
        if "command" not in self.running:
            self.running["command"] = start(self.command)

    async def serve(self):
        async with Scheduler(host="127.0.0.1", port=0, dashboard=False) as scheduler:
            self.file.with_suffix(".part").write_text(scheduler.address)
            self.file.with_suffix(".part").rename(self.file)
            await scheduler.finished()

    async def help(self):
        async with Worker(self.address(), nthreads=1, host="127.0.0.1", dashboard=False) as worker:
            await worker.finished()

    def command(self):
        table = run_cohort(self.table, self.output, options=self.options, scheduler=self.address())
        return 0 if set(table.counts) <= {"fused", "kept"} else 7

    def address(self) -> str:
        while not self.file.exists():
            time.sleep(0.02)
        return self.file.read_text()

    def kill(self, name: str) -> None:
        """Kill a process and wait for its end."""
        with suppress(ProcessLookupError):
            os.kill(self.running[name], signal.SIGKILL)
        finish(self.running.pop(name))

    def ended(self) -> dict[str, int]:
        """Which processes have ended by themselves, and their exit codes."""
        codes = {}
        for name, pid in list(self.running.items()):
            done, status = os.waitpid(pid, os.WNOHANG)
            if done:
                codes[name] = os.waitstatus_to_exitcode(status)
                del self.running[name]
        return codes


def campaign(site: Site, target: str, count: int, expected: dict[str, bytes], rng: random.Random) -> dict:
    """Kill ``target`` ``count`` times, in as many cohorts as that takes."""
    tally = dict.fromkeys(("struck", "cohorts", "said again", "half written", "not equal"), 0)
    while tally["struck"] < count:
        shutil.rmtree(site.output, ignore_errors=True)
        site.mend()
        begun, due = time.monotonic(), time.monotonic() + rng.uniform(0, 4)
        while True:
            codes = site.ended()
            if codes.get("command") == 0:
                break
            tally["said again"] += "command" in codes
            if time.monotonic() - begun > _LONGEST:
                raise RuntimeError(f"after {tally}: {codes or 'hung'}; {(site.output / 'cohort.csv').read_text()}")
            if time.monotonic() >= due:
                site.kill(rng.choice([name for name in site.running if name.startswith(target)]))
                tally["struck"] += 1
                tally["half written"] += half_written(site.output, expected)
                begun, due = time.monotonic(), time.monotonic() + rng.uniform(0, 4)
            site.mend()
            time.sleep(0.02)
        tally["cohorts"] += 1
        tally["not equal"] += volumes(site.output) != expected or left_over(site.output) != []
        print(target, tally, flush=True)
    return {"killed": target, **tally}


def volumes(output: Path) -> dict[str, bytes]:
    """The fused volumes that there are."""
    return {path.parent.name: path.read_bytes() for path in output.glob("*/fused.nrrd")}


def half_written(output: Path, expected: dict[str, bytes]) -> int:
    """How many files under their final names are not whole, at any moment."""
    bad = sum(expected[name] != data for name, data in volumes(output).items())
    for path in [*output.glob("*/report.json"), *output.glob(".cohort/[!.]*.json")]:
        with suppress(FileNotFoundError):
            try:
                json.loads(path.read_text())
            except ValueError:
                bad += 1
    if (output / "cohort.csv").exists():
        with open(output / "cohort.csv", newline="") as file:
            bad += [row["id"] for row in csv.DictReader(file)] != sorted(expected)
    return bad


def left_over(output: Path) -> list[str]:
    """What killed processes had begun and nobody has swept."""
    return [path.name for path in output.glob("*/.*")]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=30, help="kills of each kind of process")
    parser.add_argument("--studies", type=int, default=6, help="of a cohort")
    parser.add_argument("--output", type=Path, default=RESULTS, help="CSV to write")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rng, rows = random.Random(options.seed), []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        weights = folder / "untrained.safetensors"
        run(lambda: save_untrained(weights))
        table = make_cohort(folder, options.studies)
        site = Site(table, folder / "out", weights)
        run(partial(one_by_one, table, folder / "serial", site.options))
        expected = volumes(folder / "serial")
        assert len(expected) == options.studies
        try:
            for target in TARGETS:
                rows.append(campaign(site, target, options.count, expected, rng))
        finally:
            for name in list(site.running):
                site.kill(name)
    write_csv(rows, options.output)
    return 1 if any(row["half written"] + row["not equal"] for row in rows) else 0


def one_by_one(table: Path, output: Path, options: argparse.Namespace) -> None:
    """The same cohort without dask."""
    fuser = VolumeFuser.load("cpu", "fp32", options.weights)
    for row in find_studies(table).rows:
        fuse_row(row, output, options, lambda: fuser)


if __name__ == "__main__":
    sys.exit(main())
