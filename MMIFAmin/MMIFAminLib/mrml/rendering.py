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
_OPACITY = (
    (0.0, 0.0),
    (0.08, 0.0),
    (0.2, 0.02),
    (HEADROOM, 0.05),
    (HEADROOM + 0.08, 0.08),
    (HEADROOM + 0.18, 0.5),
    (HOTTEST, 0.9),
    (1.0, 0.95),
)
_EDGES = ((0.0, 0.25), (0.02, 0.6), (0.08, 1.0))  # opacity by the gradient per mm: what is even is clearer
_COLORS = (
    (0.0, 0.0, 0.0, 0.0),
    (HEADROOM + 0.06, 0.85, 0.85, 0.85),
    (HEADROOM + 0.12, 0.85, 0.35, 0.08),
    (HOTTEST, 1.0, 0.75, 0.15),
    (1.0, 1.0, 1.0, 0.75),
)


def rendering_preset(scene: vtkMRMLScene) -> vtkMRMLVolumePropertyNode:
    """The preset as a volume property node of the scene, one for all fused volumes.

    The scene has to know the class: in Slicer the Volume Rendering module tells it.
    """
    node = scene.GetFirstNodeByName(_NAME)
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
    shaded.SetAmbient(0.3)
    shaded.SetDiffuse(0.7)
    shaded.SetSpecular(0.2)
    return node


def _curve(points) -> vtk.vtkPiecewiseFunction:
    curve = vtk.vtkPiecewiseFunction()
    for value, opacity in points:
        curve.AddPoint(value, opacity)
    return curve
