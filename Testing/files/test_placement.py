"""Files that do not tell where the patient lies, or how large their voxels are: what was taken is said."""

from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk

from MMIFAminLib.files.volumes import read_volume_file
from support.phantoms import head
from support.reading import SMALL, refusal

VOXELS = np.arange(120, dtype=np.int16).tobytes()
DIRECTIONS = "space directions: (2,0,0) (0,3,0) (0,0,4)"
PLACE, LENGTHS = "taken for LPS (left, posterior, superior)", "how large its voxels are: 1 x 1 x 1 mm was taken"


def warnings_of(path, *lines):
    """What is said of a file of 6 x 5 x 4 voxels whose header has ``lines``."""
    if path.suffix == ".nrrd":
        start, end = "NRRD0004\ntype: short\ndimension: 3\nsizes: 6 5 4\nencoding: raw\nendian: little\n", "\n"
    else:
        start = "ObjectType = Image\nNDims = 3\nDimSize = 6 5 4\nElementType = MET_SHORT\n"
        end = "ElementDataFile = LOCAL\n"
    path.write_bytes((start + "".join(f"{line}\n" for line in lines) + end).encode() + VOXELS)
    found = read_volume_file(path)
    assert sitk.GetArrayFromImage(found.image).ravel().tolist() == list(range(120))
    return found.warnings


@pytest.mark.parametrize(
    "name, lines, said",
    [
        ("a.nrrd", [], [PLACE, LENGTHS]),
        ("a.nrrd", ["spacings: 2 3 4"], [PLACE]),
        ("a.nrrd", ["spacings: 2 3 nan"], [PLACE, "2 x 3 x 1 mm was taken"]),
        ("a.nrrd", ["space dimension: 3", DIRECTIONS], [PLACE]),
        ("a.nrrd", ["space: scanner-xyz", DIRECTIONS], [PLACE]),
        ("a.nrrd", ["space: LPS"], [PLACE, LENGTHS]),
        ("a.nrrd", ["space: Right-Anterior-Superior", DIRECTIONS], []),
        ("a.nrrd", ["space: LPS", DIRECTIONS], []),
        ("a.mha", [], [PLACE, LENGTHS]),
        ("a.mha", ["ElementSize = 2 3 4"], [PLACE]),
        ("a.mha", ["TransformMatrix = 1 0 0 0 1 0 0 0 1", "ElementSpacing = 2 3 4"], []),
    ],
)
def test_what_a_header_does_not_tell_is_said(tmp_path, name, lines, said):
    found = warnings_of(tmp_path / name, *lines)
    assert len(found) == len(said) and all(words in warning for words, warning in zip(said, found))


@pytest.mark.parametrize(
    "ending, said",
    [("nhdr", 0), ("mhd", 0), ("hdf5", 0), ("mnc", 0), ("vtk", 1), ("gipl", 1), ("mrc", 1), ("tif", 2)],
)
def test_what_a_format_cannot_tell_is_said(tmp_path, ending, said):
    sitk.WriteImage(head(SMALL, scale=1000, dtype=np.int16), str(tmp_path / f"a.{ending}"))
    found = read_volume_file(tmp_path / f"a.{ending}").warnings
    assert [PLACE in warning for warning in found] == [True, False][:said]
    assert said < 2 or "9 x 9.5 x 1 mm was taken" in found[1]


def test_a_vtk_file_without_its_spacing_is_told(tmp_path):
    path = tmp_path / "a.vtk"
    sitk.WriteImage(head(SMALL, scale=1000, dtype=np.int16), str(path))
    path.write_bytes(b"\n".join(line for line in path.read_bytes().split(b"\n") if not line.startswith(b"SPACING")))
    found = read_volume_file(path).warnings
    assert len(found) == 2 and PLACE in found[0] and LENGTHS in found[1]


def test_a_minc_file_of_others_lies_where_its_writer_put_it():
    """A file that McGill's tools wrote: its world is RAS, its first voxel 98 mm left and 134 mm behind."""
    image = read_volume_file(Path(nibabel.__file__).parent / "tests" / "data" / "small.mnc").image
    assert image.TransformIndexToPhysicalPoint((0, 0, 0)) == pytest.approx((98, 134, -72))
    assert image.TransformIndexToPhysicalPoint((28, 27, 17)) == pytest.approx((-98, -82, 81))


@pytest.mark.parametrize("unit, scale", [("mm", 1), ("cm", 10), ("um", 0.001), ("", 1)])
def test_the_unit_of_a_space_is_heeded(tmp_path, unit, scale):
    lines = ["space: LPS", DIRECTIONS, "space origin: (5,6,7)", "space units:" + f' "{unit}"' * 3]
    assert not warnings_of(tmp_path / "a.nrrd", *lines)
    image = read_volume_file(tmp_path / "a.nrrd").image
    assert image.GetSpacing() == pytest.approx((2 * scale, 3 * scale, 4 * scale))
    assert image.GetOrigin() == pytest.approx((5 * scale, 6 * scale, 7 * scale))
    lines = ["TransformMatrix = 1 0 0 0 1 0 0 0 1", "ElementSpacing = 2 3 4", f"DistanceUnits = {unit}"]
    assert not warnings_of(tmp_path / "a.mha", *lines)
    assert read_volume_file(tmp_path / "a.mha").image.GetSpacing() == pytest.approx((2 * scale, 3 * scale, 4 * scale))


@pytest.mark.parametrize("slope, offset", [("0.5", "-100"), ("2", None), (None, "3"), ("1", "0")])
def test_the_intensities_of_a_metaimage_are_those_that_its_header_tells(tmp_path, slope, offset):
    lines = [
        f"ElementToIntensityFunction{name} = {told}\n" for name, told in (("Slope", slope), ("Offset", offset)) if told
    ]
    start = "ObjectType = Image\nNDims = 3\nDimSize = 6 5 4\n" + "".join(lines)
    path = tmp_path / "a.mha"
    path.write_bytes((start + "ElementType = MET_SHORT\nElementDataFile = LOCAL\n").encode() + VOXELS)
    found = sitk.GetArrayFromImage(read_volume_file(path).image).ravel()
    np.testing.assert_allclose(found, float(slope or 1) * np.arange(120) + float(offset or 0))
    assert (found.dtype == np.int16) == (slope == "1")


def test_a_metaimage_whose_slope_is_none_is_refused(tmp_path):
    start = "ObjectType = Image\nNDims = 3\nDimSize = 6 5 4\nElementToIntensityFunctionSlope = 0\n"
    (tmp_path / "a.mha").write_bytes((start + "ElementType = MET_SHORT\nElementDataFile = LOCAL\n").encode() + VOXELS)
    assert "ElementToIntensityFunction" in refusal(tmp_path / "a.mha")
