"""``mmifamin fuse --second``: three volumes in, one out; what is told of the second, and what is refused."""

import json

import numpy as np
import pytest
import SimpleITK as sitk
from PIL import Image

from MMIFAminLib.commandline.parser import main
from support import phantoms

GRID = phantoms.Grid((24, 28, 18), (8.0, 8.0, 8.0)).centred_at()


@pytest.fixture
def triple(tmp_path):
    """Paths of MR, PET and, on a grid of its own, CT."""
    coarse = phantoms.Grid((22, 24, 16), (9.0, 9.0, 9.0)).centred_at()
    images = {
        "t1.nrrd": phantoms.head(GRID, scale=1000.0, dtype=np.int16),
        "fdg.nrrd": phantoms.head(GRID, "pet", 12.0),
        "ct.nrrd": phantoms.ct_head(coarse),
    }
    for name, image in images.items():
        sitk.WriteImage(image, str(tmp_path / name))
    return [tmp_path / name for name in images]


def fuse(folder, sources, weights, *options):
    first, functional, second = map(str, sources)
    out = [str(folder / "out.nrrd"), "--report", str(folder / "out.json"), "--weights", str(weights), "--device", "cpu"]
    return main(["fuse", first, functional, "--second", second, "-o", *out, *map(str, options)])


def test_three_are_fused_and_told(tmp_path, triple, stirred_weights):
    picture = tmp_path / "out.png"
    assert fuse(tmp_path, triple, stirred_weights, "--preview", picture, "--second-window", "ct-bone") == 0
    report = json.loads((tmp_path / "out.json").read_text())
    second = report["second"]
    assert second["file"].endswith("ct.nrrd") and second["taken_for"]["shows"] == "ct"
    assert (second["window"]["low"], second["window"]["high"]) == (-100, 900)
    assert second["alignment"]["overlap"] > 0.9 and second["overlap"] > 0.9
    fused = sitk.ReadImage(str(tmp_path / "out.nrrd"))
    assert fused.GetSize() == GRID.size and sitk.GetArrayViewFromImage(fused).max() > 0.3
    assert Image.open(picture).width > 5 * 330


def test_a_window_of_a_second_that_is_not_there_is_refused(tmp_path, triple, stirred_weights, capsys):
    options = ["-o", str(tmp_path / "out.nrrd"), "--second-window", "ct-bone", "--weights", str(stirred_weights)]
    assert main(["fuse", *map(str, triple[:2]), *options]) == 2
    assert "give the volume with --second" in capsys.readouterr().err and not (tmp_path / "out.nrrd").exists()


def test_the_second_moves_too_and_its_transform_is_kept(tmp_path, triple, stirred_weights):
    before = np.array(sitk.ReadImage(str(triple[2])).GetOrigin())
    moved = sitk.ReadImage(str(triple[2]))
    moved.SetOrigin((before + [12.0, 0.0, 0.0]).tolist())
    sitk.WriteImage(moved, str(triple[2]))
    assert fuse(tmp_path, triple, stirred_weights, "--register", "--transform", tmp_path / "t.tfm") == 0
    transform = sitk.ReadTransform(str(tmp_path / "t-second.tfm"))
    assert np.linalg.norm(sitk.TransformGeometry(moved, transform).GetOrigin() - before) < 6
    assert (tmp_path / "t.tfm").exists()
    assert json.loads((tmp_path / "out.json").read_text())["second"]["alignment"]["registered"]


def test_a_second_that_does_not_fit_is_told_in_one_line(tmp_path, triple, stirred_weights, capsys):
    assert fuse(tmp_path, [*triple[:2], triple[0]], stirred_weights) == 2
    assert "second anatomical volume and one of the other two" in capsys.readouterr().err
    pet = tmp_path / "spect.nrrd"
    sitk.WriteImage(phantoms.head(GRID, "pet", 5.0), str(pet))
    assert fuse(tmp_path, [*triple[:2], pet], stirred_weights) == 2
    said = capsys.readouterr().err
    assert "shows uptake" in said and "two anatomical volumes" in said and said.count("\n") <= 3
    assert fuse(tmp_path, [*triple[:2], tmp_path / "none.nrrd"], stirred_weights) == 2
    assert "none.nrrd: no such file" in capsys.readouterr().err
    assert not (tmp_path / "out.nrrd").exists()


def test_an_anonymous_report_does_not_name_the_second(tmp_path, triple, stirred_weights):
    assert fuse(tmp_path, triple, stirred_weights, "--anonymous") == 0
    text = (tmp_path / "out.json").read_text()
    assert "ct.nrrd" not in text and "second" in json.loads(text)
