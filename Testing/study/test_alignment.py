"""mmifamin fuse: what the pair is taken for, label maps, and volumes that do not lie on each other."""

import json

import numpy as np
import pytest
import SimpleITK as sitk

from MMIFAminLib.commandline import main
from support.phantoms import Grid, head_values

GRID = Grid(size=(36, 40, 32), spacing=(5.0, 5.0, 5.0)).centred_at()


@pytest.fixture
def pair(tmp_path, monkeypatch):
    """An MR and an uptake volume of names that tell nothing, a.nrrd and b.nrrd, and b moved by 25 mm, off.nrrd."""
    monkeypatch.chdir(tmp_path)
    for name, kind, scale in (("a", "mr", 900), ("b", "pet", 8)):
        values = head_values(GRID.points(), kind) * scale
        sitk.WriteImage(GRID.image(values.astype(np.float32)), f"{name}.nrrd")
    off = sitk.ReadImage("b.nrrd")
    off.SetOrigin(tuple(np.array(off.GetOrigin()) + (25, 0, 0)))
    sitk.WriteImage(off, "off.nrrd")
    return tmp_path


def fuse(weights, *arguments):
    """The exit code and the report of mmifamin fuse."""
    code = main(
        ["fuse", *arguments, "-o", "out.nrrd", "--report", "r.json", "--device", "cpu", "--weights", str(weights)]
    )
    return code, json.loads(open("r.json").read()) if code == 0 else None


def test_the_pair_is_what_it_is_told_to_be(pair, untrained_weights, capsys):
    for arguments, kind in (((), "uptake"), (("--kind", "anatomical"), "anatomical"), (("--kind", "uptake"), "uptake")):
        code, report = fuse(untrained_weights, "a.nrrd", "b.nrrd", *arguments)
        assert code == 0
        taken = report["taken_for"]
        assert taken["pair"] == kind
        assert taken["anatomical"]["region"] == taken["functional"]["region"] == "head"
        assert 0 <= taken["functional"]["at_upper_end"] < 0.01
        assert report["alignment"]["aligned"] and not report["warnings"]
    assert fuse(untrained_weights, "a.nrrd", "b.nrrd", "--kind", "pet")[0] == 2
    assert "no kind of pair 'pet'" in capsys.readouterr().err


def test_two_mr_are_anatomical_by_their_names(pair, untrained_weights):
    (pair / "b.nrrd").rename(pair / "t2_flair.nrrd")
    code, report = fuse(untrained_weights, "a.nrrd", "t2_flair.nrrd")
    assert code == 0
    assert report["taken_for"]["pair"] == "anatomical"
    assert report["taken_for"]["functional"]["told_by"] == "name"
    assert report["windows"]["functional"]["origin"].startswith("MR")


def test_label_maps_are_refused_unless_insisted(pair, untrained_weights, capsys):
    labels = (sitk.GetArrayFromImage(sitk.ReadImage("a.nrrd")) > 100).astype(np.float32)
    sitk.WriteImage(GRID.image(labels), "mask.nrrd")
    for names in (("mask.nrrd", "b.nrrd"), ("a.nrrd", "mask.nrrd")):
        assert fuse(untrained_weights, *names)[0] == 2
        assert "--insist" in capsys.readouterr().err
        assert not (pair / "out.nrrd").exists()
    assert fuse(untrained_weights, "a.nrrd", "mask.nrrd", "--register", "--transform", "found.tfm")[0] == 2
    assert not (pair / "found.tfm").exists(), "what is refused leaves nothing behind"
    assert fuse(untrained_weights, "a.nrrd", "mask.nrrd", "--insist")[0] == 0


def test_volumes_that_are_off_are_warned_of_and_registered_on_request(pair, untrained_weights, capsys):
    code, report = fuse(untrained_weights, "a.nrrd", "off.nrrd")
    assert code == 0
    assert report["alignment"]["displacement_mm"] == pytest.approx(25, abs=4)
    assert any("25 mm off: register first" in warning for warning in report["warnings"])
    assert "25 mm off" in capsys.readouterr().err

    code, report = fuse(untrained_weights, "a.nrrd", "off.nrrd", "--register", "--transform", "found.tfm")
    assert code == 0
    assert report["alignment"]["aligned"] and report["alignment"]["registered"] and not report["warnings"]
    found = sitk.ReadTransform("found.tfm")
    assert np.allclose(found.TransformPoint((0.0, 0.0, 0.0)), (25, 0, 0), atol=1.5)
    registered = sitk.GetArrayFromImage(sitk.ReadImage("out.nrrd"))
    assert fuse(untrained_weights, "a.nrrd", "b.nrrd")[0] == 0
    right = sitk.GetArrayFromImage(sitk.ReadImage("out.nrrd"))
    assert np.abs(registered - right).mean() < 0.02
    np.testing.assert_array_equal(sitk.ReadImage("off.nrrd").GetOrigin(), np.array(GRID.origin) + (25, 0, 0))


def test_what_a_registration_leads_astray_stays_where_it_was(pair, untrained_weights, monkeypatch):
    astray = sitk.Euler3DTransform()
    astray.SetTranslation((0.0, 25.0, 0.0))
    monkeypatch.setattr("MMIFAminLib.volume.registration.register_rigid", lambda *_, **__: astray)
    code, report = fuse(untrained_weights, "a.nrrd", "b.nrrd", "--register", "--transform", "found.tfm")
    assert code == 0 and report["alignment"]["aligned"] and not report["alignment"]["registered"]
    assert [text for text in report["warnings"] if "it was not moved" in text]
    assert sitk.ReadTransform("found.tfm").TransformPoint((1.0, 2.0, 3.0)) == (1.0, 2.0, 3.0)
    moved = sitk.GetArrayFromImage(sitk.ReadImage("out.nrrd"))
    assert fuse(untrained_weights, "a.nrrd", "b.nrrd")[0] == 0
    assert np.array_equal(moved, sitk.GetArrayFromImage(sitk.ReadImage("out.nrrd")))


def test_a_transform_without_a_registration_is_refused(pair, untrained_weights, capsys):
    assert fuse(untrained_weights, "a.nrrd", "b.nrrd", "--transform", "found.tfm")[0] == 2
    assert "say --register too" in capsys.readouterr().err
    assert fuse(untrained_weights, "a.nrrd", "b.nrrd", "--register", "--transform", "found.png")[0] == 2
    assert "transforms are written as" in capsys.readouterr().err
