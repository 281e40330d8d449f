"""Which DICOM series lie in a folder, and which of them a person may mean.

A folder is taken as it comes: a CD with DICOMDIR (an index that is often out of date, so the files themselves are read),
subfolders, files of any name. DICOM PS3.10 (file format), PS3.4 annex B (storage classes).
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InputError
from .dicom_frames import unit_of
from .dicom_labels import whole
from .folders import walk
from .suv import corrections_of

if TYPE_CHECKING:
    from pydicom import Dataset

_SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
_DAMAGED = "is a truncated or damaged DICOM file; copy it again"
_NO_SERIES = "has no SeriesInstanceUID (0020,000E), so that its series is not known; export it again"
_OBJECTS = {
    "RTSTRUCT": "an RT structure set",
    "RTPLAN": "an RT plan",
    "RTDOSE": "an RT dose, which is computed from a plan",
    "RTRECORD": "an RT treatment record",
    "SEG": "a segmentation, which is a label map",
    "SR": "a structured report",
    "PR": "a presentation state",
    "KO": "a key object selection",
    "REG": "a registration",
    "FID": "a set of fiducials",
    "DOC": "an encapsulated document",
    "PLAN": "a plan",
    "M3D": "a surface model",
    "ECG": "a waveform",
    "US": "an ultrasound image without a place in the patient",
}


@dataclass(frozen=True)
class Series:
    """One series of images: what a list shows of it, and the ``headers`` (without pixel data) of its ``files``.

    ``images`` counts frames; ``unit`` is that of the values; ``corrections`` what the scanner corrected for, None where
    it does not say; ``aside`` is why it is never chosen by itself ("" where it may be).
    """

    uid: str
    study_uid: str
    frame_of_reference_uid: str
    patient_id: str
    study: str
    modality: str
    description: str
    images: int
    columns: int
    rows: int
    unit: str
    corrections: tuple[str, ...] | None
    aside: str
    files: tuple[Path, ...]
    headers: tuple[Dataset, ...]

    @property
    def title(self) -> str:
        """Modality, description and number of images, for a list in one line."""
        return f"{' '.join(filter(None, (self.modality, self.description))) or self.uid} ({self.images} images)"


@dataclass(frozen=True)
class Contents:
    """What a folder holds: ``series`` of images in the order of their numbers ``#1``, ``#2``, ...; ``others``, which
    are no images, in words; and ``damaged`` DICOM files, with what is wrong with each."""

    folder: Path
    series: tuple[Series, ...]
    others: tuple[str, ...]
    damaged: dict[Path, str]


def is_dicom(path: Path) -> bool:
    """Whether ``path`` looks like a DICOM file: by its preamble or, where that is missing, by its first two elements."""
    with open(path, "rb") as file:
        head = file.read(1 << 10)
    if head[128:132] == b"DICM":
        return True
    if head[:2] == b"\0\x08" and head[4:6].isalpha():  # big-endian, which is always explicit
        return head[2] == 0
    if head[:2] not in (b"\x08\x00", b"\x02\x00") or len(head) < 8 or head[3]:
        return False
    following = 8 + int.from_bytes(head[4:8], "little")  # of implicit VR
    return head[4:6].isalpha() or head[following : following + 2] == head[:2]


def index_folder(folder: Path, *, deep: bool = True) -> Contents:
    """Read the headers of all DICOM files in ``folder`` and, when ``deep``, in its subfolders."""
    series, others, damaged, empty = {}, {}, {}, []
    for path in _files(folder, deep):
        if not is_dicom(path):
            if not path.stat().st_size:
                empty.append(path)
            continue
        try:
            header = read_header(path)
        except InputError as error:
            damaged[path] = str(error)
            continue
        if not is_image(header):
            name = object_name(header)
            others[name] = others.get(name, 0) + 1
        else:
            series.setdefault(_belongs_to(header), []).append((path, header))
    found = sorted(map(_series, series.values()), key=_order)
    images = {(path.parent, path.suffix) for item in found for path in item.files}
    for path in empty:
        if (path.parent, path.suffix) in images:  # a copy that broke off: maybe a slice
            damaged[path] = _DAMAGED
    words = tuple(name if count == 1 else f"{name} ({count} files)" for name, count in others.items())
    return Contents(folder, tuple(found), words, damaged)


def index_file(path: Path) -> Series:
    """The series that file ``path`` belongs to: its neighbours of the same series, or itself when it is multi-frame.

    Raises :class:`InputError` for a damaged file and for one that holds no image, saying what it holds instead.
    """
    try:
        header = read_header(path)
    except InputError as error:
        raise InputError(f"{path} {error}") from None
    if not is_image(header):
        raise InputError(f"{path} is {object_name(header)}, not an image; choose the series that belongs to it")
    if int(header.get("NumberOfFrames") or 1) > 1 and not header.get("ConcatenationUID"):
        return _series([(path, header)])
    contents = index_folder(path.parent, deep=False)
    chosen = next(item for item in contents.series if _belongs_to(item.headers[0]) == _belongs_to(header))
    check_undamaged(contents, chosen)
    return chosen


def check_undamaged(contents: Contents, chosen: Series) -> None:
    """Raise :class:`InputError` when a damaged file lies beside ``chosen``: it may be one of its slices."""
    folders = {path.parent for path in chosen.files}
    for path, fault in contents.damaged.items():
        if path.parent in folders:
            raise InputError(f"{contents.folder}: {path.name} {fault}")


def check_images(contents: Contents) -> None:
    """Raise :class:`InputError`, saying what the folder holds instead, where it holds no series of images."""
    folder = contents.folder
    if contents.series:
        return
    if contents.damaged:
        path, fault = next(iter(contents.damaged.items()))
        raise InputError(f"{folder}: {path.name} {fault}")
    held = f"; it holds {', '.join(contents.others)}" if contents.others else ""
    raise InputError(f"{folder} holds no DICOM images{held}; choose a volume file or the folder of a DICOM series")


def select(contents: Contents, which: str | None) -> Series:
    """The series of ``contents`` that ``which`` names: ``#2``, a SeriesInstanceUID, a part of the description, or None
    where there is only one.

    Raises :class:`InputError`, listing the series, where that is none or several.
    """
    check_images(contents)
    folder, series = contents.folder, contents.series
    if which is None:
        found = list(series) if len(series) == 1 else [item for item in series if not item.aside]
        rest = {item.modality for item in series} - {"OT", "SC"}
        if len(found) != 1 or len(rest) > 1:  # beside a PET that is set aside, a CT is not plainly what is meant
            patients = len({item.patient_id for item in series})
            raise InputError(
                f"{folder} holds {len(series)} series{f' of {patients} patients' if patients > 1 else ''}: "
                f"{listed(contents)}; choose one by its number, as in "
                f"'{folder}::#1', by its UID or by a part of its description"
            )
        return found[0]
    if match := re.fullmatch(r"#(\d+)", which.strip()):
        found = [item for number, item in enumerate(series, 1) if number == int(match[1])]
    else:
        text = which.strip().casefold()
        found = [item for item in series if item.uid == which.strip()]
        found = found or [item for item in series if item.description.casefold() == text]
        found = found or [item for item in series if text and text in f"{item.modality} {item.description}".casefold()]
    if len(found) != 1:
        raise InputError(
            f"{folder}: {'no series is' if not found else f'{len(found)} series are'} called '{which}'; "
            f"it holds {listed(contents)}"
        )
    return found[0]


def listed(contents: Contents) -> str:
    """The series in one line, with their numbers and, where they lie apart, their folders."""
    places = [", ".join(sorted({str(path.parent) for path in item.files})) for item in contents.series]
    lines = []
    for number, (item, place) in enumerate(zip(contents.series, places), 1):
        inside = os.path.relpath(place, contents.folder) if len(set(places)) > 1 and ", " not in place else ""
        lines.append(f"#{number} {item.title}" + (f" in folder {inside}" if inside else ""))
    return ", ".join(lines)


def plain_pair(contents: Contents) -> tuple[Series, Series]:
    """The anatomical and the functional series of a folder whose roles are plain: one CT or MR and one
    attenuation-corrected PET or SPECT of one patient, study and frame of reference, and no other candidate.

    Raises :class:`InputError`, listing the series, where they are not.
    """
    candidates = [item for item in contents.series if not item.aside]
    anatomical = [item for item in candidates if item.modality in ("CT", "MR")]
    functional = [item for item in candidates if item.modality in ("PT", "NM")]
    places = {(item.patient_id, item.study_uid, item.frame_of_reference_uid) for item in anatomical + functional}
    if len(anatomical) == len(functional) == len(places) == 1:
        check_undamaged(contents, anatomical[0])
        check_undamaged(contents, functional[0])
        return anatomical[0], functional[0]
    check_images(contents)
    if not (anatomical and functional):
        missing = "no CT or MR" if not anatomical else "no attenuation-corrected PET or SPECT"
        reason = f"{missing} among them can be chosen by itself"
    elif len(places) > 1:
        several = len({patient for patient, _, _ in places}) > 1
        reason = f"they are of several {'patients' if several else 'studies or frames of reference'}"
    else:
        reason = "several could be meant"
    raise InputError(
        f"{contents.folder} holds {len(contents.series)} series: {listed(contents)}; {reason}: name both, as in "
        f"'fuse {contents.folder}::#1 {contents.folder}::#2'"
    )


# --- one object ---


def read_header(path: Path) -> Dataset:
    """The header of DICOM file ``path`` without pixel data. Raises :class:`InputError`, with what is wrong but not with
    the file's name, where it is damaged or belongs to no series."""
    import pydicom

    try:
        header = pydicom.dcmread(path, stop_before_pixels=True, force=True)
        if not header.get("SOPClassUID") or not header.get("SOPInstanceUID"):
            if header.file_meta.MediaStorageSOPClassUID.name.endswith("Directory Storage"):
                return header
            raise InputError(_DAMAGED)
        header.decode()  # all character sets and values, so that damage shows here
        _lift(header)
        if "Image" in header.SOPClassUID.name and not header.get("Rows"):
            raise InputError(_DAMAGED)
        if not header.get("SeriesInstanceUID"):
            raise InputError(_NO_SERIES)
        if is_image(header):
            _order(_series([(path, header)]))  # what a list shows of it can be had
        return header
    except InputError as error:
        raise InputError(str(error).removeprefix(f"{path} ")) from None
    except MemoryError:
        raise
    except Exception as error:  # whatever pydicom meets in a damaged file
        if isinstance(error, OSError) and error.errno is not None:  # the disk's own; pydicom raises others
            raise
        raise InputError(_DAMAGED) from None


