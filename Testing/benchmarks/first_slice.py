"""From a fresh Python to the first fused slice, against the import of PyTorch alone, in turn: a ratio for noisy machines.

python Testing/benchmarks/first_slice.py [--pairs 7] [--output Testing/benchmarks/results/first_slice.csv]
"""

import argparse
import subprocess
import sys
import time
from pathlib import Path

from MMIFAminLib.files import write_csv

TORCH = "import torch"
SLICE = """
import numpy as np
from MMIFAminLib import VolumeFuser
VolumeFuser.load("cpu").fuse_arrays(*np.random.default_rng(0).random((2, 1, 256, 256), np.float32))
"""


def seconds(code: str) -> float:
    """The wall time of a Python process that runs ``code``."""
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)
    return time.perf_counter() - started


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--output", type=Path, default=Path(__file__).resolve().parent / "results" / "first_slice.csv")
    options = parser.parse_args()
    rows = []
    for _ in range(options.pairs):
        torch, first = seconds(TORCH), seconds(SLICE)
        rows.append({"import torch": torch, "first slice": first, "ratio": first / torch})
    write_csv(rows, options.output)
    print(f"median ratio {sorted(row['ratio'] for row in rows)[len(rows) // 2]:.2f}")


if __name__ == "__main__":
    main()
