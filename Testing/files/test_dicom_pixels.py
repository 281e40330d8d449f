"""DICOM in: types of pixels, compressed syntaxes and tables, each against the values that were written."""

import io

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from PIL import Image
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import DeflatedExplicitVRLittleEndian, JPEGBaseline8Bit, JPEGExtended12Bit, RLELossless

from MMIFAminLib.files import read_volume, read_volume_file
from support.dicom import Written, write_enhanced, write_series
from support.reading import refusal

PLACES = np.array([[0.0, 0, 3 * k] for k in range(3)])
SMOOTH = (np.add.outer(np.add.outer(np.arange(3) * 20, np.arange(32) * 3), np.arange(40) * 2)).astype(np.uint8)


def values_of(path):
    return sitk.GetArrayFromImage(read_volume(path))


@pytest.mark.parametrize("dtype", [np.int32, np.uint32])
def test_32_bits_are_exact_as_integers_and_rescaled(tmp_path, dtype):
    limits = np.iinfo(dtype)
    stored = np.random.default_rng(0).integers(limits.min, limits.max, (3, 10, 12), dtype, endpoint=True)
    stored[0, 0, :2] = limits.min, limits.max
    write_series(tmp_path / "plain", Written(stored, PLACES, modality="MR"))
    np.testing.assert_array_equal(values_of(tmp_path / "plain"), stored)
    scaled = Written(stored, PLACES, modality="PT", slopes=[1e-6] * 3, intercepts=[2] * 3)
    write_series(tmp_path / "scaled", scaled)
    np.testing.assert_allclose(values_of(tmp_path / "scaled"), scaled.values, rtol=1e-6, atol=1e-4)


def compressed(folder, frames, syntax, **tags):
    """A series whose slices are ``frames``, compressed already."""
    for path, frame in zip(write_series(folder, Written(SMOOTH, PLACES, modality="MR")), frames):
        ds = pydicom.dcmread(path)
        for name, value in tags.items():
            setattr(ds, name, value)
        ds.PixelData = encapsulate([frame])
        ds["PixelData"].VR = "OB"
        ds["PixelData"].is_undefined_length = True
        ds.file_meta.TransferSyntaxUID = syntax
        ds.save_as(path, enforce_file_format=True)


