"""``mmifamin cohort`` as a user meets it: the dry run, what excludes what, the lines and bars that it shows, Ctrl-C."""

import csv
import json
import os
import re
import select
import signal
import subprocess
import sys

import pytest

pytest.importorskip("distributed", reason="cohorts need dask")

from MMIFAminLib.cohort import run_cohort
from MMIFAminLib.cohort.run import State
from MMIFAminLib.commandline import main
from MMIFAminLib.commandline.cohort import _Plain
from MMIFAminLib.errors import InputError
from support.cohorts import make_cohort


def test_results_among_the_sources_are_refused(tmp_path, capsys):
    assert main(["cohort", str(tmp_path), str(tmp_path / "." / "")]) == 2
    assert "is the folder of the sources" in capsys.readouterr().err and not list(tmp_path.iterdir())
    with pytest.raises(InputError, match="is the folder of the sources"):
        run_cohort(tmp_path, tmp_path)


def test_a_dry_run_shows_the_pairs_and_what_is_left_out_and_writes_nothing(tmp_path, capsys):
    pytest.importorskip("bids", reason="BIDS datasets need pybids")
    pytest.importorskip("dask_jobqueue", reason="clusters need dask-jobqueue")
    root = tmp_path / "raw"
    for name in ("sub-01/anat/sub-01_T1w", "sub-01/pet/sub-01_pet", "sub-02/pet/sub-02_pet"):
        (root / name).parent.mkdir(parents=True)
        (root / f"{name}.nii.gz").touch()
    description = {"Name": "empty files", "BIDSVersion": "1.10.0"}
    (root / "dataset_description.json").write_text(json.dumps(description))
    (tmp_path / "slurm.yaml").write_text("jobs: 3\ncores: 4\nmemory: 8GB\n")
    jobs = ["--cluster", "slurm", "--cluster-config", str(tmp_path / "slurm.yaml")]
    assert main(["cohort", str(root), str(tmp_path / "out"), "--dry-run", *jobs]) == 0
    told = capsys.readouterr()
    assert "1 studies to fuse, 1 left out" in told.out and re.search(r"^ +sub-01 ", told.out, re.MULTILINE)
    assert "#SBATCH --cpus-per-task=4" in told.out
    assert told.err == (
        "mmifamin: warning: left out: sub-02/pet/sub-02_pet.nii.gz: the subject has no anatomical image\n"
    )
    assert not (tmp_path / "out").exists()


def test_a_dry_run_tells_paths_in_full_and_which_volumes_are_not_there(tmp_path, capsys):
    folder = tmp_path / ("a name of a folder that is as long as those of hospitals are, " + "x" * 60)
    folder.mkdir()
    table = make_cohort(folder, 1, ["gone,mr000.nrrd,none.nrrd,"])
    assert main(["cohort", str(table), str(tmp_path / "out"), "--dry-run"]) == 0
    told = capsys.readouterr()
    assert told.err == f"mmifamin: warning: gone would be refused: {folder / 'none.nrrd'}: no such file or folder\n"
    letters = re.sub(r"\s", "", told.out)
    assert "…" not in letters and letters.count("x" * 20) and "mr000.nrrd" in letters and "2studiestofuse" in letters


def test_plain_lines_tell_once_that_there_is_no_worker(capsys):
    show = _Plain()
    for workers in (0, 0, 1, 1, 0):
        show(State(None, 0, 3, None, {}, workers))
    assert capsys.readouterr().out == "there is no worker: waiting for one\n" * 2


@pytest.mark.parametrize(
    "arguments,message",
    [
        (
            ["--workers", "2", "--scheduler", "tcp://127.0.0.1:9"],
            "--workers, --scheduler and --cluster exclude each other",
        ),
        (["--workers", "0"], "--workers 0: at least one worker is needed"),
        (["--cluster", "slurm"], "--cluster and --cluster-config belong together"),
        (["--cluster", "slurm", "--cluster-config", "none.yaml"], "none.yaml cannot be read"),
        (["--filter", "subject=01"], "--filter is for BIDS datasets"),
        (["--window", "5:1"], "intensity window 5.0:1.0 is empty"),
        (["--plane", "oblique"], "plane 'oblique' is not one of axial"),
        (["--color-table", "jet"], "jet"),
    ],
)
def test_options_that_cannot_be_used_are_told_before_anything_is_done(arguments, message, tmp_path, capsys):
    table = make_cohort(tmp_path, 1)
    assert main(["cohort", str(table), str(tmp_path / "out"), *arguments]) == 2
    assert message in capsys.readouterr().err and not (tmp_path / "out").exists()


def statuses(folder):
    with open(folder / "cohort.csv", newline="") as file:
        return {line["id"]: line["status"] for line in csv.DictReader(file)}


def stopped_in_a_terminal(arguments, wanted):
    """What a terminal shows of a command that is stopped by Ctrl-C once ``wanted`` is seen, and its exit code."""
    import pty

    master, terminal = pty.openpty()
    command = [sys.executable, "-m", "MMIFAminLib", *arguments]
    process = subprocess.Popen(command, stdin=terminal, stdout=terminal, stderr=terminal, start_new_session=True)
    os.close(terminal)
    screen, stopped = "", False
    try:
        while select.select([master], [], [], 120)[0]:
            screen += os.read(master, 65536).decode(errors="replace")
            if not stopped and re.search(wanted, screen):
                os.killpg(process.pid, signal.SIGINT)  # as a terminal does it: to the workers, too
                stopped = True
    except OSError:  # the command has closed its end
        pass
    finally:
        os.close(master)
        code = process.wait(60)
    return screen, code


@pytest.mark.skipif(os.name != "posix", reason="needs a pseudo-terminal")
def test_ctrl_c_in_a_terminal_keeps_what_is_done_and_the_rest_is_gone_on_with(tmp_path, capsys, untrained_weights):
    table, out = make_cohort(tmp_path, 20), tmp_path / "out"
    options = ["--device", "cpu", "--precision", "fp32", "--weights", str(untrained_weights)]
    screen, code = stopped_in_a_terminal(["cohort", str(table), str(out), "--workers", "2", *options], r" left")
    assert code == 130 and "Traceback" not in screen, screen
    assert "stopped; what is done is kept" in screen and "say the same command to go on" in screen
    assert re.search(r"[1-9]\d?/20.* \d:\d\d:\d\d left", screen), "how many are done, and the time left"
    assert len(set(re.findall(r"(tcp://\S+)  s0\d\d", screen))) == 2, "a line for each worker"
    done = [id_ for id_, status in statuses(out).items() if status == "fused"]
    assert 1 <= len(done) < 20 and all((out / id_ / "fused.nrrd").exists() for id_ in done)

    rows = [line for line in table.read_text().splitlines() if line.split(",")[0] in ("id", done[0])]
    table.write_text("\n".join([*rows, "none,none.nrrd,none.nrrd,"]) + "\n")
    assert main(["cohort", str(table), str(out), "--workers", "1", *options]) == 1
    told = capsys.readouterr()
    assert f"/2 {done[0]} kept\n" in told.out and "1 kept, 1 refused; look at" in told.out
    assert f"mmifamin: warning: none refused: {tmp_path / 'none.nrrd'}: no such file or folder\n" in told.err
