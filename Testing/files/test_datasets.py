"""Data laid out from a clone: found by content wherever it lies, the same as what the tables were made of, or missed."""

import json
import random
import shutil

import numpy as np
import pytest
import SimpleITK as sitk
from PIL import Image

from MMIFAminLib.commandline import main
from MMIFAminLib.errors import InputError
from MMIFAminLib.files.datasets import DATASETS, how_to_get, lay_out, require, split


def fake_clone(folder, files, write=shutil.copyfile):
    """A folder in which ``files`` lie shuffled in other folders under other names, among files of no concern."""
    shuffled = list(files)
    random.Random(0).shuffle(shuffled)
    for number, path in enumerate(shuffled):
        place = folder / f"part {number % 3}" / f"{number:04}{''.join(path.suffixes[-2:])}"
        place.parent.mkdir(parents=True, exist_ok=True)
        write(path, place)
    (folder / ".git").mkdir()
    (folder / ".git" / "x.png").write_bytes(b"not an image")
    (folder / "README.md").write_text("hello")
    (folder / "broken.png").write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
    (folder / "broken.nii").write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
    Image.fromarray(np.full((9, 9), 7, np.uint8)).save(folder / "other.png")
    return folder


def recompressed(source, target):
    with Image.open(source) as image:
        image.save(target, compress_level=1)


def same_volume(path, other):
    a, b = (sitk.ReadImage(str(p)) for p in (path, other))
    assert a.GetPixelID() == b.GetPixelID() and a.GetSize() == b.GetSize()
    for get in (sitk.Image.GetSpacing, sitk.Image.GetOrigin, sitk.Image.GetDirection):
        assert get(a) == pytest.approx(get(b), abs=1e-5)
    assert np.array_equal(sitk.GetArrayFromImage(a), sitk.GetArrayFromImage(b)), path.name


def test_the_atlas_with_its_palettes_and_volumes(shared, tmp_path, capsys):
    expected, made = shared / "data", tmp_path / "data"
    clone = fake_clone(tmp_path / "clone", sorted((expected / "harvard").rglob("*.png")), recompressed)
    assert main(["data", "harvard", str(clone), "--output", str(made)]) == 0
    assert "1214 files" in capsys.readouterr().out
    names = sorted(path.relative_to(expected) for path in (expected / "harvard").rglob("*.png"))
    assert sorted(path.relative_to(made) for path in (made / "harvard").rglob("*.png")) == names
    for name in names:
        with Image.open(made / name) as image, Image.open(expected / name) as other:
            assert image.mode == other.mode and image.tobytes() == other.tobytes(), name
    palettes = [json.loads((folder / "harvard" / "palettes.json").read_text()) for folder in (made, expected)]
    assert palettes[0] == palettes[1]
    volumes = sorted(path.name for path in (expected / "volumes").glob("*.nrrd"))
    assert sorted(path.name for path in (made / "volumes").iterdir()) == volumes
    for name in volumes:
        same_volume(made / "volumes" / name, expected / "volumes" / name)


def test_road_scenes_are_copied_byte_for_byte(shared, tmp_path):
    expected = shared / "data" / "roadscene"
    clone = fake_clone(tmp_path / "clone", sorted(expected.rglob("*.jpg")))
    lay_out("roadscene", clone, tmp_path / "data")
    for path in expected.rglob("*.jpg"):
        assert (tmp_path / "data" / "roadscene" / path.relative_to(expected)).read_bytes() == path.read_bytes()


def test_templates_keep_their_values_and_axes_in_whatever_format_they_come(shared, tmp_path):
    expected = shared / "data" / "templates"

    def unpacked(source, target):
        sitk.WriteImage(sitk.ReadImage(str(source)), str(target).removesuffix(".gz"))

    clone = fake_clone(tmp_path / "clone", sorted(expected.glob("*.nii.gz")), unpacked)
    lay_out("templates", clone, tmp_path / "data")
    for path in expected.glob("*.nii.gz"):
        same_volume(tmp_path / "data" / "templates" / path.name, path)


def test_the_ct_is_made_and_what_cannot_be_made_is_said(shared, tmp_path):
    """The clone has it as NIfTI, in another type and with other axes."""
    expected = shared / "data" / "body" / "ct.nrrd"

    def stored(source, target):
        image = sitk.DICOMOrient(sitk.ReadImage(str(source)), "RAS")
        sitk.WriteImage(sitk.Cast(image, sitk.sitkFloat32), str(target).replace(".nrrd", ".nii.gz"))

    told = lay_out("body", fake_clone(tmp_path / "clone", [expected], stored), tmp_path / "data")
    same_volume(tmp_path / "data" / "body" / "ct.nrrd", expected)
    assert any("fdg.nrrd" in line and "simulated" in line for line in told)
    assert [path.name for path in (tmp_path / "data" / "body").iterdir()] == ["ct.nrrd"]


def test_what_a_clone_lacks_is_told_and_the_rest_is_there(shared, tmp_path):
    files = sorted((shared / "data" / "roadscene" / "val").rglob("*.jpg"))[:4]
    clone = fake_clone(tmp_path / "clone", files)
    one = next(clone.rglob("*.jpg"))
    one.write_bytes(one.read_bytes()[:-1] + b"\x00")
    with pytest.raises(InputError, match=r"439 of 442 files of roadscene are not in .*clone \(train/IR/FLIR") as error:
        lay_out("roadscene", clone, tmp_path / "data")
    assert "\n" not in str(error.value)
    assert len(list((tmp_path / "data").rglob("*.jpg"))) == 3


def test_the_lists_are_whole_and_no_case_is_in_both_halves():
    counts = {name: len(split(name)) for name in DATASETS}
    assert counts == {"harvard": 1214, "roadscene": 442, "templates": 5, "body": 1}
    cases = {"train": set(), "val": set()}
    for place, digest in split("harvard").items():
        half, pair, kind, file = place.split("/")
        cases[half].add((pair, file[:-7]))
        assert len(digest) == 64 and f"{half}/{pair}/MRI/{file}" in split("harvard")
    assert not cases["train"] & cases["val"] and cases["val"]


def test_what_is_not_there_is_told_with_the_way_to_get_it(tmp_path):
    assert require(tmp_path, "harvard") == tmp_path
    with pytest.raises(
        InputError, match=r"volumes is not there: clone https://\S+ and run: mmifamin data harvard CLONE"
    ):
        require(tmp_path / "volumes", "harvard")
    assert how_to_get("body", tmp_path).endswith(f"mmifamin data body CLONE --output {tmp_path}")
