"""One row of a cohort: the same files as ``fuse`` writes, done once, done again where something has changed."""

import base64
import io
import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk
from PIL import Image

from MMIFAminLib.cohort import Row, fuse_row, read_manifest
from MMIFAminLib.cohort.hashes import content_hash, result_key
from MMIFAminLib.commandline import main
from MMIFAminLib.display.color import ColorTable
from MMIFAminLib.engine import VolumeFuser
from MMIFAminLib.errors import FusionCancelled, InputError
from MMIFAminLib.files.locking import locked
from MMIFAminLib.study import default_options
from support.cohorts import make_cohort
from support.dicom import Written, write_series


@pytest.fixture(scope="module")
def fuser(stirred_weights):
    return VolumeFuser.load("cpu", "fp32", stirred_weights)


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """The only row of a table."""
    return read_manifest(make_cohort(tmp_path_factory.mktemp("pair"), 1)).rows[0]


@pytest.fixture
def row(pair, tmp_path):
    """A row with files of its own."""
    (tmp_path / "in").mkdir()
    copied = [shutil.copy(path, tmp_path / "in") for path in (pair.anatomical, pair.functional)]
    return Row("a", *map(type(pair.anatomical), copied))


@pytest.fixture
def fused(row, fuser, tmp_path):
    """``fused(options)``: what comes of the row in the folder out."""

    def work(row=row, force=False, **options):
        return fuse_row(row, tmp_path / "out", default_options(**options), lambda: fuser, force=force, worker="w")

    return work


def test_the_files_are_those_of_fuse(row, fused, tmp_path, stirred_weights):
    result = fused(rgb=True, plane="coronal")
    assert (result.status, result.reason, result.output, result.worker) == ("fused", "", "a/fused.nrrd", "w")
    alone = tmp_path / "alone.nrrd"
    sources = [str(row.anatomical), str(row.functional)]
    engine = ["--device", "cpu", "--precision", "fp32", "--weights", str(stirred_weights)]
    assert main(["fuse", *sources, "-o", str(alone), "--rgb", "--plane", "coronal", *engine]) == 0
    assert (tmp_path / "out" / "a" / "fused.nrrd").read_bytes() == alone.read_bytes()
    report = json.loads((tmp_path / "out" / "a" / "report.json").read_text())
    assert report["plane"] == "coronal" and report["output"] == str(tmp_path / "out" / "a" / "fused.nrrd")
    assert Image.open(tmp_path / "out" / "a" / "preview.png").size[0] == 1400
    assert sorted(path.name for path in (tmp_path / "out" / "a").iterdir()) == [
        "fused.nrrd",
        "preview.png",
        "report.json",
    ]


def test_the_fused_volume_of_a_row_is_there_once(fused, tmp_path):
    for options, name in (({}, "fused.nrrd"), ({"dicom": True}, "fused_dicom"), ({}, "fused.nrrd")):
        assert fused(**options).status == "fused"
        found = {path.name for path in (tmp_path / "out" / "a").iterdir()}
        assert found == {name, "preview.png", "report.json"}


def test_a_result_tells_metrics_hashes_and_shows_itself(row, fused, tmp_path):
    result = fused()
    assert 0 < result.metrics["SSIM"] <= 2 and result.seconds > 0
    assert result.hashes["anatomical"] == content_hash(row.anatomical)
    assert set(result.hashes) == {"anatomical", "functional", "weights", "fused"}
    picture = Image.open(io.BytesIO(base64.b64decode(result.thumbnail)))
    assert picture.format == "JPEG" and max(picture.size) == 128


def test_a_row_is_done_once(fused, tmp_path):
    first = fused()
    written = (tmp_path / "out" / "a" / "fused.nrrd").stat().st_mtime_ns
    again = fused()
    assert again.status == "kept" and again.hashes == first.hashes and again.seconds == first.seconds
    assert again.thumbnail == first.thumbnail and again.warnings == first.warnings
    assert (tmp_path / "out" / "a" / "fused.nrrd").stat().st_mtime_ns == written


