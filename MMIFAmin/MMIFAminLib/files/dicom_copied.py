"""What a written DICOM image takes over from a source: patient and study, as far as they keep to the standard's form.

PS3.3 C.7.1.1, C.7.1.3, C.7.2.1 to C.7.2.3 (patient, study, clinical trial), 8.8 (codes); PS3.5 6.2 (forms of values).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pydicom import DataElement, Dataset

_IDENTITY = ("PatientName", "PatientID")  # never left out: brought into the standard's form where they break it
_LONGEST = 64  # characters of an identifier, and of each group of a name
_TOGETHER = (
    ("ResponsiblePerson", "ResponsiblePersonRole"),
    ("PatientBirthDateInAlternativeCalendar", "PatientAlternativeCalendar"),
    ("ClinicalTrialTimePointID", "ClinicalTrialTimePointDescription"),
    (
        "ClinicalTrialSponsorName",
        "ClinicalTrialProtocolID",
        "ClinicalTrialProtocolName",
        "ClinicalTrialSiteID",
        "ClinicalTrialSiteName",
        "ClinicalTrialSubjectID",
    ),
)
_LEFT_OUT = re.compile(
    "ClinicalTrial|AlternativeCalendar|Strain|Species|Breed|Neutered|EthnicGroupCode"
)  # but for groups
_ENUMERATED = {
    "PatientSex": "M F O",
    "SmokingStatus": "YES NO UNKNOWN",
    "QualityControlSubject": "YES NO",
    "PatientIdentityRemoved": "YES NO",
    "Laterality": "R L",
    "ScanningSequence": "SE IR GR EP RM",
    "MRAcquisitionType": "2D 3D",
}
_CODE = ("CodeValue", "CodingSchemeDesignator", "CodeMeaning")
_ITEMS = {
    "ReferencedStudySequence": ("ReferencedSOPClassUID", "ReferencedSOPInstanceUID"),
    "ReferencedPatientSequence": ("ReferencedSOPClassUID", "ReferencedSOPInstanceUID"),
    "OtherPatientIDsSequence": ("PatientID", "TypeOfPatientID"),
    "IssuerOfAccessionNumberSequence": ("LocalNamespaceEntityID",),
    "IssuerOfAdmissionIDSequence": ("LocalNamespaceEntityID",),
}
"""What an item of a sequence must have to be copied, and all that is copied of it."""


def allowed(source: Dataset) -> Dataset:
    """A copy of what ``source`` says that keeps to the standard: no private, empty or malformed attributes, none without
    those that it must stand with, none of animals; of sequences codes and references only. Text is in Unicode (ISO_IR 192)."""
    from pydicom.dataset import Dataset

    kept = Dataset()
    for element in source:
        name = element.keyword
        if _LEFT_OUT.search(name) and name not in sum(_TOGETHER, ()):
            continue
        if name in _IDENTITY:
            _put(kept, name, element.VR, _in_form(element))
        elif element.VR == "SQ":
            _put(kept, name, "SQ", _items(element))
        elif name and _is_allowed(element):
            _put(kept, name, element.VR, element.value)
    for group in _TOGETHER:
        if not all(name in kept for name in group):
            for name in filter(kept.__contains__, group):
                delattr(kept, name)
    methods = ("DeidentificationMethod", "DeidentificationMethodCodeSequence")
    if kept.get("PatientIdentityRemoved") == "YES" and not any(name in kept for name in methods):
        kept.DeidentificationMethod = "Not told by the source"
    kept.SpecificCharacterSet = "ISO_IR 192"
    return kept


def is_uid(value: object) -> bool:
    """Whether ``value`` is a UID by PS3.5 chapter 9: numbers with dots, none with a leading zero, under 0, 1 or 2."""
    return len(str(value)) <= 64 and re.fullmatch(r"[0-2](\.(0|[1-9]\d*))+", str(value)) is not None


def identity_is_changed(source: Dataset) -> bool:
    """Whether name or id of the patient break the standard's form, so that :func:`allowed` shortens or cleans them."""
    return any(str(source[name].value or "") != _in_form(source[name]) for name in _IDENTITY if name in source)


def _in_form(element: DataElement) -> str:
    """Name or id as one value without control characters, each part as long as it may be."""
    values = element.value if element.VM > 1 else [element.value or ""]
    text = re.sub(r"[\x00-\x1f\x7f]", "", " ".join(map(str, values)))
    parts = text.split("=")[:3] if element.VR == "PN" else [text]
    return "=".join(part[:_LONGEST] for part in parts)


def _items(element: DataElement) -> list[Dataset]:
    from pydicom.dataset import Dataset

    names = _CODE if element.keyword.endswith("CodeSequence") else _ITEMS.get(element.keyword, ())
    items = []
    for item in element.value if names else ():
        if all(name in item and item[name].VM and _is_allowed(item[name]) for name in names):
            items.append(Dataset())
            for name in names:
                _put(items[-1], name, item[name].VR, item[name].value)
    return items


def _is_allowed(element: DataElement) -> bool:
    """Whether the values of a standard attribute have the form and are as many as the standard says."""
    from pydicom import config
    from pydicom.datadict import dictionary_VM
    from pydicom.valuerep import validate_value

    values = [str(value) for value in (element.value if element.VM > 1 else [element.value])]
    name, many = element.keyword, dictionary_VM(element.tag)
    if element.VM > 1 and not many.endswith("n") and int(many.split("-")[-1]) < element.VM:
        return False
    if name in _ENUMERATED and not set(values) <= set(_ENUMERATED[name].split()):
        return False
    if element.VR == "UI":
        return all(map(is_uid, values))
    control = r"[\x00-\x08\x0b\x0e-\x1f\x7f]" if element.VR in ("LT", "ST", "UT") else r"[\x00-\x1f\x7f]"
    try:
        for value in values:
            validate_value(element.VR, value, config.RAISE)
    except ValueError:
        return False
    return not any(re.search(control, value) for value in values)


def _put(target: Dataset, name: str, vr: str, value: Any) -> None:
    from pydicom.valuerep import PersonName

    if value in (None, "", []):
        return
    if vr == "PN":  # a name keeps the bytes that it was read from: made anew, it is written in Unicode
        names = [value] if isinstance(value, (str, PersonName)) else value
        value = [str(part) for part in names]
    setattr(target, name, value)
