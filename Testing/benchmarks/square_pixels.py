"""Does it matter that a plane has oblong pixels? Fuse as is, and with pixels made square and put back; compare.

    python Testing/benchmarks/square_pixels.py [--data ../shared/data/volumes] [--output square_pixels.csv]

The shared volumes have 1 mm pixels in slices 2 to 6 mm apart: their coronal and sagittal planes have pixels that are 2
to 6 times as high as wide. Rows are added by linear interpolation, and those of the volume are taken out again.
Differences are in grey levels of 255, over the pixels where a source has content.
"""

import argparse
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from MMIFAminLib.commandline.data import folder_of
from MMIFAminLib.engine.fusion import VolumeFuser
from MMIFAminLib.evaluation import metrics
from MMIFAminLib.files.volumes import read_volume
from MMIFAminLib.files.writing import write_csv
from MMIFAminLib.volume.geometry import slice_view
from MMIFAminLib.volume.intensity import choose_window, shows_uptake

RESULTS = Path(__file__).resolve().parent / "results"
CASES = ("pet41_pet", "pet25_pet", "spect3_spect", "spect10_spect", "ct34_ct", "ct21_ct")


def stretched(slices, factor):
    """``(D, H, W)`` with ``factor - 1`` rows between each two, by linear interpolation."""
    rows = np.linspace(0, slices.shape[1] - 1, (slices.shape[1] - 1) * factor + 1)
    below = np.minimum(rows.astype(int), slices.shape[1] - 2)
    share = (rows - below).astype(np.float32)[:, None]
    return slices[:, below] * (1 - share) + slices[:, below + 1] * share


def compare(fuser, anatomical, functional, plane, most):
    """Both fusions of about ``most`` slices of a plane."""
    arrays = [sitk.GetArrayFromImage(image) for image in (anatomical, functional)]
    windows = [choose_window(x, role=role) for x, role in zip(arrays, ("anatomical", "functional"))]
    view = slice_view(anatomical, plane)
    a, b = (view.take(window.to_unit(x)) for x, window in zip(arrays, windows))
    filled = np.flatnonzero((a > 0).any(axis=(1, 2)) & (b > 0).any(axis=(1, 2)))
    chosen = filled[np.unique(np.linspace(0, filled.size - 1, most).astype(int))]
    a, b = np.ascontiguousarray(a[chosen]), np.ascontiguousarray(b[chosen])
    factor = round(view.pixel_spacing[0] / view.pixel_spacing[1])
    kind = {"uptake": shows_uptake(arrays[1]), "anatomical": True}
    as_is = fuser.fuse_arrays(a, b, **kind)
    square = fuser.fuse_arrays(stretched(a, factor), stretched(b, factor), **kind)[:, ::factor]
    difference = 255 * np.abs(as_is - square)[(a > 0) | (b > 0)]
    row = {"plane": plane, "aspect": factor, "slices": len(a), "mean difference": float(difference.mean())}
    row["95 % below"] = float(np.percentile(difference, 95))
    for name, fused in (("as is", as_is), ("square", square)):
        scores = [metrics.score(*(255 * x for x in slices)) for slices in zip(a, b, fused)]
        row |= {f"{key} {name}": float(np.nanmean([score[key] for score in scores])) for key in ("Qabf", "SSIM", "VIF")}
    return row


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--data", type=folder_of("harvard"), default="../shared/data/volumes", help="folder of the volumes"
    )
    parser.add_argument("--output", type=Path, default=RESULTS / "square_pixels.csv", help="CSV to write")
    parser.add_argument("--slices", type=int, default=24, help="slices of each plane")
    parser.add_argument("--cases", nargs="+", choices=CASES, default=CASES, metavar="CASE")
    options = parser.parse_args()
    fuser, rows = VolumeFuser.load(), []
    for case in options.cases:
        functional = options.data / f"{case}.nrrd"
        images = [read_volume(path) for path in (options.data / f"{case.split('_')[0]}_mr.nrrd", functional)]
        for plane in ("coronal", "sagittal"):
            rows.append({"case": case} | compare(fuser, *images, plane, options.slices))
            print(
                {key: round(value, 4) if isinstance(value, float) else value for key, value in rows[-1].items()},
                flush=True,
            )
    options.output.parent.mkdir(parents=True, exist_ok=True)
    write_csv(rows, options.output)


if __name__ == "__main__":
    main()
