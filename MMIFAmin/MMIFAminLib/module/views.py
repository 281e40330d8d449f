"""The fused volume in Slicer's views: over its sources, side by side with them, and its quality in a chart."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import slicer

from ..errors import InputError
from ..mrml import fit_views, node_color_table, show_compare
from ..mrml import mip as _mip
from ..mrml.compare import LAYOUT_ID, VIEWS
from ..mrml.nodes import voxels
from ..mrml.rendering import rendering_preset

if TYPE_CHECKING:
    from slicer import (
        vtkMRMLColorNode,
        vtkMRMLLayoutNode,
        vtkMRMLNode,
        vtkMRMLPlotChartNode,
        vtkMRMLScalarVolumeNode,
        vtkMRMLScene,
        vtkMRMLVolumeNode,
        vtkMRMLVolumeRenderingDisplayNode,
    )
    from vtk import vtkRenderWindowInteractor

MIP_VIEW = _mip.VIEW
_OWN_VIEWS = (*VIEWS, MIP_VIEW)
_OWN_COLORS = "MMIFAmin.ownColors"
_WITH_3D = (
    slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView,
    slicer.vtkMRMLLayoutNode.SlicerLayoutConventionalView,
    slicer.vtkMRMLLayoutNode.SlicerLayoutConventionalWidescreenView,
    slicer.vtkMRMLLayoutNode.SlicerLayoutOneUp3DView,
    slicer.vtkMRMLLayoutNode.SlicerLayoutDual3DView,
)


def show_over(
    underNode: vtkMRMLScalarVolumeNode | None, fusedNode: vtkMRMLScalarVolumeNode, opacity: float, *, fit: bool = False
) -> None:
    """Show the fused volume over `underNode` in the slice views (not those of the comparison, nor the MIP).

    An `opacity` of 0 shows the source alone, 1 the fused volume alone, linear between. `fit` fits the views to it,
    unless they showed `underNode` already: then they stay where they are.
    """
    under = underNode.GetID() if underNode is not None else None
    for composite in slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode"):
        if composite.GetLayoutName() not in _OWN_VIEWS:
            fit = fit and (under is None or composite.GetBackgroundVolumeID() != under)
            composite.SetBackgroundVolumeID(under)
            composite.SetForegroundVolumeID(fusedNode.GetID())
            composite.SetForegroundOpacity(opacity)
    if fit:
        slicer.util.setSliceViewerLayers(fit=True)


def show_place(
    anatomicalNode: vtkMRMLScalarVolumeNode,
    functionalNode: vtkMRMLScalarVolumeNode,
    place: tuple[float, float, float],
) -> None:
    """Show two sources one over the other in the slice views, through `place` (LPS, mm)."""
    slicer.util.setSliceViewerLayers(
        background=anatomicalNode, foreground=functionalNode, foregroundOpacity=0.5, fit=True
    )
    x, y, z = place
    slicer.vtkMRMLSliceNode.JumpAllSlices(slicer.mrmlScene, -x, -y, z, slicer.vtkMRMLSliceNode.OffsetJumpSlice)


def blend(underNode: vtkMRMLScalarVolumeNode | None, fusedNode: vtkMRMLScalarVolumeNode, opacity: float) -> None:
    """Set the opacity of the fused volume, and what is under it, wherever it is the foreground; other views stay."""
    for composite in slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode"):
        if composite.GetForegroundVolumeID() == fusedNode.GetID():
            composite.SetForegroundOpacity(opacity)
            if composite.GetLayoutName() not in VIEWS and underNode is not None:
                composite.SetBackgroundVolumeID(underNode.GetID())


def lend_colors(functionalNode: vtkMRMLScalarVolumeNode | None, colorNode: vtkMRMLColorNode | None) -> None:
    """Show a functional volume that is shown in greys in the colours of its fusion, until `return_colors`."""
    if functionalNode is None or colorNode is None:
        return
    display = functionalNode.GetDisplayNode()
    if display is None or functionalNode.IsA("vtkMRMLVectorVolumeNode"):
        return
    if functionalNode.GetAttribute(_OWN_COLORS) is None:
        if node_color_table(functionalNode) is not None:
            return
        functionalNode.SetAttribute(_OWN_COLORS, display.GetColorNodeID() or "")
    display.SetAndObserveColorNodeID(colorNode.GetID())


def return_colors(scene: vtkMRMLScene) -> None:
    """Give every volume back the colours in which it was shown before `lend_colors`."""
    for node in slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode", scene):
        own, display = node.GetAttribute(_OWN_COLORS), node.GetDisplayNode()
        if own is not None:
            node.SetAttribute(_OWN_COLORS, None)
            if display is not None:
                display.SetAndObserveColorNodeID(own or None)


def take_away(fusedNode: vtkMRMLNode, underNode: vtkMRMLScalarVolumeNode | None) -> None:
    """Before the fused volume leaves the scene: views that showed it show `underNode` alone.

    Left to itself, a view's selector would put another volume in its place, at full opacity.
    """
    for composite in slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode"):
        if composite.GetBackgroundVolumeID() == fusedNode.GetID():
            composite.SetBackgroundVolumeID(underNode.GetID() if underNode is not None else None)
        if composite.GetForegroundVolumeID() == fusedNode.GetID():
            composite.SetForegroundVolumeID(None)
            composite.SetForegroundOpacity(0.0)
            if underNode is not None:
                composite.SetBackgroundVolumeID(underNode.GetID())


def layout_node() -> vtkMRMLLayoutNode:
    """The scene's layout node. Raises InputError where there are no views (Slicer without its main window)."""
    manager = slicer.app.layoutManager()
    if manager is None:
        raise InputError("There are no views to show this in: start Slicer with its main window.")
    return manager.layoutLogic().GetLayoutNode()


