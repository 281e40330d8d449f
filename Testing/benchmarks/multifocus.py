"""Multi-focus fusion: one photograph is sharp where the other is blurred. Makes pairs, and scores what fuses them.

    python Testing/benchmarks/multifocus.py make --data DATA             # DATA/multifocus/{train,val}/{near,far}
    mmifamin train --config multifocus --data DATA --output runs/multifocus
    python Testing/benchmarks/multifocus.py score --data DATA --weights runs/multifocus/mmif-amin-multifocus.safetensors

The photographs are those that the scikit-image package ships; a smooth random line divides each crop into near and far, and what
lies out of focus is blurred. So the truth is known: beside the nine metrics ``PSNR to the truth`` is scored. Writes
``results/scores_multifocus.csv``.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
import skimage.data
from PIL import Image
from scipy.ndimage import gaussian_filter
from scores import Classical, score_folder

from MMIFAminLib.engine.fusion import VolumeFuser
from MMIFAminLib.evaluation import metrics
from MMIFAminLib.evaluation.baselines import BASELINES
from MMIFAminLib.files import images
from MMIFAminLib.files.writing import write_csv

TRAIN = (
    "astronaut",
    "brick",
    "camera",
    "chelsea",
    "coins",
    "grass",
    "gravel",
    "hubble_deep_field",
    "immunohistochemistry",
    "moon",
)
VAL = ("coffee", "rocket", "retina", "page", "text")
CROPS, SIZE = 12, 160
RESULTS = Path(__file__).resolve().parent / "results"


def crops(photograph: str, number: int):
    """Sharp, near and far images (SIZE, SIZE) uint8 of a photograph: crop after crop, always the same."""
    image = np.asarray(Image.fromarray(getattr(skimage.data, photograph)()).convert("L"), np.float64)
    rng = np.random.default_rng((number, 7))
    for _ in range(CROPS):
        y, x = (rng.integers(max(1, n - SIZE + 1)) for n in image.shape)
        sharp = image[y : y + SIZE, x : x + SIZE]
        hills = gaussian_filter(rng.normal(size=sharp.shape), rng.uniform(10, 30), mode="reflect")
        near = gaussian_filter((hills > np.median(hills)).astype(float), 1.0)
        blurred = gaussian_filter(sharp, rng.uniform(1.5, 4))
        found = sharp, near * sharp + (1 - near) * blurred, (1 - near) * sharp + near * blurred
        yield [np.clip(np.rint(part), 0, 255).astype(np.uint8) for part in found]


def make(data: Path) -> None:
    """Write the pairs, and the truth of those of ``val``, below ``data/multifocus``."""
    for split, photographs in (("train", TRAIN), ("val", VAL)):
        for number, photograph in enumerate(photographs):
            for crop, parts in enumerate(crops(photograph, number)):
                for kind, part in zip(("truth", "near", "far"), parts):
                    folder = data / "multifocus" / split / kind
                    folder.mkdir(parents=True, exist_ok=True)
                    Image.fromarray(part).save(folder / f"{photograph}{crop:03}.png")


def truth_psnr(fuser, folder: Path) -> dict[str, float]:
    """``{pair: PSNR of the fused image to the sharp photograph, dB}``."""
    with tempfile.TemporaryDirectory() as output:
        images.fuse_folders(fuser, folder / "near", folder / "far", output, protocol="ycbcr")
        found = {}
        for match in images.match_folders(folder / "truth", output)[0]:
            sharp, fused = (images.grey_levels(images.read_image(path)).astype(float) for path in match.paths)
            found[match.name] = 10 * np.log10(255**2 / max(np.mean((sharp - fused) ** 2), 1e-9))
        return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["make", "score"])
    parser.add_argument("--data", type=Path, required=True, help="folder that gets, or has, multifocus")
    parser.add_argument("--weights", help="of the network that was trained for it")
    options = parser.parse_args()
    if options.what == "make":
        return make(options.data)
    folder = options.data / "multifocus" / "val"
    fusers = {
        "MMIF-AMIN, trained on multi-focus": VolumeFuser.load(precision="fp32", weights=options.weights),
        "MMIF-AMIN, medical weights": VolumeFuser.load(precision="fp32"),
    } | {name: Classical(method) for name, method in BASELINES.items()}
    rows = []
    for method, fuser in fusers.items():
        to_truth = truth_psnr(fuser, folder)
        scored = score_folder(fuser, folder / "near", folder / "far", {"method": method, "task": "multi-focus"})
        rows += [row | {"truth": round(to_truth[row["id"]], 4)} for row in scored]
    write_csv(rows, RESULTS / "scores_multifocus.csv")
    names = [metric.name for metric in metrics.METRICS]
    mean = {m: {n: np.mean([r[n] for r in rows if r["method"] == m]) for n in (*names, "truth")} for m in fusers}
    for method, rank in metrics.rank_methods(mean).items():
        print(f"{method:36} mean rank {rank:.2f}, PSNR to the truth {mean[method]['truth']:.2f} dB")


if __name__ == "__main__":
    main()
