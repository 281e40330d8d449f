"""How often the fused image leaves the range of its sources: does fusion invent values?

    python Testing/benchmarks/local_range.py [--data ../shared/data/harvard/val] [--output local_range.csv]

A pixel is inside when it lies between the least and the greatest value of both sources in its 3x3 neighbourhood, and
outside by as much as it leaves that interval. For every validation pair and for classical fusions beside it: the share
of pixels with content that are outside by more than 1, 5 and 10 grey levels of 255, and the largest excess.
"""

import argparse
from pathlib import Path

import numpy as np
from scipy.ndimage import maximum_filter, minimum_filter

from MMIFAminLib.baselines import BASELINES
from MMIFAminLib.color import luma
from MMIFAminLib.fusion import VolumeFuser
from MMIFAminLib.images import match_folders, read_image
from MMIFAminLib.report import write_csv

RESULTS = Path(__file__).resolve().parent / "results"
TASKS = {"CT-MRI": "CT", "PET-MRI": "PET", "SPECT-MRI": "SPECT"}
LEVELS = (1, 5, 10)


def excess(a, b, fused):
    """By how much each pixel of ``fused`` (H, W) leaves the 3x3 range of ``a`` and ``b``; all in [0, 1]."""
    low = minimum_filter(np.minimum(a, b), 3, mode="nearest")
    high = maximum_filter(np.maximum(a, b), 3, mode="nearest")
    return np.maximum(np.maximum(low - fused, fused - high), 0)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data/harvard/val"), help="folder of the tasks")
    parser.add_argument("--output", type=Path, default=RESULTS / "local_range.csv", help="CSV to write")
    options = parser.parse_args()
    fuser, rows = VolumeFuser.load(), []
    methods = {"network": lambda a, b: fuser.fuse_arrays(a, b, uptake=False), **BASELINES}
    for task, kind in TASKS.items():
        matches, _ = match_folders(options.data / task / "MRI", options.data / task / kind)
        for method, fuse in methods.items():
            shares, largest = [], 0.0
            for match in matches:
                images = (read_image(path) for path in match.paths)
                a, b = ((luma(x) if x.ndim == 3 else x).astype(np.float32) / 255 for x in images)
                outside = 255 * excess(a, b, fuse(a[None], b[None])[0])[(a > 0) | (b > 0)]
                shares.append([100 * np.mean(outside > level) for level in LEVELS])
                largest = max(largest, float(outside.max()))
            means = {f"% outside by more than {level}": float(x) for level, x in zip(LEVELS, np.mean(shares, axis=0))}
            rows.append({"task": task, "method": method, "pairs": len(matches), **means, "largest excess": largest})
            print({key: round(value, 3) if isinstance(value, float) else value for key, value in rows[-1].items()}, flush=True)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    write_csv(rows, options.output)


if __name__ == "__main__":
    main()
