"""What the cases of the self-test share: a small pair, the panel, and waiting."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import slicer

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


class Cases(Base):
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

    def inverted(self, node: vtkMRMLScalarVolumeNode) -> vtkMRMLScalarVolumeNode:
        """A second MR: the same head, its bright parts dark."""
        import SimpleITK as sitk

        from ..mrml import node_to_image

        values = slicer.util.arrayFromVolume(node)
        inverted = sitk.GetImageFromArray(np.where(values > 0, values.max() - values, 0).astype(values.dtype))
        inverted.CopyInformation(node_to_image(node))
        return add_volume(inverted, "Second MR")

    def panel(self) -> Any:
        """The module's widget, as the user has it before them."""
        if slicer.util.mainWindow() is not None:
            slicer.util.selectModule("MMIFAmin")
        widget = slicer.modules.mmifamin.widgetRepresentation().self()
        widget.enter()
        return widget

    def follow(self, widget: Any) -> None:
        """Let the panel see what was loaded: without a main window no module is open, and none follows the scene by itself."""
        if slicer.app.layoutManager() is None:
            widget.enter()

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
