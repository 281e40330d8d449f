"""The self-test in a real Slicer: set SLICER_EXECUTABLE to its launcher, and MMIFAMIN_SLICER_GUI=1 to see it work."""

import os
import subprocess
from pathlib import Path

import pytest

SLICER = os.environ.get("SLICER_EXECUTABLE", "")
REASON = "SLICER_EXECUTABLE names no Slicer: the real application is not tested"
pytestmark = pytest.mark.skipif(not SLICER, reason=REASON)

SCRIPT = """
import sys, unittest, slicer
sys.path.insert(0, {folder!r})
import MMIFAmin
slicer.util.selectModule("MMIFAmin") if slicer.util.mainWindow() else None
result = unittest.TextTestRunner(stream=sys.stdout, verbosity=2).run(
    unittest.defaultTestLoader.loadTestsFromTestCase(MMIFAmin.MMIFAminTest)
)
print("SELF-TEST", "passed" if result.wasSuccessful() and result.testsRun > 5 else "failed", flush=True)
slicer.util.exit(0 if result.wasSuccessful() else 1)
"""


def run(tmp_path, script, *options, seconds=900):
    path = tmp_path / "script.py"
    path.write_text(script)
    module = Path(__file__).resolve().parents[2] / "MMIFAmin"
    command = [SLICER, "--testing", "--no-splash", "--ignore-slicerrc", "--disable-settings", *options]
    command += ["--additional-module-paths", str(module), "--python-script", str(path)]
    return subprocess.run(command, capture_output=True, text=True, timeout=seconds)


def test_the_self_test_passes_in_slicer(tmp_path):
    folder = str(Path(__file__).resolve().parents[2] / "MMIFAmin")
    window = [] if os.environ.get("MMIFAMIN_SLICER_GUI") else ["--no-main-window"]
    done = run(tmp_path, SCRIPT.format(folder=folder), *window)
    assert "SELF-TEST passed" in done.stdout and done.returncode == 0, done.stdout[-8000:] + done.stderr[-8000:]


def test_the_module_loads_quickly_and_without_torch(tmp_path):
    script = """
import sys, slicer
assert hasattr(slicer.modules, "mmifamin"), "the module is not loaded"
print("HEAVY", sorted({"torch", "monai"} & set(sys.modules)), flush=True)
slicer.util.exit(0)
"""
    done = run(tmp_path, script, "--no-main-window", seconds=300)
    assert "HEAVY []" in done.stdout, done.stdout[-4000:] + done.stderr[-4000:]
