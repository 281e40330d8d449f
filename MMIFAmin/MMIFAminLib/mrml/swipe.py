"""A divider in the slice views: the source on its left, the fused volume on its right."""

from __future__ import annotations

from typing import TYPE_CHECKING

import vtk

if TYPE_CHECKING:
    from slicer import vtkMRMLApplicationLogic, vtkMRMLScalarVolumeNode

_LARGEST = 16383  # pixels: no view is larger


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
            width = logic.GetSliceNode().GetDimensions()[0]
            stencil = _right_of(round(divider * width))  # held until the blending holds it: its port does not
            logic.GetBlend().SetStencilConnection(stencil.GetOutputPort())
        composite.Modified()  # has the view drawn anew


def _right_of(column: int) -> vtk.vtkROIStencilSource:
    """The pixels of a view from `column` on."""
    stencil = vtk.vtkROIStencilSource()
    stencil.SetShapeToBox()
    stencil.SetOutputOrigin(0.0, 0.0, 0.0)
    stencil.SetOutputSpacing(1.0, 1.0, 1.0)
    stencil.SetOutputWholeExtent(0, _LARGEST, 0, _LARGEST, 0, 0)
    stencil.SetBounds(column - 0.5, _LARGEST + 1.0, -1.0, _LARGEST + 1.0, -1.0, 1.0)
    return stencil
