"""A PET volume node in standardized uptake values, as PETDICOMExtension leaves it: voxels scaled, quantity and units set.

The factor and what the node said before are kept in its attributes, so that it can be undone, also after the scene was
saved and loaded.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

import numpy as np
import slicer
import vtk
from vtk.util.numpy_support import vtk_to_numpy

from ..errors import InputError
from ..files.suv import Suv
from ..mrml.nodes import check_source

if TYPE_CHECKING:
    from slicer import vtkMRMLScalarVolumeNode

_SHOWN = "MMIFAmin.suv"
_QUANTITY = ("126400", "DCM", "Standardized Uptake Value")
_UNITS = {
    "suv": ("{SUVbw}g/ml", "UCUM", "Standardized Uptake Value body weight"),
    "suv-lbm": ("{SUVlbm(Janma)}g/ml", "UCUM", "Standardized Uptake Value lean body mass (Janma)"),
    "suv-lbm-james": (
        "{SUVlbm(James128)}g/ml",
        "UCUM",
        "Standardized Uptake Value lean body mass (James 128 multiplier)",
    ),
    "suv-lbm-james-120": ("{SUVlbm}g/ml", "UCUM", "Standardized Uptake Value lean body mass (James)"),
    "suv-bsa": ("{SUVbsa}cm2/ml", "UCUM", "Standardized Uptake Value body surface area"),
    "suv-ibw": ("{SUVibw}g/ml", "UCUM", "Standardized Uptake Value ideal body weight"),
}


def is_shown_as_suv(node: vtkMRMLScalarVolumeNode | None) -> bool:
    """Whether the node's values were made SUV by `show_as_suv`."""
    return node is not None and node.GetAttribute(_SHOWN) is not None


def show_as_suv(node: vtkMRMLScalarVolumeNode, suv: Suv) -> None:
    """Multiply the node's voxels and its display's window by the factor; say in quantity and units that they are SUV.

    Voxels become float32 (float64 stays). Raises InputError, and changes nothing, for a node that is no scalar volume or
    is shown as SUV already, and for a factor that is none.
    """
    check_source(node, "functional")
    if node.GetImageData().GetNumberOfScalarComponents() > 1:
        raise InputError(f"'{node.GetName()}' is in colours, which are no measured values: it has no SUV.")
    if is_shown_as_suv(node):
        raise InputError(f"'{node.GetName()}' is shown as SUV already.")
    if not (np.isfinite(suv.factor) and suv.factor > 0):
        raise InputError(f"SUV cannot be given: the factor is {suv.factor}.")
    scalars = node.GetImageData().GetScalarType()
    before = {
        "suv": asdict(suv),
        "scalars": scalars,
        "quantity": _said(node.GetVoxelValueQuantity()),
        "units": _said(node.GetVoxelValueUnits()),
    }
    _scale(node, suv.factor, vtk.VTK_DOUBLE if scalars == vtk.VTK_DOUBLE else vtk.VTK_FLOAT)
    mark_suv(node, suv.kind)
    node.SetAttribute(_SHOWN, json.dumps(before, default=str))


def mark_suv(node: vtkMRMLScalarVolumeNode, kind: str = "suv") -> None:
    """Have the node say that its values are SUV of a kind of ``files.suv``."""
    node.SetVoxelValueQuantity(_entry(*_QUANTITY))
    node.SetVoxelValueUnits(_entry(*_UNITS[kind]))


def undo_suv(node: vtkMRMLScalarVolumeNode) -> float:
    """Give the node the values, quantity and units back that it had before `show_as_suv`; returns the factor undone.

    Whole numbers come back exactly, others but for the last digit of their type.
    """
    if not is_shown_as_suv(node):
        raise InputError(f"'{node.GetName()}' was not turned into SUV here; there is nothing to undo.")
    before = json.loads(node.GetAttribute(_SHOWN))
    factor = before["suv"]["factor"]
    _scale(node, 1 / factor, before["scalars"])
    node.SetVoxelValueQuantity(_entry_of(before["quantity"]))
    node.SetVoxelValueUnits(_entry_of(before["units"]))
    node.SetAttribute(_SHOWN, None)
    return factor


def _scale(node, factor: float, scalar_type: int) -> None:
    """Give the node new image data with every voxel times `factor`, and its display the window that goes with it."""
    old, data = node.GetImageData(), vtk.vtkImageData()
    data.SetExtent(old.GetExtent())
    data.AllocateScalars(scalar_type, 1)
    values = vtk_to_numpy(data.GetPointData().GetScalars())
    scaled = vtk_to_numpy(old.GetPointData().GetScalars()) * np.float64(factor)
    values[:] = np.rint(scaled) if values.dtype.kind in "iu" else scaled
    modifying = node.StartModify()
    try:
        node.SetAndObserveImageData(data)
        display = node.GetDisplayNode()
        if display is not None:
            limits = [factor * limit for limit in (display.GetWindowLevelMin(), display.GetWindowLevelMax())]
            threshold = [factor * limit for limit in (display.GetLowerThreshold(), display.GetUpperThreshold())]
            if not display.GetAutoWindowLevel():
                display.SetWindowLevelMinMax(*limits)
            if not display.GetAutoThreshold():
                display.SetThreshold(*threshold)
    finally:
        node.EndModify(modifying)


def _entry(value: str, scheme: str, meaning: str):
    entry = slicer.vtkCodedEntry()
    entry.SetValueSchemeMeaning(value, scheme, meaning)
    return entry


def _said(entry) -> list[str] | None:
    return entry and [entry.GetCodeValue(), entry.GetCodingSchemeDesignator(), entry.GetCodeMeaning()]


def _entry_of(said: list[str] | None):
    return said and _entry(*said)
