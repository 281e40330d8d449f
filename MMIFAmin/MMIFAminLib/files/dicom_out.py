"""A fused volume as a DICOM series: derived, in the patient, study and frame of reference of its sources.

Grey volumes become images of the anatomical modality's class (CT or MR; secondary capture for others), colours RGB
secondary capture with the place of each plane (PS3.3 A.3, A.4, A.8; General Image C.7.6.1, Image Plane C.7.6.2).
"""

from __future__ import annotations

import copy
import datetime
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import SimpleITK as sitk

from ..errors import InputError
from .about import About
from .dicom_copied import allowed, identity_is_changed, is_uid
from .dicom_labels import many, whole
from .writing import atomic_folder

if TYPE_CHECKING:
    from highdicom import SOPClass
    from pydicom import Dataset

DESCRIPTION = "MMIFAmin fused, research only"
SCALE = 1000.0
"""What a fused value of 1 reads back as, in DICOM's unspecified unit (US)."""

_STEPS = 50000  # stored values from 0: the slope is then a short decimal
_CLASSES = {"CT": "1.2.840.10008.5.1.4.1.1.2", "MR": "1.2.840.10008.5.1.4.1.1.4"}
_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
_LOSSY = {  # syntaxes that are lossy whatever the header says, and their methods
    "1.2.840.10008.1.2.4.50": "ISO_10918_1",
    "1.2.840.10008.1.2.4.51": "ISO_10918_1",
    "1.2.840.10008.1.2.4.81": "ISO_14495_1",
}
_BODY = ("BodyPartExamined", "Laterality", "PatientPosition")
_MR = (
    "ScanningSequence",
    "SequenceVariant",
    "MRAcquisitionType",
    "RepetitionTime",
    "EchoTime",
    "EchoTrainLength",
)


def write_dicom(
    image: sitk.Image,
    folder: str | Path,
    *,
    anatomical: About,
    functional: About,
    others: Sequence[About] = (),
    anonymous: bool = False,
    root: str | None = None,
    registered: bool = False,
) -> Path:
    """Write a fused 3D ``image`` as single-frame files into ``folder``, which is new or empty; returns the folder.

    ``image`` is grey, float in [0, 1] (stored in 16 bits, read back as 0 to :data:`SCALE`, unit US; outside it is
    clipped), or RGB uint8. Its files lie in the anatomical volume's study and frame of reference (the functional one's
    where only that came from DICOM; new ones where neither did) and refer to the source images that each was made of,
    those of ``others`` too. What was ``registered`` onto the anatomical volume has left its own places: all its images
    are referred to, and its frame of reference is not taken. New UIDs are under 2.25 (ISO/IEC 9834-8) or ``root``.
    ``anonymous`` leaves out patient, study and references: the series then has a study and a frame of reference of its
    own. The folder appears whole or not at all.

    Raises :class:`InputError` for other images, a root that is none, sources of two patients (unless ``anonymous``),
    and a folder that holds files or cannot be written.
    """
    from pydicom.uid import generate_uid

    colours = image.GetNumberOfComponentsPerPixel() == 3
    if image.GetDimension() != 3 or (colours and "8-bit unsigned" not in image.GetPixelIDTypeAsString()):
        raise InputError("only a 3D volume, grey in [0, 1] or RGB in 8 bits, is written as DICOM")
    if image.GetNumberOfComponentsPerPixel() not in (1, 3):
        raise InputError("a volume of one grey value or three colours per voxel is written as DICOM, no other")
    abouts = (anatomical, functional, *others)
    directions = np.reshape(image.GetDirection(), (3, 3))
    if np.abs(directions.T @ directions - np.eye(3)).max() > 1e-3:
        raise InputError(
            "the axes of the anatomical volume are not at right angles, as DICOM needs them: resample it first"
        )
    check_series(abouts, anonymous, root)
    prefix = _prefix(root)
    new_uid = [generate_uid(prefix) for _ in range(3)]
    uids = [generate_uid(prefix) for _ in range(image.GetDepth())]
    series = _series(abouts, anonymous, colours, new_uid, registered)
    moved = [registered and about is not anatomical for about in abouts]
    sources = [] if anonymous else [_Source(*pair) for pair in zip(abouts, moved) if pair[0].datasets]
    voxels = sitk.GetArrayViewFromImage(image)
    with atomic_folder(folder) as part:
        for k, uid in enumerate(uids):
            ds = copy.deepcopy(series)
            ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = uid
            ds.InstanceNumber = k + 1
            _place(ds, image, k)
            _refer(ds, sources, image, k)
            _pixels(ds, voxels[k])
            ds.save_as(part / f"IM{k + 1:04d}.dcm", enforce_file_format=True)
    return Path(folder)


