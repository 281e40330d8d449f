"""The cases of the self-test on what the panel makes of a scene that changes, and on what it is told to fuse."""

from __future__ import annotations

import slicer
import vtk

from .selftest_base import Cases


class SceneCases(Cases):
    """Sources that go, scenes that close, choices that change; a part of `SelfTestCases`."""

    def test_panel_marks_what_is_out_of_date(self) -> None:
        widget, fused = self.fusedPanel()
        name = fused.GetName()
        widget.ui.planeComboBox.setCurrentIndex(1)
        self.assertEqual(fused.GetName(), f"{name} (out of date)")
        self.assertIn("Fuse again", widget.ui.statusLabel.text)
        self.fuse(widget)
        self.assertEqual(fused.GetName(), name)
        self.assertNotIn("Fuse again", widget.ui.statusLabel.text)

    def test_panel_lets_go_of_a_removed_source(self) -> None:
        widget, fused = self.fusedPanel()
        selectors = (widget.ui.anatomicalSelector, widget.ui.functionalSelector, widget.ui.secondSelector)
        for selector in selectors:
            self.assertNotIn(fused.GetID(), [selector.nodeFromIndex(i).GetID() for i in range(selector.nodeCount())])
        slicer.mrmlScene.RemoveNode(widget.ui.functionalSelector.currentNode())
        slicer.app.processEvents()
        self.assertIsNone(widget.ui.functionalSelector.currentNode())
        self.assertFalse(widget.ui.fuseButton.enabled)

    def test_panel_marks_what_was_fused_of_another_pair(self) -> None:
        widget, fused = self.fusedPanel()
        functional = widget.ui.functionalSelector.currentNode()
        self.choose(widget)
        transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
        functional.SetAndObserveTransformNodeID(transform.GetID())
        matrix = vtk.vtkMatrix4x4()
        matrix.SetElement(0, 3, 20.0)
        transform.SetMatrixTransformToParent(matrix)
        self.assertIn("(out of date)", fused.GetName())

    def test_panel_refuses_what_cannot_be_fused(self) -> None:
        self.needPackages()
        widget = self.panel()
        _anatomical, functional = self.choose(widget)
        slicer.util.arrayFromVolume(functional)[:] = 3
        slicer.util.arrayFromVolumeModified(functional)
        self.until(lambda: not widget.ui.fuseButton.enabled)
        self.assertIn("is constant", widget.ui.statusLabel.text)

    def test_panel_measures_no_former_scene(self) -> None:
        widget, _fused = self.fusedPanel()
        widget.ui.measureButton.click()
        self.until(lambda: not widget._job.busy)
        self.assertGreater(widget.ui.qualityTable.rowCount, 10)
        slicer.mrmlScene.Clear()
        widget.enter()
        self.choose(widget)
        self.assertFalse(widget.ui.measureButton.enabled)
        self.assertEqual(widget.ui.qualityTable.rowCount, 0)

    def test_panel_finds_a_pairs_own_output_again(self) -> None:
        widget, fused = self.fusedPanel()
        functional, other = widget.ui.functionalSelector.currentNode(), self.pair()[1]
        widget.ui.functionalSelector.setCurrentNode(other)
        self.assertIsNone(widget.ui.colorSelector.currentNode())
        widget.ui.functionalSelector.setCurrentNode(functional)
        self.assertIs(widget.ui.colorSelector.currentNode(), fused)

    def test_panel_gives_the_layout_back_when_a_scene_is_closed(self) -> None:
        manager = slicer.app.layoutManager()
        if manager is None:
            self.skipTest("there is no main window")
        widget, _fused = self.fusedPanel()
        layout = manager.layoutLogic().GetLayoutNode()
        before = layout.GetViewArrangement()
        widget.ui.compareButton.click()
        slicer.app.processEvents()
        bounds = [0.0] * 6
        widget.ui.anatomicalSelector.currentNode().GetRASBounds(bounds)
        for view in slicer.util.getNodesByClass("vtkMRMLSliceNode"):
            if view.GetLayoutName().startswith("MMIFAmin"):
                self.assertGreaterEqual(view.GetFieldOfView()[0], bounds[1] - bounds[0])  # the head is whole
        slicer.mrmlScene.Clear()
        slicer.app.processEvents()
        self.assertEqual(layout.GetViewArrangement(), before)

    def test_panel_takes_keeps_and_forgets_presets(self) -> None:
        from . import presets, state

        widget, name = self.panel(), "MMIFAmin self-test"
        combo, settings = widget.ui.presetComboBox, slicer.app.userSettings()
        offered = [combo.itemText(index) for index in range(combo.count)]
        lung = presets.find(settings, "pet-ct-oncology-lung")[0]
        widget.onPreset(offered.index(lung))
        p = widget._parameterNode
        self.assertEqual((p.preset, p.anatomicalWindow), (lung, state.AnatomicalWindow.CT_LUNG))
        self.assertEqual(combo.currentText, lung)
        widget.ui.planeComboBox.setCurrentIndex(2)
        combo.setEditText(name)
        try:
            widget.ui.savePresetButton.click()
            self.assertEqual(presets.own(settings)[name]["plane"], "SAGITTAL")
            self.assertEqual(combo.currentText, name)
        finally:
            presets.delete(settings, name)
        widget.updateGUI()
        self.assertNotEqual(combo.currentText, name)

    def test_panel_begins_and_stops_with_its_own_words(self) -> None:
        self.needPackages()
        widget = self.panel()
        self.choose(widget)
        self.assertEqual(widget.ui.alignmentLabel.text, "Checking...")
        widget.ui.fuseButton.click()
        self.assertEqual(widget.ui.progressBar.format, "Preparing")
        widget.ui.fuseButton.click()
        self.assertEqual(widget.ui.progressBar.format, "Stopping...")
        self.until(lambda: not widget._job.busy)
        self.assertEqual(widget.ui.statusLabel.text, "Cancelled; nothing was changed.")

    def test_panel_changes_the_places_of_the_two(self) -> None:
        widget = self.panel()
        anatomical, functional = self.choose(widget)
        widget.ui.swapButton.click()
        self.assertIs(widget.ui.anatomicalSelector.currentNode(), functional)
        self.assertIs(widget.ui.functionalSelector.currentNode(), anatomical)

    def test_panel_says_what_this_computer_lacks(self) -> None:
        from . import state

        widget, _fused = self.fusedPanel()
        missing = widget.logic.unusable()
        for index, device in enumerate(state.Device):
            widget.ui.deviceComboBox.setCurrentIndex(index)
            self.assertEqual(widget.ui.fuseButton.enabled, device not in missing, device.label())
            self.assertIn(missing.get(device, ""), widget.ui.fuseButton.toolTip)
