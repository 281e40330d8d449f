"""Slicer's colour nodes as colour tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import vtk

from ..display.color import DEFAULT, ColorTable
from ..errors import InputError

if TYPE_CHECKING:
    from slicer import vtkMRMLColorNode, vtkMRMLScalarVolumeNode

ColorChoice: TypeAlias = "ColorTable | vtkMRMLColorNode | str | None"
"""What `resolve_color_table` takes."""

_SAMPLES = 256


def node_color_table(volumeNode: vtkMRMLScalarVolumeNode) -> ColorTable | None:
    """The colour table in which a scalar volume node is shown; None when that is greys, no table, or RGB voxels.

    Slicer shows every new volume in greys from black to white, so these say nothing and the volume gets the default table of
    a fusion. Greys that somebody chose count: inverted ones, and those of PET.
    """
    display = volumeNode.GetDisplayNode()
    colors = display.GetColorNode() if display is not None else None
    if colors is None or volumeNode.GetImageData().GetNumberOfScalarComponents() > 1:
        return None
    table = color_table(colors)
    chosen = colors.IsA("vtkMRMLPETProceduralColorNode") or table.colors[0].sum() > table.colors[-1].sum()
    return table if chosen or np.ptp(table.colors, axis=1).max() >= 1 / 255 else None


def color_table(colorNode: vtkMRMLColorNode) -> ColorTable:
    """A `vtkMRMLColorNode` (lookup table or procedural) sampled into a ColorTable over its whole range."""
    function = colorNode.GetScalarsToColors()
    if function is None or colorNode.GetNumberOfColors() < 2:
        raise InputError(f"The colour table '{colorNode.GetName()}' holds no colours; choose another one.")
    low, high = function.GetRange()
    if isinstance(function, vtk.vtkLookupTable):
        rgba = np.array([function.GetTableValue(i) for i in range(function.GetNumberOfTableValues())])
        colors = rgba[:, :3]
    else:
        colors = np.array([function.GetColor(value) for value in np.linspace(low, high, _SAMPLES)])
    return ColorTable(colorNode.GetName(), np.linspace(0.0, 1.0, len(colors)), colors)


def resolve_color_table(choice: ColorChoice = None, fallback: ColorTable | None = None) -> ColorTable:
    """The table meant by `choice`: a ColorTable, a built-in name, a colour node, or None for `fallback` or the default."""
    if choice is None:
        return fallback if fallback is not None else ColorTable.named(DEFAULT)
    if isinstance(choice, ColorTable):
        return choice
    if isinstance(choice, str):
        return ColorTable.named(choice)
    if hasattr(choice, "IsA") and choice.IsA("vtkMRMLColorNode"):
        return color_table(choice)
    raise InputError(
        f"{choice!r} is no colour table; give a colour node, a ColorTable or the name of a built-in table."
    )
