"""Three at once in the panel: a second anatomical volume is optional, followed like the others, and told apart."""

import json

import numpy as np
import pytest

from bench.driving import case, chosen
from bench.fixtures import bench  # noqa: F401

slicer = pytest.importorskip("slicer", reason="the widget bench needs slicer-core")
pytestmark = pytest.mark.filterwarnings("error:(already has|does not have) observer")


@pytest.fixture
def three(bench):  # noqa: F811
    """The panel after a fusion of three, and the three."""
    panel = bench.open()
    pair = chosen(bench, panel)
    second = case(bench).inverted(pair[0])
    panel.ui.secondSelector.setCurrentNode(second)
    case(bench).fuse(panel)
    assert panel.ui.colorSelector.currentNode() is not None, panel.ui.statusLabel.text
    return panel, *pair, second


def test_a_second_that_moves_or_changes_puts_the_fused_volume_out_of_date(bench, three):  # noqa: F811
    panel, _, _, second = three
    fused = panel.ui.colorSelector.currentNode()
    assert "Out of date" not in panel.ui.statusLabel.text
    before = second.GetOrigin()
    second.SetOrigin(before[0] + 20, before[1], before[2])
    second.InvokeEvent(slicer.vtkMRMLTransformableNode.TransformModifiedEvent)
    bench.wait(lambda: "a source was moved since" in panel.ui.statusLabel.text)
    bench.wait(lambda: "off" in panel.ui.alignmentLabel.text or "overlap" in panel.ui.alignmentLabel.text)
    assert "Second: About" in panel.ui.alignmentLabel.text
    second.SetOrigin(*before)
    second.InvokeEvent(slicer.vtkMRMLTransformableNode.TransformModifiedEvent)
    assert not fused.GetName().endswith("(out of date)")
    panel.ui.secondWindowComboBox.setCurrentIndex(3)  # CT bone
    assert "another window is chosen since" in panel.ui.statusLabel.text
    panel.ui.secondWindowComboBox.setCurrentIndex(0)
    slicer.util.arrayFromVolume(second)[:] = 7
    slicer.util.arrayFromVolumeModified(second)
    second.InvokeEvent(slicer.vtkMRMLVolumeNode.ImageDataModifiedEvent)
    assert fused.GetName().endswith("(out of date)")


def test_a_second_that_goes_is_chosen_no_more(bench, three):  # noqa: F811
    panel, anatomical, functional, second = three
    fused = panel.ui.colorSelector.currentNode()
    assert not panel.ui.measureButton.enabled and "three" in panel.ui.measureButton.toolTip
    bench.scene.RemoveNode(second)
    assert panel.ui.secondSelector.currentNode() is None and panel.ui.colorSelector.currentNode() is not fused
    case(bench).fuse(panel)
    assert panel.ui.colorSelector.currentNode().GetName() == "Head MR + Head PET fused colour"
    assert panel.ui.colorSelector.currentNode().GetNodeReference("MMIFAmin.second") is None


def test_own_volumes_and_colours_are_not_offered_as_the_second(bench, three):  # noqa: F811
    panel, anatomical, functional, second = three
    offered = panel.ui.secondSelector
    assert {offered.nodeFromIndex(n) for n in range(offered.nodeCount())} == {anatomical, functional, second}


def test_all_three_are_told_of(bench, three):  # noqa: F811
    panel, _, _, second = three
    lines = panel.ui.takenLabel.text.splitlines()
    assert [line.split(":")[0] for line in lines] == ["Uptake on anatomy", "Anatomical", "Functional", "Second"]
    crosshair = bench.scene.GetFirstNodeByClass("vtkMRMLCrosshairNode")
    crosshair.SetCursorPositionRAS([-38.0, 12.0, 20.0])
    assert "Second MR " in panel.ui.cursorLabel.text
    panel.ui.secondSelector.setCurrentNode(None)
    assert not panel.ui.secondWindowComboBox.enabled and "second" in panel.ui.secondWindowComboBox.toolTip
    panel.ui.secondSelector.setCurrentNode(second)
    bench.wait(lambda: "Second: MR" in panel.ui.takenLabel.text)


def test_a_window_of_the_second_can_be_set_by_hand(bench, three):  # noqa: F811
    panel = three[0]
    panel.ui.secondWindowComboBox.setCurrentIndex(6)  # Custom
    assert panel.ui.secondHighSpinBox.enabled and panel.ui.secondHighSpinBox.value > 100, "from what the fusion took"
    panel.ui.secondLowSpinBox.value = 1000.0
    panel.ui.secondHighSpinBox.value = 10.0
    assert "second window" in panel.ui.fuseButton.toolTip
    panel.ui.secondLowSpinBox.value, panel.ui.secondHighSpinBox.value = 0.0, 500.0
    case(bench).fuse(panel)
    fused = panel.ui.colorSelector.currentNode()
    window = json.loads(fused.GetAttribute("MMIFAmin.parameters"))["second"]["window"]
    assert (window["low"], window["high"]) == (0.0, 500.0)


def test_both_are_registered_and_go_back(bench, three):  # noqa: F811
    panel, _, functional, second = three
    panel.ui.registerButton.click()
    bench.wait(lambda: not panel._job.busy)
    assert panel.ui.registerButton.text == "Undo registration", panel.ui.statusLabel.text
    moved = [node.GetParentTransformNode().GetName() for node in (functional, second)]
    assert moved == ["Head PET registration", "Second MR registration"]
    panel.ui.registerButton.click()
    assert functional.GetParentTransformNode() is None and second.GetParentTransformNode() is None
    assert panel.ui.registerButton.text == "Register first"


def test_two_uptakes_are_refused_in_one_sentence(bench, three):  # noqa: F811
    panel, _, _, second = three
    second.SetAttribute("DICOM.Modality", "PT")
    before = np.array(slicer.util.arrayFromVolume(panel.ui.colorSelector.currentNode()))
    case(bench).fuse(panel)
    said = panel.ui.statusLabel.text
    assert "The second anatomical volume shows uptake (told by its modality)" in said and "'Second MR'" in said
    assert np.array_equal(before, slicer.util.arrayFromVolume(panel.ui.colorSelector.currentNode()))
