"""What is taken over from odd headers: all that the standard allows, and nothing that a validator calls an error."""

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataset import Dataset

from MMIFAminLib.files import About, read_volume_file
from MMIFAminLib.files.dicom_copied import is_uid
from MMIFAminLib.files.dicom_out import study_notice, write_dicom
from support.dicom import Written, dciodvfy_errors, write_series

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:pydicom", "ignore:The PN component:UserWarning")

NAMES = ("SponsorName", "ProtocolID", "ProtocolName", "SiteID", "SiteName", "SubjectID")
TRIAL = {f"ClinicalTrial{name}": "x" for name in NAMES}
CODE = {"CodeValue": "CHESTPETCT", "CodingSchemeDesignator": "99LOCAL", "CodeMeaning": "PET/CT of the chest"}


def item(**values):
    made = Dataset()
    for name, value in values.items():
        setattr(made, name, value)
    return made


def written(folder, modality="CT", **tags):
    """The first image of a fusion of a source with ``tags``, read back; its path; what was said of it."""
    places = np.array([[0.0, 0, 3 * k] for k in range(2)])
    stored = np.arange(2 * 5 * 6, dtype=np.int16).reshape(2, 5, 6)
    write_series(folder / "source", Written(stored, places, modality=modality))
    for path in (folder / "source").iterdir():  # what they break, pydicom's setters would correct or refuse
        ds = pydicom.dcmread(path)
        for name, value in tags.items():
            ds.add_new(tag_for_keyword(name), dictionary_VR(name), value)
        ds.save_as(path)
    about = read_volume_file(folder / "source").about
    write_dicom(sitk.Image((4, 4, 2), sitk.sitkFloat32), folder / "out", anatomical=about, functional=About())
    path = folder / "out" / "IM0001.dcm"
    return pydicom.dcmread(path), path, study_notice(about, About())


@pytest.mark.parametrize(
    "tags, kept",
    [
        ({"PatientName": "A" * 70 + "^" + "B" * 10}, {"PatientName": "A" * 64}),
        ({"PatientName": "Doe\x1b^Jane", "PatientID": "47\x0711"}, {"PatientName": "Doe^Jane", "PatientID": "4711"}),
        ({"PatientID": "7" * 80}, {"PatientID": "7" * 64}),
        ({"PatientName": ["Doe", "Jane"]}, {"PatientName": "Doe Jane"}),
        ({"PatientName": "a^b^c^d^e^f^g"}, {"PatientName": "a^b^c^d^e f g"}),
        ({"PatientName": "Doe^Jane^^^^^"}, {"PatientName": "Doe^Jane^^^"}),
        ({"PatientName": "=".join(letter * 70 for letter in "ABC")}, {"PatientName": "A" * 64}),
        ({"ResponsiblePersonRole": "PARENT"}, {"ResponsiblePersonRole": None}),
        ({"ResponsiblePerson": "Doe^John", "ResponsiblePersonRole": "PARENT"}, {"ResponsiblePerson": "Doe^John"}),
        ({"ClinicalTrialSponsorName": "x", "ClinicalTrialSiteID": "1"}, {"ClinicalTrialSponsorName": None}),
        (TRIAL | {"ClinicalTrialSubjectReadingID": "r"}, TRIAL | {"ClinicalTrialSubjectReadingID": None}),
        ({"PatientIdentityRemoved": "YES"}, {"DeidentificationMethod": "Not told by the source"}),
        ({"PatientAlternativeCalendar": "LUNAR", "StrainDescription": "y"}, {"StrainDescription": None}),
        ({"PatientComments": "two\r\nlines", "Occupation": "a\x01"}, {"PatientComments": "two\r\nlines", "Occupation": None}),
        ({"PatientWeight": [70, 71], "StudyDate": "20241399"}, {"PatientWeight": None, "StudyDate": ""}),
        ({"PatientBirthDate": "19600101-19610101", "StudyTime": "10-11"}, {"PatientBirthDate": "", "StudyTime": ""}),
        (
            {"ReferringPhysicianName": "a^b^c^d^e^f", "NameOfPhysiciansReadingStudy": "a^b^c^d^e^f"},
            {"ReferringPhysicianName": "", "NameOfPhysiciansReadingStudy": None},
        ),
        (
            {"ClinicalTrialTimePointID": "1", "LongitudinalTemporalEventType": "BASELINE"},
            {"LongitudinalTemporalEventType": None},
        ),
        ({"SeriesNumber": [3, 4]}, {"SeriesNumber": 1000}),
    ],
)  # fmt: skip
def test_odd_patients_and_studies(tmp_path, tags, kept):
    ds, path, said = written(tmp_path, **tags)
    assert {name: ds.get(name) for name in kept} == kept
    assert ("shortened or cleaned" in said) == any(name in ("PatientName", "PatientID") for name in kept)
    assert dciodvfy_errors(path) == []


