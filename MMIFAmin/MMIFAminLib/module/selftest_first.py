"""The cases of the self-test on what a new user meets: installation, sample data, choosing, and undoing what was made."""

from __future__ import annotations

from unittest import mock

import slicer

from . import packages, preload
from .selftest_base import Cases


class FirstCases(Cases):
    """A part of `SelfTestCases`."""

    def test_logic_says_why_nothing_was_installed(self) -> None:
        def fail(requirements) -> None:
            print("ERROR: No matching distribution found")
            raise ModuleNotFoundError("No module named 'torch'")

        def missing(*requirements) -> list[str]:
            return ["torch>=2.5"]

        faulty = mock.patch.multiple(packages, missing=missing, _install=fail)
        with faulty, self.assertRaises(packages.PackagesError) as caught:
            packages.ensure_packages()
        for words in (
            "PyTorch was not installed",
            "HTTPS_PROXY",
            "disk space",
            "Python 3.",
            "No matching distribution",
        ):
            self.assertIn(words, str(caught.exception))

    def test_logic_loads_the_libraries_beforehand(self) -> None:
        logic, said = self.logic(), []
        preload.load(lambda fraction, text: said.append(text), logic.fuser)
        self.assertIn("Loading torch", said)
        self.assertFalse(preload.wanted())

    def test_panel_chooses_the_sample_pair(self) -> None:
        logic, widget = self.logic(), self.panel()
        anatomical, functional = logic.loadSample("MMIFAminHead")
        self.follow(widget)
        self.until(lambda: widget.ui.functionalSelector.currentNode() is not None)
        self.assertIs(widget.ui.anatomicalSelector.currentNode(), anatomical)
        self.assertIs(widget.ui.functionalSelector.currentNode(), functional)
        self.assertTrue(widget.ui.fuseButton.enabled, widget.ui.fuseButton.toolTip)

    def test_panel_chooses_the_only_other_volume(self) -> None:
        widget = self.panel()
        nodes = self.pair()
        for node, name in zip(nodes, ("one", "two")):
            node.SetName(name)
            node.GetDisplayNode().SetAndObserveColorNodeID("vtkMRMLColorTableNodeGrey")
        widget.ui.functionalSelector.setCurrentNode(nodes[1])
        self.until(lambda: widget.ui.anatomicalSelector.currentNode() is not None)
        self.assertIs(widget.ui.anatomicalSelector.currentNode(), nodes[0])

    def test_panel_shows_the_source_when_the_fused_volume_goes(self) -> None:
        widget, fused = self.fusedPanel()
        anatomical = widget.ui.anatomicalSelector.currentNode()
        slicer.mrmlScene.RemoveNode(fused)
        slicer.app.processEvents()
        for composite in slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode"):
            if slicer.app.layoutManager() is not None and not composite.GetLayoutName().startswith("MMIFAmin"):
                self.assertEqual(composite.GetBackgroundVolumeID(), anatomical.GetID())
                self.assertIsNone(composite.GetForegroundVolumeID())
        self.assertFalse(widget.ui.compareButton.enabled)
