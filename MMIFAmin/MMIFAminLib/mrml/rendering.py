"""How the grey fused volume is volume-rendered: anatomy translucent, uptake lit.

The fused value tells them apart: anatomy without uptake ends at `HEADROOM`, what lies above it is uptake.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import vtk

from ..volume.shown import HEADROOM, HOTTEST

if TYPE_CHECKING:
    from slicer import vtkMRMLScene, vtkMRMLVolumePropertyNode

_NAME = "MMIFAmin fused"
_LIT = HEADROOM + 0.07  # bone with the little uptake that is usual there ends below
_BRIGHT = HEADROOM - 0.1  # from here on anatomy is bone, or what else is bright in it
_OPACITY = (
    (0.0, 0.0),
    (0.08, 0.0),
    (0.2, 0.006),
    (0.4, 0.009),
    (_BRIGHT, 0.018),
    (HEADROOM, 0.022),  # even bone is half as opaque (below): half of the light comes through 60 mm of it
    (_LIT, 0.024),
    (_LIT + 0.05, 0.8),  # so that a lesion of one or two voxels is not seen through
    (HOTTEST, 0.95),
    (1.0, 0.97),
)
_EDGES = ((0.0, 0.5), (0.02, 0.9), (0.06, 1.0))  # opacity by the gradient per mm: what is even is clearer than its edge
_COLORS = (  # bone white and the rest dark: both stand out from Slicer's blue background and from a black one
    (0.0, 0.2, 0.2, 0.2),
    (0.35, 0.45, 0.45, 0.45),
    (_BRIGHT, 1.0, 1.0, 1.0),
    (_LIT, 1.0, 1.0, 1.0),
    (_LIT + 0.03, 1.0, 0.4, 0.05),
    (HOTTEST, 1.0, 0.8, 0.15),
    (1.0, 1.0, 1.0, 0.75),
)


def rendering_preset(scene: vtkMRMLScene) -> vtkMRMLVolumePropertyNode:
    """The preset as a volume property node of the scene, one for all fused volumes.

    The scene has to know the class: in Slicer the Volume Rendering module tells it.
    """
    found = scene.GetNodesByClassByName("vtkMRMLVolumePropertyNode", _NAME)  # a volume may have that name, too
    found.UnRegister(None)
    node = found.GetItemAsObject(0)
    if node is None:
        node = scene.AddNewNodeByClass("vtkMRMLVolumePropertyNode", _NAME)
    node.SetScalarOpacity(_curve(_OPACITY))
    node.SetGradientOpacity(_curve(_EDGES))
    colors = vtk.vtkColorTransferFunction()
    for point in _COLORS:
        colors.AddRGBPoint(*point)
    node.SetColor(colors)
    shaded = node.GetVolumeProperty()
    shaded.SetInterpolationTypeToLinear()
    shaded.ShadeOn()
    shaded.SetAmbient(0.75)  # what is even has no side that a light could fall on
    shaded.SetDiffuse(0.35)
    shaded.SetSpecular(0.2)
    return node


def _curve(points) -> vtk.vtkPiecewiseFunction:
    curve = vtk.vtkPiecewiseFunction()
    for value, opacity in points:
        curve.AddPoint(value, opacity)
    return curve
