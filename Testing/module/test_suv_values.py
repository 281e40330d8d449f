"""A volume node turned into SUV and back."""

import numpy as np
import pytest

from MMIFAminLib.errors import InputError

slicer = pytest.importorskip("slicer", reason="needs slicer-core")

from MMIFAminLib.files.suv import Suv  # noqa: E402
from MMIFAminLib.module.suv_values import is_shown_as_suv, show_as_suv, undo_suv  # noqa: E402
from support.scenes import scene, state  # noqa: E402, F401


def by(factor):
    return Suv("suv", factor, "test")


def volume(values, name="PET"):
    node = slicer.util.addVolumeFromArray(values, None, name)
    if node.GetDisplayNode() is None:
        node.CreateDefaultDisplayNodes()
    node.GetDisplayNode().SetAutoWindowLevel(False)
    node.GetDisplayNode().SetWindowLevelMinMax(0.0, 20000.0)
    return node


@pytest.fixture
def pet(scene):  # noqa: F811
    return volume(np.arange(60, dtype=np.int16).reshape(3, 4, 5) * 500)


def said(entry):
    return entry and entry.GetAsString()


def test_voxels_window_quantity_and_units(pet):
    show_as_suv(pet, by(2.5e-4))
    values = slicer.util.arrayFromVolume(pet)
    assert values.dtype == np.float32 and values[0, 0, 1] == np.float32(0.125) and values[2, 3, 4] == np.float32(7.375)
    assert pet.GetDisplayNode().GetWindowLevelMax() == 5.0
    assert said(pet.GetVoxelValueQuantity()) == (
        "CodeValue:126400|CodingSchemeDesignator:DCM|CodeMeaning:Standardized Uptake Value"
    )
    assert said(pet.GetVoxelValueUnits()) == (
        "CodeValue:{SUVbw}g/ml|CodingSchemeDesignator:UCUM|CodeMeaning:Standardized Uptake Value body weight"
    )
    assert is_shown_as_suv(pet)


def test_a_threshold_that_was_set_hides_the_same_voxels(pet):
    display = pet.GetDisplayNode()
    display.SetAutoThreshold(False)
    display.SetThreshold(4000.0, 16000.0)
    show_as_suv(pet, by(2.5e-4))
    assert (display.GetLowerThreshold(), display.GetUpperThreshold()) == (1.0, 4.0)


def test_undone_it_is_what_it_was(pet):
    unit = slicer.vtkCodedEntry()
    unit.SetValueSchemeMeaning("BQML", "DCM", "Bq/ml")
    pet.SetVoxelValueUnits(unit)
    before = state(pet)
    show_as_suv(pet, by(3.21e-4))
    assert undo_suv(pet) == 3.21e-4
    assert state(pet) == before and slicer.util.arrayFromVolume(pet).dtype == np.int16
    assert said(pet.GetVoxelValueUnits()).startswith("CodeValue:BQML|") and pet.GetVoxelValueQuantity() is None
    assert not is_shown_as_suv(pet)


def test_numbers_that_are_not_whole_come_back_but_for_the_last_digit(scene):  # noqa: F811
    values = np.random.default_rng(0).uniform(0, 5e4, (5, 6, 7))
    for dtype, within in ((np.float32, 1.2e-7), (np.float64, 2.3e-16)):
        node = volume(values.astype(dtype))
        show_as_suv(node, by(1.234e-4))
        assert slicer.util.arrayFromVolume(node).dtype == dtype
        undo_suv(node)
        np.testing.assert_allclose(slicer.util.arrayFromVolume(node), values.astype(dtype), rtol=within)


def test_it_survives_saving_and_loading(scene, pet, tmp_path):  # noqa: F811
    show_as_suv(pet, by(1e-3))
    storage = scene.AddNewNodeByClass("vtkMRMLVolumeArchetypeStorageNode")
    storage.SetFileName(str(tmp_path / "pet.nrrd"))
    assert storage.WriteData(pet)
    pet.SetAndObserveStorageNodeID(storage.GetID())
    path = str(tmp_path / "scene.mrml")
    scene.SetURL(path)
    scene.Commit(path)
    scene.Clear(0)
    scene.SetURL(path)
    scene.Connect()
    again = scene.GetFirstNodeByName("PET")
    assert again.GetVoxelValueUnits().GetCodeValue() == "{SUVbw}g/ml"
    undo_suv(again)
    values = slicer.util.arrayFromVolume(again)
    assert values.dtype == np.int16 and values[2, 3, 4] == 29500


def test_what_cannot_be_turned_is_refused_and_stays(scene, pet):  # noqa: F811
    before = state(pet)
    for factor in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(InputError, match="factor"):
            show_as_suv(pet, by(factor))
    with pytest.raises(InputError, match="nothing to undo"):
        undo_suv(pet)
    assert state(pet) == before
    show_as_suv(pet, by(1e-3))
    with pytest.raises(InputError, match="already"):
        show_as_suv(pet, by(1e-3))
    colours = slicer.util.addVolumeFromArray(np.zeros((2, 3, 4, 3), np.uint8), None, "C", "vtkMRMLVectorVolumeNode")
    with pytest.raises(InputError, match="'C' is in colours"):
        show_as_suv(colours, by(1e-3))


def test_what_was_fused_from_it_is_out_of_date(scene, pet):  # noqa: F811
    noted = []
    pet.AddObserver(slicer.vtkMRMLVolumeNode.ImageDataModifiedEvent, lambda *call: noted.append(True))
    show_as_suv(pet, by(1e-3))
    assert noted, "the panel and the fused volumes follow the voxels by this event"
