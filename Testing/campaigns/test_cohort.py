"""A short campaign of ``cohort.py``: a killed scheduler, worker or command loses nothing."""

import csv
import os
import subprocess
import sys

import pytest


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs POSIX processes")
def test_nothing_is_lost(repository, tmp_path):
    pytest.importorskip("distributed", reason="cohorts need dask")
    table = tmp_path / "faults.csv"
    command = [sys.executable, repository / "Testing" / "campaigns" / "cohort.py", "--count", "1", "--studies", "2"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    result = subprocess.run([*command, "--output", table], capture_output=True, text=True, env=environment)
    assert result.returncode == 0, result.stdout + result.stderr
    with open(table, newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["killed"] for row in rows] == ["scheduler", "worker", "command"]
    assert all(int(row["struck"]) >= 1 and row["half written"] == row["not equal"] == "0" for row in rows)
