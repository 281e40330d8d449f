"""The slices of a running fusion in the views: those that are looked at first, the source beneath where none is yet."""

from __future__ import annotations

from typing import Any

import slicer
import vtk

from ..mrml import GrowingVolume
from ..mrml.compare import VIEWS
from ..mrml.mip import VIEW as MIP_VIEW


class AtOnce:
    """A `GrowingVolume` in the slice views from its first slice on; `end` leaves views and scene as they were before.

    Views that show neither source are given the anatomical one to begin with. While the volumes are compared, only the
    view of the fused one changes; that of the MIP never does. The colours are those of `GrowingVolume`. Main thread.
    """

    def __init__(self, sources: tuple, underNode: Any, opacity: float, name: str, table: Any, weight: float) -> None:
        self._under, self._opacity = underNode, opacity
        self._layers = [_Layers(node) for node in slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode")]
        self._places: list = []
        if not any(layers.show_one_of(sources) for layers in self._layers):
            self._places = [_Place(node) for node in slicer.util.getNodesByClass("vtkMRMLSliceNode")]
            for layers in self._layers:
                layers.set(sources[0], None, 0.0)
            slicer.util.setSliceViewerLayers(fit=True)
        self.growing = GrowingVolume(sources[0], name, table, weight)

    def follow(self) -> None:
        """Tell the fusion what the views show, and show what has come of it."""
        if self.growing.update():
            for layers in self._layers:
                layers.set(self._under, self.growing.node, self._opacity)

    def end(self) -> None:
        """Take it out of the views and the scene; where another volume is shown meanwhile, it stays."""
        put_back = [layers.put_back() for layers in self._layers]
        if any(put_back):
            for place in self._places:
                place.go_back()
        self.growing.remove()


class _Layers:
    """What a slice view shows, and what it showed before."""

    def __init__(self, composite) -> None:
        self._composite = composite
        self._before, self._opacity = self._shown(), composite.GetForegroundOpacity()
        self._set: tuple[str | None, str | None] | None = None

    def show_one_of(self, sources: tuple) -> bool:
        return bool({node.GetID() for node in sources} & set(self._before))

    def set(self, background, foreground, opacity: float) -> None:
        name = self._composite.GetLayoutName()
        if name in (*VIEWS[:-1], MIP_VIEW):
            return
        self._set = (_id(background), _id(foreground))
        self._give(*self._set, 1.0 if name in VIEWS else opacity)

    def put_back(self) -> bool:
        """Whether there was something to put back."""
        if self._set is None or self._shown() != self._set:
            return False
        self._give(*self._before, self._opacity)
        return True

    def _shown(self) -> tuple[str | None, str | None]:
        return self._composite.GetBackgroundVolumeID(), self._composite.GetForegroundVolumeID()

    def _give(self, background, foreground, opacity: float) -> None:
        composite = self._composite
        linked = composite.GetLinkedControl()
        composite.SetLinkedControl(False)  # linked views would all take the layers of the last one
        composite.SetBackgroundVolumeID(background)
        composite.SetForegroundVolumeID(foreground)
        composite.SetForegroundOpacity(opacity)
        composite.SetLinkedControl(linked)


def _id(node) -> str | None:
    return node.GetID() if node is not None else None


class _Place:
    """Where a slice view looks."""

    def __init__(self, sliceNode) -> None:
        self._node, self._matrix = sliceNode, vtk.vtkMatrix4x4()
        self._matrix.DeepCopy(sliceNode.GetSliceToRAS())
        self._field = sliceNode.GetFieldOfView()

    def go_back(self) -> None:
        self._node.GetSliceToRAS().DeepCopy(self._matrix)
        self._node.SetFieldOfView(*self._field)
        self._node.UpdateMatrices()