def check_series(abouts: Sequence[About], anonymous: bool = False, root: str | None = None) -> None:
    """Raise :class:`InputError` where :func:`write_dicom` would, for the sources or ``root``: before long work."""
    from pydicom.uid import generate_uid

    ids = {(about.patient_id or "").strip() for about in abouts} - {""}
    if len(ids) > 1 and not anonymous:
        raise InputError(
            "the sources are of different patients: as DICOM their fusion is written with --anonymous only"
        )
    try:
        generate_uid(_prefix(root))
    except ValueError:
        raise InputError(f"{root!r} is no root of UIDs: give numbers with dots, at most 53 characters") from None


def study_notice(anatomical: About, functional: About, anonymous: bool = False, registered: bool = False) -> str:
    """In words, where the written series does not lie in the study of the anatomical volume, or names its patient
    otherwise; else ""."""
    if anonymous:
        return "the DICOM series names no patient and lies in a new study and frame of reference"
    home = next((about for about in (anatomical, functional) if about.datasets), None)
    if home is None:
        return "neither source is DICOM: the series lies in a new study that names no patient"
    said = []
    if home is functional:
        place = ", in a frame of reference of its own, as that was registered" if registered else ""
        said.append(f"the anatomical volume is not DICOM: the series lies in the functional volume's study{place}")
    if not is_uid(home.study_uid):
        said.append("the study's UID breaks the standard: the DICOM series lies in a new study of the same patient")
    if identity_is_changed(home.datasets[0]):
        said.append("the patient's name or id breaks the standard: the DICOM series has it shortened or cleaned")
    return "; ".join(said)


def _prefix(root):
    return None if root is None else root.rstrip(".") + "."


# --- what all images of the series say ---


