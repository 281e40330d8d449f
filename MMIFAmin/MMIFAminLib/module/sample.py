"""Sample pairs for a first try, without a download: a head with T1 MR and a trunk with CT, each with an FDG-PET.

The anatomy and the uptake of its healthy tissues lie in Resources/Samples, in steps of 8 bits (the licences beside
them); lesions of known place, the scanner's resolution, grid and noise are simulated.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import SimpleITK as sitk  # when a pair is made, not when Slicer starts and the pairs are offered

FOLDER = Path(__file__).resolve().parents[2] / "Resources" / "Samples"

LEVELS = {"T1": (4.0, 0.0), "CT": (8.0, -1000.0), "FDG": (0.1, 0.0)}
"""Step and offset of the stored values: in units of the scanner, HU and SUV."""


class Sample(NamedTuple):
    """A pair as Slicer offers it: its name there, what it is of, the anatomy, the PET's voxels (mm), its nodes' names."""

    name: str
    part: str
    anatomy: str
    spacing: tuple[float, float, float]
    nodes: tuple[str, str]

    @property
    def files(self) -> tuple[str, str]:
        """The names of its files in Slicer's cache: anatomical first, as everywhere here."""
        mr, pet = (node.replace(" ", "-") for node in self.nodes)
        return f"MMIFAmin-{mr}.nrrd", f"MMIFAmin-{pet}.nrrd"


SAMPLES = {
    sample.name: sample
    for sample in (
        Sample("MMIFAminHead", "head", "T1", (2.6, 2.6, 3.2), ("Head MR", "Head PET")),
        Sample("MMIFAminTrunk", "trunk", "CT", (4.1, 4.1, 5.0), ("Trunk CT", "Trunk PET")),
    )
}


def register(download: Callable[[Any], Any], icons: str) -> None:
    """Offer the pairs in Slicer's Sample Data module: `download(source)` loads one. No network is needed."""
    import SampleData
    import slicer

    cache = Path(slicer.mrmlScene.GetCacheManager().GetRemoteCacheDirectory()).absolute()
    for sample in SAMPLES.values():
        SampleData.SampleDataLogic.registerCustomSampleDataSource(
            category="MMIFAmin",
            sampleName=sample.name,
            thumbnailFileName=str(Path(icons) / f"{sample.name}.png"),
            uris=[(cache / name).as_uri() for name in sample.files],
            fileNames=list(sample.files),
            nodeNames=list(sample.nodes),
            customDownloader=download,
        )


def build_pair(sample: Sample) -> tuple[sitk.Image, sitk.Image]:
    """The anatomical volume (int16) and the FDG-PET (float32, SUV) of a sample; LPS, mm; always the same."""
    import SimpleITK as sitk

    from ..volume.simulation import LESIONS, scan, with_lesions

    anatomical, uptake = (_stored(sample.part, kind) for kind in (sample.anatomy, "FDG"))
    return sitk.Cast(anatomical, sitk.sitkInt16), scan(with_lesions(uptake, LESIONS[sample.part]), sample.spacing)


def write_sample(sample: Sample, folder: str | Path) -> list[Path]:
    """The two files of a sample in `folder`, written anew; returns their paths."""
    from ..files.volumes import write_volume

    paths = [Path(folder) / name for name in sample.files]
    for path, image in zip(paths, build_pair(sample)):
        write_volume(image, path)
    return paths


def load(sample: Sample, folder: str | Path) -> list:
    """The two volume nodes of a sample, its files in `folder`: the PET in SUV and over the anatomy, a lesion in view."""
    import slicer

    from ..volume.simulation import LESIONS
    from . import suv_values, views

    paths = write_sample(sample, folder)
    anatomical, functional = (
        slicer.util.loadVolume(str(path), {"name": node}) for path, node in zip(paths, sample.nodes)
    )
    suv_values.mark_suv(functional)
    views.show_place(anatomical, functional, LESIONS[sample.part][0].center)
    return [anatomical, functional]


def _stored(part: str, kind: str) -> sitk.Image:
    """A volume of Resources/Samples in its own unit, float32."""
    import SimpleITK as sitk

    step, offset = LEVELS[kind]
    stored = sitk.ReadImage(str(FOLDER / f"{part}-{kind}.nrrd"), sitk.sitkFloat32)
    return stored * step + offset