def compare(
    anatomicalNode: vtkMRMLScalarVolumeNode | None,
    functionalNode: vtkMRMLScalarVolumeNode | None,
    fusedNode: vtkMRMLScalarVolumeNode | None,
    plane: str,
    settle: Callable[[], None],
) -> int:
    """Show the three volumes side by side in linked slice views; returns the layout to go back to.

    `settle` has the application lay out the new views, which have no size to fit a volume to before.
    """
    previous = show_compare(layout_node(), anatomicalNode, functionalNode, fusedNode, plane)
    settle()
    fit_views(slicer.app.applicationLogic())
    return previous


def is_comparing() -> bool:
    """Whether the layout is that of the comparison."""
    return layout_node().GetViewArrangement() == LAYOUT_ID


def is_showing_mip() -> bool:
    """Whether the layout is that of the MIP beside three planes."""
    return layout_node().GetViewArrangement() == _mip.LAYOUT_ID


def is_plotting() -> bool:
    """Whether the layout has room for a chart."""
    arrangement = layout_node().GetViewArrangement()
    return slicer.modules.plots.logic().GetLayoutWithPlot(arrangement) == arrangement


def show_chart(chartNode: vtkMRMLPlotChartNode) -> int:
    """Show a chart beside the slice views; returns the layout to go back to."""
    previous = layout_node().GetViewArrangement()
    slicer.modules.plots.logic().ShowChartInLayout(chartNode)
    return previous


def leave(arrangement: int) -> None:
    """Go back to the layout there was before a comparison or chart."""
    layout_node().SetViewArrangement(arrangement or slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)


def orient(volumeNode: vtkMRMLVolumeNode | None) -> None:
    """Turn the slice views, but for the MIP's, into the nearest planes of a volume, or (None) back into the patient's."""
    for view in slicer.util.getNodesByClass("vtkMRMLSliceNode"):
        if view.GetLayoutName() == MIP_VIEW:
            continue
        view.SetOrientationToDefault()
        if volumeNode is not None:
            view.RotateToVolumePlane(volumeNode)


def interactor(viewName: str) -> vtkRenderWindowInteractor | None:
    """What the mouse does in a slice view, or None where there is no such view."""
    manager = slicer.app.layoutManager()
    widget = manager.sliceWidget(viewName) if manager is not None else None
    return widget.sliceView().interactor() if widget is not None else None


def place_in_view(viewName: str, position: Sequence[int]) -> tuple[float, ...]:
    """The place (world RAS, mm) of a pixel (from the lower left corner) of a slice view."""
    view = slicer.mrmlScene.GetNodeByID(f"vtkMRMLSliceNode{viewName}")
    return view.GetXYToRAS().MultiplyPoint((*position[:2], 0.0, 1.0))[:3]


def render(volumeNode: vtkMRMLScalarVolumeNode) -> vtkMRMLVolumeRenderingDisplayNode:
    """Volume-render a grey fused volume by the preset, in a layout with a 3D view; returns its display node."""
    logic = slicer.modules.volumerendering.logic()
    display = logic.GetFirstVolumeRenderingDisplayNode(volumeNode)
    if display is None:
        display = logic.CreateDefaultVolumeRenderingNodes(volumeNode)
    data = volumeNode.GetImageData()
    values = voxels(data)[::2, ::2, ::2] if data is not None else None
    preset = rendering_preset(volumeNode.GetScene(), values)
    display.GetVolumePropertyNode().CopyContent(preset)  # not its name
    display.SetVisibility(True)
    manager = slicer.app.layoutManager()
    if manager is not None:
        layout = layout_node()
        if layout.GetViewArrangement() not in _WITH_3D:
            layout.SetViewArrangement(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)
        for index in range(manager.threeDViewCount):
            manager.threeDWidget(index).threeDView().resetFocalPoint()
    return display


def is_rendered(volumeNode: vtkMRMLScalarVolumeNode) -> bool:
    """Whether a volume is volume-rendered."""
    display = slicer.modules.volumerendering.logic().GetFirstVolumeRenderingDisplayNode(volumeNode)
    return display is not None and bool(display.GetVisibility())


def unrender(volumeNode: vtkMRMLScalarVolumeNode) -> None:
    """Hide the rendering of a volume."""
    display = slicer.modules.volumerendering.logic().GetFirstVolumeRenderingDisplayNode(volumeNode)
    if display is not None:
        display.SetVisibility(False)
