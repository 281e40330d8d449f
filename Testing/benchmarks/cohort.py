"""How cohorts scale: efficiency of two workers, overhead of the scheduler a row, whether time and memory stay linear, and
what a study of usual size takes.

    python Testing/benchmarks/cohort.py [--studies 200] [--rounds 8] [--rows 10000] [--times 4] [--data ../shared/data]

Efficiency: small volumes, fused with one and with two workers of one thread each, in turns, so that what else runs on the
machine hits both. It is the rate of two over twice the rate of one; "busy" is the share of the workers' time that goes into
rows, "others" how many cores other processes took meanwhile: where these leave less than two, two workers cannot have them.
Overhead and simulation: rows whose work is nothing at all, each number of them in a process of its own, with what a
row leaves in the table, the page and the memory. Peak memory is that of the command.
Study: volumes of usual size, each fused one after the other in a process of one thread as a worker does it;
processor time a row, the first left out, and the peak memory of the process. What is left out keeps its lines in the CSV.
"""

import argparse
import csv
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import psutil

from MMIFAminLib import __version__
from MMIFAminLib.cohort import Result, Row, find_studies, run_cohort
from MMIFAminLib.cohort.clusters import connected
from MMIFAminLib.cohort.table import METRICS
from MMIFAminLib.cohort.worker import work_row
from MMIFAminLib.engine.execution import peak_memory_mb
from MMIFAminLib.errors import InputError
from MMIFAminLib.files.datasets import require
from MMIFAminLib.files.writing import write_csv
from MMIFAminLib.study import default_options

QUIET = 0.1  # cores that others may take in a round that counts as undisturbed
STUDIES = {"head 256 x 256 x 68": "volumes/pet41_mr volumes/pet41_pet", "trunk CT and PET": "body/ct body/fdg"}
RESULTS = Path(__file__).resolve().parent / "results" / "cohort.csv"


def nothing(row, output, options, force, version):
    """Work that takes no time, with a result as large as a real one."""
    hashes = dict.fromkeys(("anatomical", "functional", "weights", "fused"), "0" * 64)
    metrics = dict.fromkeys(METRICS, 0.123456)
    return Result(row.id, "fused", "", 1.0, ("a warning",), metrics, hashes, "x", "y", "A" * 5000, "worker")


class Meter:
    """Processor time from here on: of this process and those it started, and of the whole machine."""

    def __init__(self) -> None:
        self.begun, self.start = time.perf_counter(), self._now()

    def _now(self) -> tuple[float, float]:
        this = psutil.Process()
        times = [process.cpu_times() for process in (this, *this.children(recursive=True))]
        machine = psutil.cpu_times()
        return sum(one.user + one.system for one in times), sum(machine) - machine.idle - machine.iowait

    def read(self) -> tuple[float, float, float]:
        """Seconds since, processor seconds of our own, and cores that others took."""
        seconds, now = time.perf_counter() - self.begun, self._now()
        own, all_ = (later - before for before, later in zip(self.start, now))
        return seconds, own, max(0.0, all_ - own) / seconds


def timed(table, output, workers, scheduler=None, work=work_row) -> dict:
    """One cohort: rows, seconds from each worker's first result to the last of all, rate, share of time spent in rows."""
    taken, meters = [], []

    def watch(state):
        if state.result is not None:
            taken.append(state.result.seconds)
            if len(taken) == workers:  # each worker's first row waits for PyTorch and the weights
                meters.append(Meter())

    options = default_options(device="cpu", precision="fp32")
    place = {"scheduler": scheduler} if scheduler else {"workers": workers}
    run_cohort(table, output, options=options, watch=watch, work=work, **place)
    (seconds, own, others), count = meters[0].read(), len(taken) - workers
    return {
        "workers": workers, "rows": count, "seconds": seconds, "rate": count / seconds,
        "busy": sum(taken[workers:]) / (workers * seconds), "CPU s a row": own / count, "others": others,
    }  # fmt: skip


def wait_until_quiet(patience: float) -> None:
    """Wait until others take less than ``QUIET`` cores, at most so many seconds."""
    end = time.monotonic() + patience
    while time.monotonic() < end and psutil.cpu_percent(interval=2) / 100 * psutil.cpu_count() > QUIET:
        pass


