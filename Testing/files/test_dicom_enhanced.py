"""Multi-frame DICOM objects: enhanced, legacy-converted and NM, whatever the order of their frames."""

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk

from MMIFAminLib.files import read_volume, read_volume_file
from MMIFAminLib.files.volumes import list_series
from support.dicom import SOP, Written, header, suv_tags, write_enhanced
from support.reading import refusal

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:pydicom")  # of the odd sources


def write_nm(path, kind, **vectors):
    """An NM object of 12 frames in one file, of what ``kind`` its image type tells; returns its values."""
    values = np.random.default_rng(0).integers(0, 900, (12, 5, 6)).astype(np.uint16)
    ds = header("NM", SOP["NM"], 5, 6, values.dtype, NumberOfFrames=12, PixelSpacing=[3, 2], SpacingBetweenSlices=4)
    ds.ImageType, ds.SliceThickness = ["DERIVED", "PRIMARY", kind, "EMISSION"], 4
    ds.DetectorInformationSequence = [pydicom.Dataset()]
    ds.DetectorInformationSequence[0].ImagePositionPatient = [0, 0, 10]
    ds.DetectorInformationSequence[0].ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    for keyword, vector in vectors.items():
        setattr(ds, keyword, vector)
    ds.PixelData = values.tobytes()
    ds["PixelData"].VR = "OW"
    ds.save_as(path, enforce_file_format=True)
    return values


def test_a_gated_spect_has_frames_and_its_projections_are_no_volume(tmp_path):
    times = [1] * 4 + [2] * 4 + [3] * 4
    values = write_nm(tmp_path / "a", "RECON GATED TOMO", SliceVector=[1, 2, 3, 4] * 3, TimeSlotVector=times)
    assert "3 volumes: 1: time point 1, 2: time point 2, 3: time point 3" in refusal(tmp_path)
    image = read_volume_file(tmp_path, frame=2).image
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image), values[4:8])
    assert (image.GetOrigin(), image.GetSpacing()) == ((0, 0, 10), (2, 3, 4))
    write_nm(tmp_path / "a", "GATED TOMO", RotationVector=[1] * 12, TimeSlotVector=times)
    assert "not reconstructed" in refusal(tmp_path)
    assert list_series(tmp_path).series[0].aside == "projections, not a reconstruction"


@pytest.mark.parametrize("first", [0, 1, 5])
def test_the_first_slice_of_a_spect_lies_where_its_detector_tells(tmp_path, first):
    values = write_nm(tmp_path / "a", "RECON TOMO", SliceVector=list(range(first, first + 12)))
    image = read_volume(tmp_path / "a")
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image), values)
    assert (image.GetOrigin(), image.GetSpacing()) == ((0, 0, 10), (2, 3, 4))


def cut_into_parts(path):
    """An enhanced CT of 6 frames at ``path``, cut into two files; returns them and its values."""
    values = np.random.default_rng(0).integers(0, 900, (6, 5, 6)).astype(np.int16)
    write_enhanced(path, Written(values, np.array([[0.0, 0, 3 * k] for k in range(6)])))
    parts, groups = [], pydicom.dcmread(path).PerFrameFunctionalGroupsSequence
    for number in (1, 2):
        ds, which = pydicom.dcmread(path), slice(3 * number - 3, 3 * number)
        ds.PerFrameFunctionalGroupsSequence, ds.NumberOfFrames = groups[which], 3
        ds.PixelData, ds.SOPInstanceUID = values[which].tobytes(), f"1.2.4.{number}"
        ds.ConcatenationUID, ds.InConcatenationNumber = "1.2.9", number
        parts.append(path.with_name(f"part{number}"))
        ds.save_as(parts[-1])
    path.unlink()
    return parts, values


