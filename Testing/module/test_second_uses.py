"""The panel used twice: another output, another pair, another fusion in the same node, a clone, a view of another size."""

import json

import numpy as np
import pytest

from bench.driving import case, chosen, composites, done, fused, names
from bench.fixtures import bench  # noqa: F401

slicer = pytest.importorskip("slicer", reason="the widget bench needs slicer-core")


@pytest.fixture
def panel(bench):  # noqa: F811
    return bench.open()


def another_window(panel, high):
    panel.ui.functionalWindowComboBox.setCurrentIndex(panel.ui.functionalWindowComboBox.count - 1)
    panel.ui.functionalHighSpinBox.value = high


def cuts(bench):  # noqa: F811
    """Where each divided view is cut, as a part of its width."""
    found = {}
    for logic in bench.app.layoutManager().mrmlSliceLogics():
        if logic.GetBlend().GetNumberOfInputConnections(1):
            column = logic.GetBlend().GetInputConnection(1, 0).GetProducer().GetBounds()[0] + 0.5
            found[logic.GetSliceNode().GetLayoutName()] = column / logic.GetSliceNode().GetDimensions()[0]
    return found


def test_scores_are_of_what_is_in_the_node(bench, panel):  # noqa: F811
    output = fused(bench, panel)
    panel.ui.measureButton.click()
    done(bench, panel)
    assert panel.ui.qualityTable.rowCount
    another_window(panel, 2.0)
    case(bench).fuse(panel)
    assert panel.ui.qualityTable.rowCount == 0, "scores of the former fusion beside the new picture"
    another_window(panel, 30.0)
    panel.ui.fuseAllButton.click()  # writes into the same node
    done(bench, panel)
    assert panel.ui.colorSelector.currentNode() is output
    assert not panel.ui.measureButton.enabled, "measuring would score the fusion before"


def test_without_one_output_the_other_can_still_be_measured(bench, panel):  # noqa: F811
    panel.ui.greyCheckBox.checked = True
    color = fused(bench, panel)
    name = color.GetName()
    bench.scene.RemoveNode(color)
    panel.updateGUI()
    assert panel.ui.measureButton.enabled, panel.ui.measureButton.toolTip
    case(bench).fuse(panel)
    assert panel.ui.colorSelector.currentNode().GetName() == name, "numbered after one that is gone"
    bench.scene.RemoveNode(panel.ui.colorSelector.currentNode())
    bench.scene.RemoveNode(panel.ui.greySelector.currentNode())
    assert panel.logic._last.source is None


def test_the_output_that_is_ticked_is_shown(bench, panel):  # noqa: F811
    fused(bench, panel)
    panel.ui.colorCheckBox.checked, panel.ui.greyCheckBox.checked = False, True
    another_window(panel, 2.0)
    case(bench).fuse(panel)
    grey = panel.ui.greySelector.currentNode()
    assert {composites()[view].GetForegroundVolumeID() for view in ("Red", "Green", "Yellow")} == {grey.GetID()}
    assert "Out of date" not in panel.ui.statusLabel.text and panel.ui.measureButton.enabled


def test_an_output_that_is_no_longer_ticked_says_nothing_of_the_other(bench, panel):  # noqa: F811
    from MMIFAminLib.mrml.places import value_at

    panel.ui.greyCheckBox.checked = True
    color = fused(bench, panel)
    panel.ui.greyCheckBox.checked = False
    another_window(panel, 2.0)
    case(bench).fuse(panel)
    assert "Out of date" not in panel.ui.statusLabel.text, "it has just been fused"
    place = (-38.0, 12.0, 20.0)
    assert f"fused {value_at(color, place):.3g}" in panel.logic.valuesAt(panel._parameterNode, place)


class TestDivider:
    def test_it_is_where_its_line_is_after_a_view_has_grown(self, bench, panel):  # noqa: F811
        fused(bench, panel)
        panel.ui.dividerSlider.value = 0.5
        for logic in bench.app.layoutManager().mrmlSliceLogics():
            logic.ResizeSliceNode(720, 400)
        bench.app.processEvents()
        assert cuts(bench) == pytest.approx(dict.fromkeys(("Red", "Green", "Yellow"), 0.5))

    def test_it_cuts_no_other_volume(self, bench, panel):  # noqa: F811
        output = fused(bench, panel)
        panel.ui.dividerSlider.value = 0.5
        composites()["Red"].SetForegroundVolumeID(panel.ui.functionalSelector.currentNode().GetID())
        assert set(cuts(bench)) == {"Green", "Yellow"}
        bench.scene.RemoveNode(output)
        assert cuts(bench) == {}

    def test_it_cuts_nothing_of_the_next_scene_while_the_panel_is_hidden(self, bench, panel):  # noqa: F811
        fused(bench, panel)
        panel.ui.dividerSlider.value = 0.5
        bench.exit()
        bench.scene.Clear(0)
        assert cuts(bench) == {}


