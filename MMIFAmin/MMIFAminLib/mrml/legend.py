"""The colour legend of a fused colour volume: Slicer's own, over the window of the functional volume and in its unit.

The voxels of a fused volume are colours, so its own display has no table that a legend could show. A second display node
beside it holds the functional table and window: no view draws by it, the legend reads it.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from .owned import own, owned_node

if TYPE_CHECKING:
    from slicer import vtkMRMLColorNode, vtkMRMLNode, vtkMRMLScalarVolumeNode

_LEGEND, _SCALE = "MMIFAmin.legend", "MMIFAmin.legendScale"
_CLASS = "vtkMRMLColorLegendDisplayNode"


def show_legend(fusedNode: vtkMRMLScalarVolumeNode, colorNode: vtkMRMLColorNode, title: str) -> vtkMRMLNode | None:
    """Show the legend of a colour volume that was fused from uptake, in the views that show the volume.

    `colorNode` is the table that it was painted with, `title` the unit. Returns the legend's display node, or None for a
    volume without uptake, and where the scene knows no colour legends (Slicer before 5.0).
    """
    recorded = json.loads(fusedNode.GetAttribute("MMIFAmin.parameters") or "{}")
    scene = fusedNode.GetScene()
    if recorded.get("taken_for", {}).get("pair") != "uptake" or not scene.IsNodeClassRegistered(_CLASS):
        hide_legend(fusedNode)
        return None
    low, high = (recorded["windows"]["functional"][end] for end in ("low", "high"))
    scale = owned_node(fusedNode, _SCALE) or _new_scale(fusedNode)
    scale.SetAndObserveColorNodeID(colorNode.GetID())
    scale.SetWindowLevelMinMax(low, high)
    legend = owned_node(fusedNode, _LEGEND) or _new_legend(fusedNode, scale)
    legend.SetTitleText(title)
    legend.SetLabelFormat("%.0f" if high - low >= 20 else "%.1f" if high - low >= 2 else "%.2f")
    legend.SetVisibility(True)
    return legend


def hide_legend(fusedNode: vtkMRMLScalarVolumeNode) -> None:
    """Hide the legend, if there is one: before the volume is painted anew, or when it is not wanted."""
    if (legend := owned_node(fusedNode, _LEGEND)) is not None:
        legend.SetVisibility(False)


def legend_nodes(fusedNode: vtkMRMLNode) -> list:
    """The nodes that `show_legend` has made for a fused volume: to be removed with it."""
    return [node for role in (_LEGEND, _SCALE) if (node := owned_node(fusedNode, role)) is not None]


def _new_scale(fusedNode):
    scene = fusedNode.GetScene()
    scale = scene.CreateNodeByClass("vtkMRMLScalarVolumeDisplayNode")
    scale.UnRegister(None)
    scale.SetAutoWindowLevel(False)  # before it sees the voxels, which are colours
    scale.SetName(f"{fusedNode.GetName()} scale")
    return _owned(fusedNode, scene.AddNode(scale), _SCALE)


def _new_legend(fusedNode, scale):
    legend = fusedNode.GetScene().CreateNodeByClass(_CLASS)
    legend.UnRegister(None)
    legend.SetName(f"{fusedNode.GetName()} legend")
    fusedNode.GetScene().AddNode(legend)
    legend.SetAndObservePrimaryDisplayNode(scale)
    return _owned(fusedNode, legend, _LEGEND)


def _owned(fusedNode, display, role: str):
    fusedNode.AddAndObserveDisplayNodeID(display.GetID())
    own(fusedNode, display, role)
    return display