@pytest.mark.parametrize("change", ["input", "row's option", "damaged", "state"])
def test_what_has_changed_is_done_again(change, row, fused, tmp_path):
    whole = fused().hashes["fused"]
    volume = tmp_path / "out" / "a" / "fused.nrrd"
    if change == "input":
        sitk.WriteImage(sitk.ReadImage(str(row.functional)) ** 2, str(row.functional))
    elif change == "row's option":
        row = Row(row.id, row.anatomical, row.functional, options="--plane sagittal")
    elif change == "damaged":
        volume.write_bytes(volume.read_bytes()[:-9])
    else:
        (tmp_path / "out" / ".cohort" / "a.json").write_text('{"key": ')
    result = fused(row)
    assert result.status == "fused"
    assert (result.hashes["fused"] == whole) is (change in ("damaged", "state"))


def test_a_result_depends_on_inputs_options_weights_and_version(monkeypatch):
    inputs, options = {"anatomical": "1"}, default_options()
    key = result_key(inputs, options, "w")
    assert key == result_key(dict(inputs), default_options(), "w")
    others = [
        result_key({"anatomical": "2"}, options, "w"),
        result_key(inputs, default_options(plane="coronal"), "w"),
        result_key(inputs, options, "v"),
    ]
    monkeypatch.setattr("MMIFAminLib.cohort.hashes.__version__", "0.9.9")
    assert len({key, *others, result_key(inputs, options, "w")}) == 5


def test_a_result_depends_on_every_colour_of_a_table_of_the_users():
    """Of many colours NumPy's text leaves the middle out."""
    greys = np.repeat(np.linspace(0, 1, 512)[:, None], 3, axis=1)
    other = greys.copy()
    other[250:260] = (1, 0, 0)
    tables = [ColorTable("mine", None, colors) for colors in (greys, greys, other)]
    keys = [result_key({"anatomical": "1"}, default_options(color_table=table), "w") for table in tables]
    assert keys[0] == keys[1] != keys[2]


def test_an_input_at_fault_is_refused_and_changes_nothing(row, fused, tmp_path):
    fused()
    before = {path: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()}
    row.functional.write_bytes(row.functional.read_bytes()[:600])
    result = fused()
    assert result.status == "refused" and "truncated" in result.reason and "earlier result" in result.warnings[0]
    assert {path: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()} == before


def test_what_is_no_fault_of_the_input_has_failed(row, tmp_path):
    def broken():
        raise RuntimeError("no\ndriver")

    result = fuse_row(row, tmp_path / "out", default_options(), broken)
    assert (result.status, result.reason) == ("failed", "RuntimeError: no driver")
    result = fuse_row(Row("b", tmp_path / "none.nrrd"), tmp_path / "out", default_options(), broken)
    assert (result.status, result.reason) == ("refused", f"{tmp_path / 'none.nrrd'}: no such file or folder")


def test_a_cancelled_row_leaves_nothing(row, fuser, tmp_path):
    with pytest.raises(FusionCancelled):
        fuse_row(row, tmp_path / "out", default_options(), lambda: fuser, progress=lambda fraction, text: False)
    assert [path.name for path in (tmp_path / "out").rglob("*")] == [".cohort"]


def test_what_a_killed_worker_left_half_written_is_swept(row, fused, tmp_path):
    fused()
    folder = tmp_path / "out" / "a"
    (folder / ".fused.nrrd.4711-0123abcd.nrrd").write_bytes(b"half")
    (folder / ".somebody's own").write_bytes(b"kept")
    assert fused(force=True).status == "fused"
    names = sorted(path.name for path in folder.iterdir())
    assert names == [".somebody's own", "fused.nrrd", "preview.png", "report.json"]


def test_two_at_one_row_take_turns(row, fuser, tmp_path):
    """A worker may still be at a row that a killed command had asked for, when the next command asks another."""
    pytest.importorskip("fcntl", reason="this system has no such locks")
    seen = []

    def progress(fraction, text):
        try:
            with locked(tmp_path / "out" / ".cohort" / "a.lock", wait=False):
                seen.append("free")
        except BlockingIOError:
            seen.append("taken")

    result = fuse_row(row, tmp_path / "out", default_options(), lambda: fuser, progress=progress)
    assert result.status == "fused" and set(seen) == {"taken"}
    assert [path.name for path in (tmp_path / "out" / ".cohort").iterdir()] == ["a.json"]


