"""The rotating MIP of a functional volume as a node for one slice view beside the three planes.

Its slices are the views around the body: scrolling turns it. So it is drawn, zoomed and windowed as every volume is, and
a point in it leads back into the body. It lies far from the body, so that no crosshair of the body shows in it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import SimpleITK as sitk
import vtk
from vtk.util.numpy_support import numpy_to_vtk

from ..display.film import side_letters
from ..volume.intensity import Window
from ..volume.projection import Projection, Turntable, angles_around

if TYPE_CHECKING:
    from slicer import vtkMRMLApplicationLogic, vtkMRMLLayoutNode, vtkMRMLScalarVolumeNode, vtkMRMLScene

LAYOUT_ID = 7311
VIEW = "MMIFAminMIP"
VIEWS_AROUND = 36
_FAR = 10000.0  # mm to the right
_LETTER, _FINEST = 24.0, 9  # mm and pixels: how high a letter is at least
_ROLE = "MMIFAmin.mip"
_GREYS = "vtkMRMLColorTableNodeInvertedGrey"
_LAYOUT = (
    '<layout type="horizontal" split="true"><item>'
    f'<view class="vtkMRMLSliceNode" singletontag="{VIEW}">'
    '<property name="orientation" action="default">Coronal</property>'
    '<property name="viewlabel" action="default">MIP</property>'
    '<property name="viewcolor" action="default">#C9B27C</property>'
    f'<property name="viewgroup" action="default">{LAYOUT_ID}</property>'
    '</view></item><item><layout type="vertical" split="true">'
    + "".join(
        f'<item><view class="vtkMRMLSliceNode" singletontag="{tag}">'
        f'<property name="orientation" action="default">{orientation}</property>'
        f'<property name="viewlabel" action="default">{tag[0]}</property></view></item>'
        for tag, orientation in (("Red", "Axial"), ("Green", "Coronal"), ("Yellow", "Sagittal"))
    )
    + "</layout></item></layout>"
)


@dataclass(frozen=True)
class Mip:
    """A volume seen from all around, and the window in which it is shown."""

    projections: tuple[Projection, ...]
    window: Window

    def body_place(self, place: Sequence[float]) -> tuple[float, float, float] | None:
        """Where in the body (RAS, mm) the maximum at a place of the MIP's own view comes from; None beside the body."""
        number = min(max(round(place[1]), 0), len(self.projections) - 1)
        seen = self.projections[number]
        down, across = seen.spacing
        column = (_FAR - place[0]) / across + seen.values.shape[1] // 2
        return seen.place(round((seen.top - place[2]) / down), round(column))


def turn(
    image: sitk.Image,
    window: Window,
    name: str = "volume",
    count: int = VIEWS_AROUND,
    progress: Callable[[float, str], object] = lambda fraction, text: None,
) -> Mip:
    """The Mip of a scalar image (LPS), `count` views around. Any thread. InputError as for `Turntable`."""
    table, seen = Turntable(image, name), []
    for number, angle in enumerate(angles_around(count)):
        progress(number / count, f"View {number + 1} of {count}")
        seen.append(table.at(angle))
    return Mip(tuple(seen), window)


