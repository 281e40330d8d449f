"""A divider in the slice views: the source on its left, the fused volume on its right."""

from __future__ import annotations

from typing import TYPE_CHECKING

import vtk

if TYPE_CHECKING:
    from slicer import vtkMRMLApplicationLogic, vtkMRMLScalarVolumeNode

_LARGEST = 16383  # pixels: no view is larger
_GRIP = 6  # pixels beside the line at which the mouse takes it


def divide(
    applicationLogic: vtkMRMLApplicationLogic, fusedNode: vtkMRMLScalarVolumeNode | None, divider: float
) -> None:
    """Show `fusedNode`, where it is the foreground, only right of `divider` (0 left edge of the view, 1 right edge).

    At 0 all of it is shown. What cuts is a stencil of the view's own blending, in its pixels: so it works in any
    orientation, of planes and of voxels, and no volume is changed. In Slicer `applicationLogic` is
    `slicer.app.applicationLogic()`.
    """
    every = applicationLogic.GetSliceLogics()
    for logic in (every.GetItemAsObject(index) for index in range(every.GetNumberOfItems() if every else 0)):
        composite = logic.GetSliceCompositeNode()
        shown = fusedNode is not None and composite.GetForegroundVolumeID() == fusedNode.GetID()
        if not shown or divider <= 0:
            if not logic.GetBlend().GetNumberOfInputConnections(1):
                continue
            logic.GetBlend().SetStencilConnection(None)
        else:
            column = round(divider * logic.GetSliceNode().GetDimensions()[0])
            if _column(logic.GetBlend()) == column:
                continue
            stencil = _right_of(column)  # held until the blending holds it: its port does not
            logic.GetBlend().SetStencilConnection(stencil.GetOutputPort())
        composite.Modified()  # has the view drawn anew


class DividerLine:
    """The divider of a view as a line that its renderer shows (`prop`), and that a mouse can take."""

    def __init__(self) -> None:
        self._line, self.divider = vtk.vtkLineSource(), 0.0
        place = vtk.vtkCoordinate()
        place.SetCoordinateSystemToNormalizedViewport()
        mapper = vtk.vtkPolyDataMapper2D()
        mapper.SetInputConnection(self._line.GetOutputPort())
        mapper.SetTransformCoordinate(place)
        self.prop = vtk.vtkActor2D()
        self.prop.SetMapper(mapper)
        self.prop.GetProperty().SetColor(1.0, 1.0, 1.0)
        self.prop.GetProperty().SetLineWidth(2.0)

    def put(self, divider: float) -> None:
        """Draw the line at `divider` (0 left edge of the view, 1 right edge)."""
        self.divider = divider
        self._line.SetPoint1(divider, 0.0, 0.0)
        self._line.SetPoint2(divider, 1.0, 0.0)

    def is_under(self, column: float, width: int) -> bool:
        """Whether the mouse at a pixel column of a view that is `width` pixels wide takes the line."""
        return abs(column - self.divider * width) <= _GRIP


def divider_at(column: float, width: int) -> float:
    """The divider at a pixel column of a view: within it, and never at its left edge, where there is none."""
    return min(max(column, _GRIP), width) / width


def _column(blend) -> float | None:
    """Where the view is divided already, in pixels, or None."""
    if not blend.GetNumberOfInputConnections(1):
        return None
    return blend.GetInputConnection(1, 0).GetProducer().GetBounds()[0] + 0.5


def _right_of(column: int) -> vtk.vtkROIStencilSource:
    """The pixels of a view from `column` on."""
    stencil = vtk.vtkROIStencilSource()
    stencil.SetShapeToBox()
    stencil.SetOutputOrigin(0.0, 0.0, 0.0)
    stencil.SetOutputSpacing(1.0, 1.0, 1.0)
    stencil.SetOutputWholeExtent(0, _LARGEST, 0, _LARGEST, 0, 0)
    stencil.SetBounds(column - 0.5, _LARGEST + 1.0, -1.0, _LARGEST + 1.0, -1.0, 1.0)
    return stencil
