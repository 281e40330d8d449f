"""The demo: a head in which T1 MR and a simulated FDG-PET are fused, from templates that come with nilearn.

The pair is simulated from the MNI152 atlas: T1 and the grey and white matter maps are averages of 152 healthy adults.
The tracer takes up grey:white 4:1, with one hot and one cold lesion whose place is known; it is seen through a scanner
of 6 mm resolution with noise, on its own coarser, oblique grid.
"""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import SimpleITK as sitk

from .. import __version__
from ..display import preview
from ..errors import InputError
from ..evaluation.quality import measure_quality
from ..files import make_folder, write_json, write_png, write_volume
from ..volume.geometry import image_like
from ..volume.simulation import LESIONS, scan, with_lesions

if TYPE_CHECKING:
    from ..engine.fusion import VolumeFuser
    from ..engine.progress import Progress

GREY_SUV, WHITE_SUV = 8.0, 2.0
TABLE = "inferno"
# The template has no fat and skin, which are the brightest in T1 and get white where windows are chosen automatically.
T1_WINDOW = (0.0, 1350.0)
_BORDER = 10  # mm of background kept around the head


def build_demo_pair() -> tuple[sitk.Image, sitk.Image]:
    """T1 MR (int16, 1 mm) and simulated FDG-PET (float32, SUV, coarser and oblique) of one head; always the same.

    Raises InputError where nilearn, which ships the templates, is not installed.
    """
    anatomical, uptake = build_head()
    return anatomical, scan(with_lesions(uptake, LESIONS["head"]))


def build_head() -> tuple[sitk.Image, sitk.Image]:
    """T1 MR (int16, 1 mm) and the FDG uptake (float32, SUV) of the healthy tissues on its grid. Raises InputError."""
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
    return anatomical, _uptake(*(sitk.Resample(tissue, t1) for tissue in (grey, white)))


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
    """Tracer uptake (float32, SUV) of tissue fractions."""
    return image_like(grey, GREY_SUV * sitk.GetArrayFromImage(grey) + WHITE_SUV * sitk.GetArrayFromImage(white))


def run_demo(output: str | Path, fuser: "VolumeFuser", *, progress: "Progress | None" = None) -> dict[str, Any]:
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
        position=LESIONS["head"][0].center,
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