def _lift(header):
    """Put what a legacy-converted object keeps apart (unit, corrections, dose; PS3.3 C.7.6.16.2.25) where others have it."""
    for group in header.get("SharedFunctionalGroupsSequence") or []:
        for item in group.get("UnassignedSharedConvertedAttributesSequence") or []:
            for element in item:
                if not element.tag.is_private and element.tag not in header:
                    header.add(element)


def is_image(header: Dataset) -> bool:
    """Whether the object is an image with values that could be fused."""
    return bool(header.get("Rows")) and str(header.get("Modality")) not in _OBJECTS


def object_name(header: Dataset) -> str:
    """What an object that is no image is, in words."""
    named = _OBJECTS.get(str(header.get("Modality")))
    return named or f"an object of class {header.SOPClassUID.name if header.get('SOPClassUID') else 'unknown'}"


def _files(folder, deep):
    for root, folders, names in walk(folder, _raise):
        folders[:] = sorted(folders) if deep else []
        for name in sorted(names):
            path = Path(root, name)
            if name.upper() != "DICOMDIR" and path.is_file():
                yield path


def _raise(error):
    raise error


def _text(header, keyword):
    value = header.get(keyword)
    return "" if value is None else re.sub(r"\s+", " ", str(value)).strip()


def _belongs_to(header):
    """What images of one series share; its UID alone is not enough where copies of two patients were given the same."""
    names = ("SeriesInstanceUID", "StudyInstanceUID", "PatientID", "Modality", "FrameOfReferenceUID")
    return tuple(_text(header, name) for name in names)


