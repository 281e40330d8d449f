"""The cases of the module's self-test: they run inside Slicer, and on the widget bench of the project's own tests.

A sample pair, shrunk, throughout, so that all of it takes seconds on a CPU. Cases that fuse are skipped, and say so, where
PyTorch is not installed: a test never installs packages.
"""

from __future__ import annotations

import json
import os
import tempfile

import numpy as np
import slicer

from ..errors import GeometryError, InputError, MMIFAminError
from .selftest_first import FirstCases
from .selftest_reading import ReadingCases
from .selftest_scene import SceneCases


class SelfTestCases(SceneCases, FirstCases, ReadingCases):
    """All of them."""

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

    def test_panel_fuses_three_at_once(self) -> None:
        self.needPackages()
        widget = self.panel()
        anatomical, functional = self.choose(widget)
        second = self.inverted(anatomical)
        widget.ui.secondSelector.setCurrentNode(second)
        self.assertTrue(widget.ui.fuseButton.enabled, widget.ui.fuseButton.toolTip)
        self.fuse(widget)
        fused = widget.ui.colorSelector.currentNode()
        self.assertEqual(fused.GetName(), "Head MR + Second MR + Head PET fused colour")
        self.assertIs(fused.GetNodeReference("MMIFAmin.second"), second)
        self.assertIn('"second"', fused.GetAttribute("MMIFAmin.parameters"))
        widget.ui.secondSelector.setCurrentNode(functional)
        self.assertIn("chosen twice", widget.ui.fuseButton.toolTip)
        widget.ui.secondSelector.setCurrentNode(None)
        self.assertIsNone(widget.ui.colorSelector.currentNode())
        grey = self.logic().fuse(anatomical, functional, secondNode=second, secondWindow="mr")
        self.assertIs(grey.GetNodeReference("MMIFAmin.second"), second)

    def test_panel_fuses_all_pairs_of_the_scene(self) -> None:
        self.needPackages()
        widget = self.panel()
        self.pair()
        widget.ui.fuseAllButton.click()
        self.until(lambda: not widget._job.busy)
        table = widget.ui.batchTable
        self.assertEqual([table.item(0, column).text() for column in (0, 1)], ["Head MR + Head PET", "fused"])
        self.assertEqual(slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLVectorVolumeNode"), 1)
        again = self.logic().fuseAll()
        self.assertEqual(again.GetCellText(0, 1), "kept")

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
        self.follow(widget)
        self.until(lambda: widget.ui.anatomicalSelector.currentNode() is not None)
        self.assertEqual(widget.ui.anatomicalSelector.currentNode().GetName(), "Head MR")
        self.assertEqual(widget.ui.functionalSelector.currentNode().GetName(), "Head PET")
        self.assertEqual(widget.ui.planeComboBox.currentIndex, 2)
        self.assertEqual(widget.ui.anatomicalWindowComboBox.currentIndex, 5)
        self.assertEqual(widget.ui.anatomicalHighSpinBox.value, 321.0)
        self.assertEqual(widget.ui.functionalWeightSlider.value, 0.25)


def _composites() -> list:
    return slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode")


def _ijk_to_ras(node) -> list:
    import vtk

    matrix = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    return [matrix.GetElement(row, column) for row in range(4) for column in range(4)]
