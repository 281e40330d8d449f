"""DICOM in: every voxel has the place and the value that was written, or it is said why not."""

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from pydicom.dataset import Dataset

from MMIFAminLib.errors import InputError
from MMIFAminLib.files.dicom_index import plain_pair
from MMIFAminLib.files.volumes import list_series, read_volume, read_volume_file
from support.dicom import Written, assert_read_as, header, points_of, write_enhanced, write_series


def plain(count=6, modality="CT", dtype=np.int16, **more):
    stored = np.random.default_rng(3).integers(0, 1000, (count, 10, 12)).astype(dtype)
    positions = np.array([[-10.0, -20.0, 3.0 * k] for k in range(count)])
    return Written(stored, positions, modality=modality, **more)


def test_a_tilted_ct_is_as_long_as_its_tissue(tmp_path):
    """A bone that only the first slice's lower edge holds is kept; slices of air before it are not made."""
    t, count = np.radians(20), 8
    positions = np.array([0, 0, 100.0]) + np.arange(count)[:, None] * np.array([0, 0, 3.0])
    axes = np.array([[1, 0, 0], [0, np.cos(t), np.sin(t)]])
    air = Written(np.full((count, 40, 24), 24, np.int16), positions, axes, (2.0, 3.0), intercepts=[-1024] * count)
    write_series(tmp_path / "air", air)
    image = read_volume(tmp_path / "air")
    assert image.GetSize()[2] == count and points_of(image)[0, 0, 0, 2] == pytest.approx(100 + 19.5 * 3 * np.sin(t))
    bone = Written(air.stored.copy(), positions, axes, (2.0, 3.0), intercepts=[-1024] * count)
    bone.stored[0, :4, 10:14] = 2000  # around (22, 4, 101), 19 mm before the first slice's middle
    write_series(tmp_path / "bone", bone)
    image = read_volume(tmp_path / "bone")
    here = image.TransformPhysicalPointToIndex(bone.points()[0, 2, 12].tolist())
    assert image[here] > 800 and count < image.GetSize()[2] <= count + 7
    assert sitk.GetArrayFromImage(image)[count:].max() < 800


def test_uneven_slices_are_made_even_and_the_gaps_are_said(tmp_path):
    heights = np.array([0, 3, 6, 9, 13, 17, 21, 25.0])
    written = plain(len(heights), thickness=4.0)
    written.positions = np.array([[-10.0, -20.0, z] for z in heights])
    written.stored = (np.rint(heights * 10)[:, None, None] + np.zeros((8, 10, 12))).astype(np.int16)
    write_series(tmp_path, written)
    found = read_volume_file(tmp_path)
    assert "3 to 4 mm apart" in found.warnings[0]
    np.testing.assert_allclose(sitk.GetArrayFromImage(found.image), points_of(found.image)[..., 2] * 10, atol=0.01)
    assert found.image.GetSize()[2] == 9  # 25 mm, in steps as near to the smallest, 3 mm, as fit
    assert points_of(found.image)[-1, 0, 0, 2] == pytest.approx(25)


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_uptake_is_not_inverted(tmp_path, photometric):
    written = plain(modality="PT", dtype=np.uint16, slopes=[0.5] * 6, tags={"PhotometricInterpretation": photometric})
    write_series(tmp_path, written)
    assert_read_as(read_volume(tmp_path), written)


@pytest.mark.parametrize("padding", [-2000, 63536])  # the same bits
def test_padding_is_air(tmp_path, padding):
    written = plain(intercepts=[-1024] * 6)
    written.stored[:, 0] = -2000
    write_series(tmp_path, written)
    for path in tmp_path.iterdir():
        ds = pydicom.dcmread(path)
        ds.add_new(0x00280120, "US" if padding > 0 else "SS", padding)
        ds.save_as(path)
    values = sitk.GetArrayFromImage(read_volume(tmp_path))
    assert (values[:, 0] == -1000).all()
    np.testing.assert_array_equal(values[:, 1:], written.values[:, 1:])


def test_bits_above_those_stored_are_no_values(tmp_path):
    written = plain(dtype=np.uint16)
    clean = written.stored.copy()
    written.stored |= 0xF000
    write_series(tmp_path, Written(written.stored, written.positions, tags={"BitsStored": 12, "HighBit": 11}))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(read_volume(tmp_path)), clean)


