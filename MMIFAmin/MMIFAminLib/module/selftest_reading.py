"""The cases of the self-test on reading: what the section *Read* of the panel does."""

from __future__ import annotations

import os
import tempfile

import slicer

from .selftest_base import Cases


class ReadingCases(Cases):
    """See `selftest`."""

    def test_panel_tells_the_values_under_the_cursor(self) -> None:
        widget = self.panel()
        self.choose(widget)
        crosshair = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLCrosshairNode")
        crosshair.SetCursorPositionRAS([0.0, 0.0, 0.0])
        self.assertIn("Head MR", widget.ui.cursorLabel.text)
        self.assertIn("Head PET", widget.ui.cursorLabel.text)

    def test_panel_shows_the_mip_and_goes_back(self) -> None:
        widget = self.panel()
        self.choose(widget)
        volumes = slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLVolumeNode")
        widget.ui.mipButton.click()
        self.until(lambda: not widget._job.busy)
        if slicer.app.layoutManager() is None:
            self.assertIn("main window", widget.ui.statusLabel.text)
            return
        self.assertTrue(widget.ui.mipButton.checked)
        view = slicer.mrmlScene.GetNodeByID("vtkMRMLSliceNodeMMIFAminMIP")
        widget.logic.turnMip(9)
        self.assertEqual(view.GetSliceOffset(), 9.0)
        mouse = slicer.app.layoutManager().sliceWidget("MMIFAminMIP").sliceView().interactor()
        width, height = view.GetDimensions()[:2]
        mouse.SetEventInformation(width // 2, height // 2)
        mouse.InvokeEvent("LeftButtonPressEvent")
        mouse.InvokeEvent("LeftButtonReleaseEvent")
        clicked = view.GetXYToRAS().MultiplyPoint((width // 2, height // 2, 0.0, 1.0))[:3]
        place = widget.logic.bodyPlace("MMIFAminMIP", clicked)
        crosshair = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLCrosshairNode")
        self.assertEqual([round(mm, 3) for mm in crosshair.GetCrosshairRAS()], [round(mm, 3) for mm in place])
        widget.ui.mipButton.click()
        self.assertFalse(widget.ui.mipButton.checked)
        self.assertEqual(slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLVolumeNode"), volumes)

    def test_panel_lists_the_hottest_spots_and_jumps_there(self) -> None:
        widget = self.panel()
        self.choose(widget)
        widget.ui.spotCountSpinBox.value = 1
        self.assertEqual(widget._parameterNode.spotCount, 1)
        widget.ui.spotsButton.click()
        self.until(lambda: not widget._job.busy)
        table = widget.ui.spotsTable
        self.assertEqual(table.rowCount, 1)
        widget.onSpot(0, 0)
        if slicer.app.layoutManager() is not None:
            views = slicer.util.getNodesByClass("vtkMRMLSliceNode")
            offsets = [view.GetSliceOffset() for view in views if view.GetOrientation() == "Axial"]
            self.assertIn(float(table.item(0, 3).text()), [round(offset, 1) for offset in offsets])

    def test_panel_divides_holds_and_renders(self) -> None:
        self.needPackages()
        widget = self.panel()
        widget.ui.greyCheckBox.checked = True
        self.choose(widget)
        self.fuse(widget)
        widget.ui.dividerSlider.value = 0.5
        self.assertEqual(widget._parameterNode.divider, 0.5)
        functional = widget._parameterNode.functional
        if slicer.app.layoutManager() is not None:
            widget.ui.holdFunctionalButton.pressed()
            self.assertIn((functional.GetID(), 0.0), self.layers())
            widget.ui.holdFunctionalButton.released()
            self.assertNotIn((functional.GetID(), 0.0), self.layers())
            keys = slicer.app.layoutManager().sliceWidget("Red").sliceView().interactor()
            for event in ("KeyPressEvent", "KeyReleaseEvent"):
                keys.SetKeyEventInformation(0, 0, "2", 1, "2")
                keys.InvokeEvent(event)
                self.assertIn((functional.GetID(), 0.0), self.layers())
            self.until(lambda: (functional.GetID(), 0.0) not in self.layers())
        widget.ui.alongVolumeCheckBox.checked = True
        self.assertTrue(widget._parameterNode.alongVolume)
        widget.ui.alongVolumeCheckBox.checked = False
        widget.ui.renderButton.click()
        self.assertTrue(widget._parameterNode.rendered, widget.ui.statusLabel.text)
        widget.ui.renderButton.click()
        self.assertFalse(widget._parameterNode.rendered)

    def test_panel_shows_three_linked_views(self) -> None:
        if slicer.app.layoutManager() is None:
            self.skipTest("there is no main window")
        widget, _fused = self.fusedPanel()
        widget.ui.compareButton.click()
        shown = slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode")
        linked = [one for one in shown if one.GetLayoutName().startswith("MMIFAmin") and one.GetLinkedControl()]
        self.assertEqual(len(linked), 3)
        crosshair = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLCrosshairNode")
        self.assertNotEqual(crosshair.GetCrosshairMode(), crosshair.NoCrosshair)
        widget.ui.compareButton.click()
        self.assertFalse(widget.ui.compareButton.checked)

    def test_panel_saves_a_film(self) -> None:
        widget = self.panel()
        self.choose(widget)
        with tempfile.TemporaryDirectory() as folder:
            widget.askFilm = lambda: os.path.join(folder, "series")
            try:
                widget.ui.filmButton.click()
                self.until(lambda: not widget._job.busy)
            finally:
                del widget.askFilm
            self.assertEqual(len(os.listdir(os.path.join(folder, "series"))), 36)

    def test_logic_saves_a_film(self) -> None:
        from MMIFAmin import MMIFAminLogic

        functional = self.pair()[1]
        with tempfile.TemporaryDirectory() as folder:
            MMIFAminLogic().saveFilm(functional, os.path.join(folder, "turn.gif"), angles=4)
            with open(os.path.join(folder, "turn.gif"), "rb") as file:
                self.assertEqual(file.read(3), b"GIF")

    def layers(self) -> list[tuple]:
        """What lies under the foreground of each slice view, and the foreground's opacity."""
        shown = slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode")
        return [(one.GetBackgroundVolumeID(), one.GetForegroundOpacity()) for one in shown]