def test_the_hash_of_a_header_is_that_of_its_data_too(pair, tmp_path):
    image = sitk.ReadImage(str(pair.functional))
    sitk.WriteImage(image, str(tmp_path / "pet.mhd"))
    before = content_hash(tmp_path / "pet.mhd")
    sitk.WriteImage(image * 2, str(tmp_path / "other.mhd"))
    (tmp_path / "other.raw").rename(tmp_path / "pet.raw")
    assert content_hash(tmp_path / "pet.mhd") != before


def test_what_is_read_of_several_files_depends_on_each_of_them(tmp_path):
    image = sitk.GetImageFromArray(np.arange(24, dtype=np.int16).reshape(2, 3, 4))
    sitk.WriteImage(image, str(tmp_path / "mr.img"))
    before = content_hash(tmp_path / "mr.img")
    header = bytearray((tmp_path / "mr.hdr").read_bytes())
    header[80:84] = np.float32(5).tobytes()  # the spacing along x
    (tmp_path / "mr.hdr").write_bytes(header)
    assert content_hash(tmp_path / "mr.img") != before

    slices = tmp_path / "slices"
    slices.mkdir()
    lines = ("NRRD0004", "type: short", "dimension: 3", "sizes: 4 3 2", "endian: little", "encoding: raw")
    (slices / "mr.nhdr").write_text("\n".join((*lines, "data file: s%d.raw 0 1 1", "")))
    for number in range(2):
        np.arange(12, dtype="<i2").tofile(slices / f"s{number}.raw")
    assert sitk.ReadImage(str(slices / "mr.nhdr")).GetSize() == (4, 3, 2)
    before = content_hash(slices / "mr.nhdr")
    np.zeros(12, "<i2").tofile(slices / "s1.raw")
    assert content_hash(slices / "mr.nhdr") != before


def test_a_second_anatomical_volume_is_fused_too(row, fused, tmp_path):
    second = tmp_path / "in" / "t2.nrrd"
    sitk.WriteImage(sitk.ReadImage(str(row.anatomical)) * -1.0 + 900.0, str(second))
    alone, three = fused(), fused(replace(row, second=second))
    assert (alone.status, three.status) == ("fused", "fused") and three.hashes["fused"] != alone.hashes["fused"]
    assert three.hashes["second"] and "second" in json.loads((tmp_path / "out" / "a" / "report.json").read_text())
    assert alone.metrics and not three.metrics, "the metrics compare with two sources"


def test_a_row_that_is_refused_leaves_the_folder_to_others_of_it(row, fuser, tmp_path):
    """Of a BIDS dataset, several PETs of a session share one."""
    row = replace(row, derivative="sub-1/pet/one", sources=("a.nii", "b.nii"))
    other = Row("b", tmp_path / "none.nrrd", derivative="sub-1/pet/two")

    def progress(fraction, text):
        return fuse_row(other, tmp_path / "out", default_options(), lambda: fuser).status != "fused"

    result = fuse_row(row, tmp_path / "out", default_options(), lambda: fuser, progress=progress)
    assert (result.status, result.reason) == ("fused", "")


def test_options_by_name():
    assert default_options(plane="coronal").plane == "coronal" and default_options().rgb is False
    with pytest.raises(InputError, match="there is no option 'plain'"):
        default_options(plain=1)


def test_the_hash_of_a_dicomdir_is_that_of_its_folder(tmp_path):
    write_series(tmp_path / "images", Written(np.zeros((2, 4, 4), np.int16), np.array([[0, 0, 0], [0, 0, 3.0]])))
    (tmp_path / "DICOMDIR").write_bytes(b"\0" * 128 + b"DICM")
    before = content_hash(tmp_path / "DICOMDIR")
    next((tmp_path / "images").iterdir()).unlink()
    assert content_hash(tmp_path / "DICOMDIR") != before
