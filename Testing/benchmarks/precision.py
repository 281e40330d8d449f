"""What bf16 costs in quality: the scores of the validation images fused in bf16 against those fused in fp32.

    python Testing/benchmarks/precision.py [--data ../shared/data] [--output Testing/benchmarks/results/precision.csv]

Images are fused, written and scored as ``scores.py`` does it. A row for each task: for SSIM and the other metrics the
mean difference bf16 - fp32, and the largest one of SSIM.
"""

import argparse
from pathlib import Path

import numpy as np
from scores import HARVARD, score_folder

from MMIFAminLib.commandline.data import folder_of
from MMIFAminLib.engine.fusion import VolumeFuser
from MMIFAminLib.evaluation import metrics
from MMIFAminLib.files.writing import write_csv


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--data", type=folder_of("harvard", "harvard/val"), default="../shared/data", help="folder of harvard"
    )
    parser.add_argument("--output", type=Path, default=Path("Testing/benchmarks/results/precision.csv"))
    parser.add_argument("--weights", help="a .safetensors file (default: the shipped weights)")
    options = parser.parse_args()
    rows = []
    for task, functional in HARVARD.items():
        folder = options.data / "harvard" / "val" / task
        scores = {}
        for precision in ("fp32", "bf16"):
            fuser = VolumeFuser.load("cpu", precision, options.weights)
            scores[precision] = score_folder(fuser, folder / "MRI", folder / functional, {})
        differences = {
            metric.name: np.array([b[metric.name] - f[metric.name] for f, b in zip(scores["fp32"], scores["bf16"])])
            for metric in metrics.METRICS
        }
        row = {"task": task, "pairs": len(scores["fp32"]), "weights": fuser.weights.sha256[:12]}
        row["largest SSIM"] = float(np.abs(differences["SSIM"]).max())
        rows.append(row | {name: float(values.mean()) for name, values in differences.items()})
        print(rows[-1], flush=True)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    write_csv(rows, options.output)


if __name__ == "__main__":
    main()