def publish_mip(functionalNode: vtkMRMLScalarVolumeNode, mip: Mip) -> vtkMRMLScalarVolumeNode:
    """The node of a MIP, that of the last time if it is still there: hidden from lists, not saved, in inverted greys."""
    scene = functionalNode.GetScene()
    node = functionalNode.GetNodeReference(_ROLE)
    if node is None or node.GetAttribute(_ROLE) is None:  # it is not saved, and its ID may by now be another's
        node = scene.CreateNodeByClass("vtkMRMLScalarVolumeNode")
        node.UnRegister(None)
        node.SetHideFromEditors(True)
        node.SetSaveWithScene(False)
        node.SetAttribute(_ROLE, VIEW)
        scene.AddNode(node)
        node.CreateDefaultDisplayNodes()
        node.GetDisplayNode().SetSaveWithScene(False)
        functionalNode.SetNodeReferenceID(_ROLE, node.GetID())
    node.SetName(f"{functionalNode.GetName()} MIP")
    values = _lettered(mip)
    data = vtk.vtkImageData()
    data.SetDimensions(values.shape[::-1])
    data.GetPointData().SetScalars(numpy_to_vtk(values.reshape(-1), deep=True))
    first = mip.projections[0]
    down, across = first.spacing
    node.SetIJKToRASDirections([[-1, 0, 0], [0, 0, 1], [0, -1, 0]])
    node.SetSpacing(across, down, 1.0)
    node.SetOrigin(_FAR + across * (values.shape[2] // 2), 0.0, first.top)
    node.SetAndObserveImageData(data)
    display = node.GetDisplayNode()
    display.SetAutoWindowLevel(False)
    display.SetWindowLevelMinMax(mip.window.low, mip.window.high)
    if scene.GetNodeByID(_GREYS) is not None:
        display.SetAndObserveColorNodeID(_GREYS)
    return node


def _lettered(mip: Mip) -> np.ndarray:
    """All views (angle, row, column), below each the letters of the patient's sides at its left and right."""
    seen, angles = mip.projections, angles_around(len(mip.projections))
    values = np.stack([one.values for one in seen])
    floor, ink = seen[0].floor, min(mip.window.high, values.max())  # no darker than the darkest
    size = max(_FINEST, round(_LETTER / seen[0].spacing[0]))
    letters = np.stack([side_letters(angle, values.shape[2], size) for angle in angles])
    below = (floor + (ink - floor) * letters).astype(np.float32)
    return np.concatenate([values, below], axis=1)


def mip_nodes(scene: vtkMRMLScene) -> list[vtkMRMLScalarVolumeNode]:
    """The nodes of the scene that `publish_mip` has made."""
    nodes = scene.GetNodesByClass("vtkMRMLScalarVolumeNode")
    nodes.UnRegister(None)
    every = (nodes.GetItemAsObject(index) for index in range(nodes.GetNumberOfItems()))
    return [node for node in every if node.GetAttribute(_ROLE) is not None]


def show_mip(layoutNode: vtkMRMLLayoutNode, mipNode: vtkMRMLScalarVolumeNode) -> int:
    """Switch to the layout of the MIP beside three planes and show the node there; returns the arrangement there was."""
    scene, previous = layoutNode.GetScene(), layoutNode.GetViewArrangement()
    if not layoutNode.IsLayoutDescription(LAYOUT_ID):
        layoutNode.AddLayoutDescription(LAYOUT_ID, _LAYOUT)
    layoutNode.SetViewArrangement(LAYOUT_ID)
    composite = scene.GetNodeByID(f"vtkMRMLSliceCompositeNode{VIEW}")
    if composite is not None:
        composite.SetLinkedControl(False)
        composite.SetBackgroundVolumeID(mipNode.GetID())
        composite.SetForegroundVolumeID(None)
        composite.SetLabelVolumeID(None)
    return previous


def fit_mip(applicationLogic: vtkMRMLApplicationLogic, mipNode: vtkMRMLScalarVolumeNode) -> None:
    """Fit the view to the MIP, seen from the front. The view has to have its size by now."""
    logic = _view_logic(applicationLogic)
    if logic is not None:
        view = logic.GetSliceNode()
        view.SetOrientation("Coronal")
        width, height, _ = view.GetDimensions()
        logic.FitSliceToVolume(mipNode, width, height)
        view.SetSliceOffset(0.0)


def turn_view(scene: vtkMRMLScene, steps: int = 1) -> None:
    """Show the MIP from `steps` views further on, around and around."""
    view = scene.GetNodeByID(f"vtkMRMLSliceNode{VIEW}")
    composite = scene.GetNodeByID(f"vtkMRMLSliceCompositeNode{VIEW}")
    node = scene.GetNodeByID(composite.GetBackgroundVolumeID() or "") if composite is not None else None
    if view is not None and node is not None and node.GetImageData() is not None:
        count = node.GetImageData().GetDimensions()[2]
        view.SetSliceOffset(float((round(view.GetSliceOffset()) + steps) % count))


def _view_logic(applicationLogic):
    every = applicationLogic.GetSliceLogics()
    logics = [every.GetItemAsObject(index) for index in range(every.GetNumberOfItems())] if every is not None else []
    return next((logic for logic in logics if logic.GetSliceNode().GetLayoutName() == VIEW), None)
