"""Volume files: what is read is whole, what is written is whole or absent, every refusal is one clear line."""

import gzip
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from MMIFAminLib.errors import InputError
from MMIFAminLib.files.volumes import WRITABLE, read_volume, read_volume_file, write_volume
from MMIFAminLib.files.writing import check_output
from MMIFAminLib.volume.geometry import same_grid
from support.phantoms import Grid, brightest_point, grids, head, rotation, write_dicom_series
from support.reading import SMALL, refusal

DTYPES = (np.uint8, np.int8, np.uint16, np.int16, np.uint32, np.int32, np.uint64, np.int64, np.float32, np.float64)


def array_of(image):
    return sitk.GetArrayFromImage(image)


# --- round trips ---


@pytest.mark.parametrize("ending", WRITABLE)
@pytest.mark.parametrize("kind", ["mr", "rgb"])
def test_values_and_places_survive(tmp_path, ending, kind):
    image = head(SMALL, scale=1000, dtype=np.int16)
    if kind == "rgb":
        image = SMALL.image(np.random.default_rng(0).integers(0, 256, (*SMALL.size[::-1], 3)).astype(np.uint8))
    path = tmp_path / f"head of Zoë 頭{ending}"
    write_volume(image, path)
    back = read_volume(path)
    np.testing.assert_array_equal(array_of(back), array_of(image))
    assert same_grid(back, image) and back.GetPixelID() == image.GetPixelID()
    assert os.listdir(tmp_path) == [path.name]


@given(grids(sizes=st.integers(2, 6)), st.sampled_from(DTYPES), st.data())
@settings(max_examples=40, deadline=None)
def test_any_type_and_grid_survives_nrrd(tmp_path_factory, grid, dtype, data):
    values = data.draw(hnp.arrays(dtype, grid.size[::-1], elements=hnp.from_dtype(np.dtype(dtype), allow_nan=False)))
    path = tmp_path_factory.mktemp("any") / "volume.nrrd"
    write_volume(grid.image(values), path)
    back = read_volume(path)
    np.testing.assert_array_equal(array_of(back), values)
    assert same_grid(back, grid.image(values))


@pytest.mark.parametrize("ending", WRITABLE)
@pytest.mark.parametrize("flips", [(1, 1, 1), (-1, 1, 1), (1, -1, -1)])
def test_left_stays_left_through_every_format(tmp_path, ending, flips):
    grid = Grid(direction=tuple(np.diag(flips).astype(float).ravel())).centred_at()
    write_volume(head(grid), tmp_path / f"head{ending}")
    np.testing.assert_allclose(brightest_point(read_volume(tmp_path / f"head{ending}")), (30, -35, 25), atol=2)


def test_uncompressed_and_detached_files_are_read(tmp_path):
    image = head(SMALL)
    for name in ("a.nii", "a.mha", "a.mhd", "a.nhdr", "a.nrrd", "a.hdr", "a.vtk"):
        sitk.WriteImage(image, str(tmp_path / name), useCompression=False)
        np.testing.assert_array_equal(array_of(read_volume(tmp_path / name)), array_of(image), err_msg=name)


def test_rescaled_nifti_is_read_in_its_own_units(tmp_path):
    """scl_slope makes the stored type narrower than the one that ITK reports."""
    path = tmp_path / "scaled.nii"
    sitk.WriteImage(head(SMALL, scale=1000, dtype=np.int16), str(path))
    data = bytearray(path.read_bytes())
    struct.pack_into("<2f", data, 112, 0.5, -3.0)
    path.write_bytes(data)
    expected = array_of(head(SMALL, scale=1000, dtype=np.int16)) * 0.5 - 3
    np.testing.assert_allclose(array_of(read_volume(path)), expected)


@pytest.mark.parametrize("ending", ["nii.gz", "mha"])
def test_one_time_point_in_4d_is_a_volume_and_of_several_one_is_chosen(tmp_path, ending):
    volumes = [head(SMALL, scale=scale) for scale in (100.0, 200.0)]
    for count in (1, 2):
        sitk.WriteImage(sitk.JoinSeries(volumes[:count]), str(tmp_path / f"{count}.{ending}"))
    one, two = (tmp_path / f"{count}.{ending}" for count in (1, 2))
    np.testing.assert_array_equal(array_of(read_volume(one)), array_of(volumes[0]))
    assert "2 time points" in refusal(two)
    for number in (1, 2):
        np.testing.assert_array_equal(
            array_of(read_volume_file(two, frame=number).image), array_of(volumes[number - 1])
        )
    for number in (0, 3):
        with pytest.raises(InputError, match=f"no frame {number}"):
            read_volume_file(two, frame=number)


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("dtype, name", [(np.int16, "short"), (np.uint8, "uchar")])
def test_a_sequence_of_slicer_has_frames(tmp_path, first, dtype, name):
    """Three frames of 8 bits are no colours."""
    frames = np.stack([array_of(head(SMALL, scale=100 + 10 * n, dtype=np.int16)) for n in range(3)]).astype(dtype)
    sizes, axes, kinds = list(map(str, SMALL.size)), ["(4,0,0)", "(0,4,0)", "(0,0,4)"], ["domain"] * 3
    for part, more in ((sizes, "3"), (axes, "none"), (kinds, "list")):
        part.insert(0 if first else 3, more)
    header = f"NRRD0004\ntype: {name}\ndimension: 4\nspace: left-posterior-superior\nsizes: {' '.join(sizes)}\n"
    header += f"space directions: {' '.join(axes)}\nkinds: {' '.join(kinds)}\nencoding: raw\nendian: little\n\n"
    stored = np.moveaxis(frames, 0, -1) if first else frames
    (tmp_path / "a.seq.nrrd").write_bytes(header.encode() + stored.tobytes())
    assert "3 time points" in refusal(tmp_path / "a.seq.nrrd")
    for number in (1, 2, 3):
        found = read_volume_file(tmp_path / "a.seq.nrrd", frame=number).image
        np.testing.assert_array_equal(array_of(found), frames[number - 1])
    with pytest.raises(InputError, match="no frame 4"):
        read_volume_file(tmp_path / "a.seq.nrrd", frame=4)


