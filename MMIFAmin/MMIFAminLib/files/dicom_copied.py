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
_COMPONENTS = 5  # of each group of a name: family, given, middle, prefix, suffix
_BYTES = {"PN": 64, "LO": 64, "SH": 16}
"""What validators that count bytes, not characters (dciodvfy), take for the longest text; of a name for all its groups."""
_UNICODE = "ISO_IR 192"
_ALPHABETS = tuple(f"ISO_IR {number}" for number in (100, 101, 109, 110, 144, 126, 127, 138, 148, 166))
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
    "ClinicalTrial|LongitudinalTemporal|AlternativeCalendar|Strain|Species|Breed|Neutered|EthnicGroupCode"
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
    those that it must stand with, none of animals; of sequences codes and references only. Text is in Unicode (ISO_IR 192), or
    in an alphabet of single bytes where a text is too long for those who count them."""
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
    texts = list(_texts(kept))
    choices = (name for name in (_UNICODE, *_ALPHABETS) if _fit(texts, name))
    kept.SpecificCharacterSet = next(choices, _UNICODE)
    return kept


def _texts(ds):
    """The VR and the text of each value, items of sequences included."""
    for element in ds.iterall():
        if element.VR in _BYTES:
            for value in element.value if element.VM > 1 else [element.value]:
                yield element.VR, str(value)


def _fit(texts, character_set):
    from pydicom.charset import python_encoding

    try:
        return all(len(text.encode(python_encoding[character_set])) <= _BYTES[vr] for vr, text in texts)
    except UnicodeEncodeError:
        return False


def is_uid(value: object) -> bool:
    """Whether ``value`` is a UID by PS3.5 chapter 9: numbers with dots, none with a leading zero, under 0, 1 or 2."""
    return len(str(value)) <= 64 and re.fullmatch(r"[0-2](\.(0|[1-9]\d*))+", str(value)) is not None


def identity_is_changed(source: Dataset) -> bool:
    """Whether name or id of the patient break the standard's form, so that :func:`allowed` shortens or cleans them."""
    return any(str(source[name].value or "") != _in_form(source[name]) for name in _IDENTITY if name in source)


def _in_form(element: DataElement) -> str:
    """Name or id as one value without control characters, each part as long as it may be; a name of too many parts, or of too
    long ones, as long as one may be in all."""
    values = element.value if element.VM > 1 else [element.value or ""]
    told = " ".join(map(str, values))
    text = re.sub(r"[\x00-\x1f\x7f]", "", told)
    if element.VR != "PN":
        return text[:_LONGEST]
    name = _name(text)
    return name if name == told else name.encode()[: _BYTES["PN"]].decode(errors="ignore").rstrip("=")


def _name(text: str) -> str:
    """A name of three groups at most, each of its components and as long as it may be."""
    return "=".join(_group(part)[:_LONGEST] for part in text.split("=")[:3])


def _group(text: str) -> str:
    """One group of a name, with what follows its last component in that one."""
    parts = text.split("^")
    last = " ".join(filter(None, parts[_COMPONENTS - 1 :]))
    return "^".join([*parts[: _COMPONENTS - 1], last]) if len(parts) > _COMPONENTS else text


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
    return not any(re.search(control, value) or _is_odd(element.VR, value) for value in values)


def _is_odd(vr: str, value: str) -> bool:
    """What pydicom lets pass: a range of days or times, as a query has it; a number of too many bits; a name of odd parts."""
    if vr in ("DA", "TM"):
        return "-" in value
    if vr == "IS":
        return bool(value.strip()) and abs(int(value)) >= 1 << 31
    return vr == "PN" and value != _name(value)


def _put(target: Dataset, name: str, vr: str, value: Any) -> None:
    from pydicom.valuerep import PersonName

    if value in (None, "", []):
        return
    if vr == "PN":  # a name keeps the bytes that it was read from: made anew, it is written in Unicode
        names = [value] if isinstance(value, (str, PersonName)) else value
        value = [str(part) for part in names]
    setattr(target, name, value)
