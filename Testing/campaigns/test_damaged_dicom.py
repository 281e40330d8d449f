"""A campaign of ``damaged_dicom.py``: each damaged file is read or refused in one line, with nothing printed."""

import os
import subprocess
import sys


def test_damaged_dicom_gives_one_clear_line(repository):
    command = [
        sys.executable,
        repository / "Testing" / "campaigns" / "damaged_dicom.py",
        "--count",
        "500",
        "--seed",
        "7",
    ]
    result = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stderr == ""
    counts = {what: int(number) for number, what in (line.split() for line in result.stdout.splitlines())}
    assert sum(counts.values()) == 500
    assert counts["refused"] > 250