@pytest.mark.parametrize(
    "content, reason",
    [
        (b"", "is empty"),
        (b"PK\x03\x04 and more", "ZIP archive"),
        (gzip.compress(b"NRRD0004\n"), "compressed with gzip and damaged, or holds no"),
        (b"<!doctype html><html>", "web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid 1\n", "Git LFS"),
        (b"%PDF-1.7", "PDF"),
        (b"nothing that is known", "format that is not known"),
    ],
)
def test_what_is_no_volume_is_called_by_its_name(tmp_path, content, reason):
    (tmp_path / "a.nrrd").write_bytes(content)
    assert reason in refusal(tmp_path / "a.nrrd")


def test_shared_volumes_are_read_without_a_complaint(shared, capfd):
    for path in sorted((shared / "data/volumes").glob("*21_*.nrrd")) + [shared / "data/templates/SPECT.nii.gz"]:
        assert read_volume(path).GetDimension() == 3
    assert capfd.readouterr() == ("", "")


# --- DICOM ---

SERIES = Grid(size=(24, 20, 12), spacing=(7.0, 8.0, 12.0), direction=tuple(rotation((20, 0, 0)).ravel())).centred_at()


def dicom_head():
    return head(SERIES, scale=1000, dtype=np.int16)


def test_a_dicom_series_is_a_volume(tmp_path):
    folder = tmp_path / "study of Zoë"
    write_dicom_series(folder, dicom_head(), "1.2.826.1")
    (folder / "notes.txt").write_text("not an image")
    (folder / "subfolder").mkdir()
    back = read_volume(folder)
    np.testing.assert_array_equal(array_of(back), array_of(dicom_head()))
    assert same_grid(back, dicom_head())


def test_several_series_are_named(tmp_path):
    write_dicom_series(tmp_path, dicom_head(), "1.2.826.1", description="T1 sag")
    write_dicom_series(
        tmp_path, dicom_head(), "1.2.826.2", description="FDG AC", modality="PT", prefix="pet", skip=(0,)
    )
    text = refusal(tmp_path)
    assert "2 series" in text and "MR T1 sag (12 images)" in text and "PT FDG AC (11 images)" in text


def test_a_missing_slice_is_noticed(tmp_path):
    write_dicom_series(tmp_path, dicom_head(), "1.2.826.1", skip=(4,))
    assert "12 to 24 mm apart" in refusal(tmp_path)


@pytest.mark.parametrize("place", [0, 5, 11])
def test_a_truncated_slice_is_noticed(tmp_path, place):
    write_dicom_series(tmp_path, dicom_head(), "1.2.826.1")
    path = tmp_path / f"slice{place:03d}.dcm"
    path.write_bytes(path.read_bytes()[:700])
    assert path.name in refusal(tmp_path)


def test_two_time_points_are_noticed(tmp_path):
    write_dicom_series(tmp_path, dicom_head(), "1.2.826.1")
    write_dicom_series(tmp_path, dicom_head() + 1, "1.2.826.1", prefix="again")
    assert "one position" in refusal(tmp_path)


def test_copies_of_files_are_taken_once_and_said(tmp_path):
    write_dicom_series(tmp_path, dicom_head(), "1.2.826.1")
    write_dicom_series(tmp_path, dicom_head(), "1.2.826.1", prefix="again")
    found = read_volume_file(tmp_path)
    np.testing.assert_array_equal(array_of(found.image), array_of(dicom_head()))
    assert "12 slices twice" in found.warnings[0]


def test_a_folder_without_dicom_is_refused(tmp_path):
    (tmp_path / "a.txt").write_text("x")
    assert "no DICOM images" in refusal(tmp_path)


# --- writing ---