def efficiency(studies: int, rounds: int, folder: Path, patience: float) -> list[dict]:
    """Rates of one and of two workers, in turns."""
    from support.cohorts import make_cohort

    table, rows = make_cohort(folder, studies // rounds), []
    with connected(workers=1) as one, connected(workers=2) as two:
        places = {1: one.scheduler.address, 2: two.scheduler.address}
        for workers, place in places.items():
            timed(table, folder / f"first-{workers}", workers, scheduler=place)
        for turn in range(rounds):
            wait_until_quiet(patience)
            for workers in (1, 2) if turn % 2 else (2, 1):
                told = timed(table, folder / f"{turn}-{workers}", workers, scheduler=places[workers])
                rows.append({"part": "efficiency"} | told)
                print(rows[-1], flush=True)
    return rows


def told_efficiency(rows: list[dict]) -> None:
    """Print what the rates come to: over all rounds, and over those that had both cores to themselves."""
    rounds = [{row["workers"]: row for row in rows[at : at + 2]} for at in range(0, len(rows), 2)]
    quiet = [pair for pair in rounds if max(row["others"] for row in pair.values()) < QUIET]
    for name, chosen in (("all", rounds), (f"quiet (others take less than {QUIET} cores)", quiet)):
        if chosen:
            one, two = (
                sum(pair[n]["rows"] for pair in chosen) / sum(pair[n]["seconds"] for pair in chosen) for n in (1, 2)
            )
            print(f"efficiency of two workers, {len(chosen)} {name} rounds: {two / (2 * one):.3f}")
    for workers in (1, 2):
        mine = [pair[workers] for pair in rounds]
        means = {key: statistics.mean(row[key] for row in mine) for key in ("busy", "CPU s a row", "others")}
        print(f"{workers} workers:", ", ".join(f"{key} {value:.3f}" for key, value in means.items()))


def simulated(count: int) -> dict:
    """A cohort of ``count`` rows without work: seconds to read the manifest and for all, and the peak memory."""
    with tempfile.TemporaryDirectory() as name:
        table = Path(name, "studies.csv")
        table.write_text(
            "id,anatomical,functional\n" + "".join(f"s{n:06},mr{n}.nrrd,pet{n}.nrrd\n" for n in range(count))
        )
        begun = time.perf_counter()
        find_studies(table)
        read = time.perf_counter() - begun
        computed = time.process_time()
        told = timed(table, Path(name, "out"), 2, work=nothing)
        size = Path(name, "out", "cohort.html").stat().st_size / 2**20
        computed = time.process_time() - computed
    milliseconds = 1000 * told["seconds"] / told["rows"]
    return {
        "part": "simulation", "workers": 2, "rows": count, "seconds": told["seconds"], "manifest s": read,
        "ms a row": milliseconds, "CPU ms a row": 1000 * computed / count, "peak MB": peak_memory_mb(), "page MB": size,
    }  # fmt: skip


def study(name: str, times: int, data: Path) -> dict:
    """A study fused ``times`` times after a first one: processor seconds a row, and the peak memory."""
    anatomical, functional = (data / f"{place}.nrrd" for place in STUDIES[name].split())
    options = default_options(device="cpu")
    with tempfile.TemporaryDirectory() as folder:
        for number in range(times + 1):
            if number == 1:
                begun, computed = time.perf_counter(), time.process_time()
            told = work_row(Row(f"s{number}", anatomical, functional), Path(folder), options, False, __version__)
            assert told.status == "fused", told.reason
        seconds, computed = time.perf_counter() - begun, time.process_time() - computed
    return {
        "part": name, "workers": 1, "rows": times, "seconds": seconds, "peak MB": peak_memory_mb(),
        "CPU s a row": computed / times,
    }  # fmt: skip


def in_a_process(*arguments: str) -> dict:
    """What this script says of one measurement, in a process of its own."""
    command = [sys.executable, __file__, *arguments]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[-1]
    print(told, flush=True)
    return json.loads(told)


def kept(rows: list[dict], path: Path) -> list[dict]:
    """Lines of the CSV of before whose part is not among ``rows``."""
    if not path.exists():
        return []
    with open(path, newline="") as file:
        return [line for line in csv.DictReader(file) if line["part"] not in {row["part"] for row in rows}]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--studies", type=int, default=200, help="small volumes for the efficiency; 0 leaves it out")
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument(
        "--patience", type=float, default=0, help="seconds to wait before a round until others are still"
    )
    parser.add_argument("--rows", type=int, default=10000, help="of the largest simulation; 0 leaves it out")
    parser.add_argument("--times", type=int, default=4, help="that each study of usual size is fused; 0 leaves it out")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder of these studies")
    parser.add_argument("--simulate", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--study", help=argparse.SUPPRESS)
    parser.add_argument("--output", type=Path, default=RESULTS, help="CSV to write")
    options = parser.parse_args()
    if options.simulate:
        print(json.dumps(simulated(options.simulate)))
        return
    if options.study:
        print(json.dumps(study(options.study, options.times, options.data)))
        return
    if options.times:
        try:
            require(options.data / "volumes", "harvard")
            require(options.data / "body" / "fdg.nrrd", "body")
        except InputError as error:
            parser.error(str(error))
    rows = []
    for count in (options.rows // 10, options.rows // 4, options.rows // 2, options.rows) if options.rows else ():
        rows.append(in_a_process("--simulate", str(count)))
    for name in STUDIES if options.times else ():
        rows.append(in_a_process("--study", name, "--times", str(options.times), "--data", str(options.data)))
    if options.studies:
        with tempfile.TemporaryDirectory() as name:
            measured = efficiency(options.studies, options.rounds, Path(name), options.patience)
        told_efficiency(measured)
        rows += measured
    rows = kept(rows, options.output) + rows
    columns = list(dict.fromkeys(key for row in rows for key in row))
    write_csv([{column: row.get(column, "") for column in columns} for row in rows], options.output)


if __name__ == "__main__":
    main()
