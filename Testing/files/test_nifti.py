"""NIfTI and its kin: the sform counts where it is set, names do not matter, colours are RGB24, 4D has frames."""

import gzip
import struct

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk

from MMIFAminLib.errors import InputError
from MMIFAminLib.files.volumes import read_volume, read_volume_file, write_volume
from MMIFAminLib.volume.geometry import same_grid
from support.phantoms import head
from support.reading import SMALL, refusal

VALUES = sitk.GetArrayFromImage(head(SMALL)).T
AFFINE = np.eye(4)
AFFINE[:3] = np.diag([-1, -1, 1]) @ np.column_stack([SMALL.matrix, SMALL.origin])
MOVED = np.diag([1.0, 1, 1, 1])
MOVED[:3, 3] = 20, 0, 0


def write(path, sform=None, qform=None, values=VALUES, kind=nib.Nifti1Image):
    made = kind(values, AFFINE)
    made.set_sform(*(sform or (None, 0)))
    made.set_qform(*(qform or (None, 0)))
    nib.save(made, path)
    return path


@pytest.mark.parametrize("kind", [nib.Nifti1Image, nib.Nifti2Image])
@pytest.mark.parametrize("code", [1, 2, 4])
def test_the_sform_counts_and_a_differing_qform_is_mentioned(tmp_path, kind, code):
    found = read_volume_file(write(tmp_path / "a.nii.gz", (AFFINE, code), (MOVED @ AFFINE, 1), kind=kind))
    assert same_grid(found.image, head(SMALL))
    assert "20 mm apart" in found.warnings[0]


@pytest.mark.parametrize("forms", [{"sform": (AFFINE, 2)}, {"qform": (AFFINE, 1)}])
def test_one_form_alone_counts(tmp_path, forms):
    found = read_volume_file(write(tmp_path / "a.nii", **forms))
    assert same_grid(found.image, head(SMALL))
    assert not found.warnings
    np.testing.assert_array_equal(sitk.GetArrayFromImage(found.image), VALUES.T)


def test_no_form_is_said(tmp_path):
    nib.save(nib.AnalyzeImage(VALUES, np.diag([4, 4, 4, 1])), tmp_path / "b.img")
    for path in (write(tmp_path / "a.nii"), tmp_path / "b.hdr", tmp_path / "b.img"):
        found = read_volume_file(path)
        assert "orientation is not known" in found.warnings[0]
        middle = found.image.TransformContinuousIndexToPhysicalPoint([(n - 1) / 2 for n in SMALL.size])
        np.testing.assert_allclose(middle, 0, atol=1e-4)


@pytest.mark.parametrize("unit, scale", [("micron", 1000), ("meter", 0.001)])
def test_lengths_have_units(tmp_path, unit, scale):
    made = nib.Nifti1Image(VALUES, np.diag([scale, scale, scale, 1]) @ AFFINE)
    made.header.set_xyzt_units(unit)
    nib.save(made, tmp_path / "a.nii")
    np.testing.assert_allclose(read_volume(tmp_path / "a.nii").GetSpacing(), SMALL.spacing, rtol=1e-5)


def test_names_do_not_matter(tmp_path):
    plain = write(tmp_path / "plain.nii", (AFFINE, 1)).read_bytes()
    for name, content in {"plain.nii.gz": plain, "packed.nii": gzip.compress(plain), "none": plain}.items():
        (tmp_path / name).write_bytes(content)
        np.testing.assert_array_equal(sitk.GetArrayFromImage(read_volume(tmp_path / name)), VALUES.T)


