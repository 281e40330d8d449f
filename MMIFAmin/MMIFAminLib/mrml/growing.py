"""A fused volume in the scene while it is being fused: transparent where it is not yet there.

It stands in for the output, which is written once everything that can fail is done, and leaves the scene without a
trace. What is beneath it, an anatomical volume most likely, shows where no slice is fused yet.
"""

from __future__ import annotations

import time
from collections import deque
from typing import Any

import numpy as np
import vtk
from vtk.util.numpy_support import numpy_to_vtk

from ..display.color import ColorTable, colorize
from ..volume.geometry import SliceView
from .nodes import NodeGeometry, free_name, node_to_world

_PAUSE = 0.1
"""Seconds between two changes of the picture: each has every view drawn again."""


class GrowingVolume:
    """What a fusion is watched by (`engine.watching.Watcher`): shows its slices in a node of the scene as they come.

    `table` and `weight` are as in `fuse_nodes`; without a table the volume is grey. Main thread, but for `looked_at` and
    `show`, which the engine calls.
    """

    def __init__(self, anatomicalNode: Any, name: str, table: ColorTable | None, weight: float = 1.0) -> None:
        self.node: Any = None
        self._scene, self._name, self._colors = anatomicalNode.GetScene(), name, (table, weight)
        self._geometry = NodeGeometry.of(anatomicalNode)
        self._transform_id = anatomicalNode.GetTransformNodeID()
        self._world = node_to_world(anatomicalNode)
        self._extent = anatomicalNode.GetImageData().GetExtent()
        self._shape = tuple(reversed(anatomicalNode.GetImageData().GetDimensions()))
        self._rgba = self._final = np.zeros(0)
        self._arrived: deque = deque()
        self._ended, self._drawn = False, 0.0
        self._places = self._looked_at()

    # Any thread ------------------------------------------------------------------------------------------------------

    def looked_at(self) -> list[tuple[int, int]]:
        """Across which axes of the voxels (K, J, I) the slice views lie, and where along them."""
        return self._places

    def show(self, view: SliceView, index: int, fused: np.ndarray, uptake: np.ndarray, final: bool) -> None:
        """Keep a slice for `update`, painted."""
        if self._ended:
            return
        table, weight = self._colors
        painted = np.full((*fused.shape, 4), 255, np.uint8)
        if table is None:
            painted[..., :3] = np.rint(255 * fused)[..., None]
        else:
            painted[..., :3] = colorize(fused, uptake, table, weight)
        self._arrived.append((view, index, painted, final))

    # Main thread -----------------------------------------------------------------------------------------------------

    def update(self) -> bool:
        """Note where the views look, and put in what has come, at most every 0.1 s; whether the node is new."""
        self._places = self._looked_at()
        if self._ended or not self._arrived or time.monotonic() - self._drawn < _PAUSE:
            return False
        new = self.node is None
        node = self._create() if new else self.node
        while self._arrived:
            self._put(*self._arrived.popleft())
        data = node.GetImageData()
        data.GetPointData().GetScalars().Modified()
        data.Modified()
        self._drawn = time.monotonic()
        return new

    def remove(self) -> None:
        """Take the node out of the scene, with its display; what still comes is ignored."""
        self._ended = True
        self._arrived.clear()
        if self.node is not None and self.node.GetScene() is not None:
            display = self.node.GetDisplayNode()
            self._scene.RemoveNode(self.node)
            if display is not None:
                self._scene.RemoveNode(display)
        self.node, self._rgba = None, np.zeros(0)

    def _create(self):
        self._rgba = np.zeros((*self._shape, 4), np.uint8)
        self._final = np.zeros(self._shape, bool)
        scalars = numpy_to_vtk(self._rgba.reshape(-1, 4), array_type=vtk.VTK_UNSIGNED_CHAR)
        data = vtk.vtkImageData()
        data.SetExtent(self._extent)
        data.GetPointData().SetScalars(scalars)
        node = self._scene.CreateNodeByClass("vtkMRMLVectorVolumeNode")
        node.UnRegister(None)
        node.SetName(free_name(self._scene, self._name))
        node.SetHideFromEditors(True)
        node.SetSaveWithScene(False)
        node.SetVoxelVectorType(node.VoxelVectorTypeColorRGBA)
        self._geometry.give_to(node)
        node.SetAndObserveImageData(data)
        self.node = self._scene.AddNode(node)
        if self._transform_id is not None and self._scene.GetNodeByID(self._transform_id) is not None:
            node.SetAndObserveTransformNodeID(self._transform_id)
        node.CreateDefaultDisplayNodes()
        display = node.GetDisplayNode()
        display.SetSaveWithScene(False)
        display.SetAutoWindowLevel(False)
        display.SetWindowLevelMinMax(0, 255)
        return node

    def _put(self, view: SliceView, index: int, painted: np.ndarray, final: bool) -> None:
        target, done = view.take(self._rgba)[index], view.take(self._final)[index]
        if final:
            target[...] = painted
            done[...] = True
        else:
            target[~done] = painted[~done]

    def _looked_at(self) -> list[tuple[int, int]]:
        nodes = self._scene.GetNodesByClass("vtkMRMLSliceNode")
        nodes.UnRegister(None)
        found = []
        for node in (nodes.GetItemAsObject(index) for index in range(nodes.GetNumberOfItems())):
            place = self._place(node) if node.IsMappedInLayout() else None
            if place is not None and place not in found:
                found.append(place)
        return found

    def _place(self, sliceNode) -> tuple[int, int] | None:
        """The axis that the view is most nearly across, and the voxel in the middle of the view; None beside the volume."""
        matrix = sliceNode.GetSliceToRAS()
        normal, middle = (np.array([matrix.GetElement(row, column) for row in range(3)]) for column in (2, 3))
        along = np.abs(normal @ self._world[:3, :3]) / np.linalg.norm(self._world[:3, :3], axis=0)
        first = np.array(self._extent[::2])
        voxel = np.rint(np.linalg.solve(self._world, [*middle, 1.0])[:3]).astype(int) - first
        axis = 2 - int(np.argmax(along))
        index = int(voxel[2 - axis])
        return (axis, index) if 0 <= index < self._shape[axis] else None
