"""The cases of the module's self-test: they run inside Slicer, and on the widget bench of the project's own tests.

A sample pair, shrunk, throughout, so that all of it takes seconds on a CPU. Cases that fuse are skipped, and say so, where
PyTorch is not installed: a test never installs packages.
"""

from __future__ import annotations

import functools
import json
import os
import tempfile
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import slicer

from ..errors import GeometryError, InputError, MMIFAminError
from . import packages

if TYPE_CHECKING:
    import SimpleITK as sitk
    from slicer import vtkMRMLScalarVolumeNode
    from slicer.ScriptedLoadableModule import ScriptedLoadableModuleTest as Base

    from MMIFAmin import MMIFAminLogic

    from .sample import Sample
else:
    Base = object  # the application's test base comes with the class that this one is mixed into

SHRINK = (4, 4, 12)  # along i, j, k


class SelfTestCases(Base):
    """Mixed into a `unittest.TestCase`; `setUp` empties the scene."""

    def setUp(self) -> None:
        slicer.mrmlScene.Clear()

    def runTest(self) -> None:
        """Run every case; the application's *Reload and Test* calls this."""
        import unittest

        for name in sorted(name for name in dir(self) if name.startswith("test_")):
            self.setUp()
            try:
                getattr(self, name)()
                self.delayDisplay(f"{name}: passed")
            except unittest.SkipTest as reason:
                self.delayDisplay(f"{name}: skipped, {reason}")

    # Console and batch -----------------------------------------------------------------------------------------------

    def test_logic_fuses_two_nodes(self) -> None:
        anatomical, functional = self.pair()
        before = slicer.util.arrayFromVolume(functional).copy()
        fused = self.logic().fuse(anatomical, functional)
        self.assertEqual(fused.GetClassName(), "vtkMRMLScalarVolumeNode")
        self.assertEqual(fused.GetName(), "Head MR + Head PET fused grey")
        self.assertEqual(_ijk_to_ras(fused), _ijk_to_ras(anatomical))
        values = slicer.util.arrayFromVolume(fused)
        self.assertEqual(values.shape, slicer.util.arrayFromVolume(anatomical).shape)
        self.assertTrue(values.min() >= 0 and values.max() <= 1 and values.std() > 0.05)
        self.assertTrue(np.array_equal(before, slicer.util.arrayFromVolume(functional)))

    def test_logic_takes_colour_window_and_plane(self) -> None:
        anatomical, functional = self.pair()
        logic = self.logic()
        colored = logic.fuse(
            anatomical, functional, rgb=True, plane="coronal", anatomicalWindow=(0, 500), functionalWindow="0:6"
        )
        self.assertEqual(colored.GetClassName(), "vtkMRMLVectorVolumeNode")
        parameters = colored.GetAttribute("MMIFAmin.parameters")
        self.assertIn("coronal", parameters)
        self.assertIn("500.0", parameters)
        again = logic.fuse(anatomical, functional, colored, rgb=True)
        self.assertIs(again, colored)

    def test_logic_takes_the_kind_of_pair(self) -> None:
        fused = self.logic().fuse(*self.pair(), kind="anatomical")
        self.assertIn('"pair": "anatomical"', fused.GetAttribute("MMIFAmin.parameters"))
        with self.assertRaisesRegex(InputError, "kind of pair"):
            self.logic().fuse(*self.pair(), kind="pet")

    def test_logic_explains_what_it_refuses(self) -> None:
        anatomical, functional = self.pair()
        logic = self.logic()
        nodes = slicer.mrmlScene.GetNumberOfNodes()
        with self.assertRaisesRegex(InputError, "functional"):
            logic.fuse(anatomical, None)  # pyright: ignore[reportArgumentType] - what it refuses
        with self.assertRaisesRegex(InputError, "Head MR"):
            logic.fuse(anatomical, anatomical)
        functional.SetOrigin(5000.0, 0.0, 0.0)
        with self.assertRaises(GeometryError):
            logic.fuse(anatomical, functional)
        self.assertEqual(slicer.mrmlScene.GetNumberOfNodes(), nodes)

    def test_logic_can_be_cancelled(self) -> None:
        anatomical, functional = self.pair()
        nodes = slicer.mrmlScene.GetNumberOfNodes()
        with self.assertRaises(MMIFAminError):
            self.logic().fuse(anatomical, functional, progress=lambda fraction, text: fraction < 0.5)
        self.assertEqual(slicer.mrmlScene.GetNumberOfNodes(), nodes)

    def test_logic_takes_a_preset(self) -> None:
        anatomical, functional = self.pair()
        logic = self.logic()
        nodes = slicer.mrmlScene.GetNumberOfNodes()
        with self.assertRaisesRegex(InputError, "pet-mr-brain"):
            logic.fuse(anatomical, functional, preset="no such study")
        self.assertEqual(slicer.mrmlScene.GetNumberOfNodes(), nodes)
        fused = logic.fuse(anatomical, functional, rgb=True, preset="perfusion", plane="sagittal")
        parameters = json.loads(fused.GetAttribute("MMIFAmin.parameters"))
        self.assertEqual(parameters["plane"], "sagittal")
        self.assertIn("Rainbow", parameters["color_table"])

    def test_logic_shows_slices_as_they_are_fused(self) -> None:
        logic = self.logic()
        sources, seen = self.pair(), set()
        slicer.util.setSliceViewerLayers(background=sources[0], fit=True)

        def progress(fraction, text):
            seen.update(composite.GetForegroundVolumeID() for composite in _composites())

        fused = logic.fuse(*sources, rgb=True, show=True, progress=progress)
        if slicer.app.layoutManager() is not None:
            self.assertTrue(seen - {None})
        self.assertEqual({composite.GetForegroundVolumeID() for composite in _composites()} - {fused.GetID()}, set())
        self.assertEqual(slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLVectorVolumeNode"), 1)

    # Panel -----------------------------------------------------------------------------------------------------------

    def test_panel_explains_why_fuse_is_disabled(self) -> None:
        widget = self.panel()
        self.assertFalse(widget.ui.fuseButton.enabled)
        self.assertIn("anatomical", widget.ui.fuseButton.toolTip)
        anatomical, functional = self.pair()
        widget.ui.anatomicalSelector.setCurrentNode(anatomical)
        widget.ui.functionalSelector.setCurrentNode(anatomical)
        self.assertIn("twice", widget.ui.fuseButton.toolTip)
        widget.ui.functionalSelector.setCurrentNode(functional)
        self.assertTrue(widget.ui.fuseButton.enabled)
        widget.ui.colorCheckBox.checked = False
        self.assertFalse(widget.ui.fuseButton.enabled)
        self.assertIn("output", widget.ui.fuseButton.toolTip)
        widget.ui.greyCheckBox.checked = True
        self.assertTrue(widget.ui.fuseButton.enabled)

    def test_panel_fuses_twice_into_one_output(self) -> None:
        widget, fused = self.fusedPanel()
        self.assertEqual(fused.GetClassName(), "vtkMRMLVectorVolumeNode")
        self.assertIn("slices/s", widget.ui.statusLabel.text)
        volumes = slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLVolumeNode")
        self.fuse(widget)
        self.assertIs(widget.ui.colorSelector.currentNode(), fused)
        self.assertEqual(slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLVolumeNode"), volumes)

    def test_panel_shows_a_colour_legend(self) -> None:
        widget, fused = self.fusedPanel()
        (legend,) = slicer.util.getNodesByClass("vtkMRMLColorLegendDisplayNode")
        self.assertIs(legend.GetDisplayableNode(), fused)
        self.assertEqual(legend.GetTitleText(), "Head PET")  # whose unit is not known
        widget.ui.legendCheckBox.checked = False
        self.assertFalse(legend.GetVisibility())

    def test_panel_recolours_without_fusing(self) -> None:
        widget, fused = self.fusedPanel()
        before = slicer.util.arrayFromVolume(fused).copy()
        widget.ui.functionalWeightSlider.value = 0.0
        self.until(lambda: not np.array_equal(slicer.util.arrayFromVolume(fused), before))
        self.assertFalse(widget._job.busy)
        rgb = slicer.util.arrayFromVolume(fused).astype(int)
        self.assertLessEqual(np.ptp(rgb, axis=-1).max(), 3)  # grey, but for rounding

    def test_panel_cancels(self) -> None:
        self.needPackages()
        widget = self.panel()
        self.choose(widget)
        nodes = slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLVolumeNode")
        widget.ui.fuseButton.click()
        self.assertEqual(widget.ui.fuseButton.text, "Cancel")
        widget.ui.fuseButton.click()
        self.until(lambda: not widget._job.busy)
        self.assertEqual(slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLVolumeNode"), nodes)
        self.assertEqual(widget.ui.fuseButton.text, "Fuse")
        self.assertTrue(widget.ui.fuseButton.enabled)

    def test_panel_survives_closing_the_scene_while_fusing(self) -> None:
        self.needPackages()
        widget = self.panel()
        self.choose(widget)
        widget.ui.fuseButton.click()
        slicer.mrmlScene.Clear()
        widget.enter()
        self.until(lambda: not widget._job.busy)
        self.assertEqual(slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLVolumeNode"), 0)
        self.assertEqual(widget.ui.fuseButton.text, "Fuse")
        self.assertFalse(widget.ui.fuseButton.enabled)

    def test_panel_state_survives_save_and_load(self) -> None:
        widget = self.panel()
        self.choose(widget)
        widget.ui.planeComboBox.setCurrentIndex(2)
        widget.ui.anatomicalWindowComboBox.setCurrentIndex(5)
        widget.ui.anatomicalHighSpinBox.value = 321.0
        widget.ui.functionalWeightSlider.value = 0.25
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "scene.mrml")
            slicer.mrmlScene.SetURL(path)
            slicer.mrmlScene.Commit(path)
            slicer.mrmlScene.Clear()
            widget.enter()
            self.assertIsNone(widget.ui.anatomicalSelector.currentNode())
            self.assertEqual(widget.ui.planeComboBox.currentIndex, 0)
            slicer.mrmlScene.SetURL(path)
            slicer.mrmlScene.Connect()
        self.until(lambda: widget.ui.anatomicalSelector.currentNode() is not None)
        self.assertEqual(widget.ui.anatomicalSelector.currentNode().GetName(), "Head MR")
        self.assertEqual(widget.ui.functionalSelector.currentNode().GetName(), "Head PET")
        self.assertEqual(widget.ui.planeComboBox.currentIndex, 2)
        self.assertEqual(widget.ui.anatomicalWindowComboBox.currentIndex, 5)
        self.assertEqual(widget.ui.anatomicalHighSpinBox.value, 321.0)
        self.assertEqual(widget.ui.functionalWeightSlider.value, 0.25)

    # Reading ---------------------------------------------------------------------------------------------------------

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

    # Helpers ---------------------------------------------------------------------------------------------------------

    def needPackages(self) -> None:
        missing = packages.missing()
        if missing:
            self.skipTest(f"not installed: {', '.join(missing)}")

    def logic(self) -> MMIFAminLogic:
        from MMIFAmin import MMIFAminLogic

        self.needPackages()
        return MMIFAminLogic()

    def pair(self) -> tuple:
        """A small registered MR and PET volume in the scene."""
        from . import sample

        head = sample.SAMPLES["MMIFAminHead"]
        nodes = [add_volume(image, name) for image, name in zip(small_pair(head), head.nodes)]
        nodes[1].GetDisplayNode().SetAndObserveColorNodeID("vtkMRMLPETProceduralColorNodePET-Heat")
        return tuple(nodes)

    def panel(self) -> Any:
        """The module's widget, as the user has it before them."""
        if slicer.util.mainWindow() is not None:
            slicer.util.selectModule("MMIFAmin")
        widget = slicer.modules.mmifamin.widgetRepresentation().self()
        widget.enter()
        return widget

    def choose(self, widget: Any) -> tuple:
        nodes = self.pair()
        widget.ui.anatomicalSelector.setCurrentNode(nodes[0])
        widget.ui.functionalSelector.setCurrentNode(nodes[1])
        return nodes

    def fuse(self, widget: Any) -> None:
        widget.ui.fuseButton.click()
        self.until(lambda: not widget._job.busy)

    def fusedPanel(self) -> tuple:
        """The panel after a fusion, and the colour volume that came of it."""
        self.needPackages()
        widget = self.panel()
        self.choose(widget)
        self.fuse(widget)
        return widget, widget.ui.colorSelector.currentNode()

    def until(self, condition: Callable[[], bool], seconds: float = 120.0) -> None:
        """Let the application live until the condition holds."""
        end = time.monotonic() + seconds
        while not condition():
            self.assertLess(time.monotonic(), end, "waited in vain")
            slicer.app.processEvents()
            time.sleep(0.01)


@functools.cache
def small_pair(head: Sample) -> tuple:
    """The pair of a sample in few voxels."""
    import SimpleITK as sitk

    from . import sample

    return tuple(sitk.BinShrink(image, SHRINK) for image in sample.build_pair(head))


def add_volume(image: sitk.Image, name: str) -> vtkMRMLScalarVolumeNode:
    """A volume node of the scene with the voxels and geometry (LPS) of a SimpleITK image."""
    import SimpleITK as sitk
    import vtk

    matrix = np.eye(4)
    matrix[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * np.array(image.GetSpacing())
    matrix[:3, 3] = image.GetOrigin()
    to_ras = vtk.vtkMatrix4x4()
    to_ras.DeepCopy((np.diag([-1.0, -1.0, 1.0, 1.0]) @ matrix).ravel().tolist())
    node = slicer.util.addVolumeFromArray(sitk.GetArrayFromImage(image), to_ras, name)
    node.CreateDefaultDisplayNodes()
    return node


def _composites() -> list:
    return slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode")


def _ijk_to_ras(node) -> list:
    import vtk

    matrix = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    return [matrix.GetElement(row, column) for row in range(4) for column in range(4)]
