"""Presets outside the panel: mmifamin fuse, a cohort's rows, and VolumeFuser."""

import json

import numpy as np
import pytest
import SimpleITK as sitk

from MMIFAminLib import VolumeFuser
from MMIFAminLib.commandline import main
from MMIFAminLib.errors import InputError
from MMIFAminLib.study import PRESETS, default_options, settled, with_options
from support.phantoms import Grid, head, head_values

GRID = Grid(size=(36, 40, 32), spacing=(5.0, 5.0, 5.0)).centred_at()


@pytest.fixture
def pair(tmp_path, monkeypatch):
    """An anatomical volume a.nrrd, and uptake of a unit that nobody tells, b.nrrd, and in SUV, b_suv.nrrd."""
    monkeypatch.chdir(tmp_path)
    for name, kind, scale in (("a", "mr", 900), ("b", "pet", 8), ("b_suv", "pet", 8)):
        sitk.WriteImage(GRID.image((head_values(GRID.points(), kind) * scale).astype(np.float32)), f"{name}.nrrd")
    return tmp_path


def fuse(weights, *arguments):
    """The exit code and the report of mmifamin fuse."""
    code = main(
        ["fuse", *arguments, "-o", "out.nrrd", "--report", "r.json", "--device", "cpu", "--weights", str(weights)]
    )
    return code, json.loads(open("r.json").read()) if code == 0 else None


def told(report):
    windows = {role: (window["low"], window["high"]) for role, window in report["windows"].items()}
    return report["plane"], windows["anatomical"], windows["functional"], report["color_table"]


def test_a_preset_sets_windows_plane_and_colours(pair, untrained_weights):
    code, report = fuse(untrained_weights, "a.nrrd", "b.nrrd", "--preset", "bone", "--rgb")
    assert code == 0 and report["preset"] == "bone-spect-ct" and report["functional_weight"] == 1.0
    plane, anatomical, functional, table = told(report)
    assert (plane, anatomical, table) == ("coronal", (-100, 900), "pet-heat")
    assert functional[0] == 0 and 6 < functional[1] <= 8
    code, report = fuse(untrained_weights, "a.nrrd", "b_suv.nrrd", "--preset", "pet-ct-oncology")
    assert code == 0 and told(report) == ("axial", (-135, 215), (0, 10), "pet-heat")


@pytest.mark.parametrize("before", [True, False])
def test_what_is_given_besides_goes_before_it_wherever_it_stands(pair, untrained_weights, before):
    given = ["--window", "0:700", "--plane", "sagittal", "--color-table", "rainbow", "--functional-weight", "0.5"]
    preset = ["--preset", "bone-spect-ct"]
    words = [*given, *preset] if before else [*preset, *given]
    code, report = fuse(untrained_weights, "a.nrrd", "b.nrrd", *words)
    assert code == 0 and report["functional_weight"] == 0.5
    plane, anatomical, _functional, table = told(report)
    assert (plane, anatomical, table) == ("sagittal", (0, 700), "rainbow")


def test_without_a_preset_nothing_is_set(pair, untrained_weights):
    code, report = fuse(untrained_weights, "a.nrrd", "b.nrrd")
    assert code == 0 and report["preset"] is None and report["functional_weight"] == 1.0
    assert (report["plane"], report["color_table"]) == ("axial", "inferno")


def test_what_cannot_be_is_told_in_a_line_with_what_to_do(pair, untrained_weights, capsys):
    assert fuse(untrained_weights, "a.nrrd", "b.nrrd", "--preset", "pet-ct-oncology-lung")[0] == 2
    assert "suv:0:10 is in SUV, the functional volume in an unknown unit: give LOW:HIGH" in capsys.readouterr().err
    for name in ("brain", ""):
        assert fuse(untrained_weights, "a.nrrd", "b.nrrd", "--preset", name)[0] == 2
        message = capsys.readouterr().err
        assert f"there is no preset '{name}': choose one of pet-ct-oncology-soft-tissue, " in message
    assert not (pair / "out.nrrd").exists()


def test_a_row_of_a_cohort_has_its_own_preset_and_given_options_stay():
    for_all = with_options(default_options(), "--preset bone-spect-ct --window 0:500")
    row = settled(with_options(for_all, "--preset ct-mr"))
    assert (row.preset, row.plane, row.window, row.functional_window) == ("ct-mr-planning", "axial", "0:500", "mr")
    assert (row.kind, row.color_table, row.functional_weight) == ("anatomical", "grey", 1.0)
    other = settled(for_all)
    assert (other.plane, other.window, other.functional_window) == ("coronal", "0:500", "uptake")
    assert vars(settled(other)) == vars(other)
    with pytest.raises(InputError, match="no preset 'lung': choose one of"):
        settled(default_options(preset="lung"))
    for name in ("p", "pet"):
        with pytest.raises(
            InputError, match=f"'{name}' begins the names of several presets: choose one of pet-ct.*pet-mr"
        ):
            settled(default_options(preset=name))


def test_the_engine_takes_what_a_preset_says(untrained_weights):
    fuser = VolumeFuser.load("cpu", "fp32", untrained_weights)
    pair = head(GRID, scale=900.0), head(GRID, "pet", 8.0)
    for name, preset in PRESETS.items():
        report = fuser.fuse(*pair, functional_unit="SUV", **preset.fusion).report
        assert report["plane"] == preset.plane, name
        assert report["taken_for"]["pair"] == ("anatomical" if name == "ct-mr-planning" else "uptake"), name
