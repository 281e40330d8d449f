"""Places in the scene (world RAS, mm): the values of volumes there, the hottest of them, and the views taken there."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import vtk

from ..display.legend import plain_number
from ..errors import GeometryError
from ..volume.hottest import Spot
from .nodes import node_to_world, voxels
from .owned import file_under, fill_table, owned, owned_node
from .recoloring import fused_value

if TYPE_CHECKING:
    from slicer import vtkMRMLMarkupsFiducialNode, vtkMRMLScalarVolumeNode, vtkMRMLScene, vtkMRMLTableNode

Place = Sequence[float]
SPOTS = "MMIFAmin.spots"
_FOUND = f"{SPOTS}.found"  # attribute of the table: where the volume lay, null once its voxels have changed


class SpotNodes(NamedTuple):
    """The spots of a volume as ordinary nodes: a table with a row each, and a list of points."""

    table: vtkMRMLTableNode
    points: vtkMRMLMarkupsFiducialNode


def value_at(node: vtkMRMLScalarVolumeNode | None, place: Place) -> float | None:
    """The value of the voxel that holds `place`, parent transforms of any kind included; None outside.

    Of a colour fused volume it is the fused value, 0 to 1; of other colours the luma (Rec. 601), 0 to 255.
    """
    index = _index(node, place)
    if node is None or index is None:
        return None
    data = node.GetImageData()
    if data.GetNumberOfScalarComponents() == 1:
        return data.GetScalarComponentAsDouble(*index, 0)
    if node.GetAttribute("MMIFAmin.version") is not None:
        return fused_value(node, index, value_at(node.GetNodeReference("MMIFAmin.functional"), place))
    return float(np.dot((0.299, 0.587, 0.114), [data.GetScalarComponentAsDouble(*index, c) for c in range(3)]))


def _index(node, place) -> tuple[int, int, int] | None:
    """The voxel (i, j, k) of a volume node that holds a place, or None."""
    if node is None or node.GetImageData() is None or not voxels(node.GetImageData()).size:
        return None
    inside, to_ijk = [0.0, 0.0, 0.0], vtk.vtkMatrix4x4()
    node.TransformPointFromWorld(list(place), inside)
    node.GetRASToIJKMatrix(to_ijk)
    i, j, k = (int(np.floor(v + 0.5)) for v in to_ijk.MultiplyPoint([*inside, 1.0])[:3])
    low_i, high_i, low_j, high_j, low_k, high_k = node.GetImageData().GetExtent()
    return (i, j, k) if low_i <= i <= high_i and low_j <= j <= high_j and low_k <= k <= high_k else None


def jump(scene: vtkMRMLScene, place: Place, except_view: str = "") -> None:
    """Take every slice view of the scene, but that of the layout name `except_view`, and the crosshair to `place`."""
    nodes = scene.GetNodesByClass("vtkMRMLSliceNode")
    nodes.UnRegister(None)
    for view in (nodes.GetItemAsObject(index) for index in range(nodes.GetNumberOfItems())):
        if view.GetLayoutName() != except_view:
            view.JumpSliceByCentering(*place)
    crosshair = scene.GetFirstNodeByClass("vtkMRMLCrosshairNode")
    if crosshair is not None:
        crosshair.SetCrosshairRAS(list(place))


def publish_spots(functionalNode: vtkMRMLScalarVolumeNode, spots: Sequence[Spot], unit: str = "") -> SpotNodes:
    """The spots of a functional node as a table and a list of points, those of the last time if they are still there.

    The distance is that from the first spot.
    """
    name = functionalNode.GetName()
    table = owned(functionalNode, "vtkMRMLTableNode", f"{SPOTS}.table", f"{name} hottest spots")
    points = owned(functionalNode, "vtkMRMLMarkupsFiducialNode", f"{SPOTS}.points", f"{name} hottest spots")
    kind = unit if unit.startswith("SUV") else ""
    columns: dict = {"Spot": [str(number) for number in range(1, len(spots) + 1)]}
    # Adding 0 makes 0 of -0.
    columns |= {f"{axis} (mm)": np.array([s.place[a] for s in spots]).round(1) + 0.0 for a, axis in enumerate("RAS")}
    kind += " " if kind not in ("", "SUV") else ""  # of lean body mass, say: "SUVlbm max"
    columns[f"{kind}max" if kind else "Maximum"] = np.array([spot.maximum for spot in spots])
    columns[f"{kind}peak (1 ml)" if kind else "Peak (1 ml)"] = np.array([spot.peak for spot in spots])
    columns["Distance (mm)"] = np.array([spot.distance for spot in spots]).round(1)
    fill_table(table, columns)
    modifying = points.StartModify()
    points.RemoveAllControlPoints()
    for number, spot in enumerate(spots, 1):
        points.AddControlPointWorld(vtk.vtkVector3d(*spot.place), f"{number}: {plain_number(spot.maximum)}")
    points.SetLocked(True)  # a mouse drag would move the finding
    points.EndModify(modifying)
    if points.GetDisplayNode() is None:
        points.CreateDefaultDisplayNodes()
    file_under(functionalNode, [table, points])
    table.SetAttribute(_FOUND, json.dumps(node_to_world(functionalNode).tolist()))
    return SpotNodes(table, points)


def spots_table(functionalNode: vtkMRMLScalarVolumeNode | None) -> vtkMRMLTableNode | None:
    """The table that `publish_spots` has made of a volume, if it is still in the scene."""
    table = owned_node(functionalNode, f"{SPOTS}.table") if functionalNode is not None else None
    return table if table is not None and table.GetScene() is not None else None  # a reference outlasts its node


def note_spots(functionalNode: vtkMRMLScalarVolumeNode) -> None:
    """Note that the voxels of a volume were changed: its spots are out of date."""
    if (table := spots_table(functionalNode)) is not None:
        table.SetAttribute(_FOUND, "null")


def spots_outdated(functionalNode: vtkMRMLScalarVolumeNode | None) -> bool:
    """Whether a volume was moved, or its voxels changed, since its spots were found."""
    table = spots_table(functionalNode)
    if functionalNode is None or table is None or (found := table.GetAttribute(_FOUND)) is None:
        return False
    try:
        lies = node_to_world(functionalNode)
    except GeometryError:
        return True
    before = json.loads(found)
    return before is None or not np.allclose(lies, before, rtol=1e-4, atol=1e-3)
