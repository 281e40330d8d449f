"""Make the small volumes that the sample data of Slicer's panel are simulated from: MMIFAmin/Resources/Samples.

    python Resources/make_samples.py --shared ../shared

The head is the MNI152 template that comes with nilearn, the trunk the public CT of `data/body`. Each has its anatomy
and the uptake of its healthy tissues, both coarser than what they come from and in steps of 8 bits, those of
`module/sample.py`. LICENSE.txt beside them says where they are from.
"""

import argparse
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from MMIFAminLib.commandline.demo import build_head
from MMIFAminLib.errors import InputError
from MMIFAminLib.files import read_volume
from MMIFAminLib.files.datasets import require
from MMIFAminLib.module.sample import FOLDER, LEVELS
from MMIFAminLib.volume.geometry import image_like
from MMIFAminLib.volume.resampling import resample_to

AIR = -1000  # HU
FAT_SUV, SOFT_SUV, BONE_SUV, LIVER_SUV, BLADDER_SUV = 0.3, 0.8, 1.0, 2.2, 20.0


def coarser(image: sitk.Image, spacing: float) -> sitk.Image:
    """`image` with cubic voxels of `spacing` mm, each the mean of about what it covers."""
    size = [round(n * mm / spacing) for n, mm in zip(image.GetSize(), image.GetSpacing())]
    smooth = sitk.SmoothingRecursiveGaussian(sitk.Cast(image, sitk.sitkFloat32), spacing / 2.5)
    grid = (image.GetOrigin(), [spacing] * 3, image.GetDirection())
    return sitk.Resample(smooth, size, sitk.Transform(), sitk.sitkLinear, *grid)


def head() -> dict[str, sitk.Image]:
    """T1 MR, 1.5 mm, and FDG of the healthy head, 2 mm."""
    t1, uptake = build_head()
    return {"head-T1": coarser(t1, 1.5), "head-FDG": coarser(uptake, 2.0)}


def trunk(body: Path) -> dict[str, sitk.Image]:
    """CT without couch, 3.5 mm, and FDG of the healthy trunk on the same grid."""
    ct, fdg = (read_volume(body / f"{name}.nrrd") for name in ("ct", "fdg"))
    ct = coarser(ct, 3.5)
    hu, seen = (sitk.GetArrayFromImage(image) for image in (ct, resample_to(fdg, ct)[0]))
    hu[~ndimage.binary_dilation(largest(ndimage.binary_opening(hu > -300)))] = AIR
    bladder = largest(seen > 10)
    liver = (seen > 1.5) & (hu > 0) & (hu < 180) & ~ndimage.binary_dilation(bladder, iterations=4)
    uptake = np.select([hu < -300, hu < -30, hu < 180], [0.0, FAT_SUV, SOFT_SUV], BONE_SUV)
    uptake[ndimage.binary_fill_holes(largest(liver))], uptake[bladder] = LIVER_SUV, BLADDER_SUV
    return {"trunk-CT": image_like(ct, hu), "trunk-FDG": image_like(ct, uptake)}


def largest(mask: np.ndarray) -> np.ndarray:
    """The largest connected part of `mask`."""
    parts, _ = ndimage.label(mask)
    return parts == np.bincount(parts.ravel())[1:].argmax() + 1


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shared", type=Path, default=Path("../shared"), help="folder of data and reference")
    body = parser.parse_args().shared / "data" / "body"
    try:
        require(body, "body")
        require(body / "fdg.nrrd", "body")
    except InputError as error:
        parser.error(str(error))
    for name, image in {**head(), **trunk(body)}.items():
        step, offset = LEVELS[name.split("-")[1]]
        stored = sitk.Cast(sitk.Clamp((image - offset) / step + 0.5, lowerBound=0, upperBound=255), sitk.sitkUInt8)
        sitk.WriteImage(stored, str(FOLDER / f"{name}.nrrd"), True, 9)
        print(name, image.GetSize(), f"{(FOLDER / f'{name}.nrrd').stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