def test_sequences_are_copied_where_they_are_whole(tmp_path):
    other = item(PatientID="HIS-9", TypeOfPatientID="TEXT", IssuerOfPatientID="y" * 90)
    codes = [item(**CODE, CodingSchemeVersion="1"), item(CodeMeaning="no value")]
    photo, empty = item(TypeOfInstances="DICOM"), item(StrainSource="z")
    ds, path, _ = written(
        tmp_path,
        OtherPatientIDsSequence=[other],
        ProcedureCodeSequence=codes,
        ReferencedPatientPhotoSequence=[photo],
        StrainStockSequence=[empty],
        ReferencedStudySequence=[],
    )
    assert ds.ProcedureCodeSequence == [item(**CODE)]
    assert ds.OtherPatientIDsSequence == [item(PatientID="HIS-9", TypeOfPatientID="TEXT")]
    assert not any(
        name in ds for name in ("ReferencedPatientPhotoSequence", "StrainStockSequence", "ReferencedStudySequence")
    )
    assert dciodvfy_errors(path) == []


@pytest.mark.parametrize(
    "charset, name",
    [
        ("ISO_IR 100", "Müller^Zoë"),
        (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎=やまだ^たろう"),
        ("ISO_IR 144", "Люксембург"),
    ],
)
def test_names_of_any_alphabet_survive(tmp_path, charset, name):
    ds, path, _ = written(tmp_path, SpecificCharacterSet=charset, PatientName=name)
    assert str(ds.PatientName) == name and ds.SpecificCharacterSet == "ISO_IR 192"
    assert dciodvfy_errors(path) == []


@pytest.mark.parametrize("charset", ["ISO_IR 144", "ISO_IR 192"])
@pytest.mark.parametrize(
    "tags",
    [
        {"PatientName": "Воскресенский^Владислав^Александрович"},
        {"StudyDescription": "Компьютерная томография органов грудной клетки"},
        {"ProcedureCodeSequence": [item(**CODE | {"CodeMeaning": "Томография с контрастным усилением"})]},
    ],
)
def test_text_that_is_long_in_bytes_keeps_to_an_alphabet_of_single_ones(tmp_path, charset, tags):
    ds, path, said = written(tmp_path, SpecificCharacterSet=charset, **tags)
    assert ds.SpecificCharacterSet == "ISO_IR 144" and said == ""
    assert all(str(ds[name].value) == str(value) or ds[name].value == value for name, value in tags.items())
    assert dciodvfy_errors(path) == []


@pytest.mark.parametrize(
    "tags, time",
    [
        ({"ScanningSequence": ["SE", "IR"], "InversionTime": "900"}, 900),  # FLAIR
        ({"ScanningSequence": "IR", "EchoTrainLength": "99999999999"}, None),
        ({"ScanningSequence": "GR", "ScanOptions": "CG", "InversionTime": "900"}, "absent"),
        ({"ScanningSequence": ["EP", "SE"], "SequenceVariant": "SK", "ScanOptions": ["PFP", "FS"]}, "absent"),
    ],
)
def test_sequences_of_mr_are_whole(tmp_path, tags, time):
    ds, path, _ = written(tmp_path, "MR", **tags)
    assert ds.ScanningSequence == tags["ScanningSequence"] and ds.get("InversionTime", "absent") == time
    assert dciodvfy_errors(path) == []


@pytest.mark.parametrize("uid", ["1.2.03.4", "1.2.x", "7.1.2", "1." + "2" * 70])
def test_a_study_without_a_valid_uid_is_a_new_one(tmp_path, uid):
    ds, path, said = written(tmp_path, StudyInstanceUID=uid, FrameOfReferenceUID=uid)
    assert ds.StudyInstanceUID.startswith("2.25.") and ds.FrameOfReferenceUID.startswith("2.25.")
    assert "new study of the same patient" in said and ds.PatientID == "P1"
    assert dciodvfy_errors(path) == []


def test_uids():
    assert [is_uid(text) for text in ("1.2.3", "2.25.0", "1.2.840.10008.1.2")] == [True] * 3
    assert [is_uid(text) for text in ("", None, "1", "1.2.", "3.1", "1.02", "1.2.a", "1.2\n", "1." + "3" * 63)] == [
        False
    ] * 9


def test_what_the_standard_does_not_allow_is_not_copied(tmp_path):
    reference = item(ReferencedSOPClassUID="1.2.840.10008.3.1.2.3.1")  # of what it refers to, nothing
    broken = {
        "PatientSex": "X",
        "SmokingStatus": "MAYBE",
        "PatientAge": "65",
        "StudyTime": "25:61",
        "StudyID": "S" * 20,
    }
    broken |= {"Laterality": "Z", "ReferencedStudySequence": [reference], "ProcedureCodeSequence": [Dataset()]}
    ds, path, _ = written(tmp_path, "MR", ScanningSequence="XX", PatientComments="kept", **broken)
    kept = ("PatientComments", "PatientSex", "StudyTime", "Laterality", "ScanningSequence")
    assert [ds[name].value or "" for name in kept] == ["kept", "", "", "", "RM"]
    left_out = ("SmokingStatus", "PatientAge", "ReferencedStudySequence", "ProcedureCodeSequence")
    assert not any(name in ds for name in left_out)
    assert dciodvfy_errors(path) == []
