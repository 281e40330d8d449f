"""Scores of the shipped weights on the validation images, as anyone would take them: 8-bit images out, then metrics.

    python Testing/benchmarks/scores.py --data ../shared/data --output Testing/benchmarks/results

Writes ``scores_harvard.csv`` (ycbcr protocol), ``scores_uptake.csv`` (the uptake that the colours stand for in the place
of their luma, fused as measured uptake, with the classical baselines) and ``scores_roadscene.csv`` (with the classical
baselines and the medical weights as they are): a row for each method and pair. ``weights`` is the start of the weights' SHA-256,
``background`` the mean grey level of the fused image where both sources are 0.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np

from MMIFAminLib.display import color
from MMIFAminLib.engine.fusion import VolumeFuser
from MMIFAminLib.errors import InputError
from MMIFAminLib.evaluation import metrics
from MMIFAminLib.evaluation.baselines import BASELINES
from MMIFAminLib.files import images
from MMIFAminLib.files.datasets import require
from MMIFAminLib.files.writing import write_csv

HARVARD = {"CT-MRI": "CT", "PET-MRI": "PET", "SPECT-MRI": "SPECT"}


class Classical:
    """A classical baseline in the place of a fuser."""

    def __init__(self, method):
        self._method = method

    def fuse_arrays(self, a, b, *, uptake=False):
        """Fuse two (D, H, W) arrays in [0, 1]."""
        return np.clip(self._method(a, b), 0, 1).astype(np.float32)


def score_folder(fuser, anatomical: Path, functional: Path, names: dict) -> list[dict]:
    """Fuse two folders as ``mmifamin pairs`` does, and score what was written as ``mmifamin metrics`` does."""
    rows = []
    with tempfile.TemporaryDirectory() as output:
        images.fuse_folders(fuser, anatomical, functional, output, protocol="ycbcr")
        for match in images.match_folders(anatomical, functional, output)[0]:
            a, b, f = (images.grey_levels(images.read_image(path)) for path in match.paths)
            empty = (a == 0) & (b == 0)
            background = {"background": float(f[empty].mean()) if empty.any() else 0.0}
            rows.append(names | {"id": match.name} | metrics.score(a, b, f) | background)
    return rows


def score_uptake(fusers: dict, anatomical: Path, functional: Path, task: str) -> list[dict]:
    """Fuse the images of a folder with the uptake recovered from the colours of another, and score at 8 bits."""
    rows = []
    for match in images.match_folders(anatomical, functional)[0]:
        a, colors = (images.read_image(path) for path in match.paths)
        sources = [images.grey_levels(a), np.rint(255 * color.recover_uptake(colors)[0]).astype(np.uint8)]
        units = [(source / np.float32(255))[None] for source in sources]
        for method, (fuser, weights) in fusers.items():
            fused = np.rint(255 * fuser.fuse_arrays(*units, uptake=True)[0]).astype(np.uint8)
            names = {"method": method, "weights": weights, "task": task, "id": match.name}
            rows.append(names | metrics.score(*sources, fused))
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder of harvard and roadscene")
    parser.add_argument("--output", type=Path, default=Path("Testing/benchmarks/results"), help="folder of the CSVs")
    parser.add_argument(
        "--roads", type=Path, help="weights of `mmifamin train --config roadscene`, scored besides those that ship"
    )
    parser.add_argument("--only", choices=["harvard", "uptake", "roadscene"], help="score one of the three")
    options = parser.parse_args()
    for name in ("harvard", "roadscene"):
        if options.only in (None, name) or (options.only, name) == ("uptake", "harvard"):
            try:
                require(options.data / name / "val", name)
            except InputError as error:
                parser.error(str(error))
    options.output.mkdir(parents=True, exist_ok=True)
    medical = VolumeFuser.load(precision="fp32")

    if options.only in (None, "harvard"):
        rows = []
        for task, functional in HARVARD.items():
            folder = options.data / "harvard" / "val" / task
            names = {"method": "MMIF-AMIN", "weights": medical.weights.sha256[:12], "task": task}
            rows += score_folder(medical, folder / "MRI", folder / functional, names)
            print(f"{task}: {len(rows)} pairs so far", flush=True)
        write_csv(rows, options.output / "scores_harvard.csv")

    if options.only in (None, "uptake"):
        fusers = {"MMIF-AMIN": (medical, medical.weights.sha256[:12])}
        fusers |= {name: (Classical(method), "") for name, method in BASELINES.items()}
        rows = []
        for task, functional in list(HARVARD.items())[1:]:
            folder = options.data / "harvard" / "val" / task
            rows += score_uptake(fusers, folder / "MRI", folder / functional, task)
            print(f"{task} as uptake: scored", flush=True)
        write_csv(rows, options.output / "scores_uptake.csv")

    if options.only in (None, "roadscene"):
        trained = VolumeFuser.load(precision="fp32", weights="mmif-amin-roadscene")
        fusers = {"MMIF-AMIN, trained on road scenes": trained, "MMIF-AMIN, medical weights": medical}
        if options.roads:
            today = VolumeFuser.load(precision="fp32", weights=options.roads)
            fusers["MMIF-AMIN, trained on road scenes by the recipe of today"] = today
        fusers |= {name: Classical(method) for name, method in BASELINES.items()}
        folder = options.data / "roadscene" / "val"
        rows = []
        for method, fuser in fusers.items():
            weights = fuser.weights.sha256[:12] if isinstance(fuser, VolumeFuser) else ""
            names = {"method": method, "weights": weights, "task": "IR-VIS"}
            rows += score_folder(fuser, folder / "VIS", folder / "IR", names)
            print(f"{method}: scored", flush=True)
        write_csv(rows, options.output / "scores_roadscene.csv")


if __name__ == "__main__":
    main()