def test_deflated_files_are_smaller_than_their_pixels(tmp_path):
    written = Written(np.repeat(SMOOTH[:1], 3, axis=0) // 200, PLACES, modality="MR")
    written.stored[1, 4, 5] = 7
    for path in write_series(tmp_path, written, syntax=None):
        ds = pydicom.dcmread(path)
        ds.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
        ds.save_as(path, enforce_file_format=True)
        assert path.stat().st_size < 32 * 40
    np.testing.assert_array_equal(values_of(tmp_path), written.stored)


@pytest.mark.parametrize("syntax", [JPEGBaseline8Bit, JPEGExtended12Bit])
def test_jpeg_of_8_bits(tmp_path, syntax):
    frames = []
    for values in SMOOTH:
        file = io.BytesIO()
        Image.fromarray(values).save(file, "JPEG", quality=95)
        frames.append(file.getvalue())
    compressed(tmp_path, frames, syntax)
    found = values_of(tmp_path).astype(int)
    assert np.abs(found - SMOOTH).max() <= 4
    expected = np.stack([np.asarray(Image.open(io.BytesIO(frame))) for frame in frames])
    assert np.abs(found - expected).max() <= 1  # decoders may round differently


def test_jpeg_of_12_bits_as_gdcm_decodes_it(tmp_path):
    path = get_testdata_file("JPGExtended.dcm")
    source = pydicom.dcmread(path)
    assert source.file_meta.TransferSyntaxUID == JPEGExtended12Bit and source.BitsStored == 12
    frame = next(generate_frames(source.PixelData, number_of_frames=1))
    names = ("Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation")
    compressed(tmp_path, [frame] * 3, JPEGExtended12Bit, **{name: source[name].value for name in names})
    expected = sitk.GetArrayFromImage(sitk.ReadImage(str(path))).squeeze().astype(int)
    found = values_of(tmp_path).astype(int)
    assert found.shape == (3, source.Rows, source.Columns) and np.ptp(found) > 255
    assert np.abs(found - expected).max() <= 1
    damaged = pydicom.dcmread(get_testdata_file("JPEG-lossy.dcm"))
    frame = next(generate_frames(damaged.PixelData, number_of_frames=1))
    compressed(tmp_path, [frame] * 3, JPEGExtended12Bit)
    assert "damaged (pylibjpeg: libjpeg error" in refusal(tmp_path)


def test_lossless_jpeg_is_exact(tmp_path):
    stored = np.random.default_rng(0).integers(0, 4000, (1, 32, 40)).astype(np.uint16)
    writer = sitk.ImageFileWriter()
    writer.SetFileName(str(tmp_path / "gdcm.dcm"))
    writer.SetUseCompression(True)
    writer.SetCompressor("JPEG")
    writer.Execute(sitk.GetImageFromArray(stored))
    made = pydicom.dcmread(tmp_path / "gdcm.dcm")
    assert made.file_meta.TransferSyntaxUID.name.startswith("JPEG Lossless")
    frame = next(generate_frames(made.PixelData, number_of_frames=1))
    names = ("BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation")
    tags = {name: made[name].value for name in names}
    compressed(tmp_path / "series", [frame] * 3, made.file_meta.TransferSyntaxUID, **tags)
    np.testing.assert_array_equal(values_of(tmp_path / "series"), np.repeat(stored, 3, axis=0))


@pytest.mark.parametrize("first, dtype", [(0, np.uint8), (10, np.uint16), (-100, np.int16)])
@pytest.mark.parametrize("packed", [False, True], ids=["US", "OW"])
def test_a_modality_table_gives_the_values(tmp_path, first, dtype, packed):
    """Stored values below the first mapped one take the first entry, those beyond the last one the last."""
    table = np.arange(50, dtype=np.uint16) ** 2
    stored = np.random.default_rng(1).integers(first - min(first, 5) if first > 0 else first, first + 60, (3, 10, 12))
    written = Written(stored.astype(dtype), PLACES, modality="MR")
    for path in write_series(tmp_path, written):
        ds, item = pydicom.dcmread(path), Dataset()
        item.add_new("LUTDescriptor", "SS" if first < 0 else "US", [50, first, 16])
        item.ModalityLUTType = "US"
        item.add_new("LUTData", "OW" if packed else "US", table.tobytes() if packed else table.tolist())
        ds.ModalityLUTSequence = [item]
        ds.save_as(path)
    np.testing.assert_array_equal(values_of(tmp_path), table[np.clip(stored - first, 0, 49)])


def test_a_modality_table_of_65536_entries_says_that_it_has_none(tmp_path):
    """PS3.3 C.11.1.1.1: 2**16 entries are written as 0."""
    table = (np.arange(65536) * 3 % 65536).astype(np.uint16)
    stored = np.random.default_rng(1).integers(0, 65536, (3, 10, 12)).astype(np.uint16)
    stored[0, 0, 0] = 65535
    for path in write_series(tmp_path, Written(stored, PLACES, modality="MR")):
        ds, item = pydicom.dcmread(path), Dataset()
        item.LUTDescriptor, item.ModalityLUTType, item.LUTData = [0, 0, 16], "US", table.tobytes()
        item["LUTDescriptor"].VR, item["LUTData"].VR = "US", "OW"
        ds.ModalityLUTSequence = [item]
        ds.save_as(path)
    np.testing.assert_array_equal(values_of(tmp_path), table[stored])


def test_a_table_of_real_world_values_gives_values_and_unit(tmp_path):
    table = [0.5 * number**2 for number in range(200)]
    item, code = Dataset(), Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = (
        "g/ml",
        "UCUM",
        "Standardized Uptake Value lean body mass",
    )
    item.RealWorldValueFirstValueMapped, item.RealWorldValueLastValueMapped = 20, 219
    item.RealWorldValueLUTData, item.MeasurementUnitsCodeSequence = table, [code]
    stored = SMOOTH // 2 + 20
    tags = {"RealWorldValueMappingSequence": [item]}
    write_series(tmp_path, Written(stored, PLACES, modality="PT", tags=tags))
    found = read_volume_file(tmp_path)
    np.testing.assert_allclose(sitk.GetArrayFromImage(found.image), np.array(table)[stored - 20], rtol=1e-6)
    assert (found.about.unit, found.about.suv.factor) == ("SUV-lbm-james-120", 1)
    assert "weight is missing; the values stay in SUV-lbm-james-120" in found.warnings[0]


def test_colours_of_a_palette_are_no_values(tmp_path):
    written = Written(SMOOTH, PLACES, modality="NM", tags={"PhotometricInterpretation": "PALETTE COLOR"})
    write_series(tmp_path / "one", written)
    assert "colours of a palette, not measured values; choose the original series" in refusal(tmp_path / "one")


@pytest.mark.parametrize("rescaled", [False, True])
def test_each_range_of_stored_values_has_its_real_world_mapping(tmp_path, rescaled):
    items = []
    for first, last, slope in ((100, 255, 10.0), (0, 99, 2.0)):
        item, code = Dataset(), Dataset()
        code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "Bq/ml", "UCUM", "Becquerels/milliliter"
        item.RealWorldValueFirstValueMapped, item.RealWorldValueLastValueMapped = first, last
        item.RealWorldValueSlope, item.RealWorldValueIntercept = slope, 0.0
        item.MeasurementUnitsCodeSequence = [code]
        items.append(item)
    tags = {"RealWorldValueMappingSequence": items} | ({"RescaleSlope": 1, "RescaleIntercept": 0} if rescaled else {})
    write_series(tmp_path, Written(SMOOTH, PLACES, modality="NM", tags=tags))
    expected = SMOOTH * np.where(SMOOTH < 100, 2.0, 10.0)
    np.testing.assert_allclose(values_of(tmp_path), expected)
    assert read_volume_file(tmp_path).about.unit == "BQML"


def test_an_enhanced_object_has_the_mapping_with_a_unit_of_several(tmp_path):
    items = []
    for unit, slope in (("1", 1.0), ("Bq/ml", 2.0)):
        item, code = Dataset(), Dataset()
        code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = unit, "UCUM", unit
        item.RealWorldValueFirstValueMapped, item.RealWorldValueLastValueMapped = 0, 255
        item.RealWorldValueSlope, item.RealWorldValueIntercept = slope, 0.0
        item.MeasurementUnitsCodeSequence = [code]
        items.append(item)
    write_enhanced(tmp_path / "a", Written(SMOOTH, PLACES, modality="PT"))
    ds = pydicom.dcmread(tmp_path / "a")
    ds.SharedFunctionalGroupsSequence[0].RealWorldValueMappingSequence = items
    ds.save_as(tmp_path / "a")
    np.testing.assert_allclose(values_of(tmp_path / "a"), 2.0 * SMOOTH)
    assert read_volume_file(tmp_path / "a").about.unit == "BQML"


@pytest.mark.parametrize("compressed_by", [None, RLELossless])
@pytest.mark.parametrize(
    "dtype, padding, alike", [(np.int16, -32768, 0), (np.uint16, 63536, 2096), (np.uint16, 65535, 4095)]
)
def test_padding_beyond_the_stored_bits_is_not_what_has_its_lower_bits(tmp_path, dtype, padding, alike, compressed_by):
    """Of 12 bits, -32768 would be 0: water of a CT became air."""
    stored = np.random.default_rng(0).integers(1, 900, (3, 10, 12)).astype(dtype)
    stored[:, 0], stored[:, 1] = padding, alike
    tags = {"BitsStored": 12, "HighBit": 11, "PixelPaddingValue": padding}
    write_series(tmp_path, Written(stored, PLACES, intercepts=[0] * 3, tags=tags), syntax=compressed_by)
    expected = stored.astype(int)
    expected[:, 0] = -1000
    np.testing.assert_array_equal(values_of(tmp_path), expected)


def test_padding_of_two_values_is_none(tmp_path):
    for path in write_series(tmp_path, Written(SMOOTH, PLACES, modality="MR")):
        ds = pydicom.dcmread(path)
        ds.add_new("PixelPaddingValue", "US", [0, 20])
        ds.save_as(path)
    np.testing.assert_array_equal(values_of(tmp_path), SMOOTH)


@pytest.mark.parametrize("compressed_by", [None, RLELossless])
@pytest.mark.parametrize("pixel", [-2000, 2096])
def test_padding_may_be_told_in_the_bits_of_a_pixel(tmp_path, pixel, compressed_by):
    """2096 is -2000 in 12 bits, whether or not the pixels repeat their sign above those."""
    stored = np.random.default_rng(0).integers(1, 900, (3, 10, 12)).astype(np.int16)
    stored[:, 0] = pixel
    tags = {"BitsStored": 12, "HighBit": 11, "PixelPaddingValue": 2096}
    write_series(tmp_path, Written(stored, PLACES, intercepts=[0] * 3, tags=tags), syntax=compressed_by)
    np.testing.assert_array_equal(values_of(tmp_path)[:, 0], -1000)
    np.testing.assert_array_equal(values_of(tmp_path)[:, 1:], stored[:, 1:])


@pytest.mark.parametrize("dtype", [np.uint16, np.int16])
def test_stored_bits_may_lie_at_the_top(tmp_path, dtype):
    stored = np.random.default_rng(0).integers(0, 2000, (3, 10, 12)).astype(dtype) - (1000 if dtype is np.int16 else 0)
    tags = {"BitsStored": 12, "HighBit": 15, "PixelPaddingValue": 16}
    write_series(tmp_path, Written((stored << 4) | 5, PLACES, modality="MR", tags=tags))
    np.testing.assert_array_equal(values_of(tmp_path), np.where(stored == 16, 0, stored))
