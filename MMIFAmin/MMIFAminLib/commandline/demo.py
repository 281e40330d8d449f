"""The demo: a head in which T1 MR and a simulated FDG-PET are fused, from templates that come with nilearn.

The pair is simulated from the MNI152 atlas: T1 and the grey and white matter maps are averages of 152 healthy adults.
The tracer takes up grey:white 4:1, with one hot and one cold lesion whose place is known; it is seen through a scanner
of 6 mm resolution with noise, on its own coarser, oblique grid.
"""

import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import SimpleITK as sitk
from scipy.ndimage import gaussian_filter

from .. import __version__
from ..display import preview
from ..errors import InputError
from ..evaluation.quality import measure_quality
from ..files import make_folder, write_json, write_png, write_volume
from ..volume.geometry import image_like

if TYPE_CHECKING:
    from ..engine.fusion import VolumeFuser
    from ..engine.progress import Progress

SEED = 152
GREY_SUV, WHITE_SUV = 8.0, 2.0
RESOLUTION = 6.0  # mm, full width at half maximum
SPACING = (2.6, 2.6, 3.2)  # mm
TILT = (8.0, -5.0, 12.0)  # degrees about x, y, z
NOISE = 0.06  # standard deviation in grey matter, as a fraction of its uptake
TABLE = "inferno"
# The template has no fat and skin, which are the brightest in T1 and get white where windows are chosen automatically.
T1_WINDOW = (0.0, 1350.0)
_BORDER = 10  # mm of background kept around the head


class Lesion(NamedTuple):
    """A Gaussian change of the uptake: where (LPS, mm), how wide (mm, half maximum) and how much (SUV)."""

    center: tuple[float, float, float]
    width: float
    change: float


HOT_LESION = Lesion((44.0, -14.0, 22.0), 13.0, 10.0)
COLD_LESION = Lesion((-42.0, 36.0, 24.0), 22.0, -6.0)


def build_demo_pair() -> tuple[sitk.Image, sitk.Image]:
    """T1 MR (int16, 1 mm) and simulated FDG-PET (float32, SUV, coarser and oblique) of one head; always the same.

    Raises InputError where nilearn, which ships the templates, is not installed.
    """
    try:
        from nilearn.datasets import load_mni152_gm_template, load_mni152_template, load_mni152_wm_template
    except ImportError as error:
        raise InputError("The demo needs nilearn, which ships the head templates: pip install nilearn") from error
    t1, grey, white = (
        _from_nifti(load(resolution=1))
        for load in (load_mni152_template, load_mni152_gm_template, load_mni152_wm_template)
    )
    t1 = _crop(t1, sitk.GetArrayViewFromImage(t1) > 0.05)
    anatomical = sitk.Cast(sitk.Round(sitk.Clamp(t1, lowerBound=0.0) * 1000.0), sitk.sitkInt16)
    return anatomical, _scan(_uptake(*(sitk.Resample(tissue, t1) for tissue in (grey, white))))


def _from_nifti(image) -> sitk.Image:
    """A nibabel image (RAS, i first) with axis-aligned positive directions as a SimpleITK image (LPS, k first)."""
    volume = sitk.GetImageFromArray(np.ascontiguousarray(image.get_fdata(dtype=np.float32).T))
    spacing = np.diag(image.affine)[:3]
    volume.SetSpacing(np.abs(spacing).tolist())
    volume.SetDirection(np.diag(np.sign(spacing) * (-1, -1, 1)).ravel().tolist())
    volume.SetOrigin((image.affine[:3, 3] * (-1, -1, 1)).tolist())
    return volume


def _crop(image: sitk.Image, mask: np.ndarray) -> sitk.Image:
    ranges = []
    for axis, spacing in zip((2, 1, 0), image.GetSpacing()):
        used = np.flatnonzero(mask.any(axis=tuple(a for a in range(3) if a != axis)))
        border = round(_BORDER / spacing)
        ranges.append(slice(int(max(0, used[0] - border)), int(min(mask.shape[axis], used[-1] + border + 1))))
    return image[ranges]


def _uptake(grey: sitk.Image, white: sitk.Image) -> sitk.Image:
    """Tracer uptake (SUV) at full resolution from tissue fractions, lesions included."""
    uptake = GREY_SUV * sitk.GetArrayFromImage(grey) + WHITE_SUV * sitk.GetArrayFromImage(white)
    k, j, i = (index.astype(np.float32) for index in np.ogrid[tuple(map(slice, uptake.shape))])
    origin, spacing, direction = grey.GetOrigin(), grey.GetSpacing(), grey.GetDirection()
    x, y, z = (origin[n] + direction[4 * n] * spacing[n] * index for n, index in enumerate((i, j, k)))
    for center, width, change in (HOT_LESION, COLD_LESION):
        distance = (x - center[0]) ** 2 + (y - center[1]) ** 2 + (z - center[2]) ** 2
        uptake += change * np.exp(-4 * np.log(2) * distance / width**2)
    return image_like(grey, np.clip(uptake, 0, None).astype(np.float32))