def _series(
    abouts: Sequence[About], anonymous: bool, colours: bool, new_uid: Sequence[str], registered: bool
) -> SOPClass:
    """The attributes of every image: patient, study, series, equipment, and how it was derived."""
    from highdicom import SOPClass
    from highdicom.sr import CodedConcept
    from pydicom.dataset import Dataset
    from pydicom.uid import ExplicitVRLittleEndian

    from .. import __version__

    anatomical = abouts[0]
    home = None if anonymous else next((about for about in abouts if about.datasets), None)
    modality = anatomical.modality if anatomical.modality in _CLASSES and not colours else "OT"
    now = datetime.datetime.now()
    study, series, frame_of_reference = new_uid
    sop_class = _CLASSES.get(modality, _CAPTURE)
    ds = SOPClass(
        study_instance_uid=study,
        series_instance_uid=series,
        series_number=1000 + _number(home),
        sop_instance_uid=series,  # each slice has its own
        sop_class_uid=sop_class,
        instance_number=1,
        modality=modality,
        manufacturer="MMIFAmin",
        manufacturer_model_name="MMIFAmin",
        software_versions=__version__,
        transfer_syntax_uid=ExplicitVRLittleEndian,
        series_description=DESCRIPTION,
        series_date=now.date(),
        series_time=now.time(),
        content_date=now.date(),
        content_time=now.time(),
    )
    ds.FrameOfReferenceUID = frame_of_reference
    if home:
        told = allowed(home.datasets[0])
        told.SOPClassUID = sop_class  # whose modules of patient and study highdicom knows
        told.SOPInstanceUID = series
        ds.copy_patient_and_study_information(told)
        _copy(told, ds, ["SpecificCharacterSet"])
        homes = () if registered and home is not anatomical else (home.frame_of_reference_uid,)
        places = (anatomical.frame_of_reference_uid, *homes, frame_of_reference)
        ds.FrameOfReferenceUID = next(filter(is_uid, places))
    elif anonymous:
        ds.PatientIdentityRemoved, ds.DeidentificationMethod = "YES", "Patient, study and sources left out by MMIFAmin"
    ds.PositionReferenceIndicator = ""
    ds.ImageType = ["DERIVED", "SECONDARY", *{"CT": ["AXIAL"], "MR": ["OTHER"]}.get(modality, [])]
    ds.AcquisitionNumber = None
    ds.BurnedInAnnotation = "NO"
    roles = zip(abouts, ("anatomical", "functional", "second anatomical"))
    what = " and ".join(about.modality or role for about, role in roles) + " volume"
    ds.DerivationDescription = (
        f"{what} fused by MMIF-AMIN (MMIFAmin {__version__}). Research use only, not for diagnosis"
    )
    ds.DerivationCodeSequence = [CodedConcept("113085", "DCM", "Spatial resampling")]
    _lossy(ds, *abouts)
    shown = allowed(anatomical.datasets[0]) if anatomical.datasets else Dataset()
    _copy(shown, ds, _BODY)
    if "Laterality" not in ds:
        ds.Laterality = ""
    if modality in _CLASSES and "PatientPosition" not in ds:
        ds.PatientPosition = ""
    if modality == "CT":
        ds.KVP = None
    elif modality == "MR":
        ds.ScanningSequence, ds.SequenceVariant = "RM", "NONE"
        ds.ScanOptions = ds.MRAcquisitionType = ""
        ds.RepetitionTime = ds.EchoTime = ds.EchoTrainLength = None
        _copy(shown, ds, _MR)
        if "IR" in many(ds.ScanningSequence):  # FLAIR, say: wanted of these, and forbidden in others
            ds.InversionTime = shown.get("InversionTime")
    else:
        ds.ConversionType, ds.PatientOrientation = "WSD", ""
    return ds


def _number(home):
    """The series number of the source, where it leaves room for another."""
    number = whole(home.datasets[0].get("SeriesNumber")) if home else None
    return number if number is not None and 0 <= number < 1 << 30 else 0


def _copy(source: Dataset, target: Dataset, names: Sequence[str]) -> None:
    for name in names:
        if name in source:
            target.add(source[name])


def _lossy(ds, *abouts):
    """Once lossy, always lossy: flag, ratio and method of the first source image that was compressed so, whether its header
    or only its syntax says it."""
    headers = [header for about in abouts for header in about.datasets]
    lossy = [header for header in headers if str(header.get("LossyImageCompression", "")) == "01"]
    methods = [method for header in headers if (method := _LOSSY.get(_syntax(header)))]
    if lossy or methods:
        ds.LossyImageCompression = "01"
        if methods:
            ds.LossyImageCompressionMethod = methods[0]
        if lossy:
            _copy(allowed(lossy[0]), ds, ["LossyImageCompressionRatio", "LossyImageCompressionMethod"])
    elif headers and all(str(header.get("LossyImageCompression", "")) == "00" for header in headers):
        ds.LossyImageCompression = "00"


def _syntax(header):
    return str(header.file_meta.get("TransferSyntaxUID", "")) if hasattr(header, "file_meta") else ""


# --- what each image says ---


def _place(ds, image, k):
    from pydicom.valuerep import format_number_as_ds

    directions = np.reshape(image.GetDirection(), (3, 3))
    across, down, through = image.GetSpacing()
    position = np.array(image.GetOrigin()) + k * through * directions[:, 2]
    ds.ImagePositionPatient = [format_number_as_ds(float(x)) for x in position]
    ds.ImageOrientationPatient = [format_number_as_ds(float(x)) for x in directions[:, :2].T.ravel()]
    ds.PixelSpacing = [format_number_as_ds(float(x)) for x in (down, across)]
    ds.SliceThickness = format_number_as_ds(float(through))