def test_unknown_endings_are_refused(tmp_path):
    for name in ("fused.mhd", "fused.png", "fused"):
        with pytest.raises(InputError, match=r"\.nrrd, \.nii\.gz"):
            write_volume(head(SMALL), tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_places_that_cannot_be_written_are_named_before_work_starts(tmp_path):
    (tmp_path / "folder.nrrd").mkdir()
    (tmp_path / "file").write_text("x")
    for path, words in {
        tmp_path / "missing" / "fused.nrrd": "there is no folder",
        tmp_path / "file" / "fused.nrrd": "there is no folder",
        tmp_path / "folder.nrrd": "not a plain file",
        tmp_path / ("x" * 300 + ".nrrd"): "too long",
        tmp_path / "nul\0.nrrd": "null",
    }.items():
        for attempt in (check_output, lambda p: write_volume(head(SMALL), p)):
            with pytest.raises(InputError, match=words) as error:
                attempt(path)
            assert "\n" not in str(error.value)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs POSIX permissions")
def test_a_read_only_folder_is_named():
    """In a process of an ordinary user: permissions do not bind the superuser."""
    with tempfile.TemporaryDirectory() as name:
        locked = Path(name) / "locked"
        locked.mkdir(mode=0o555)
        os.chmod(name, 0o755)
        pid = os.fork()
        if pid == 0:
            if os.geteuid() == 0:
                os.setuid(65534)
            try:
                check_output(locked / "fused.nrrd")
                os._exit(2)
            except InputError as error:
                os._exit(0 if "no permission" in str(error) else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX limits")
@pytest.mark.parametrize("ending", WRITABLE)
def test_a_full_disk_is_noticed_and_leaves_nothing(tmp_path, ending):
    """A file-size limit stands for the full disk: writes stop part-way, which ITK does not report for NIfTI."""
    path = tmp_path / f"fused{ending}"
    write_volume(head(SMALL), path)
    before = path.read_bytes()
    script = f"""
        import resource, signal, sys
        import numpy as np, SimpleITK as sitk
        from MMIFAminLib import InputError
        from MMIFAminLib.files.volumes import write_volume
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
        noise = np.random.default_rng(0).normal(size=(32, 32, 32)).astype(np.float32)
        try:
            write_volume(sitk.GetImageFromArray(noise), {str(path)!r})
        except InputError as error:
            print(error)
    """
    result = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True)
    assert result.stderr == "" and result.stdout.count("\n") == 1
    assert "cannot be written" in result.stdout and str(path) in result.stdout
    assert path.read_bytes() == before and os.listdir(tmp_path) == [path.name]


@pytest.mark.parametrize(
    "free, reason",
    [(1 << 19, "the disk is full"), (1 << 21, "part of it was refused"), (None, "part of it was refused")],
)
def test_why_a_volume_was_not_written_whole_is_told(tmp_path, monkeypatch, free, reason):
    """Where ITK says nothing: a third of the file is missing."""
    written = sitk.WriteImage

    def cut(image, name, **options):
        written(image, name, useCompression=False)
        os.truncate(name, os.path.getsize(name) * 2 // 3)

    def usage(folder):
        if free is None:
            raise OSError("not told")
        return SimpleNamespace(free=free)

    monkeypatch.setattr(sitk, "WriteImage", cut)
    monkeypatch.setattr(shutil, "disk_usage", usage)
    with pytest.raises(InputError, match=f"cannot be written: {reason}"):
        write_volume(head(SMALL, scale=1000, dtype=np.int16), tmp_path / "fused.mha")
    assert not list(tmp_path.iterdir())


def test_two_processes_writing_one_output_leave_one_whole_file(tmp_path):
    path = tmp_path / "fused.nrrd"
    script = f"""
        import sys, numpy as np, SimpleITK as sitk
        from MMIFAminLib.files.volumes import write_volume
        ramp = np.arange(40, dtype=np.int16)
        image = sitk.GetImageFromArray(np.full((40, 40, 40), int(sys.argv[1]), np.int16) + ramp)
        for _ in range(15):
            write_volume(image, {str(path)!r})
    """
    command = [sys.executable, "-c", textwrap.dedent(script)]
    writers = [subprocess.Popen([*command, str(100 * number)]) for number in (1, 2)]
    seen = set()
    while any(writer.poll() is None for writer in writers):
        if path.exists():
            values = array_of(read_volume(path))
            assert np.all(values == values[0, 0, 0] + np.arange(40))
            seen.add(int(values[0, 0, 0]))
    assert [writer.returncode for writer in writers] == [0, 0]
    assert seen <= {100, 200} and os.listdir(tmp_path) == ["fused.nrrd"]


@pytest.mark.skipif(not hasattr(os, "symlink") or sys.platform == "win32", reason="needs symbolic links")
def test_links_are_followed_and_devices_are_left_alone(tmp_path):
    target = tmp_path / "real.nrrd"
    (tmp_path / "link.nrrd").symlink_to(target)
    write_volume(head(SMALL), tmp_path / "link.nrrd")
    assert (tmp_path / "link.nrrd").is_symlink() and read_volume(target).GetSize() == SMALL.size
    with pytest.raises(InputError, match="not a plain file"):
        check_output(os.devnull)