def real_world(slope, intercept, unit):
    item, code = Dataset(), Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = unit, "UCUM", unit
    item.RealWorldValueSlope, item.RealWorldValueIntercept = slope, intercept
    item.MeasurementUnitsCodeSequence = [code]
    return [item]


def test_a_real_world_value_mapping_counts_where_it_is_the_unit(tmp_path):
    mapped = {"Units": "CNTS", "RealWorldValueMappingSequence": real_world(2.5, 4, "Bq/ml")}
    pet = plain(modality="PT", slopes=[1.0] * 6, tags=mapped)
    write_series(tmp_path / "pet", pet)
    found = read_volume_file(tmp_path / "pet")
    assert found.about.unit == "BQML"
    np.testing.assert_allclose(sitk.GetArrayFromImage(found.image), pet.stored * 2.5 + 4)
    ct = plain(intercepts=[-1024] * 6, tags={"RealWorldValueMappingSequence": real_world(9, 9, "1")})
    write_series(tmp_path / "ct", ct)
    assert read_volume_file(tmp_path / "ct").about.unit == "HU"
    assert_read_as(read_volume(tmp_path / "ct"), ct)


@pytest.mark.parametrize("keyword, dtype", [("FloatPixelData", np.float32), ("DoubleFloatPixelData", np.float64)])
def test_float_pixel_data_are_read(tmp_path, keyword, dtype):
    values = np.random.default_rng(0).normal(size=(4, 5, 6)).astype(dtype)
    ds = header("MR", "1.2.840.10008.5.1.4.1.1.30", 5, 6, dtype, NumberOfFrames=4)
    for name in ("BitsStored", "HighBit", "PixelRepresentation"):
        delattr(ds, name)
    values[:, 0, :2] = -9999, -1e4
    setattr(ds, keyword, values.tobytes())
    setattr(ds, keyword.replace("Data", "PaddingValue"), -9999.0)
    setattr(ds, keyword.replace("Data", "PaddingRangeLimit"), -1e4)
    frames = []
    for k in range(4):
        frame, place = Dataset(), Dataset()
        place.ImagePositionPatient, frame.PixelMeasuresSequence = [0, 0, 2 * k], [Dataset()]
        frame.PixelMeasuresSequence[0].PixelSpacing = [1, 1]
        frame.PlanePositionSequence, frame.PlaneOrientationSequence = [place], [Dataset()]
        frame.PlaneOrientationSequence[0].ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
        frames.append(frame)
    ds.PerFrameFunctionalGroupsSequence = frames
    ds.save_as(tmp_path / "map.dcm", enforce_file_format=True)
    values[:, 0, :2] = 0
    np.testing.assert_array_equal(sitk.GetArrayFromImage(read_volume(tmp_path / "map.dcm")), values)


@pytest.mark.parametrize(
    "tag, first, second, words",
    [
        ("EchoTime", 12, 25, "echo 12, 2: echo 25"),
        ("TemporalPositionIdentifier", 1, 2, "time point 1, 2: time point 2"),
        ("TriggerTime", 0, 400, "cardiac phase 0"),
        ("AcquisitionNumber", 1, 2, "acquisition 1"),
    ],
)
def test_what_lies_at_one_place_is_named_and_one_can_be_chosen(tmp_path, tag, first, second, words):
    one, two = plain(modality="MR", tags={tag: first}), plain(modality="MR", tags={tag: second})
    two.stored = two.stored + 500
    write_series(tmp_path, one, name="A{}")
    write_series(tmp_path, two, name="B{}")
    with pytest.raises(InputError, match=words):
        read_volume(tmp_path)
    for number, written in enumerate((one, two), 1):
        found = read_volume_file(tmp_path, frame=number)
        assert_read_as(found.image, written)
        assert f"number {number} of 2" in found.warnings[0]
    with pytest.raises(InputError, match="no frame 3"):
        read_volume_file(tmp_path, frame=3)