def test_all_parts_of_a_concatenation_are_there(tmp_path):
    (first, second), values = cut_into_parts(tmp_path / "whole")
    np.testing.assert_array_equal(sitk.GetArrayFromImage(read_volume(tmp_path)), values)
    ds = pydicom.dcmread(first)
    ds.InConcatenationTotalNumber = 2
    second.rename(tmp_path.with_name("second"))
    ds.save_as(first)
    assert "part 2 of 2 of its frames is missing" in refusal(first)
    tmp_path.with_name("second").rename(second)
    first.unlink()
    assert "part 1 of 2 of its frames is missing" in refusal(second)


@pytest.mark.parametrize(
    "keyword, words",
    [
        ("SharedFunctionalGroupsSequence", "do not say where in the patient they lie"),
        ("NumberOfFrames", "declares 1 frames and describes 4"),
    ],
)
def test_an_enhanced_object_that_lacks_something_is_refused(tmp_path, keyword, words):
    path = tmp_path / "a"
    write_enhanced(path, Written(np.ones((4, 5, 6), np.int16), np.array([[0.0, 0, 3 * k] for k in range(4)])))
    ds = pydicom.dcmread(path)
    delattr(ds, keyword)
    ds.save_as(path)
    assert words in refusal(path)


@pytest.mark.parametrize("decay", ["ADMIN", "START"])
def test_a_legacy_converted_pet_tells_of_itself_what_its_slices_told(tmp_path, decay):
    stored = np.random.default_rng(0).integers(1, 900, (3, 5, 6)).astype(np.int16)
    written = Written(stored, np.array([[0.0, 0, 3 * k] for k in range(3)]), modality="PT", slopes=(2.0, 3.0, 4.0))
    path = tmp_path / "a.dcm"
    write_enhanced(path, written)
    ds, told = pydicom.dcmread(path), suv_tags(DecayCorrection=decay)
    ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.128.1"
    ds.SeriesDate, ds.SeriesTime, ds.PatientWeight = told["SeriesDate"], told["SeriesTime"], told["PatientWeight"]
    ds.AcquisitionDateTime = "20240101110000"
    apart = pydicom.Dataset()
    for name in ("RadiopharmaceuticalInformationSequence", "Units", "DecayCorrection", "CorrectedImage"):
        setattr(apart, name, told[name])
    ds.SharedFunctionalGroupsSequence[0].UnassignedSharedConvertedAttributesSequence = [apart]
    ds.save_as(path)
    found, decayed = read_volume_file(path), {"ADMIN": 1, "START": 0.5 ** (3600 / 6586.2)}[decay]
    assert found.about.unit == "SUV" and found.warnings == ()
    assert np.allclose(sitk.GetArrayFromImage(found.image), written.values / 5000 / decayed, rtol=1e-5)
    apart.CorrectedImage = "DECY"
    ds.save_as(path)
    assert list_series(tmp_path).series[0].aside == "not corrected for attenuation"


def enhanced(path, places, modality="MR", order=None, **groups):
    """An enhanced object of 10 frames at ``places`` (z, or all three), with functional groups (functions of the frame)."""
    values = np.random.default_rng(0).integers(0, 900, (10, 5, 6)).astype(np.int16)
    positions = np.array([place if np.ndim(place) else (0, 0, place) for place in places], float)
    write_enhanced(path, Written(values, positions, modality=modality), order=order)
    ds = pydicom.dcmread(path)
    for k, frame in zip(order or range(10), ds.PerFrameFunctionalGroupsSequence):
        for name, tags in groups.items():
            item = pydicom.Dataset()
            for keyword, value in tags(k).items():
                setattr(item, keyword, value)
            setattr(frame, name, [item])
    ds.save_as(path)
    return values


TO_AND_FRO = [0, 5, 6, 1, 2, 7, 8, 3, 4, 9]  # of two kinds of frames, 0 to 4 and 5 to 9 at the same places


