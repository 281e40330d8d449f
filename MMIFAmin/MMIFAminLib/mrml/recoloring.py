"""Colour fused volumes that can be coloured again without a second fusion.

The picture keeps what it was made of: beside its RGB scalars the image data carries the fused value and the uptake
as two 16-bit arrays, so both live and die with the one node. Files keep the RGB only; after a reload the uptake is
taken from the functional volume, and the fused value is read back from the picture and the colours it was painted in.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import SimpleITK as sitk
import vtk
from vtk.util.numpy_support import vtk_to_numpy

from ..display.color import ColorTable, colorize, fused_of, values_of
from ..errors import InputError
from ..volume.intensity import Window
from ..volume.resampling import resample_to
from .colors import node_color_table, resolve_color_table
from .freshness import what_changed
from .legend import hide_legend
from .nodes import node_to_image, voxels

if TYPE_CHECKING:
    from slicer import vtkMRMLScalarVolumeNode, vtkMRMLVectorVolumeNode

    from ..engine.fused import FusedVolume
    from .colors import ColorChoice

_FUSED, _UPTAKE = "MMIFAmin.fused", "MMIFAmin.uptake"
_FULL = 65535.0
_SAMPLES = 256
_CHUNK = 1 << 22  # voxels coloured at once: bounds the memory for big volumes


@dataclass(frozen=True)
class Painting:
    """A FusedVolume in colours: RGB image data (uint8) that keeps what recolouring needs, and how it was painted."""

    data: vtk.vtkImageData
    table: ColorTable
    weight: float


def paint(fused: FusedVolume, table: ColorTable, weight: float = 1.0) -> Painting:
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


def recolor(
    node: vtkMRMLVectorVolumeNode,
    colorTable: ColorChoice = None,
    functionalWeight: float = 1.0,
) -> vtkMRMLVectorVolumeNode:
    """Paint a colour fused volume again, in place, with another table or functional weight; returns the node.

    `colorTable` as in `fuse_nodes` (None: the functional volume's own table). Raises InputError for a node that is no
    colour output of MMIFAmin, or when, after a reload, the functional volume is gone from the scene.
    """
    check_weight(functionalWeight)
    if node is None or not node.IsA("vtkMRMLVectorVolumeNode") or node.GetAttribute("MMIFAmin.version") is None:
        what = "No volume is given" if node is None else f"'{node.GetName()}' is no colour fused volume"
        raise InputError(f"{what}; choose one that MMIFAmin made.")
    functionalNode = node.GetNodeReference("MMIFAmin.functional")
    own = node_color_table(functionalNode) if functionalNode is not None else None
    table = resolve_color_table(colorTable, own)
    data = node.GetImageData()
    if not data.GetPointData().HasArray(_FUSED) or not data.GetPointData().HasArray(_UPTAKE):
        _recover(node, functionalNode)
    _paint(data, table, functionalWeight)
    hide_legend(node)  # of the former table
    parameters = json.loads(node.GetAttribute("MMIFAmin.parameters"))
    parameters |= painted_with(table, functionalWeight)
    node.SetAttribute("MMIFAmin.parameters", json.dumps(parameters))
    data.GetPointData().GetScalars().Modified()
    data.Modified()
    node.Modified()
    return node


def is_painted(node: vtkMRMLVectorVolumeNode, colorTable: ColorChoice, functionalWeight: float) -> bool:
    """Whether a colour fused volume is painted with this table and weight; see `recolor`."""
    functionalNode = node.GetNodeReference("MMIFAmin.functional")
    own = node_color_table(functionalNode) if functionalNode is not None else None
    wanted = painted_with(resolve_color_table(colorTable, own), functionalWeight)
    parameters = json.loads(node.GetAttribute("MMIFAmin.parameters"))
    return all(parameters.get(name) == wanted[name] for name in ("colors", "functional_weight"))


def fused_value(node: vtkMRMLScalarVolumeNode, index: Sequence[int], uptake: float | None) -> float | None:
    """The fused value, 0 to 1, at voxel `index` (i, j, k) of a colour fused volume; after a reload, which keeps the picture
    alone, read back from its colour and the functional volume's value there, `uptake`. None where that is not known, or no
    longer what was fused.
    """
    data = node.GetImageData()
    kept = data.GetPointData().GetArray(_FUSED)
    if kept is not None:
        return kept.GetValue(data.ComputePointId(index)) / _FULL
    parameters = json.loads(node.GetAttribute("MMIFAmin.parameters") or "{}")
    if "colors" not in parameters or uptake is None or what_changed(node):
        return None
    table, weight, window = _painted_by(parameters)
    rgb = np.array([[data.GetScalarComponentAsDouble(*index, channel) for channel in range(3)]]).astype(np.uint8)
    return float(fused_of(rgb, window.to_unit(np.array([uptake])), table, weight)[0])


def painted_with(table: ColorTable, weight: float) -> dict:
    """What a painted node records of its colours: name, weight, and the table itself as hexadecimal sRGB."""
    colors = np.rint(255 * table(np.linspace(0, 1, _SAMPLES))).astype(np.uint8)
    return {"color_table": table.name, "functional_weight": float(weight), "colors": colors.tobytes().hex()}


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
    if reason := what_changed(node):
        raise InputError(f"'{node.GetName()}' cannot be recoloured after it was loaded: {reason}; fuse again.")
    picture = node_to_image(node)
    uptake, _ = resample_to(
        _scalar(functionalNode),
        sitk.VectorIndexSelectionCast(picture, 0),
        names=(node.GetName(), functionalNode.GetName()),
        insist=True,  # it was fused: what seems a label map was insisted on
    )
    parameters = json.loads(node.GetAttribute("MMIFAmin.parameters"))
    if "colors" not in parameters:
        raise InputError(f"'{node.GetName()}' was painted by an older version of MMIFAmin; fuse again to recolour it.")
    table, weight, window = _painted_by(parameters)
    data = node.GetImageData()
    _keep(data, _UPTAKE, sitk.GetArrayViewFromImage(uptake), window)
    units = vtk_to_numpy(data.GetPointData().GetArray(_UPTAKE)).reshape(voxels(data).shape[:3])
    planes = zip(voxels(data), units)
    _keep(data, _FUSED, np.stack([fused_of(rgb, unit / np.float32(_FULL), table, weight) for rgb, unit in planes]))


def _painted_by(parameters: dict) -> tuple[ColorTable, float, Window]:
    """What `painted_with` recorded, and the functional window."""
    colors = np.frombuffer(bytes.fromhex(parameters["colors"]), np.uint8).reshape(-1, 3) / 255
    table = ColorTable(parameters["color_table"], None, colors)
    return table, parameters["functional_weight"], Window(**parameters["windows"]["functional"])


def _scalar(functionalNode) -> sitk.Image:
    image = node_to_image(functionalNode)
    if image.GetNumberOfComponentsPerPixel() == 1:
        return image
    uptake, _ = values_of(sitk.GetArrayViewFromImage(image)[..., :3])
    scalar = sitk.GetImageFromArray(uptake)
    scalar.CopyInformation(image)
    return scalar