def test_missing_slices_are_counted(tmp_path):
    paths = write_series(tmp_path, plain(12))
    paths[4].unlink()
    paths[5].unlink()
    with pytest.raises(InputError, match="3 to 9 mm apart: 2 missing, the first after slice 4 of 10"):
        read_volume(tmp_path)


def test_a_localizer_in_the_series_is_left_out(tmp_path):
    written = plain()
    write_series(tmp_path, written)
    scout = Written(written.stored[:1], np.zeros((1, 3)), np.array([[1.0, 0, 0], [0, 0, -1.0]]))
    write_series(tmp_path, scout, name="scout{}")
    found = read_volume_file(tmp_path)
    assert_read_as(found.image, written)
    assert "localizer" in found.warnings[0]


# --- folders ---


MANY = (
    ("ct", "CT", {}),
    ("pet", "PT", {"CorrectedImage": ["DECY", "ATTN"], "Units": "BQML"}),
    ("PET NAC", "PT", {"CorrectedImage": ["DECY"]}),
    ("scout", "CT", {"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}),
    ("whole body", "PT", {"ImageType": ["DERIVED", "SECONDARY", "MIP"]}),
    ("screen", "OT", {}),
)


def write_many(folder, chosen=MANY):
    for number, (name, modality, tags) in enumerate(chosen, 1):
        more = {"SeriesInstanceUID": f"1.2.9.{number}", "SeriesNumber": number, "SeriesDescription": name}
        write_series(folder / "DICOM" / f"S{number}", plain(4, modality, tags=tags | more))
    return folder


@pytest.mark.parametrize("told", ["HU", "ED", "US"])
def test_an_enhanced_series_is_listed_with_the_unit_that_it_is_read_in(tmp_path, told):
    path = tmp_path / "IM"
    write_enhanced(path, plain())
    ds = pydicom.dcmread(path)
    for frame in ds.PerFrameFunctionalGroupsSequence:
        frame.PixelValueTransformationSequence[0].RescaleType = told
    ds.save_as(path)
    assert list_series(tmp_path).series[0].unit == (read_volume_file(path).about.unit or "") == told.replace("US", "")


def test_a_cd_is_listed_and_each_series_can_be_chosen(tmp_path):
    folder = write_many(tmp_path)
    (folder / "DICOMDIR").write_bytes(b"\0" * 128 + b"DICM" + b"\0" * 50)
    (folder / "readme.txt").write_text("viewer")
    contents = list_series(folder)
    assert [item.description for item in contents.series] == [name for name, _, _ in MANY]
    assert [bool(item.aside) for item in contents.series] == [False, False, True, True, True, True]
    assert {(item.images, item.columns, item.rows) for item in contents.series} == {(4, 12, 10)}
    assert [item.unit for item in contents.series[:4]] == ["", "BQML", "", ""]  # these CTs tell of no rescale
    for which, uid in {"#2": "1.2.9.2", "1.2.9.4": "1.2.9.4", "NAC": "1.2.9.3", "whole": "1.2.9.5"}.items():
        assert read_volume_file(f"{folder}::{which}").about.series_uid == uid
    for which, words in {"#7": "no series", "nothing": "no series", "PT": "3 series are"}.items():
        with pytest.raises(InputError, match=words):
            read_volume_file(f"{folder}::{which}")
    with pytest.raises(InputError, match=r"6 series: #1 CT ct \(4 images\) in folder DICOM/S1"):
        read_volume(folder)
    assert read_volume_file(folder / "DICOM" / "S2" / "IM0001").image.GetSize() == (12, 10, 4)


@pytest.mark.parametrize("implicit", [True, False])
def test_files_without_a_preamble_are_dicom(tmp_path, implicit):
    written = plain()
    for path in write_series(tmp_path, written):
        ds = pydicom.dcmread(path)
        del ds.file_meta
        ds.preamble = None
        pydicom.dcmwrite(path, ds, implicit_vr=implicit, little_endian=True, enforce_file_format=False)
        assert path.read_bytes()[:2] == b"\x08\x00"
    assert_read_as(read_volume(tmp_path), written)
    assert_read_as(read_volume(tmp_path / "IM0002"), written)
    (tmp_path / "other").write_bytes(b"\x08\x00" + bytes(range(200)))
    assert_read_as(read_volume(tmp_path), written)


def test_a_folder_may_have_colons_in_its_name(tmp_path):
    folder = write_many(tmp_path / "a::b")
    assert read_volume_file(f"{folder}::#2").about.series_uid == "1.2.9.2"


def test_roles_are_plain_or_they_are_not(tmp_path):
    anatomical, functional = plain_pair(list_series(write_many(tmp_path / "plain")))
    assert (anatomical.description, functional.description) == ("ct", "pet")
    second = [*MANY, ("pet late", "PT", {"CorrectedImage": ["ATTN"]})]
    elsewhere = [MANY[0], ("pet", "PT", {"CorrectedImage": ["ATTN"], "FrameOfReferenceUID": "1.9"})]
    for name, chosen, words in (
        ("two", second, "several could be meant"),
        ("nac", [MANY[0], MANY[2]], "no attenuation-corrected PET"),
        ("frame", elsewhere, "frames of reference"),
        ("patients", [MANY[0], ("pet", "PT", {"CorrectedImage": ["ATTN"], "PatientID": "P2"})], "several patients"),
        ("pets", [MANY[1]], "no CT or MR"),
    ):
        with pytest.raises(InputError, match=words):
            plain_pair(list_series(write_many(tmp_path / name, chosen)))


@pytest.mark.parametrize(
    "modality, sop, name",
    [
        ("RTSTRUCT", "1.2.840.10008.5.1.4.1.1.481.3", "an RT structure set, not an image"),
        ("RTDOSE", "1.2.840.10008.5.1.4.1.1.481.2", "an RT dose, which is computed from a plan, not an image"),
        ("SEG", "1.2.840.10008.5.1.4.1.1.66.4", "a segmentation, which is a label map, not an image"),
    ],
)
def test_objects_that_are_no_image_of_the_patient_are_named(tmp_path, modality, sop, name):
    ds = header(modality, sop, 4, 4, np.uint16, PixelData=bytes(32))
    if modality == "RTSTRUCT":
        del ds.Rows, ds.PixelData
    else:
        ds["PixelData"].VR = "OW"
    ds.save_as(tmp_path / "rs.dcm", enforce_file_format=True)
    with pytest.raises(InputError, match=name):
        read_volume(tmp_path / "rs.dcm")
    with pytest.raises(InputError, match=f"holds no DICOM images; it holds {name.removesuffix(', not an image')}"):
        read_volume(tmp_path)
    assert list_series(tmp_path).series == ()


def test_a_legacy_converted_series_is_the_series(tmp_path):
    import highdicom

    written = plain(5, "CT", intercepts=[-1024] * 5)
    now = {"StudyDate": "20200101", "StudyTime": "120000", "AcquisitionDate": "20200101", "AcquisitionTime": "120000"}
    more = {
        "StudyID": "1",
        "AccessionNumber": "",
        "PatientBirthDate": "",
        "PatientSex": "",
        "ReferringPhysicianName": "",
    }
    written.tags = (
        now | more | {"Manufacturer": "x", "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"], "ContentTime": "120000"}
    )
    written.tags |= {"PositionReferenceIndicator": "", "ContentDate": "20200101"}
    sources = [pydicom.dcmread(path) for path in write_series(tmp_path / "single", written)]
    made = highdicom.legacy.LegacyConvertedEnhancedCTImage(sources, "1.2.8.1", 9, "1.2.8.2", 1)
    made.save_as(tmp_path / "legacy.dcm", enforce_file_format=True)
    assert_read_as(read_volume(tmp_path / "legacy.dcm"), written)


def test_about_tells_whose_and_what(tmp_path):
    write_series(
        tmp_path, plain(modality="PT", tags={"Units": "BQML", "BodyPartExamined": "CHEST", "SeriesDescription": "wb"})
    )
    about = read_volume_file(tmp_path).about
    assert (about.modality, about.unit, about.region, about.description) == ("PT", "BQML", "CHEST", "wb")
    assert (about.patient_id, about.study_uid, about.frame_of_reference_uid) == ("P1", "1.2.3.1", "1.2.3.2")
    assert len(about.references) == 6 and all("PixelData" not in ds for ds in about.datasets)
