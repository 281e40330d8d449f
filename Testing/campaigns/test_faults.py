"""A short campaign of ``faults.py``: what is killed, interrupted or cancelled leaves whole files and the scene as it
was.
"""

import csv
import os
import subprocess
import sys

import pytest


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs POSIX processes")
def test_nothing_is_lost(repository, tmp_path):
    pytest.importorskip("slicer", reason="needs the slicer-core package")
    table = tmp_path / "faults.csv"
    command = [sys.executable, repository / "Testing" / "campaigns" / "faults.py", "--count", "1", "--output", table]
    result = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
    assert result.returncode == 0, result.stdout + result.stderr
    with open(table, newline="") as file:
        rows = {f"{row['campaign']} {row['signal']}".strip(): row for row in csv.DictReader(file)}
    assert list(rows) == [
        "fuse SIGKILL",
        "pairs SIGKILL",
        "train SIGKILL",
        "fuse SIGINT",
        "cancel in the scene",
        "growth",
    ]
    assert all(row["corrupt"] in ("0", "") and row["rerun failed"] in ("0", "") for row in rows.values())
    assert all(int(row["struck"]) >= 1 for name, row in rows.items() if name != "growth")
    assert float(rows["growth"]["MB grown"]) < 50
