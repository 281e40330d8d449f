"""Writing: whole under the final name or not at all, plain values, and reasons in words."""

import csv
import errno
import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from MMIFAminLib.errors import InputError
from MMIFAminLib.files.writing import (
    atomic_path,
    check_output,
    make_folder,
    os_reason,
    write_csv,
    write_json,
    write_png,
)


def test_the_final_name_appears_when_the_whole_is_written(tmp_path):
    final = tmp_path / "volume.seg.nii.gz"
    with atomic_path(final) as part:
        assert part.parent == tmp_path and part != final and part.name.endswith(".nii.gz") and part.name[0] == "."
        part.write_bytes(b"all of it")
        assert not final.exists()
    assert final.read_bytes() == b"all of it" and list(tmp_path.iterdir()) == [final]


def test_two_writers_of_one_name_have_names_of_their_own(tmp_path):
    with atomic_path(tmp_path / "a.json") as first, atomic_path(tmp_path / "a.json") as second:
        assert first != second
        first.write_text("1")
        second.write_text("2")
    assert (tmp_path / "a.json").read_text() == "1", "the first to begin is the last to end here"


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path):
    final = tmp_path / "a.json"
    final.write_text("old")
    with pytest.raises(KeyError), atomic_path(final) as part:  # noqa: PT012 - the failure is this block's own
        part.write_text("half")
        raise KeyError("reason")
    assert final.read_text() == "old" and list(tmp_path.iterdir()) == [final]
    with pytest.raises(InputError, match="a.json cannot be written: no such file"), atomic_path(final):
        pass  # the writer wrote nothing
    assert final.read_text() == "old" and list(tmp_path.iterdir()) == [final]


def test_a_name_of_any_length_that_the_disk_takes_is_written(tmp_path):
    final = tmp_path / ("n" * 240 + ".json")
    with atomic_path(final) as part:
        part.write_text("{}")
    assert final.read_text() == "{}"


def test_places_that_cannot_be_written_are_told_before(tmp_path):
    (tmp_path / "folder").mkdir()
    plain = tmp_path / "plain.json"
    plain.write_text("{}")
    assert check_output(plain) == plain and check_output(str(tmp_path / "new.json")) == tmp_path / "new.json"
    for path, words in (
        (tmp_path / "nowhere" / "x.json", "there is no folder"),
        (tmp_path / "folder", "not a plain file"),
        (tmp_path / ("x" * 300), "cannot be written"),
        ("a\0b", "cannot be written"),
    ):
        with pytest.raises(InputError, match=words):
            check_output(path)


def test_links_are_followed_to_what_they_stand_for(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert check_output(tmp_path / "link" / "a.json") == tmp_path / "real" / "a.json"


def test_home_is_understood(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert check_output("~/a.json") == Path(os.path.realpath(tmp_path)) / "a.json"


def test_a_folder_is_made_or_named(tmp_path):
    assert make_folder(tmp_path / "new" / "deep").is_dir() and make_folder(tmp_path / "new") == tmp_path / "new"
    (tmp_path / "file").write_text("x")
    for path in (tmp_path / "file", tmp_path / "file" / "below", tmp_path / ("x" * 300)):
        with pytest.raises(InputError, match="cannot be made a folder") as error:
            make_folder(path)
        assert str(path) in str(error.value) and "\n" not in str(error.value)


def test_reasons_are_words():
    assert os_reason(OSError(errno.ENOSPC, "No space left on device")) == "the disk is full"
    assert os_reason(OSError(errno.EDQUOT, "Quota exceeded")) == "the disk is full"
    assert os_reason(OSError(errno.EACCES, "Permission Denied")) == "permission denied"
    assert os_reason(OSError("Something Else")) == "something else"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_disk_is_told_from_other_errors(tmp_path):
    target = atomic_path(tmp_path / "report.json")
    with pytest.raises(InputError, match="the disk is full"), target, open("/dev/full", "w") as device:
        device.write("x")
    assert not list(tmp_path.iterdir())


def test_json_is_plain_and_readable(tmp_path):
    content = {
        1: np.float32(0.5),
        "t": (np.int16(3), True, None),
        "a": np.array([[1.0, np.nan], [np.inf, 2.0]]),
        "p": tmp_path,
    }
    write_json(content, tmp_path / "a.json")
    text = (tmp_path / "a.json").read_text(encoding="utf-8")
    expected = {"1": 0.5, "t": [3, True, None], "a": [[1.0, None], [None, 2.0]], "p": str(tmp_path)}
    assert json.loads(text) == expected
    assert text.endswith("}\n") and text.startswith('{\n  "1": 0.5,\n')


def test_tables_have_a_header_and_six_significant_digits(tmp_path):
    write_csv([{"name": "a,b", "x": 1 / 3, "n": 5}, {"name": "c", "x": 1234567.0, "n": 6}], tmp_path / "t.csv")
    assert (tmp_path / "t.csv").read_bytes().decode() == 'name,x,n\r\n"a,b",0.333333,5\r\nc,1.23457e+06,6\r\n'
    write_csv([{"only": 1}], tmp_path / "one.csv")
    assert (tmp_path / "one.csv").read_text() == "only\n1\n"
    with open(tmp_path / "t.csv", newline="") as file:
        assert [row["name"] for row in csv.DictReader(file)] == ["a,b", "c"]


def test_pictures_are_png_whatever_their_pixels(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)
    write_png(Image.fromarray(pixels), tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as image:
        assert image.format == "PNG" and np.array_equal(np.asarray(image), pixels)


@pytest.mark.parametrize("name", ["x.jpg", "x.tif", "x"])
def test_a_picture_has_the_name_of_what_it_is(tmp_path, name):
    with pytest.raises(InputError, match=f"{name}: pictures are written as PNG"):
        write_png(Image.new("RGB", (2, 2)), tmp_path / name)
    assert not list(tmp_path.iterdir())
    write_png(Image.new("RGB", (2, 2)), tmp_path / "X.PNG")
    assert Image.open(tmp_path / "X.PNG").format == "PNG"
