"""Colour fused volumes that can be coloured again without a second fusion.

The picture keeps what it was made of: beside its RGB scalars the image data carries the fused value and the uptake
as two 16-bit arrays, so both live and die with the one node. Files keep the RGB only; after a reload the fused value
is read back from the picture itself (its CIELAB lightness) and the uptake from the functional volume.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk
import vtk
from vtk.util.numpy_support import vtk_to_numpy

from ..display.color import ColorTable, colorize, recover_uptake
from ..errors import InputError
from ..volume.geometry import resample_to
from ..volume.intensity import Window
from .colors import node_color_table, resolve_color_table
from .nodes import node_to_image, voxels

_FUSED, _UPTAKE = "MMIFAmin.fused", "MMIFAmin.uptake"
_FULL = 65535.0
_CHUNK = 1 << 22  # voxels coloured at once: bounds the memory for big volumes


@dataclass(frozen=True)
class Painting:
    """A FusedVolume in colours: RGB image data (uint8) that keeps what recolouring needs, and how it was painted."""

    data: vtk.vtkImageData
    table: ColorTable
    weight: float


def paint(fused, table: ColorTable, weight: float = 1.0) -> Painting:
    """Paint a FusedVolume with `table`, the chroma scaled by `weight` in [0, 1]; InputError for other weights.

    Any thread: touches no node.
    """
    check_weight(weight)
    data = vtk.vtkImageData()
    data.SetDimensions(fused.image.GetSize())
    data.AllocateScalars(vtk.VTK_UNSIGNED_CHAR, 3)
    functional = sitk.GetArrayViewFromImage(fused.functional)
    _keep(data, _FUSED, sitk.GetArrayViewFromImage(fused.image))
    _keep(data, _UPTAKE, functional, fused.functional_window)
    _paint(data, table, weight)
    return Painting(data, table, float(weight))


def recolor(node, colorTable=None, functionalWeight: float = 1.0):
    """Paint a colour fused volume again, in place, with another table or functional weight; returns the node.

    `colorTable` as in `fuse_nodes` (None: the functional volume's own table). Raises InputError for a node that is no
    colour output of MMIFAmin, or when, after a reload, the functional volume is gone from the scene.
    """
    check_weight(functionalWeight)
    if node is None or not node.IsA("vtkMRMLVectorVolumeNode") or node.GetAttribute("MMIFAmin.version") is None:
        name = "No volume" if node is None else f"'{node.GetName()}'"
        raise InputError(f"{name} is a colour fused volume; choose one that MMIFAmin made.")
    functionalNode = node.GetNodeReference("MMIFAmin.functional")
    own = node_color_table(functionalNode) if functionalNode is not None else None
    table = resolve_color_table(colorTable, own)
    data = node.GetImageData()
    if not data.GetPointData().HasArray(_FUSED) or not data.GetPointData().HasArray(_UPTAKE):
        _recover(node, functionalNode)
    _paint(data, table, functionalWeight)
    parameters = json.loads(node.GetAttribute("MMIFAmin.parameters"))
    parameters |= {"color_table": table.name, "functional_weight": float(functionalWeight)}
    node.SetAttribute("MMIFAmin.parameters", json.dumps(parameters))
    data.GetPointData().GetScalars().Modified()
    data.Modified()
    node.Modified()
    return node


def check_weight(weight: float) -> None:
    """Raise InputError unless the functional weight is a number from 0 to 1."""
    if not 0.0 <= weight <= 1.0:
        raise InputError(f"The functional weight is {weight}; give a number from 0 (grey) to 1 (full colour).")


def _keep(data, name: str, values: np.ndarray, window=None) -> None:
    """Store (K, J, I) values, brought to [0, 1] by `window`, as a 16-bit array of the image data."""
    array = vtk.vtkUnsignedShortArray()
    array.SetName(name)
    array.SetNumberOfTuples(data.GetNumberOfPoints())
    target = vtk_to_numpy(array).reshape(values.shape)
    for k, plane in enumerate(values):
        unit = plane if window is None else window.to_unit(plane)
        target[k] = np.rint(np.clip(unit, 0.0, 1.0) * _FULL)
    data.GetPointData().AddArray(array)


def _paint(data, table, weight: float) -> None:
    rgb = voxels(data)
    fused, uptake = (
        vtk_to_numpy(data.GetPointData().GetArray(name)).reshape(rgb.shape[:3]) for name in (_FUSED, _UPTAKE)
    )
    step = max(1, _CHUNK // (rgb[0].size // 3))
    for k in range(0, len(rgb), step):
        part = slice(k, k + step)
        rgb[part] = colorize(fused[part] / np.float32(_FULL), uptake[part] / np.float32(_FULL), table, weight)


def _recover(node, functionalNode) -> None:
    """Bring back what a file does not keep: the fused value from the picture, the uptake from its source."""
    if functionalNode is None:
        raise InputError(
            f"The functional volume of '{node.GetName()}' is no longer in the scene, so its uptake is not known; "
            "load it and fuse again."
        )
    picture = node_to_image(node)
    uptake, _ = resample_to(
        _scalar(functionalNode),
        sitk.VectorIndexSelectionCast(picture, 0),
        names=(node.GetName(), functionalNode.GetName()),
    )
    window = Window(**json.loads(node.GetAttribute("MMIFAmin.parameters"))["windows"]["functional"])
    data = node.GetImageData()
    _keep(data, _FUSED, np.stack([lightness(plane) for plane in voxels(data)]))
    _keep(data, _UPTAKE, sitk.GetArrayViewFromImage(uptake), window)


def _scalar(functionalNode) -> sitk.Image:
    image = node_to_image(functionalNode)
    if image.GetNumberOfComponentsPerPixel() == 1:
        return image
    uptake, _ = recover_uptake(sitk.GetArrayViewFromImage(image))
    scalar = sitk.GetImageFromArray(uptake)
    scalar.CopyInformation(image)
    return scalar


def lightness(rgb: np.ndarray) -> np.ndarray:
    """CIELAB L* / 100 (D65, IEC 61966-2-1) of uint8 RGB (..., 3): float32 in [0, 1]."""
    level = np.arange(256) / 255
    linear = np.where(level <= 0.04045, level / 12.92, ((level + 0.055) / 1.055) ** 2.4).astype(np.float32)
    y = linear[rgb] @ np.array([0.2126, 0.7152, 0.0722], np.float32)
    return np.where(y > 216 / 24389, 1.16 * np.cbrt(y) - 0.16, y * (243.89 / 27)).astype(np.float32)
