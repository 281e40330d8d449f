"""DICOM as hospitals send it: what breaks the standard is read right, or refused in one sentence that says why."""

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import RawDataElement
from pydicom.tag import Tag

from MMIFAminLib.files import read_volume, read_volume_file
from MMIFAminLib.files.volumes import list_series
from support.dicom import Written, suv_tags, write_series
from support.reading import refusal

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:pydicom")  # of the odd sources


def series(folder, count=4, first=0.0, modality="CT", name="IM{:04d}", **tags):
    stored = np.random.default_rng(0).integers(0, 900, (count, 5, 6)).astype(np.int16)
    places = np.array([[0.0, 0, first + 3 * k] for k in range(count)])
    write_series(folder, Written(stored, places, modality=modality, tags=tags), name=name)
    return stored


def put_bytes(folder, keyword, value, which=slice(None)):
    """Write ``value`` as it is, also where pydicom would not."""
    for path in sorted(folder.iterdir())[which]:
        ds, tag = pydicom.dcmread(path), Tag(tag_for_keyword(keyword))
        ds._dict[tag] = RawDataElement(tag, dictionary_VR(keyword), len(value), value, 0, False, True)
        ds.save_as(path)


@pytest.mark.parametrize(
    "keyword, value",
    [
        ("SeriesNumber", b"A1"),
        ("SeriesNumber", b"1\\2 "),
        ("InstanceNumber", b"x "),
        ("InstanceNumber", b""),
        ("PatientAge", b"65"),
        ("KVP", b"120kV "),
        ("StudyDate", b"02.01.2024"),
        ("SliceThickness", b"thin"),
        ("WindowCenter", b"nan "),
        ("SpecificCharacterSet", b"LATIN1"),
        ("FrameOfReferenceUID", b"none"),
        ("PatientName", b"M\xfcller "),
        ("ImageType", b""),
        ("NumberOfFrames", b""),
    ],
)
def test_what_does_not_matter_may_be_wrong(tmp_path, keyword, value):
    stored = series(tmp_path)
    put_bytes(tmp_path, keyword, value)
    image = read_volume(tmp_path)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image), stored)
    assert image.GetSpacing() == (2, 3, 3)


@pytest.mark.parametrize(
    "keyword, value, words",
    [
        ("PixelSpacing", b"0\\0 ", "its pixels are 0 x 0 mm"),
        ("PixelSpacing", b"-1\\2", "its pixels are -1 x 2 mm"),
        ("PixelSpacing", b"2 ", "does not say how large its pixels are"),
        ("PixelSpacing", b"", "does not say how large its pixels are"),
        ("ImageOrientationPatient", b"1\\0\\0\\0\\1 ", "do not say where in the patient they lie"),
        ("ImageOrientationPatient", b"0\\0\\0\\0\\0\\0 ", "not at right angles"),
        ("ImagePositionPatient", b"0\\0\\x ", "do not say where in the patient they lie"),
        ("RescaleSlope", b"1,5 ", "its rescale slope is 1,5"),
        ("RescaleIntercept", b"-1024 HU", "its rescale intercept is -1024 HU"),
        ("RescaleSlope", b"0 ", "its rescale slope is 0, so its values are lost"),
        ("Modality", b"US", "an ultrasound image"),
    ],
)
def test_what_matters_is_refused(tmp_path, keyword, value, words):
    series(tmp_path, RescaleSlope=1, RescaleIntercept=0)
    put_bytes(tmp_path, keyword, value)
    text = refusal(tmp_path)
    assert words in text and text.count("IM0000") <= 1


@pytest.mark.parametrize(
    "value, said", [(b"70 kg ", "missing"), (b"70,5", "missing"), (b"0 ", "missing"), (b"70000 ", "70000")]
)
def test_a_weight_that_is_none_gives_no_suv(tmp_path, value, said):
    series(tmp_path, modality="PT", **suv_tags())
    assert read_volume_file(tmp_path).about.unit == "SUV"
    put_bytes(tmp_path, "PatientWeight", value)
    found = read_volume_file(tmp_path)
    assert found.about.unit == "BQML" and f"weight is {said}" in found.warnings[0]


