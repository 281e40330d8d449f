"""Whether two volumes belong together: whose they are, and where their files say that they lie."""

from __future__ import annotations

from ..errors import InputError
from .about import VolumeFile


def one_series(one: VolumeFile, other: VolumeFile) -> str:
    """In words, that both volumes were made of the same DICOM images; else ""."""
    same = one.about.references and one.about.references == other.about.references
    return "are one and the same DICOM series" if same else ""


def other_patient(anatomical: VolumeFile, functional: VolumeFile) -> str:
    """In words, that both volumes name a patient and not the same one; else ""."""
    ids = [(volume.about.patient_id or "").strip() for volume in (anatomical, functional)]
    return "are of different patients (their patient ids differ)" if all(ids) and ids[0] != ids[1] else ""


def other_frame_of_reference(anatomical: VolumeFile, functional: VolumeFile, names: tuple[str, str]) -> str:
    """In words, that both volumes name a frame of reference and not the same one, and whether the two, called ``names``, seem
    aligned."""
    uids = [volume.about.frame_of_reference_uid for volume in (anatomical, functional)]
    if not all(uids) or uids[0] == uids[1]:
        return ""
    said = "have different frames of reference: nothing in them says that they are aligned"
    if any(volume.image.GetNumberOfComponentsPerPixel() > 1 for volume in (anatomical, functional)):
        return said
    from ..volume.registration import alignment_check

    try:
        answer = alignment_check(anatomical.image, functional.image, names=names).message
    except InputError as error:
        answer = f"the alignment check cannot tell ({error})"
    return f"{said}; {answer}"
