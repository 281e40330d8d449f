"""How fast the fusion is and what memory it takes, against references measured in the same run: ``make bench``.

    python Testing/benchmarks/speed.py [--output Testing/benchmarks/results] [--quick]

Each case of ``speed_cases.py`` runs in a process of its own. Writes ``speed.csv``, one number a row, and ``speed.png``.
Let nothing else run meanwhile; ``--quick`` tries everything out on small volumes.
"""

import argparse
import json
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import SimpleITK as sitk

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import phantoms  # noqa: E402

from MMIFAminLib.report import write_csv  # noqa: E402

COLUMNS = ("case", "measure", "value", "unit", "precision", "threads", "batch", "device")
HEAD, LARGE = (256, 256, 160), (512, 512, 200)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=HERE / "results", help="folder for speed.csv and speed.png")
    parser.add_argument("--weights", help="a .safetensors file (default: the shipped weights)")
    parser.add_argument("--quick", action="store_true", help="small volumes, few repeats: to see that all of it runs")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        rows = list(measure(Path(folder), options.weights or shipped_or_stirred(Path(folder)), options.quick))
    rows += ratios(rows)
    write_csv([{column: row.get(column, "") for column in COLUMNS} for row in rows], options.output / "speed.csv")
    draw(rows, options.output / "speed.png")
    for row in rows[-12:]:
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
    yield from run("references", **few)
    yield from run("network", weights=weights, **few)
    yield from run("operations", weights=weights, **few)
    yield from run("pair_of_images", weights=weights, **few)
    yield from run("start", weights=weights)
    yield from run("inferer", weights=weights, slices=8 if quick else 80, **few)

    head, large = (tuple(n // 4 for n in size) for size in (HEAD, LARGE)) if quick else (HEAD, LARGE)
    for size, kind in ((head, "pet"), (large, "ct")):
        name = f"{' x '.join(map(str, size))} MR + {kind.upper()}"
        sources = write_pair(folder, size, kind)
        for device in devices:
            for through in ("fuse", "fuse_nodes"):
                yield from run("volume", weights=weights, name=name, device=device, through=through, **sources)
        yield from run("volume", weights=weights, name=name, precision="fp32", **sources)
        yield from run("volume", weights=weights, name=name, threads=1, **sources)
    base = 32 if quick else 128
    for size in ((base, base, n * base // 128) for n in (20, 40, 80, 160)):
        yield from run("volume", weights=weights, name=f"slices {size[2]}", **write_pair(folder, size, "pet"))
    for size in ((n * base // 128, n * base // 128, base // 4) for n in (128, 256, 384, 512)):
        yield from run("volume", weights=weights, name=f"pixels {size[0] * size[1]}", **write_pair(folder, size, "pet"))


def run(case, **options):
    """The rows of one case of ``speed_cases.py``."""
    print(case, " ".join(f"{key}={value}" for key, value in options.items() if key in ("name", "through", "precision", "threads")), flush=True)
    command = [sys.executable, HERE / "speed_cases.py", case, json.dumps(options, default=str)]
    process = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return [json.loads(line) for line in process.stdout.splitlines() if line.startswith("{")]


def write_pair(folder, size, kind):
    """An MR head with noise everywhere, so that no slice and no border is empty, and a PET or CT on a grid of its own."""
    mr = magnified(phantoms.head(scale=1000.0), size, noise=20.0, seed=0)
    other = phantoms.head(kind="pet", scale=20000.0) if kind == "pet" else phantoms.ct_head()
    functional = magnified(other, [max(8, int(n / 1.5)) for n in size] if kind == "pet" else size, noise=10.0, seed=1, shift=1.7)
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
    from test_network import stirred

    from MMIFAminLib.network import MMIFAMIN
    from MMIFAminLib.weights import WeightsError, find_weights, save_weights

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


def pick(rows, case, measure, **settings):
    """The values of the rows of ``case`` and ``measure`` that have these settings."""
    chosen = (row for row in rows if row["case"] == case and row["measure"] == measure)
    return [row["value"] for row in chosen if all(row.get(key) == value for key, value in settings.items())]


def ratios(rows):
    """What the targets are about: the network against the references of the same run."""
    cores = pick(rows, "machine", "threads")[0]
    for precision in ("fp32", "bf16"):
        same = {"precision": precision}
        mine = pick(rows, "a slice a thread", "time a pair", threads=cores, **same)[0]
        rate = pick(rows, "a slice a thread", "rate", threads=cores, **same)[0]
        peak = pick(rows, "convolution 3x3, 32 channels", "rate", **same)[0]
        yield {"case": "network", "measure": "of the convolution peak", "value": 100 * rate / peak, "unit": "%", **same}
        for other in ("fp32", "bf16"):
            theirs = pick(rows, "IFCNN-like network", "time a pair", precision=other)[0]
            yield {"case": "network", "measure": f"time over IFCNN-like in {other}", "value": mine / theirs, "unit": "", **same}
        pyramid = pick(rows, "Laplacian pyramid", "time a pair")[0]
        yield {"case": "network", "measure": "time over Laplacian pyramid", "value": mine / pyramid, "unit": "", **same}


def draw(rows, path):
    """Stages of the volumes, variants of the network, and how time and memory grow with slices and pixels."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, ((stages, variants), (time_axes, memory_axes)) = plt.subplots(2, 2, figsize=(13, 9), layout="constrained")
    draw_stages(stages, rows)
    draw_variants(variants, rows)
    for kind, marker in (("slices", "o-"), ("pixels", "s-")):
        cases = [row for row in rows if row["case"].startswith(kind + " ") and row["measure"] == "total"]
        counts = [int(row["case"].split()[1].rstrip(",")) for row in cases]
        scale = [count / counts[0] for count in counts]
        memory = [pick(rows, row["case"], "memory above the loaded volumes")[0] for row in cases]
        label = f"{kind} (x {counts[0]})"
        time_axes.loglog(scale, [row["value"] / cases[0]["value"] for row in cases], marker, label=label)
        memory_axes.plot(scale, memory, marker, label=label)
    time_axes.loglog([1, 16], [1, 16], "k:", lw=1, label="linear")
    time_axes.set(xlabel="size", ylabel="time, relative", title="Time grows linearly")
    memory_axes.set(xlabel="size", ylabel="MB above the loaded volumes", title="Memory: the fused volumes and a bounded rest")
    for axes in (time_axes, memory_axes):
        axes.legend()
        axes.grid(alpha=0.3)
    figure.savefig(path, dpi=110)


def draw_stages(axes, rows):
    totals = [row for row in rows if row["measure"] == "total" and row["case"][0].isdigit()]
    labels, lefts, colors = [], np.zeros(len(totals)), {}
    for number, total in enumerate(totals):
        settings = {key: total[key] for key in ("device", "precision", "threads")}
        labels.append(f"{total['case']}\n{' '.join(map(str, settings.values()))} threads")
        for row in rows:
            fits = row["case"] == total["case"] and row["unit"] == "s" and row["measure"] != "total"
            if fits and all(row.get(key) == value for key, value in settings.items()):
                color = colors.setdefault(row["measure"], f"C{len(colors)}")
                known = any(patch.get_label() == row["measure"] for patch in axes.patches)
                axes.barh(number, row["value"], left=lefts[number], color=color, label=None if known else row["measure"])
                lefts[number] += row["value"]
    axes.set_yticks(range(len(labels)), labels, fontsize=7)
    axes.invert_yaxis()
    handles = dict(zip(*reversed(axes.get_legend_handles_labels())))
    axes.legend(handles.values(), handles.keys(), fontsize=8)
    axes.set(xlabel="seconds", title="Whole volumes, by stage")


def draw_variants(axes, rows):
    names = ("a slice a thread", "all threads on a batch", "channels first", "traced and frozen", "IFCNN-like network")
    bars = [row for row in rows if row["case"] in names and row["measure"] == "time a pair"]
    bars.sort(key=lambda row: (row["precision"], names.index(row["case"]), row.get("threads", 0), row.get("batch", 0)))
    labels = [
        " ".join(
            [row["precision"], row["case"]]
            + [f"{row[key]} {key}" for key in ("threads",) if key in row]
            + [f"batch {row['batch']}"] * ("batch" in row)
        )
        for row in bars
    ]
    axes.barh(range(len(bars)), [row["value"] for row in bars], color=["C7" if "IFCNN" in label else "C0" for label in labels])
    axes.set_yticks(range(len(bars)), labels, fontsize=7)
    axes.invert_yaxis()
    axes.set(xlabel="ms a 256x256 pair", xscale="log", title="The network")


def text(row):
    value = f"{row['value']:.4g}" if isinstance(row["value"], float) else row["value"]
    return f"{row['case']:34} {row['measure']:34} {value} {row['unit']} {row.get('precision', '')}".rstrip()


if __name__ == "__main__":
    main()