@pytest.mark.parametrize("count", [1, 4])
def test_big_endian_files_without_a_header(tmp_path, count):
    stored = series(tmp_path, count)
    for path in tmp_path.iterdir():
        ds = pydicom.dcmread(path)
        ds.PixelData = ds.pixel_array.astype(">i2").tobytes()
        ds.preamble = None
        del ds.file_meta
        pydicom.dcmwrite(path, ds, implicit_vr=False, little_endian=False, enforce_file_format=False)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(read_volume(tmp_path)), stored)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(read_volume(tmp_path / "IM0000")), stored)


@pytest.mark.parametrize(
    "tags",
    [
        {"PatientID": "P2"},
        {"StudyInstanceUID": "1.2.3.9"},
        {"FrameOfReferenceUID": "1.2.3.9"},
        {"modality": "PT"},
    ],
)
def test_series_that_share_a_uid_are_not_one(tmp_path, tags):
    """Anonymisers and copies give one UID to two series: stacked on each other they would be read as one volume."""
    first = series(tmp_path, name="A{}")
    series(tmp_path, first=12.0, name="B{}", **tags)
    words = refusal(tmp_path)
    assert "holds 2 series" in words and ("of 2 patients" in words) == ("PatientID" in tags)
    assert [item.images for item in list_series(tmp_path).series] == [4, 4]
    np.testing.assert_array_equal(sitk.GetArrayFromImage(read_volume(tmp_path / "A2")), first)


def test_a_slice_without_a_series_is_not_called_damaged(tmp_path):
    series(tmp_path)
    words = "has no SeriesInstanceUID (0020,000E), so that its series is not known; export it again"
    put_bytes(tmp_path, "SeriesInstanceUID", b"", slice(3, 4))
    assert refusal(tmp_path) == f"{tmp_path}: IM0003 {words}"
    put_bytes(tmp_path, "SeriesInstanceUID", b"")
    assert refusal(tmp_path) == f"{tmp_path}: IM0000 {words}"
    assert refusal(tmp_path / "IM0001") == f"{tmp_path / 'IM0001'} {words}"
    (tmp_path / "IM0001").write_bytes((tmp_path / "IM0001").read_bytes()[:500])  # ends before its series is told
    assert refusal(tmp_path / "IM0001").endswith("IM0001 is a truncated or damaged DICOM file; copy it again")


def test_a_last_slice_of_no_bytes_is_missed(tmp_path):
    series(tmp_path)
    (tmp_path / ".hidden.tmp").touch()  # no slice: another kind of name
    (tmp_path / "viewer.ini").touch()
    assert read_volume(tmp_path).GetSize() == (6, 5, 4)
    (tmp_path / "IM0003").write_bytes(b"")
    assert "IM0003 is a truncated or damaged DICOM file" in refusal(tmp_path)


@pytest.mark.parametrize("told, unit", [(None, "HU"), ("", "HU"), ("HU", "HU"), ("US", None), ("ED", "ED")])
def test_the_unit_of_a_ct_is_what_its_rescale_type_tells(tmp_path, told, unit):
    series(tmp_path, RescaleSlope=1, RescaleIntercept=0, **({} if told is None else {"RescaleType": told}))
    assert read_volume_file(tmp_path).about.unit == unit
    assert list_series(tmp_path).series[0].unit == (unit or "")


def slices_at(folder, places, thickness):
    places = np.array([[0.0, 0, place] for place in places])
    write_series(folder, Written(np.ones((len(places), 5, 6), np.int16), places, thickness=thickness))


@pytest.mark.parametrize(
    "places, words",
    [
        ([0, 3, 6, 12, 18, 24, 30, 36, 39], "3 to 6 mm apart: 5 missing, the first after slice 3 of 9"),
        ([0, 2.1, 4, 8, 12.1, 16, 24], "1.9 to 8 mm apart: 6 missing, the first after slice 3 of 7"),
        ([0, 2, 4, 6, 8, 9], "1 to 2 mm apart: 4 missing, the first after slice 1 of 6"),
    ],
)
def test_slices_are_missed_where_most_gaps_lack_one(tmp_path, places, words):
    slices_at(tmp_path, places, thickness=1.0)
    assert words in refusal(tmp_path)