@pytest.mark.parametrize("kind", [nib.Nifti1Pair, nib.Nifti2Pair, nib.AnalyzeImage])
@pytest.mark.parametrize("packed", [(), (".hdr",), (".img",), (".hdr", ".img")], ids=str)
def test_both_files_of_a_pair_may_be_compressed(tmp_path, kind, packed):
    nib.save(kind(VALUES, AFFINE), tmp_path / "a.img")
    for ending in packed:
        path = tmp_path / f"a{ending}"
        path.with_name(f"a{ending}.gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    for path in sorted(tmp_path.iterdir()):
        np.testing.assert_array_equal(sitk.GetArrayFromImage(read_volume(path)), VALUES.T)
    header, data = sorted(tmp_path.iterdir())
    data.write_bytes(data.read_bytes()[:-90])
    assert "truncated" in refusal(header)
    data.unlink()
    assert "beside it" in refusal(header)


@pytest.mark.parametrize("ending", ["mgz", "mgh"])
def test_freesurfers_volumes_are_read(tmp_path, ending):
    nib.save(nib.MGHImage(VALUES.astype(np.float32), AFFINE), tmp_path / f"a.{ending}")
    image = read_volume(tmp_path / f"a.{ending}")
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image), VALUES.T)
    np.testing.assert_allclose(image.GetOrigin(), SMALL.origin, atol=1e-3)
    data = (tmp_path / f"a.{ending}").read_bytes()
    (tmp_path / f"cut.{ending}").write_bytes(data[: len(data) // 2])
    assert "damaged" in refusal(tmp_path / f"cut.{ending}")


@pytest.mark.parametrize("kind, name", [(nib.Nifti1Image, "NIfTI-1"), (nib.Nifti2Image, "NIfTI-2")])
def test_a_frame_of_4d_is_chosen(tmp_path, kind, name):
    series = np.stack([VALUES, VALUES + 1, VALUES + 2], -1)
    path = write(tmp_path / "4d.nii.gz", (AFFINE, 1), values=series, kind=kind)
    assert f"{name} with 4 dimensions (3 time points)" in refusal(path)
    for frame in (1, 2, 3):
        values = sitk.GetArrayFromImage(read_volume_file(path, frame=frame).image)
        np.testing.assert_array_equal(values, series[..., frame - 1].T)
    with pytest.raises(InputError, match="no frame 4"):
        read_volume_file(path, frame=4)


def test_equal_colours_are_equal_files(tmp_path):
    """The name of the file that was written first stood in it, and the number of its process."""
    image = sitk.GetImageFromArray(np.zeros((2, 3, 4, 3), np.uint8), isVector=True)
    for name in ("a.nii.gz", "b.nii.gz"):
        write_volume(image, tmp_path / name)
    assert (tmp_path / "a.nii.gz").read_bytes() == (tmp_path / "b.nii.gz").read_bytes()


def test_colours_are_rgb24(tmp_path):
    colours = np.random.default_rng(0).integers(0, 256, (*SMALL.size[::-1], 3)).astype(np.uint8)
    for name in ("a.nii", "a.nii.gz"):
        write_volume(SMALL.image(colours), tmp_path / name)
        assert nib.load(tmp_path / name).get_data_dtype().names == ("R", "G", "B")
        for image in (read_volume(tmp_path / name), sitk.ReadImage(str(tmp_path / name))):
            np.testing.assert_array_equal(sitk.GetArrayFromImage(image), colours)
            assert same_grid(image, SMALL.image(colours))


def test_written_colours_lie_in_scanner_space_by_both_forms(tmp_path):
    """Some viewers read the sform, some the qform; code 1 is the scanner's space, 2 that of another image."""
    write_volume(sitk.Compose(*[sitk.Cast(head(SMALL), sitk.sitkUInt8)] * 3), tmp_path / "a.nii")
    header = nib.load(tmp_path / "a.nii").header
    for affine, code in (header.get_sform(coded=True), header.get_qform(coded=True)):
        assert code == 1
        np.testing.assert_allclose(affine, AFFINE, atol=1e-4)


def test_colours_as_itk_writes_them_are_colours(tmp_path):
    values = np.arange(3 * VALUES.size).reshape(*VALUES.shape, 1, 3) % 251
    made = nib.Nifti1Image(values.astype(np.uint8), AFFINE)
    made.header.set_intent("vector")
    nib.save(made, tmp_path / "a.nii")
    found = sitk.GetArrayFromImage(read_volume(tmp_path / "a.nii"))
    np.testing.assert_array_equal(found, values[:, :, :, 0].transpose(2, 1, 0, 3))


def test_vectors_are_not_taken_for_time_points(tmp_path):
    nib.save(nib.Nifti1Image(np.zeros((4, 4, 4, 1, 2), np.float32), AFFINE), tmp_path / "a.nii")
    for frame in (None, 1):
        with pytest.raises(InputError, match=r"5 dimensions \(4 x 4 x 4 x 1 x 2\): not a volume"):
            read_volume_file(tmp_path / "a.nii", frame=frame)


@pytest.mark.parametrize("order", "<>")
def test_the_scale_that_spm_writes_into_analyze_is_heeded(tmp_path, order):
    values = np.arange(120, dtype=order + "i2").reshape(6, 5, 4)
    made = nib.Spm99AnalyzeImage(values, np.eye(4), nib.Spm99AnalyzeHeader(endianness=order))
    made.set_data_dtype(values.dtype)
    nib.save(made, tmp_path / "a.img")
    header = bytearray((tmp_path / "a.hdr").read_bytes())
    header[112:116] = struct.pack(order + "f", 0.25)
    (tmp_path / "a.hdr").write_bytes(header)
    (tmp_path / "a.img").write_bytes(values.tobytes(order="F"))
    found = read_volume_file(tmp_path / "a.hdr")
    np.testing.assert_allclose(sitk.GetArrayFromImage(found.image), 0.25 * values.T)
    assert "multiplied by 0.25" in found.warnings[-1]