@pytest.mark.parametrize(
    "modality, group, tags",
    [
        ("CT", "CTImageFrameTypeSequence", lambda k: {"FrameType": ["DERIVED", "PRIMARY", "VOLUME", "AB"[k // 5]]}),
        ("PT", "PETFrameTypeSequence", lambda k: {"FrameType": ["ORIGINAL", "PRIMARY", "DYNAMIC", "AB"[k // 5]]}),
        ("MR", "MRImageFrameTypeSequence", lambda k: {"ComplexImageComponent": ("MAGNITUDE", "PHASE")[k // 5]}),
        ("MR", "FrameContentSequence", lambda k: {"DimensionIndexValues": [1, k % 5 + 1, k // 5 + 1]}),
    ],
)
def test_frames_of_two_kinds_in_any_order_are_not_mixed(tmp_path, modality, group, tags):
    values = enhanced(tmp_path / "a", [3 * (k % 5) for k in range(10)], modality, TO_AND_FRO, **{group: tags})
    assert "2 volumes" in refusal(tmp_path / "a")
    for number, part in ((1, values[:5]), (2, values[5:])):
        np.testing.assert_array_equal(
            sitk.GetArrayFromImage(read_volume_file(tmp_path / "a", frame=number).image), part
        )


@pytest.mark.parametrize("second", [(0, 0, 100), (50, 0, 1.5), (0, 0, 1)])  # behind, beside, among the first
def test_parallel_stacks_are_volumes_of_their_own(tmp_path, second):
    places = [(0, 0, 3 * k) for k in range(5)] + [np.add(second, (0, 0, 3 * k)) for k in range(5)]
    values = enhanced(tmp_path / "a", places, FrameContentSequence=lambda k: {"StackID": "12"[k // 5]})
    assert "2 volumes: 1: stack 1, 2: stack 2; choose one with --frame" in refusal(tmp_path / "a")
    image = read_volume_file(tmp_path / "a", frame=2).image
    assert (image.GetOrigin(), image.GetSpacing()) == (second, (2, 3, 3))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image), values[5:])


@pytest.mark.parametrize("stack", [lambda k: "12"[k // 5], str])  # that go on evenly, or one for each frame
def test_stacks_that_go_on_are_one_volume(tmp_path, stack):
    values = enhanced(tmp_path / "a", [3 * k for k in range(10)], FrameContentSequence=lambda k: {"StackID": stack(k)})
    np.testing.assert_array_equal(sitk.GetArrayFromImage(read_volume(tmp_path / "a")), values)


@pytest.mark.parametrize("axes", [[1, 0, 0, 0, 0, -1], None])
def test_a_gated_spect_without_a_place_is_not_one_long_volume(tmp_path, axes):
    times = [1] * 4 + [2] * 4 + [3] * 4
    values = write_nm(tmp_path / "a", "RECON GATED TOMO", SliceVector=[4, 3, 2, 1] * 3, TimeSlotVector=times)
    ds = pydicom.dcmread(tmp_path / "a")
    del ds.DetectorInformationSequence[0].ImagePositionPatient
    ds.DetectorInformationSequence[0].ImageOrientationPatient = axes
    ds.save_as(tmp_path / "a")
    assert "3 volumes: 1: time point 1, 2: time point 2, 3: time point 3" in refusal(tmp_path)
    found = read_volume_file(tmp_path, frame=2)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(found.image), values[7:3:-1])
    assert found.image.GetSpacing() == (2, 3, 4) and "its orientation is not known" in found.warnings[0]
    del ds.SliceThickness, ds.SpacingBetweenSlices
    ds.save_as(tmp_path / "a")
    assert (
        "does not tell how far its slices are apart: 1 mm was taken" in read_volume_file(tmp_path, frame=2).warnings[1]
    )


def test_a_transmission_is_no_uptake(tmp_path):
    write_nm(tmp_path / "a", "RECON TOMO", SliceVector=list(range(1, 13)))
    assert list_series(tmp_path).series[0].aside == ""
    ds = pydicom.dcmread(tmp_path / "a")
    ds.ImageType = ["ORIGINAL", "PRIMARY", "RECON TOMO", "TRANSMISSION"]
    ds.save_as(tmp_path / "a")
    assert list_series(tmp_path).series[0].aside == "attenuation map"