@pytest.mark.parametrize(
    "places, thickness",
    [
        ([0, 3, 6, 12, 18, 24], 6.0),  # thick slices fill their gaps
        ([0, 2, 4, 8.6, 13.2, 17.8], 1.0),  # no multiples
        ([0, 5, 10, 15, 20, 20.5], 1.0),  # one slice too near proves nothing
    ],
)
def test_slices_that_are_only_uneven_are_not_missed(tmp_path, places, thickness):
    slices_at(tmp_path, places, thickness)
    assert "mm apart: resampled to" in read_volume_file(tmp_path).warnings[0]


def test_a_dicomdir_stands_for_its_folder(tmp_path):
    series(tmp_path)
    (tmp_path / "DICOMDIR").write_bytes(b"\0" * 128 + b"DICM" + b"\0" * 50)
    assert read_volume(tmp_path / "DICOMDIR").GetSize() == (6, 5, 4)


def test_beside_a_pet_that_is_set_aside_a_ct_is_not_plainly_what_is_meant(tmp_path):
    stored = np.arange(3 * 8 * 9, dtype=np.uint16).reshape(3, 8, 9)
    places = np.array([[0.0, 0, 3 * k] for k in range(3)])
    write_series(tmp_path / "ct", Written(stored, places))
    write_series(tmp_path / "nac", Written(stored, places, modality="PT", tags={"CorrectedImage": ["DECY"]}))
    assert [bool(item.aside) for item in list_series(tmp_path).series] in ([True, False], [False, True])
    assert "holds 2 series" in refusal(tmp_path) and "choose one by its number" in refusal(tmp_path)


@pytest.mark.parametrize(
    "modality, description, aside",
    [
        ("PT", "PET without attenuation correction", "not corrected for attenuation"),
        ("PT", "WB non corrected", "not corrected for attenuation"),
        ("PT", "FDG ohne AC", "not corrected for attenuation"),
        ("PT", "[WB_CTAC] Body", ""),
        ("MR", "Survey", "localizer"),
        ("MR", "3-plane loc", "localizer"),
        ("MR", "T1 localized", ""),
        ("NM", "Heart mu-map", "attenuation map"),
        ("MR", "Head_MRAC_PET_UMAP", "attenuation map"),
        ("NM", "Bone tomo AC", ""),
    ],
)
def test_what_a_description_tells_of_a_series(tmp_path, modality, description, aside):
    series(tmp_path, modality=modality, SeriesDescription=description)
    assert list_series(tmp_path).series[0].aside == aside


def test_a_mosaic_is_no_slice(tmp_path):
    series(tmp_path, count=1, modality="MR", ImageType=["ORIGINAL", "PRIMARY", "ASL", "NONE", "ND", "MOSAIC"])
    assert "is a mosaic: the slices of a volume side by side" in refusal(tmp_path)
    assert list_series(tmp_path).series[0].aside == "mosaic of slices"


def test_slices_without_tissue_that_share_a_uid_are_no_copies(tmp_path):
    stored = np.random.default_rng(0).integers(1, 900, (6, 5, 6)).astype(np.int16)
    stored[[0, 1, 4, 5]] = 0
    places = np.array([[0.0, 0, 3 * k] for k in range(6)])
    write_series(tmp_path, Written(stored, places, tags={"SOPInstanceUID": "1.2.3.4.5"}))
    found = read_volume_file(tmp_path)
    assert found.warnings == () and (sitk.GetArrayFromImage(found.image) == stored).all()


def test_empty_slices_of_repetitions_are_no_copies(tmp_path):
    stored = np.random.default_rng(0).integers(1, 900, (10, 5, 6)).astype(np.int16)
    stored[[0, 4, 5, 9]] = 0
    write_series(tmp_path, Written(stored, np.array([[0.0, 0, 3 * (k % 5)] for k in range(10)]), modality="MR"))
    found = read_volume_file(tmp_path, frame=2)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(found.image), stored[5:])
    assert found.warnings == (f"{tmp_path}: repetition 2 was taken, number 2 of 2",)
