"""Volumes given by their paths: what their files tell of unit, modality and patient counts, as on the command line."""

import numpy as np
import pytest
import SimpleITK as sitk

from MMIFAminLib import VolumeFuser
from MMIFAminLib.commandline import main
from MMIFAminLib.errors import InputError
from MMIFAminLib.files import read_volume
from support import phantoms
from support.dicom import Written, suv_tags, write_series

GRID = phantoms.Grid((24, 28, 20), (8.0, 8.0, 8.0)).centred_at()
PLACES = np.array(GRID.origin) + np.arange(20)[:, None] * np.array([0, 0, 8.0])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """An MR and a PET of SUV up to 6 (30,000 Bq/ml), and the same PET of another patient elsewhere."""
    made = tmp_path_factory.mktemp("study")
    pet = {"SeriesInstanceUID": "1.2.9.2", **suv_tags()}
    other = {"PatientID": "P2", "FrameOfReferenceUID": "1.9"}
    for name, kind, top, tags in (("mr", "mr", 1000, {}), ("pet", "pet", 1, pet), ("other", "pet", 1, pet | other)):
        values = sitk.GetArrayFromImage(phantoms.head(GRID, kind, 1, np.float32))
        stored = np.rint(values * (top if kind == "mr" else 30000) / values.max()).astype(np.uint16)
        modality = "MR" if kind == "mr" else "PT"
        written = Written(stored, PLACES, spacing=(8.0, 8.0), modality=modality, tags=tags, thickness=8.0)
        write_series(made / name, written)
    return made


@pytest.fixture(scope="module")
def fuser(untrained_weights):
    return VolumeFuser.load("cpu", weights=untrained_weights)


def test_paths_are_fused_in_suv_as_the_command_line_does(folder, fuser, untrained_weights, tmp_path):
    fused = fuser.fuse(str(folder / "mr"), folder / "pet", functional_window="suv:0:5")
    assert sitk.GetArrayFromImage(fused.functional).max() == pytest.approx(6, rel=1e-5)
    assert (fused.functional_window.low, fused.functional_window.high) == (0, 5)
    told = fused.report["taken_for"]["functional"]
    assert (told["unit"], told["told_by"], told["shows"]) == ("SUV", "modality", "uptake")
    out = tmp_path / "f.nrrd"
    sources = [str(folder / "mr"), str(folder / "pet")]
    same = ["--functional-window", "suv:0:5", "--weights", str(untrained_weights), "--device", "cpu"]
    assert main(["fuse", *sources, "-o", str(out), *same]) == 0
    np.testing.assert_array_equal(sitk.GetArrayFromImage(read_volume(out)), sitk.GetArrayFromImage(fused.image))
    assert main(["truth", *sources, *same]) == 0


@pytest.mark.parametrize("window", ["0:30000", "10000:30000", (0, 30000)])
def test_a_window_of_another_unit_is_refused_on_suv(folder, fuser, window):
    with pytest.raises(InputError, match=r"in SUV up to 6: .*--unit bqml"):
        fuser.fuse(folder / "mr", folder / "pet", functional_window=window)


def test_a_window_in_suv_is_refused_on_other_units(folder, fuser):
    stored = read_volume(folder / "pet", "bqml")
    mr = read_volume(folder / "mr")
    for unit, words in (("BQML", "in BQML"), (None, "an unknown unit")):
        with pytest.raises(InputError, match=f"suv:0:10 is in SUV, the functional volume in .*{words.split()[-1]}"):
            fuser.fuse(mr, stored, functional_window="suv:0:10", functional_unit=unit)
    fused = fuser.fuse(mr, stored, functional_window="0:30000", functional_modality="PT", functional_unit="BQML")
    assert sitk.GetArrayFromImage(fused.functional).max() == pytest.approx(30000)
    fuser.fuse(mr, read_volume(folder / "pet"), functional_window="SUV:0:5", functional_unit="SUV-lbm")


def test_two_patients_are_refused_unless_it_is_meant(folder, fuser):
    with pytest.raises(InputError, match=r"different patients.*insist=True"):
        fuser.fuse(folder / "mr", folder / "other")
    with pytest.raises(InputError, match="one and the same"):
        fuser.fuse(folder / "mr", folder / "mr")
    warnings = fuser.fuse(folder / "mr", folder / "other", insist=True).report["warnings"]
    assert "different patients" in warnings[0] and "different frames of reference" in warnings[1]


def test_arrays_are_told_what_to_be(fuser):
    with pytest.raises(InputError, match="is a ndarray: give a SimpleITK image"):
        fuser.fuse(np.ones((4, 4, 4)), np.ones((4, 4, 4)))
