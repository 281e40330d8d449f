"""Kill, interrupt and cancel fusions at random moments, and look at what they leave.

    python Testing/campaigns/faults.py [--count 30] [--output Testing/benchmarks/results/faults.csv]

Fusions, folders of pairs and trainings are killed (SIGKILL) somewhere in their run, fusions also interrupted (Ctrl-C);
fusions of nodes are cancelled from the progress callback; and volumes are fused again and again while the memory is
watched. Each run happens in a forked child, so that the packages are imported once. Exit code 1 if anything was lost.
POSIX only.
"""

import argparse
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import psutil
import SimpleITK as sitk
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from MMIFAminLib import training
from MMIFAminLib.commandline.parser import INTERRUPTED
from MMIFAminLib.commandline.parser import main as mmifamin  # imported once, before the children
from MMIFAminLib.engine.fusion import VolumeFuser
from MMIFAminLib.files.writing import write_csv
from support import phantoms
from support.tiny_run import TINY

RESULTS = Path(__file__).resolve().parents[1] / "benchmarks" / "results" / "faults.csv"
GRID = phantoms.Grid((48, 56, 40), (4.0, 4.0, 4.5)).centred_at()
SMALL = phantoms.Grid((24, 28, 20), (8.0, 8.0, 8.5)).centred_at()
ENGINE = ["--device", "cpu", "--precision", "fp32"]


# --- runs in children ---


def start(work) -> int:
    """The process id of a child that does ``work`` silently and exits with what it returns."""
    pid = os.fork()
    if pid:
        return pid
    code = 99
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)  # programs in the background may be told to ignore it
        silence = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silence, 1)
        os.dup2(silence, 2)
        code = work() or 0
    finally:
        os._exit(code)


def finish(pid) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def run(work) -> float:
    """Do ``work`` in a child to its end; the seconds it took. Raises if it failed."""
    started = time.monotonic()
    if code := finish(start(work)):
        raise RuntimeError(f"an undisturbed run failed with exit code {code}")
    return time.monotonic() - started


def disturb(work, seconds, number) -> int:
    """Send signal ``number`` to a child that does ``work``, after ``seconds``; its exit code."""
    pid = start(work)
    time.sleep(seconds)
    with suppress(ProcessLookupError):
        os.kill(pid, number)
    return finish(pid)