def _pixels(ds, values):
    ds.Rows, ds.Columns = values.shape[:2]
    ds.PixelRepresentation = 0
    if values.ndim == 3:
        ds.SamplesPerPixel, ds.PlanarConfiguration, ds.PhotometricInterpretation = 3, 0, "RGB"
        ds.BitsAllocated = ds.BitsStored = 8
        stored = np.ascontiguousarray(values)
    else:
        ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
        ds.BitsAllocated = ds.BitsStored = 16
        ds.RescaleIntercept, ds.RescaleSlope, ds.RescaleType = "0", f"{SCALE / _STEPS:g}", "US"
        ds.WindowCenter, ds.WindowWidth = f"{SCALE / 2:g}", f"{SCALE:g}"
        stored = np.rint(np.clip(np.nan_to_num(values.astype(np.float64)), 0, 1) * _STEPS).astype("<u2")
    ds.HighBit = ds.BitsStored - 1
    ds.PixelData = stored.tobytes() + b"\0" * (stored.nbytes % 2)
    ds["PixelData"].VR = "OB" if stored.itemsize == 1 else "OW"


class _Source:
    """A source series: its images and where each lies."""

    def __init__(self, about: About, moved: bool = False) -> None:
        self.about = about
        self.positions = self.normal = None
        headers = about.datasets
        if (
            not moved
            and len(headers) > 1
            and all("ImagePositionPatient" in header and "ImageOrientationPatient" in header for header in headers)
        ):
            self.positions = np.array([[float(x) for x in header.ImagePositionPatient] for header in headers])
            axes = [float(x) for x in headers[0].ImageOrientationPatient]
            self.normal = np.cross(axes[:3], axes[3:])

    def images_at(self, image: sitk.Image, k: int) -> list[tuple[str, str]]:
        """The images between which slice ``k`` lies, or the nearest; all of them where they are cut another way."""
        references = list(self.about.references)
        if self.positions is None:
            return references
        directions = np.reshape(image.GetDirection(), (3, 3))
        if abs(directions[:, 2] @ self.normal) < 0.999:
            return references
        along = self.positions @ self.normal
        here = (np.array(image.GetOrigin()) + k * image.GetSpacing()[2] * directions[:, 2]) @ self.normal
        away = np.abs(along - here)
        reach = max(float(np.median(np.abs(np.diff(along)))) * 0.99, float(away.min()))
        return [reference for reference, distance in zip(references, away) if distance <= reach]


def _refer(ds, sources, image, k):
    from highdicom.sr import CodedConcept
    from pydicom.dataset import Dataset

    by_study: dict[str, list[Dataset]] = {}
    images = []
    for source in sources:
        items = []
        for sop_class, sop_instance in filter(lambda pair: all(map(is_uid, pair)), source.images_at(image, k)):
            item = Dataset()
            item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = sop_class, sop_instance
            items.append(item)
            purposed = copy.copy(item)
            purposed.PurposeOfReferenceCodeSequence = [
                CodedConcept("121322", "DCM", "Source image for image processing operation"),
            ]
            images.append(purposed)
        series = Dataset()
        series.SeriesInstanceUID, series.ReferencedInstanceSequence = source.about.series_uid, items
        if items and is_uid(source.about.series_uid):
            by_study.setdefault(source.about.study_uid or "", []).append(series)
    if images:
        ds.SourceImageSequence = images
    if own := by_study.pop(str(ds.StudyInstanceUID), None):
        ds.ReferencedSeriesSequence = own
    others = []
    for study, referenced in by_study.items():
        if not is_uid(study):
            continue
        other = Dataset()
        other.StudyInstanceUID, other.ReferencedSeriesSequence = study, referenced
        others.append(other)
    if others:
        ds.StudiesContainingOtherReferencedInstancesSequence = others
