"""How the grey fused volume is volume-rendered: anatomy translucent, uptake lit.

The fused value tells them apart: anatomy without uptake ends at `HEADROOM`, what lies above it is uptake.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
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
)
_TISSUE = 0.08  # below it is air
_OPAQUE = (
    0.05  # share of the tissue that may be: what is hotter than a cortex full of uptake is seen through the cortex
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


def rendering_preset(scene: vtkMRMLScene, values: np.ndarray | None = None) -> vtkMRMLVolumePropertyNode:
    """The preset as a volume property node of the scene, one for all fused volumes, as it suits fused `values` (any shape).

    The scene has to know the class: in Slicer the Volume Rendering module tells it.
    """
    found = scene.GetNodesByClassByName("vtkMRMLVolumePropertyNode", _NAME)  # a volume may have that name, too
    found.UnRegister(None)
    node = found.GetItemAsObject(0)
    if node is None:
        node = scene.AddNewNodeByClass("vtkMRMLVolumePropertyNode", _NAME)
    node.SetScalarOpacity(_curve(_opacity(_LIT if values is None else _opaque_from(values))))
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


def _opaque_from(values: np.ndarray) -> float:
    """From which fused value on uptake is opaque: all of it, unless that is more than its share of the tissue.

    A full bladder, at the end of the window, has no part in it, and half of what is lit is opaque always.
    """
    tissue = values[(values > _TISSUE) & (values < HOTTEST)]
    return float(np.clip(np.quantile(tissue, 1 - _OPAQUE), _LIT, (_LIT + HOTTEST) / 2)) if tissue.size else _LIT


def _opacity(opaque: float) -> tuple:
    """Value and opacity per mm; uptake that is not `opaque` is a veil."""
    veil = ((opaque, 0.03),) if opaque > _LIT else ()
    # A lesion of one or two voxels is not seen through.
    return (*_OPACITY, *veil, (opaque + 0.05, 0.8), (HOTTEST, 0.95), (1.0, 0.97))


def _curve(points) -> vtk.vtkPiecewiseFunction:
    curve = vtk.vtkPiecewiseFunction()
    for value, opacity in points:
        curve.AddPoint(value, opacity)
    return curve