def content(folder) -> dict:
    """Every file below ``folder`` and its bytes; hidden files are what a killed run had not finished."""
    return {path.relative_to(folder): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


# --- what is run ---


class Job:
    """Something that writes files into ``out``, the same ones each time, apart from times in reports."""

    def __init__(self, folder: Path, weights: Path):
        self.folder, self.weights, self.out = folder, weights, folder / "out"
        self.prepare()

    def prepare(self):
        """Write the sources."""

    def work(self):
        """One run, in a child; the exit code."""
        self.out.mkdir(exist_ok=True)
        return mmifamin([str(argument) for argument in self.arguments()])

    def facts(self, name, data):
        """What must be the same in every run."""
        return data


class Fuse(Job):
    """``mmifamin fuse`` with a colour volume, a preview and a report."""

    def prepare(self):
        sitk.WriteImage(phantoms.head(GRID, scale=1000.0, dtype=np.int16), str(self.folder / "mr.nrrd"))
        sitk.WriteImage(phantoms.head(GRID, "pet", 10.0), str(self.folder / "pet.nrrd"))

    def arguments(self):
        out = self.out
        extra = ["--rgb", "--preview", out / "fused.png", "--report", out / "fused.json", "--weights", self.weights]
        return ["fuse", self.folder / "mr.nrrd", self.folder / "pet.nrrd", "-o", out / "fused.nrrd", *extra, *ENGINE]

    def facts(self, name, data):
        return sorted(json.loads(data)) if name.suffix == ".json" else data


class Pairs(Job):
    """``mmifamin pairs`` over twenty images."""

    def prepare(self):
        rng = np.random.default_rng(0)
        for kind in ("mr", "pet"):
            (self.folder / kind).mkdir()
            for index in range(20):
                coarse = Image.fromarray(rng.integers(0, 256, (12, 16), np.uint8))
                coarse.resize((128, 96), Image.Resampling.BICUBIC).save(self.folder / kind / f"{index:02}.png")

    def arguments(self):
        folders = ["--anatomical", self.folder / "mr", "--functional", self.folder / "pet", "--output", self.out]
        return ["pairs", *folders, "--weights", self.weights, *ENGINE]


class Train(Job):
    """A training of a few steps, resumed where it was killed."""

    def prepare(self):
        rng = np.random.default_rng(0)
        for split in ("train", "val"):
            for kind in ("MRI", "CT"):
                folder = self.folder / split / kind
                folder.mkdir(parents=True)
                for index in range(2):
                    coarse = Image.fromarray(rng.integers(30, 255, (8, 8), np.uint8))
                    coarse.resize((48, 48), Image.Resampling.BICUBIC).save(folder / f"{index}.png")
        task = {"name": "CT", "train": "train", "val": "val", "anatomical": "MRI", "functional": "CT"}
        self.config = TINY | {"batch": 2, "tasks": [task]}
        (self.folder / "tiny.json").write_text(json.dumps(self.config))

    def work(self):
        training.train(self.folder / "tiny.json", self.folder, self.out, resume=(self.out / "checkpoint.pt").exists())

    def facts(self, name, data):
        if name.suffix == ".json":
            return {key: value for key, value in json.loads(data).items() if key != "seconds"}
        return data if name.suffix == ".safetensors" else True  # logs hold times, the checkpoint is judged by resuming


def campaign(job: Job, count: int, rng, number=signal.SIGKILL) -> dict:
    """Strike ``count`` runs of ``job``, half of them over the files of an earlier run; each time run it again
    undisturbed.
    """
    seconds = run(job.work)
    expected = {name: job.facts(name, data) for name, data in content(job.out).items()}
    tally = dict.fromkeys(("runs", "struck", "files begun", "corrupt", "rerun failed"), 0)
    while tally["struck"] < count:  # a run that was over before the signal came does not count
        if tally["runs"] > 10 * (count + 1):
            raise RuntimeError(f"only {tally['struck']} of {tally['runs']} runs were struck by the signal")
        tally["runs"] += 1
        again = tally["struck"] % 2 and not isinstance(job, Train)
        if not again:
            shutil.rmtree(job.out, ignore_errors=True)
        code = disturb(job.work, rng.uniform(0, seconds), number)
        tally["struck"] += code in (-number, INTERRUPTED)
        left = content(job.out) if job.out.exists() else {}
        begun = [name for name in left if name.name.startswith(".")]
        tally["files begun"] += len(begun)
        tally["corrupt"] += not all(whole(job, name, left[name], expected) for name in left if name not in begun)
        for name in begun:
            (job.out / name).unlink()
        try:
            run(job.work)
            finished = {name: job.facts(name, data) for name, data in content(job.out).items()}
        except (RuntimeError, ValueError) as error:
            finished = error
        tally["rerun failed"] += finished != expected
    return {"campaign": type(job).__name__.lower(), "signal": signal.Signals(number).name, **tally}


def whole(job, name, data, expected):
    try:
        return name in expected and job.facts(name, data) == expected[name]
    except ValueError:
        return False


# --- cancelling and memory, in the scene ---


def in_scene(weights, count, seed) -> int:
    """Cancel ``count`` fusions of nodes at random fractions; the exit code is how many left something behind."""
    import slicer

    from MMIFAminLib import mrml
    from MMIFAminLib.errors import FusionCancelled
    from support.scenes import add_volume, new_scene, node_ids, state

    scene, _logic = new_scene()
    rng, fuser = random.Random(seed), VolumeFuser.load("cpu", "fp32", weights)
    sources = [
        add_volume(scene, phantoms.head(SMALL, scale=1000.0), "MR"),
        add_volume(scene, phantoms.head(SMALL, "pet"), "PET"),
    ]
    outputs = {rgb: mrml.fuse_nodes(*sources, rgb=rgb, fuser=fuser) for rgb in (False, True)}

    def picture():
        return node_ids(scene), [state(node) for node in (*sources, *outputs.values())]

    before, bad = picture(), 0
    for _ in range(count):
        limit, rgb, output = rng.random(), rng.random() < 0.5, rng.random() < 0.5
        try:
            plane = rng.choice(("axial", "coronal", "sagittal"))
            mrml.fuse_nodes(
                *sources,
                outputs[rgb] if output else None,
                rgb=rgb,
                plane=plane,
                fuser=fuser,
                progress=lambda fraction, text, limit=limit: fraction < limit,
            )
            bad += 1  # it did not stop
        except FusionCancelled:
            bad += picture() != before
    assert slicer.mrmlScene is scene
    return bad


def growth(weights, count, report: Path) -> int:
    """Fuse and colour ``count`` volumes in one process; writes the MB by which it has grown since the tenth."""
    fuser = VolumeFuser.load("cpu", "fp32", weights)
    pair = phantoms.head(GRID, scale=1000.0, dtype=np.int16), phantoms.head(SMALL, "pet", 10.0)
    process = psutil.Process()
    for turn in range(10 + count):
        if turn == 10:
            before = process.memory_info().rss
        fuser.fuse(*pair).rgb()
    report.write_text(str((process.memory_info().rss - before) / 2**20))
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--count", type=int, default=30, help="kills of each kind; cancels are 4 times, fusions 7 times as many"
    )
    parser.add_argument("--output", type=Path, default=RESULTS, help="CSV to write")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rng, rows = random.Random(options.seed), []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        weights = folder / "untrained.safetensors"
        run(lambda: save_untrained(weights))
        for kind, number in (
            (Fuse, signal.SIGKILL),
            (Pairs, signal.SIGKILL),
            (Train, signal.SIGKILL),
            (Fuse, signal.SIGINT),
        ):
            place = folder / f"{kind.__name__}{number}"
            place.mkdir()
            rows.append(campaign(kind(place, weights), options.count, rng, number))
            print(rows[-1], flush=True)
        failures = sum(row["corrupt"] + row["rerun failed"] for row in rows)
        failures += sum(row["files begun"] for row in rows if row["signal"] == "SIGINT")  # Ctrl-C tidies up

        cancels = 4 * options.count
        bad = finish(start(lambda: in_scene(weights, cancels, options.seed)))
        rows.append({"campaign": "cancel in the scene", "runs": cancels, "struck": cancels, "corrupt": bad})
        fusions, grown = 7 * options.count, folder / "grown"
        run(lambda: growth(weights, fusions, grown))
        rows.append({"campaign": "growth", "runs": fusions, "MB grown": float(grown.read_text())})
        failures += bad + (rows[-1]["MB grown"] > 50)
    columns = list(dict.fromkeys(key for row in rows for key in row))
    options.output.parent.mkdir(parents=True, exist_ok=True)
    write_csv([{column: row.get(column, "") for column in columns} for row in rows], options.output)
    for row in rows[-2:]:
        print(row)
    return 1 if failures else 0


def save_untrained(path):
    from MMIFAminLib.engine.weights import save_weights
    from MMIFAminLib.network import MMIFAMIN

    save_weights(MMIFAMIN(), path, {})


if __name__ == "__main__":
    sys.exit(main())
