"""How fast a CUDA GPU fuses, beside the CPU of the same machine, and how far its results are from the CPU's in fp32.

    python Testing/benchmarks/gpu.py [--output Testing/benchmarks/results/gpu.csv] [--quick]

Writes one number a row; ``docs/make_performance.py`` brings them into docs/performance.md. Seconds are the least of several
runs, after one to warm up. ``--quick`` takes small volumes. Needs a CUDA GPU; takes a minute or two.
"""

import argparse
import sys
import tempfile
from itertools import chain
from pathlib import Path

import numpy as np
import SimpleITK as sitk

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from speed import HEAD, LARGE, processor, run, write_pair
from speed_cases import PAIR, best, four_convolutions, row

from MMIFAminLib.engine.fusion import VolumeFuser
from MMIFAminLib.engine.weights import load_weights
from MMIFAminLib.files.writing import write_csv

PRECISIONS = ("fp32", "bf16", "fp16")
BATCHES = (1, 8, 32)


def main() -> None:
    """Measure and write."""
    import torch

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=HERE / "results" / "gpu.csv")
    parser.add_argument("--quick", action="store_true", help="small volumes: to see that all of it runs")
    options = parser.parse_args()
    if not torch.cuda.is_available():
        sys.exit("No CUDA GPU is usable here: there is nothing to measure.")
    machine = (
        row("machine", "gpu", torch.cuda.get_device_name(0), ""),
        row("machine", "processor", processor(), ""),
        row("machine", "torch", torch.__version__, ""),
    )
    columns = ("case", "measure", "value", "unit", "device", "precision", "threads", "batch")
    rows = []
    for one in chain(machine, networks(), volumes((HEAD, LARGE), 4 if options.quick else 1)):
        rows.append({column: one.get(column, "") for column in columns})
        write_csv(rows, options.output)  # a GPU may be lent for minutes only: what is measured is kept
    print(f"Written to {options.output}")


def networks():
    """Milliseconds a 256 x 256 pair, by precision and batch: ours, and an IFCNN-like network of four convolutions."""
    import torch

    ours, _ = load_weights()
    torch.manual_seed(0)
    for precision in PRECISIONS:
        kind = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[precision]
        like = four_convolutions().to("cuda", kind, memory_format=torch.channels_last)
        prepared = ours.prepared("cuda", precision)
        for batch in BATCHES:
            a, b = torch.rand(2, batch, 1, *PAIR, device="cuda")
            six = torch.rand(batch, 6, *PAIR, device="cuda", dtype=kind).contiguous(memory_format=torch.channels_last)
            for name, work in (("network", lambda: prepared(a, b)), ("IFCNN-like network", lambda: like(six))):
                settings = {"device": "cuda", "precision": precision, "batch": batch}
                yield row(name, "time a pair", 1e3 * best(waited_for(work), 20) / batch, "ms", **settings)


def waited_for(work):
    """``work`` without gradients, until the GPU has done it."""
    import torch

    def run_it():
        with torch.inference_mode():
            work()
        torch.cuda.synchronize()

    return run_it


def volumes(sizes, smaller):
    """Whole volumes on CPU and GPU, and how far the fused values lie from the CPU's in fp32."""
    import torch

    with tempfile.TemporaryDirectory() as folder:
        for size, kind in zip(sizes, ("pet", "ct")):
            size = tuple(n // smaller for n in size)
            name = f"{' x '.join(map(str, size))} MR + {kind.upper()}"
            paths = write_pair(Path(folder), size, kind)
            for device, precision in (("cpu", "auto"), ("cuda", "fp32"), ("cuda", "auto")):
                yield from run(
                    "volume", weights=None, name=name, device=device, precision=precision, repeats=3, **paths
                )
            images = [sitk.ReadImage(str(path)) for path in paths.values()]
            expected = fused_values(images, "cpu", "fp32")
            for precision in PRECISIONS:
                torch.cuda.reset_peak_memory_stats()
                apart = np.abs(fused_values(images, "cuda", precision) - expected)
                settings = {"device": "cuda", "precision": precision}
                yield row(name, "largest difference", 255 * float(apart.max()), "of 255", **settings)
                yield row(name, "mean difference", 255 * float(apart.mean()), "of 255", **settings)
                yield row(name, "GPU memory", torch.cuda.max_memory_allocated() / 2**20, "MB", **settings)


def fused_values(images, device, precision):
    """The fused volume as an array; refuses one for which the GPU's memory did not do."""
    fused = VolumeFuser.load(device, precision).fuse(*images)
    if any("memory" in text for text in fused.report["warnings"]):
        sys.exit(f"{device} ran out of memory: " + " ".join(fused.report["warnings"]))
    return sitk.GetArrayFromImage(fused.image)


if __name__ == "__main__":
    main()