def test_the_legend_of_a_pair_is_in_the_colours_of_its_picture(bench, panel):  # noqa: F811
    output = fused(bench, panel)
    p, first = panel._parameterNode, panel._parameterNode.functional
    panel.ui.colorTableSelector.setCurrentNode(bench.scene.GetNodeByID("vtkMRMLColorTableNodeRainbow"))
    bench.wait(lambda: "Rainbow" in output.GetAttribute("MMIFAmin.parameters"))
    p.functional = case(bench).pair()[1]
    p.functional = first
    panel.ui.opacitySlider.value = 0.9
    bench.wait(lambda: not panel._recolorTimer.active)
    painted = json.loads(output.GetAttribute("MMIFAmin.parameters"))["color_table"]
    scale = output.GetNodeReference("MMIFAmin.legendScale")
    assert painted == scale.GetColorNode().GetName() == panel.ui.colorTableSelector.currentNode().GetName()


class TestVoxels:
    def test_those_that_change_while_they_are_fused_count(self, bench, panel):  # noqa: F811
        output = fused(bench, panel)
        functional = panel._parameterNode.functional
        panel.ui.fuseButton.click()
        slicer.util.arrayFromVolume(functional)[:] = 0
        slicer.util.arrayFromVolumeModified(functional)
        done(bench, panel)
        assert "voxels" in panel.ui.statusLabel.text and output.GetName().endswith("(out of date)")

    def test_those_that_change_while_another_pair_is_chosen_count(self, bench, panel):  # noqa: F811
        output = fused(bench, panel)
        p, functional = panel._parameterNode, panel._parameterNode.functional
        p.functional = case(bench).pair()[1]
        slicer.util.arrayFromVolume(functional)[:] = 0
        slicer.util.arrayFromVolumeModified(functional)
        p.functional = functional
        assert "voxels" in panel.ui.statusLabel.text and output.GetName().endswith("(out of date)")


class TestClones:
    def test_a_clone_has_no_spots_of_its_original(self, bench, panel):  # noqa: F811
        _, functional = chosen(bench, panel)
        panel.ui.spotsButton.click()
        done(bench, panel)
        found = panel.logic.spotRows(functional)
        clone = slicer.vtkSlicerVolumesLogic.CloneVolume(bench.scene, functional, "clone")
        slicer.util.updateVolumeFromArray(clone, np.ascontiguousarray(slicer.util.arrayFromVolume(functional)[::-1]))
        panel._parameterNode.functional = clone
        assert panel.ui.spotsTable.rowCount == 0
        panel.ui.spotsButton.click()
        done(bench, panel)
        assert panel.logic.spotRows(functional) == found, "those of the original were written over"
        assert sorted(names(bench.scene, "vtkMRMLTableNode")) == ["Head PET hottest spots", "clone hottest spots"]

    def test_a_clone_is_kept_when_its_original_is_gone(self, bench, panel):  # noqa: F811
        output = fused(bench, panel)
        clone = slicer.vtkSlicerVolumesLogic.CloneVolume(bench.scene, output, "kept")
        bench.scene.RemoveNode(output)
        p, functional = panel._parameterNode, panel._parameterNode.functional
        p.functional = case(bench).pair()[1]
        p.functional = functional
        assert p.fusedColor is None and clone.GetScene() is not None, "fusing would write over what was set aside"

    def test_a_clone_that_goes_takes_nothing_of_its_original(self, bench, panel):  # noqa: F811
        output = fused(bench, panel)
        panel.ui.measureButton.click()
        done(bench, panel)
        bench.scene.RemoveNode(slicer.vtkSlicerVolumesLogic.CloneVolume(bench.scene, output, "clone"))
        bench.app.processEvents()
        assert len(names(bench.scene, "vtkMRMLTableNode")) == 2 and panel.ui.qualityTable.rowCount
        assert names(bench.scene, "vtkMRMLColorLegendDisplayNode")
