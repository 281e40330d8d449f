"""What a file says of its volume beyond the voxels: whose it is, where it belongs, what its numbers mean."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import SimpleITK as sitk
    from pydicom import Dataset

    from .suv import Suv


@dataclass(frozen=True)
class About:
    """What is known of a volume; ``None`` is what the file does not tell (all of it, for files that are not DICOM).

    ``modality`` is the DICOM one (CT, MR, PT, NM); ``unit`` of the voxel values is "HU" for CT, DICOM's Units
    (0054,1001) for PET and SPECT ("BQML", "CNTS", "GML", ...), the UCUM code of a real world value mapping, or of an SUV
    its kind ("SUV" by body weight, "SUV-lbm", ...), with what it comes from in ``suv``; ``region`` the body part examined.
    ``datasets`` are the headers of the instances that the volume was made of, in
    slice order and without pixel data.
    """

    modality: str | None = None
    unit: str | None = None
    patient_id: str | None = None
    study_uid: str | None = None
    series_uid: str | None = None
    frame_of_reference_uid: str | None = None
    description: str | None = None
    region: str | None = None
    datasets: tuple[Dataset, ...] = ()
    suv: Suv | None = None

    @property
    def references(self) -> tuple[tuple[str, str], ...]:
        """SOP class and SOP instance UID of each instance, in slice order."""
        return tuple((str(ds.SOPClassUID), str(ds.SOPInstanceUID)) for ds in self.datasets)


@dataclass(frozen=True)
class VolumeFile:
    """A volume as it was read: its ``image``, what is known ``about`` it, and what was corrected or left out."""

    image: sitk.Image
    about: About = About()
    warnings: tuple[str, ...] = ()
