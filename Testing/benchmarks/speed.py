"""How fast the fusion is and what memory it takes, against references measured in the same run: ``make bench``.

    python Testing/benchmarks/speed.py [--output Testing/benchmarks/results] [--quick]

Each case of ``speed_cases.py`` runs in a process of its own. Writes ``speed.csv``, one number a row, and ``speed.png``
(``speed_plot.py``); ``docs/make_performance.py`` brings them into the documentation. Let nothing else run meanwhile: it
takes some minutes. ``--quick`` tries everything out on small volumes.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import psutil
import SimpleITK as sitk

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from MMIFAminLib.files.writing import write_csv
from support import phantoms

COLUMNS = ("case", "measure", "value", "unit", "precision", "threads", "batch", "device")
HEAD, LARGE = (256, 256, 160), (512, 512, 200)
SCALING = {  # rows and columns, slices
    "slices": ((128, 40), (128, 80), (128, 160)),
    "pixels": ((128, 20), (256, 20), (512, 20)),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=HERE / "results", help="folder for speed.csv and speed.png")
    parser.add_argument("--weights", help="a .safetensors file (default: the shipped weights)")
    parser.add_argument("--quick", action="store_true", help="small volumes, few repeats: to see that all of it runs")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    watch = others_busy()
    with tempfile.TemporaryDirectory() as folder:
        rows = list(measure(Path(folder), options.weights or shipped_or_stirred(Path(folder)), options.quick))
    rows.append({"case": "machine", "measure": "processor time used by others", "value": watch(), "unit": "%"})
    rows += list(ratios(rows))
    write_csv([{column: row.get(column, "") for column in COLUMNS} for row in rows], options.output / "speed.csv")
    from speed_plot import draw

    draw(rows, options.output / "speed.png")
    for row in rows:
        if row["measure"] == "total" or row["measure"].startswith(
            ("around", "memory above", "of the", "time over", "exponent")
        ):
            print(text(row))
    print(f"Written to {options.output}")


def measure(folder, weights, quick):
    """Every row of the benchmark, as it is measured."""
    import torch

    few = {"repeats": 1} if quick else {}
    devices = ["cpu"] + ["cuda"] * torch.cuda.is_available()
    yield {"case": "machine", "measure": "processor", "value": processor(), "unit": ""}
    yield {"case": "machine", "measure": "threads", "value": torch.get_num_threads(), "unit": ""}
    yield {"case": "machine", "measure": "torch", "value": torch.__version__, "unit": ""}
    yield {"case": "machine", "measure": "weights", "value": Path(weights or "mmif-amin").stem, "unit": ""}
    yield from run("references", **few)
    yield from run("network", weights=weights, **few)
    yield from run("profile", weights=weights, **few)
    yield from run("inferer", weights=weights, slices=8 if quick else 24, **few)

    head, large = (tuple(n // 4 for n in size) for size in (HEAD, LARGE)) if quick else (HEAD, LARGE)
    for size, kind in ((head, "pet"), (large, "ct")):
        name = f"{' x '.join(map(str, size))} MR + {kind.upper()}"
        sources = {"weights": weights, **write_pair(folder, size, kind)}
        repeats = 2 if size is head else 1
        for device in devices:
            for through in ("fuse", "fuse_nodes"):
                yield from run("volume", name=name, device=device, through=through, repeats=repeats, **sources)
        if size is head:
            yield from run("volume", name=name, precision="fp32", **sources)
            yield from run("volume", name=name, threads=1, **sources)
    for kind, sizes in SCALING.items():
        for width, slices in sizes:
            size = (width // 4, width // 4, slices // 4) if quick else (width, width, slices)
            name = f"{kind} {size[2] if kind == 'slices' else size[0] * size[1]}"
            yield from run("volume", weights=weights, name=name, repeats=3, **write_pair(folder, size, "pet"))


def run(case, **options):
    """The rows of one case of ``speed_cases.py``."""
    print(
        case,
        " ".join(
            f"{key}={value}" for key, value in options.items() if key in ("name", "through", "precision", "threads")
        ),
        flush=True,
    )
    command = [sys.executable, HERE / "speed_cases.py", case, json.dumps(options, default=str)]
    process = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return [json.loads(line) for line in process.stdout.splitlines() if line.startswith("{")]


def write_pair(folder, size, kind):
    """An MR head with noise everywhere, so that no slice and no border is empty, and a PET or CT on a grid of its
    own.
    """
    mr = magnified(phantoms.head(scale=1000.0), size, noise=20.0, seed=0)
    other = phantoms.head(kind="pet", scale=20000.0) if kind == "pet" else phantoms.ct_head()
    functional = magnified(
        other, [max(8, int(n / 1.5)) for n in size] if kind == "pet" else size, noise=10.0, seed=1, shift=1.7
    )
    paths = {"anatomical": folder / "mr.nrrd", "functional": folder / f"{kind}.nrrd"}
    for image, path in zip((mr, functional), paths.values()):
        sitk.WriteImage(image, str(path), useCompression=False)
    return paths


def magnified(image, size, noise, seed, shift=0.0):
    """``image`` sampled on a grid of ``size`` voxels over the same space, moved by ``shift`` mm, int16, with noise."""
    spacing = [n * s / m for n, s, m in zip(image.GetSize(), image.GetSpacing(), size)]
    origin = [o + shift for o in image.GetOrigin()]
    grown = sitk.Resample(image, size, sitk.Transform(), sitk.sitkLinear, origin, spacing, image.GetDirection())
    array, rng = sitk.GetArrayFromImage(grown), np.random.default_rng(seed)
    out = np.empty(array.shape, np.int16)
    for k, plane in enumerate(array):
        out[k] = np.rint(plane + noise * np.abs(rng.standard_normal(plane.shape, dtype=np.float32)))
    result = sitk.GetImageFromArray(out)
    result.CopyInformation(grown)
    return result


def shipped_or_stirred(folder):
    """None for the shipped weights; where there are none yet, weights made up on the spot: they cost the same time."""
    from MMIFAminLib.engine.weights import WeightsError, find_weights, save_weights
    from MMIFAminLib.network import MMIFAMIN
    from support.networks import stirred

    try:
        find_weights()
    except WeightsError:
        save_weights(stirred(MMIFAMIN()), folder / "stirred.safetensors", {})
        return folder / "stirred.safetensors"


def processor():
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor()


def others_busy():
    """A function that says which share (%) of the processors' time something else has used since."""

    def now():
        machine, own = psutil.cpu_times(), os.times()
        busy = machine.user + machine.nice + machine.system
        return np.array([busy - sum(own[:4]), sum(machine)])

    started = now()

    def share():
        others, everything = now() - started
        return 100 * float(others / everything)

    return share


