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
        widget.ui.mipButton.click()
        self.assertFalse(widget.ui.mipButton.checked)
        self.assertEqual(slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLVolumeNode"), volumes)

    def test_panel_lists_the_hottest_spots_and_jumps_there(self) -> None:
        widget = self.panel()
        self.choose(widget)
        widget.ui.spotsButton.click()
        self.until(lambda: not widget._job.busy)
        table = widget.ui.spotsTable
        self.assertGreaterEqual(table.rowCount, 1)
        widget.onSpot(0, 0)
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
        widget.ui.holdFunctionalButton.pressed()
        widget.ui.holdFunctionalButton.released()
        widget.ui.renderButton.click()
        self.assertTrue(widget._parameterNode.rendered, widget.ui.statusLabel.text)
        widget.ui.renderButton.click()
        self.assertFalse(widget._parameterNode.rendered)

    def test_logic_saves_a_film(self) -> None:
        from MMIFAmin import MMIFAminLogic

        functional = self.pair()[1]
        with tempfile.TemporaryDirectory() as folder:
            MMIFAminLogic().saveFilm(functional, os.path.join(folder, "turn.gif"), angles=4)
            with open(os.path.join(folder, "turn.gif"), "rb") as file:
                self.assertEqual(file.read(3), b"GIF")
