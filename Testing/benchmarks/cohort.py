"""How cohorts scale: efficiency of two workers, overhead of the scheduler a row, and whether time and memory stay linear.

    python Testing/benchmarks/cohort.py [--studies 200] [--rounds 4] [--rows 10000] [--output CSV]

Efficiency: small volumes, fused with one and with two workers of one thread each, in turns, so that what else runs on the
machine hits both. It is the rate of two over twice the rate of one; "busy" is the share of the workers' time that goes into
rows. Overhead and simulation: rows whose work is nothing at all, each number of them in a process of its own, with what a
row leaves in the table, the page and the memory. Peak memory is that of the command.
"""

import argparse
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

from MMIFAminLib.cohort import Result, find_studies, run_cohort
from MMIFAminLib.cohort.table import METRICS
from MMIFAminLib.engine.execution import peak_memory_mb
from MMIFAminLib.files.writing import write_csv
from MMIFAminLib.study import default_options

RESULTS = Path(__file__).resolve().parent / "results" / "cohort.csv"


def nothing(row, output, options, force, version):
    """Work that takes no time, with a result as large as a real one."""
    hashes = dict.fromkeys(("anatomical", "functional", "weights", "fused"), "0" * 64)
    metrics = dict.fromkeys(METRICS, 0.123456)
    return Result(row.id, "fused", "", 1.0, ("a warning",), metrics, hashes, "x", "y", "A" * 5000, "worker")


def timed(table, output, workers, **more) -> dict:
    """One cohort: rows, seconds between the first results and the last, rate, and the share of time spent in rows."""
    stamps = []

    def watch(state):
        if state.result is not None:
            stamps.append((time.perf_counter(), state.result.seconds))

    options = default_options(device="cpu", precision="fp32")
    run_cohort(table, output, options=options, workers=workers, watch=watch, **more)
    counted = stamps[workers:]  # each worker's first row waits for PyTorch and the weights
    seconds = counted[-1][0] - stamps[workers - 1][0]
    busy = sum(taken for _, taken in counted) / (workers * seconds)
    return {"workers": workers, "rows": len(counted), "seconds": seconds, "rate": len(counted) / seconds, "busy": busy}


def efficiency(studies: int, rounds: int, folder: Path) -> list[dict]:
    """Rates of one and of two workers, in turns."""
    from support.cohorts import make_cohort

    table, rows = make_cohort(folder, studies // rounds), []
    for turn in range(rounds):
        for workers in (1, 2) if turn % 2 else (2, 1):
            rows.append({"part": "efficiency"} | timed(table, folder / f"{turn}-{workers}", workers))
            print(rows[-1], flush=True)
    rates = {workers: [row["rate"] for row in rows if row["workers"] == workers] for workers in (1, 2)}
    ratios = sorted(two / (2 * one) for one, two in zip(rates[1], rates[2]))
    whole = sum(rates[2]) / (2 * sum(rates[1]))
    print(f"efficiency of two workers: {whole:.2f} over all, rounds {', '.join(f'{ratio:.2f}' for ratio in ratios)}")
    print("busy:", ", ".join(f"{row['workers']}: {row['busy']:.3f}" for row in rows))
    return rows


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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--studies", type=int, default=200, help="small volumes for the efficiency; 0 leaves it out")
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--rows", type=int, default=10000, help="of the largest simulation; 0 leaves it out")
    parser.add_argument("--simulate", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--output", type=Path, default=RESULTS, help="CSV to write")
    options = parser.parse_args()
    if options.simulate:
        print(json.dumps(simulated(options.simulate)))
        return
    rows = []
    for count in (options.rows // 10, options.rows // 4, options.rows // 2, options.rows) if options.rows else ():
        command = [sys.executable, __file__, "--simulate", str(count)]
        told = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[-1]
        rows.append(json.loads(told))
        print(rows[-1], flush=True)
    if options.studies:
        with tempfile.TemporaryDirectory() as name:
            rows += efficiency(options.studies, options.rounds, Path(name))
        one = statistics.median(row["seconds"] / row["rows"] for row in rows if row["workers"] == 1)
        print(f"median of one worker: {one:.2f} s a study")
    columns = list(dict.fromkeys(key for row in rows for key in row))
    write_csv([{column: row.get(column, "") for column in columns} for row in rows], options.output)


if __name__ == "__main__":
    main()