def pick(rows, case, measure, **settings):
    """The values of the rows of ``case`` and ``measure`` that have these settings."""
    chosen = (row for row in rows if row["case"] == case and row["measure"] == measure)
    return [row["value"] for row in chosen if all(row.get(key) == value for key, value in settings.items())]


def ratios(rows):
    """What the targets are about: the network against the references of the same run, growth, the rest of the time."""
    cores = pick(rows, "machine", "threads")[0]
    for precision in ("fp32", "bf16"):
        same = {"precision": precision}
        mine = pick(rows, "a slice a thread", "time a pair", threads=cores, **same)[0]
        rate = pick(rows, "a slice a thread", "rate", threads=cores, **same)[0]
        peak = pick(rows, "convolution 3x3, 32 channels", "rate", **same)[0]
        yield {"case": "network", "measure": "of the convolution peak", "value": 100 * rate / peak, "unit": "%", **same}
        for other in ("fp32", "bf16"):
            theirs = pick(rows, "IFCNN-like network", "time a pair", precision=other)[0]
            yield {
                "case": "network",
                "measure": f"time over IFCNN-like in {other}",
                "value": mine / theirs,
                "unit": "",
                **same,
            }
        pyramid = pick(rows, "Laplacian pyramid", "time a pair")[0]
        yield {"case": "network", "measure": "time over Laplacian pyramid", "value": mine / pyramid, "unit": "", **same}
    for kind in SCALING:
        counts, seconds, _ = growth(rows, kind)
        slope = np.polyfit(np.log(counts), np.log(seconds), 1)[0]
        yield {"case": f"time by {kind}", "measure": "exponent", "value": slope, "unit": ""}


def growth(rows, kind):
    """Of the volumes that grow in ``kind``: how large, the network's seconds, MB beyond the fused volumes."""
    cases = [row["case"] for row in rows if row["case"].startswith(kind + " ") and row["measure"] == "total"]
    counts = [int(case.split()[1].rstrip(",")) for case in cases]
    seconds, memory = (
        [pick(rows, case, measure)[0] for case in cases] for measure in ("network", "memory beyond the fused volumes")
    )
    return counts, seconds, memory


def text(row):
    value = f"{row['value']:.4g}" if isinstance(row["value"], float) else row["value"]
    return f"{row['case']:34} {row['measure']:34} {value} {row['unit']} {row.get('precision', '')}".rstrip()


if __name__ == "__main__":
    main()
