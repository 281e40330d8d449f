"""The panel on what is seldom: volumes changed that nobody has chosen, other kinds of SUV, uptake of mice, odd names."""

import numpy as np
import pytest

from bench.driving import case, chosen, composites, done, fused
from bench.fixtures import bench  # noqa: F401

slicer = pytest.importorskip("slicer", reason="the widget bench needs slicer-core")

from MMIFAminLib.files.suv import Suv  # noqa: E402
from MMIFAminLib.module.suv_values import show_as_suv  # noqa: E402
from MMIFAminLib.mrml.nodes import array_to_matrix  # noqa: E402


@pytest.fixture
def panel(bench):  # noqa: F811
    return bench.open()


def unit(node, code):
    entry = slicer.vtkCodedEntry()
    entry.SetValueSchemeMeaning(code, "UCUM", code)
    node.SetVoxelValueUnits(entry)


def test_voxels_of_a_pair_of_a_batch_that_is_not_chosen_count(bench, panel):  # noqa: F811
    for patient in ("anna", "bert"):
        for node, kind in zip(case(bench).pair(), ("MR", "PET")):
            node.SetName(f"{patient} {kind}")
    panel.ui.fuseAllButton.click()
    done(bench, panel)
    rows = [panel.logic.batchSources(row) for row in range(2)]
    row = next(row for row, pair in enumerate(rows) if pair[1] is not panel._parameterNode.functional)
    slicer.util.arrayFromVolume(rows[row][1])[:] *= 0.1
    slicer.util.arrayFromVolumeModified(rows[row][1])
    panel.onBatchRow(row, 0)
    assert "voxels of a source were changed" in panel.ui.statusLabel.text
    assert panel.ui.colorSelector.currentNode().GetName().endswith("(out of date)")


def test_what_happens_to_a_pair_that_is_not_chosen_marks_what_was_fused_from_it(bench, panel):  # noqa: F811
    first = fused(bench, panel)
    anatomical, functional = panel._parameterNode.anatomical, panel._parameterNode.functional
    for selector, node in zip((panel.ui.anatomicalSelector, panel.ui.functionalSelector), case(bench).pair()):
        selector.setCurrentNode(node)
    transform = bench.scene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    functional.SetAndObserveTransformNodeID(transform.GetID())
    matrix = np.eye(4)
    for distance in (20.0, 0.0):
        matrix[0, 3] = distance
        slicer.util.updateTransformMatrixFromArray(transform, matrix)
        assert first.GetName().endswith("(out of date)") == bool(distance)
    slicer.util.arrayFromVolume(anatomical)[:] += 1
    slicer.util.arrayFromVolumeModified(anatomical)
    assert first.GetName().endswith("(out of date)")
    bench.scene.RemoveNode(anatomical)  # what is known of it stays known
    panel.updateGUI()
    assert first.GetName().endswith("(out of date)")
    bench.scene.Clear(0)
    assert not panel._others


def test_suv_of_lean_body_mass_is_not_called_suv(bench, panel):  # noqa: F811
    _, functional = chosen(bench, panel)
    unit(functional, "{SUVlbm}g/ml")
    panel.ui.spotsButton.click()
    done(bench, panel)
    assert panel.logic.spotRows(functional)[0][4:6] == ["SUVlbm max", "SUVlbm peak (1 ml)"]
    assert panel.logic.valuesAt(panel._parameterNode, (-38.0, 12.0, 20.0)).endswith(" SUVlbm")
    unit(functional, "g/ml")
    assert panel.logic.valuesAt(panel._parameterNode, (-38.0, 12.0, 20.0)).endswith(" SUV")


def test_the_mip_stays_in_its_view_while_another_fusion_runs(bench, panel):  # noqa: F811
    fused(bench, panel)
    panel.ui.mipButton.click()
    done(bench, panel)
    view, seen = composites()["MMIFAminMIP"], set()
    mip = view.GetBackgroundVolumeID()
    panel.ui.functionalWindowComboBox.setCurrentIndex(panel.ui.functionalWindowComboBox.count - 1)
    panel.ui.functionalHighSpinBox.value = 2.0
    panel.ui.fuseButton.click()
    bench.wait(lambda: seen.add((view.GetBackgroundVolumeID(), view.GetForegroundVolumeID())) or not panel._job.busy)
    assert seen == {(mip, None)}


