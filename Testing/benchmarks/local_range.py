"""How often the fused image leaves the range of its sources: does fusion invent values?

    python Testing/benchmarks/local_range.py [--data ../shared/data/harvard/val] [--output local_range.csv]

A pixel is inside when it lies between the least and the greatest value of both sources in its 3x3 neighbourhood, and
outside by as much as it leaves that interval. For every validation pair and for classical fusions beside it: the share
of pixels with content that are outside by more than 1, 5 and 10 grey levels of 255, of those that are darker than both
sources by more than 5, the largest excess, and by how many grey levels neighbouring pixels differ on average beyond what
both sources allow there (the loss's term ``invention``): texture that no source shows. Images in colours are fused by
their luma, and once more by the uptake that the colours stand for.
"""

import argparse
from functools import partial
from pathlib import Path

import numpy as np
import torch
from scipy.ndimage import maximum_filter, minimum_filter

from MMIFAminLib.commandline.data import folder_of
from MMIFAminLib.display.color import luma, recover_uptake
from MMIFAminLib.engine.fusion import VolumeFuser
from MMIFAminLib.evaluation.baselines import BASELINES
from MMIFAminLib.files.images import match_folders, read_image
from MMIFAminLib.files.writing import write_csv
from MMIFAminLib.losses.terms import TERMS

RESULTS = Path(__file__).resolve().parent / "results"
TASKS = (  # folder, functional images, whether their uptake is recovered
    ("CT-MRI", "CT", False),
    ("PET-MRI", "PET", False),
    ("SPECT-MRI", "SPECT", False),
    ("PET-MRI", "PET", True),
    ("SPECT-MRI", "SPECT", True),
)
LEVELS, TOLERANCE = (1, 5, 10), 5  # grey levels of 255


def excess(a, b, fused):
    """By how much each pixel of ``fused`` (H, W) is above the 3x3 range of ``a`` and ``b``, or below it: negative."""
    low = minimum_filter(np.minimum(a, b), 3, mode="nearest")
    high = maximum_filter(np.maximum(a, b), 3, mode="nearest")
    return fused - np.clip(fused, low, high)


def sources(paths, uptake: bool):
    """The two images (H, W) in [0, 1]; a functional one in colours by its luma, or as the uptake."""
    anatomical, functional = (read_image(path) for path in paths)
    a = (luma(anatomical) if anatomical.ndim == 3 else anatomical).astype(np.float32) / 255
    if uptake:
        return a, recover_uptake(functional)[0]
    return a, (luma(functional) if functional.ndim == 3 else functional).astype(np.float32) / 255


def invented(a, b, fused) -> float:
    """The loss's term ``invention`` of one pair and its fused image, (H, W)."""
    return TERMS["invention"](*(torch.from_numpy(np.asarray(x, np.float32))[None, None] for x in (a, b, fused))).item()


def share(masks) -> float:
    """The mean over images of the share of pixels that are set, in %."""
    return 100 * float(np.mean([np.mean(mask) for mask in masks]))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--data", type=folder_of("harvard"), default="../shared/data/harvard/val", help="folder of the tasks"
    )
    parser.add_argument("--output", type=Path, default=RESULTS / "local_range.csv", help="CSV to write")
    options = parser.parse_args()
    fuser, rows = VolumeFuser.load(precision="fp32"), []
    for task, kind, uptake in TASKS:
        matches, _ = match_folders(options.data / task / "MRI", options.data / task / kind)
        pairs = [sources(match.paths, uptake) for match in matches]
        methods = {"MMIF-AMIN": partial(fuser.fuse_arrays, uptake=uptake), **BASELINES}
        for method, fuse in methods.items():
            fused = [fuse(a[None], b[None])[0] for a, b in pairs]
            outside = [255 * excess(a, b, f)[(a > 0) | (b > 0)] for (a, b), f in zip(pairs, fused)]
            row = {"task": task + (" uptake" if uptake else ""), "method": method}
            row |= {"weights": fuser.weights.sha256[:12] if method == "MMIF-AMIN" else "", "pairs": len(pairs)}
            for level in LEVELS:
                row[f"% outside by more than {level}"] = share(np.abs(x) > level for x in outside)
            row[f"% darker by more than {TOLERANCE}"] = share(x < -TOLERANCE for x in outside)
            row["largest excess"] = float(max(np.abs(x).max() for x in outside))
            row["invented texture"] = 255 * float(np.mean([invented(a, b, f) for (a, b), f in zip(pairs, fused)]))
            rows.append({key: round(value, 4) if isinstance(value, float) else value for key, value in row.items()})
            print(rows[-1], flush=True)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    write_csv(rows, options.output)


if __name__ == "__main__":
    main()