def _scan(uptake: sitk.Image) -> sitk.Image:
    """What a scanner of 6 mm resolution sees of `uptake`, with noise, on an oblique grid of its own."""
    sigma = RESOLUTION / np.sqrt(8 * np.log(2))
    seen = sitk.SmoothingRecursiveGaussian(uptake, sigma)
    turn = sitk.Euler3DTransform()
    turn.SetRotation(*np.deg2rad(TILT))
    direction = np.array(turn.GetMatrix()).reshape(3, 3)
    extent = np.abs(direction.T) @ (np.array(uptake.GetSize()) * uptake.GetSpacing())  # of the head, along its own axes
    size = np.ceil(extent / SPACING).astype(int)
    center = uptake.TransformContinuousIndexToPhysicalPoint([(n - 1) / 2 for n in uptake.GetSize()])
    origin = np.array(center) - direction @ ((size - 1) / 2 * SPACING)
    scan = sitk.Resample(
        seen, size.tolist(), sitk.Transform(), sitk.sitkLinear, origin.tolist(), SPACING, direction.ravel().tolist()
    )
    counts = sitk.GetArrayFromImage(scan)
    # Counting noise grows with the square root of the uptake; reconstruction smooths it.
    noise = gaussian_filter(np.random.default_rng(SEED).standard_normal(counts.shape), 0.6)
    noise *= NOISE * GREY_SUV / noise.std() * np.sqrt(np.clip(counts, 0, None) / GREY_SUV)
    return image_like(scan, np.clip(counts + noise, 0, None).astype(np.float32))


def run_demo(output: str | Path, fuser: "VolumeFuser", *, progress: "Progress | None" = None) -> dict:
    """Fuse the demo pair with `fuser`, a ``VolumeFuser``, and write what there is to see into the folder `output`.

    Writes anatomical, functional, fused and fused_rgb (.nrrd), preview.png and report.json; returns the report: that of
    the fusion with the seconds of the whole demo and the mean metrics over axial slices. `progress(fraction, text)` may
    return False, which raises FusionCancelled and leaves nothing written. Raises InputError where there can be no such
    folder.
    """
    clock = time.perf_counter
    started = clock()
    progress = progress or (lambda fraction, text: None)
    progress(0.0, "Simulating the FDG-PET")
    anatomical, functional = build_demo_pair()
    simulated = clock()
    fused = fuser.fuse(
        anatomical,
        functional,
        anatomical_window=T1_WINDOW,
        progress=lambda fraction, text: progress(0.1 + 0.7 * fraction, text),
    )
    before_metrics = clock()
    means = _quality(anatomical, fused, progress).means
    before_colors = clock()
    colored = fused.rgb(TABLE)
    before_writing = clock()

    output = make_folder(output)
    volumes = {"anatomical": anatomical, "functional": functional, "fused": fused.image, "fused_rgb": colored}
    for name, image in volumes.items():
        write_volume(image, output / f"{name}.nrrd")
    picture = preview(
        anatomical,
        fused,
        table=TABLE,
        titles=("T1 MR", "FDG-PET (simulated)"),
        unit="SUV",
        position=HOT_LESION.center,
        footer=f"MNI152 templates, MMIFAmin {__version__}. {fused.report['notice']}",
    )
    write_png(picture, output / "preview.png")
    result = dict(fused.report, metrics=means)
    result["seconds"] = {
        "simulation": round(simulated - started, 4),
        **fused.report["seconds"],
        "metrics": round(before_colors - before_metrics, 4),
        "color": round(before_writing - before_colors, 4),
        "writing": round(clock() - before_writing, 4),
    }
    write_json(result, output / "report.json")
    progress(1.0, "Done")
    return result


def _quality(anatomical: sitk.Image, fused, progress):
    """Scores of the fused volume on axial slices of both sources as the network saw them."""
    sources = ((anatomical, fused.anatomical_window), (fused.functional, fused.functional_window))
    a, b = (window.to_unit(sitk.GetArrayViewFromImage(image)) for image, window in sources)
    return measure_quality(
        a, b, sitk.GetArrayViewFromImage(fused.image), progress=lambda done, text: progress(0.8 + 0.2 * done, text)
    )