def test_suv_of_a_mouse_is_undone_with_its_window(bench, panel):  # noqa: F811
    _, functional = chosen(bench, panel)
    before = np.array(slicer.util.arrayFromVolume(functional))
    show_as_suv(functional, Suv("suv", 2.5e-6, "test"))
    panel._parameterNode.functionalHigh = 40.0
    panel.ui.suvButton.click()
    assert panel._parameterNode.functionalHigh == 1e7 and panel.ui.suvButton.text == "Show as SUV"
    assert "range" not in panel.ui.statusLabel.text
    np.testing.assert_allclose(slicer.util.arrayFromVolume(functional), before, rtol=1e-6)


def test_an_output_tells_nothing_of_what_the_volume_was(bench, panel):  # noqa: F811
    _, functional = chosen(bench, panel)
    mine = slicer.vtkSlicerVolumesLogic.CloneVolume(bench.scene, functional, "mine")
    unit(mine, "{SUVbw}g/ml")
    mine.SetAttribute("DICOM.instanceUIDs", "1.2.3 1.2.4")
    panel.ui.greyCheckBox.checked = True
    panel.ui.greySelector.setCurrentNode(mine)
    case(bench).fuse(panel)
    assert panel.ui.greySelector.currentNode() is mine
    assert mine.GetVoxelValueUnits() is None and mine.GetAttribute("DICOM.instanceUIDs") is None


def test_a_colour_table_that_goes_is_not_replaced_by_any_other(bench, panel):  # noqa: F811
    output, p = fused(bench, panel), panel._parameterNode
    usual, table = p.colorTable, bench.scene.AddNewNodeByClass("vtkMRMLColorTableNode", "mine")
    table.SetTypeToUser()
    table.SetNumberOfColors(3)
    for number in range(3):
        table.SetColor(number, f"{number}", number / 2, 0.0, 1 - number / 2, 1.0)
    panel.ui.colorTableSelector.setCurrentNode(table)
    bench.wait(lambda: '"color_table": "mine"' in output.GetAttribute("MMIFAmin.parameters"))
    bench.scene.RemoveNode(table)
    assert p.colorTable is usual and panel.ui.colorTableSelector.currentNode() is usual
    bench.wait(lambda: usual.GetName() in output.GetAttribute("MMIFAmin.parameters"))


def test_side_by_side_can_be_left_when_another_pair_is_chosen(bench, panel):  # noqa: F811
    fused(bench, panel)
    panel.ui.compareButton.click()
    panel._parameterNode.functional = case(bench).pair()[1]
    assert panel.ui.compareButton.enabled and panel.ui.compareButton.text == "Back to the former layout"
    panel.ui.compareButton.click()
    assert not panel._parameterNode.compared and panel.ui.compareButton.text == "Side by side"


def test_what_lies_beside_a_registered_volume_goes_back_with_it(bench, panel):  # noqa: F811
    _, functional = chosen(bench, panel)
    bed = bench.scene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "bed")
    bed.SetMatrixTransformToParent(array_to_matrix(np.eye(4) + 30.0 * np.eye(4)[[0]].T @ np.eye(4)[[3]]))
    functional.SetAndObserveTransformNodeID(bed.GetID())
    panel.ui.registerButton.click()
    done(bench, panel)
    beside = slicer.vtkSlicerVolumesLogic.CloneVolume(bench.scene, functional, "beside")
    beside.SetAndObserveTransformNodeID(functional.GetTransformNodeID())
    panel.ui.registerButton.click()
    assert functional.GetParentTransformNode() is bed and beside.GetParentTransformNode() is bed


def test_a_window_that_does_not_fit_is_told_in_the_words_of_the_panel(bench, panel):  # noqa: F811
    _, functional = chosen(bench, panel)
    unit(functional, "{SUVbw}g/ml")
    panel.ui.functionalWindowComboBox.setCurrentIndex(panel.ui.functionalWindowComboBox.count - 1)
    panel.ui.functionalHighSpinBox.value = 20000.0
    panel.ui.fuseButton.click()
    done(bench, panel)
    said = panel.ui.statusLabel.text
    assert "give a window in SUV" in said and "--" not in said and "in Python" not in said


def test_a_volume_may_be_named_as_the_rendering_preset_is(bench, panel):  # noqa: F811
    panel.ui.greyCheckBox.checked = True
    fused(bench, panel)
    grey = panel.ui.greySelector.currentNode()
    grey.SetName("MMIFAmin fused")
    panel.ui.renderButton.click()
    assert "SetScalarOpacity" not in panel.ui.statusLabel.text
    display = slicer.modules.volumerendering.logic().GetFirstVolumeRenderingDisplayNode(grey)
    assert display.GetVolumePropertyNode().GetScalarOpacity().GetValue(0.95) > 0.9, "the preset's"