def _series(items):
    first = items[0][1]
    corrections = corrections_of(first)
    return Series(
        uid=_text(first, "SeriesInstanceUID"),
        study_uid=_text(first, "StudyInstanceUID"),
        frame_of_reference_uid=_text(first, "FrameOfReferenceUID"),
        patient_id=_text(first, "PatientID"),
        study=" ".join(filter(None, (_text(first, "StudyDate"), _text(first, "StudyDescription")))),
        modality=_text(first, "Modality"),
        description=_text(first, "SeriesDescription"),
        images=sum(_count(header) for _, header in items),
        columns=int(first.Columns),
        rows=int(first.Rows),
        unit=unit_of(first, items[0][0]),
        corrections=corrections,
        aside=_aside(items, corrections),
        files=tuple(path for path, _ in items),
        headers=tuple(header for _, header in items),
    )


def _count(header):
    return max(1, whole(header.get("NumberOfFrames")) or 1)


def _order(series):
    number = whole(series.headers[0].get("SeriesNumber"))
    date = _text(series.headers[0], "StudyDate")
    return series.patient_id, date, series.study_uid, 1 << 31 if number is None else number, series.uid


def _aside(items, corrections):
    """Why a series is never chosen by itself, or ""."""
    first = items[0][1]
    types = [{part.upper() for part in map(str, header.get("ImageType") or [])} for _, header in items]
    shared, words = set.intersection(*types), _text(first, "SeriesDescription").lower()
    modality = _text(first, "Modality")
    if str(first.SOPClassUID).startswith(_SECONDARY_CAPTURE) or shared & {"SECONDARY CAPTURE", "SCREEN SAVE"}:
        return "secondary capture"
    if modality not in ("CT", "MR", "PT", "NM"):
        return f"modality {modality or 'unknown'}"
    if "MOSAIC" in shared:
        return "mosaic of slices"
    if "LOCALIZER" in shared or re.search(
        r"scout|localizer|localiser|topogram|surview|scanogram|\bsurvey\b|plane[ _-]loc", words
    ):
        return "localizer"
    if any("MIP" in part or "MAXIMUM" in part for part in shared) or re.search(r"\bm\.?i\.?p\b|mip\b", words):
        return "maximum intensity projection"
    if shared & {"PROJECTION IMAGE", "VOLUME RENDERING", "3D RENDERING", "FUSED"} or re.search(r"\bfused\b", words):
        return "rendering or fused picture"
    if (
        modality == "NM"
        and shared & {"TOMO", "GATED TOMO", "STATIC", "WHOLE BODY", "DYNAMIC", "GATED"}
        and "RECON TOMO" not in shared
    ):
        return "projections, not a reconstruction"
    if (modality == "NM" and "TRANSMISSION" in shared) or re.search(
        r"\b(mu|u|ac)[ _-]?map\b|_umap\b|attenuation[ _-]map", words
    ):
        return "attenuation map"
    if modality in ("PT", "NM"):
        uncorrected = re.search(
            r"\bnac\b|_nac|nac_|non?[ _-]?(ac|attn|atten|corr)|uncorrected|un[ -]?corr"
            r"|\b(without|ohne|sans)[ _](ac|att|corr|korr)",
            words,
        )
        if uncorrected or (corrections is not None and "ATTN" not in corrections):
            return "not corrected for attenuation"
    return ""
