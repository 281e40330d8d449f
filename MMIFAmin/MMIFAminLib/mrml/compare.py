"""Anatomical, functional and fused volume side by side in three linked slice views: linked, filled in one call.

Only MRML nodes are touched. In the application the layout manager turns the layout node's new arrangement into views
before ``layout_node.SetViewArrangement`` returns, so their composite nodes exist when they are filled.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import InputError

if TYPE_CHECKING:
    from slicer import vtkMRMLApplicationLogic, vtkMRMLLayoutNode, vtkMRMLScalarVolumeNode, vtkMRMLScene

LAYOUT_ID = 7310
"""The arrangement's number: any free one above the built-in layouts."""

VIEWS = ("MMIFAminAnatomical", "MMIFAminFunctional", "MMIFAminFused")
_LABELS = ("A", "F", "A+F")
_COLORS = ("#8C8C8C", "#E0803C", "#7B5EA7")
_GROUP = 7310  # linked views broadcast within their group only, so that the user's own views stay as they are
_OWN_MODE = "MMIFAmin.ownMode"  # attribute of the crosshair: how it was shown before
_ORIENTATIONS = {"axial": "Axial", "coronal": "Coronal", "sagittal": "Sagittal", "acquisition": "Axial"}


def compare_layout(plane: str = "axial") -> str:
    """The layout description (XML) of the three views, in the orientation of the plane of fusion."""
    views = "".join(
        f'<item><view class="vtkMRMLSliceNode" singletontag="{tag}">'
        f'<property name="orientation" action="default">{_ORIENTATIONS[plane]}</property>'
        f'<property name="viewlabel" action="default">{label}</property>'
        f'<property name="viewcolor" action="default">{color}</property>'
        f'<property name="viewgroup" action="default">{_GROUP}</property>'
        "</view></item>"
        for tag, label, color in zip(VIEWS, _LABELS, _COLORS)
    )
    return f'<layout type="horizontal" split="true">{views}</layout>'


def show_compare(
    layoutNode: vtkMRMLLayoutNode,
    anatomicalNode: vtkMRMLScalarVolumeNode | None,
    functionalNode: vtkMRMLScalarVolumeNode | None,
    fusedNode: vtkMRMLScalarVolumeNode | None,
    plane: str = "axial",
) -> int:
    """Switch to the compare layout and fill it; returns the arrangement there was, to go back to.

    Called while comparing already, it fills the views anew (a new fused volume, another plane).
    """
    sources = []
    for node, role in ((anatomicalNode, "anatomical"), (functionalNode, "functional"), (fusedNode, "fused")):
        if node is None:
            raise InputError(f"There is no {role} volume to compare; fuse two volumes first.")
        sources.append(node)
    scene, previous = layoutNode.GetScene(), layoutNode.GetViewArrangement()
    description = compare_layout(plane)
    if layoutNode.IsLayoutDescription(LAYOUT_ID):
        layoutNode.SetLayoutDescription(LAYOUT_ID, description)
    else:
        layoutNode.AddLayoutDescription(LAYOUT_ID, description)
    layoutNode.SetViewArrangement(LAYOUT_ID)
    for tag in VIEWS:
        view = scene.GetNodeByID(f"vtkMRMLSliceNode{tag}")
        view.SetOrientation(_ORIENTATIONS[plane])
        if plane == "acquisition":
            view.RotateToVolumePlane(anatomicalNode)
    for composite, source in zip(composites(scene), sources):
        composite.SetLinkedControl(False)  # linked, the views would all take the background of the last one
        composite.SetBackgroundVolumeID(source.GetID())
        composite.SetForegroundVolumeID(None if source is sources[-1] else sources[-1].GetID())
        composite.SetForegroundOpacity(0.0)
        composite.SetLabelVolumeID(None)
    for composite in composites(scene):
        composite.SetHotLinkedControl(True)
        composite.SetLinkedControl(True)
    return previous


def fit_views(applicationLogic: vtkMRMLApplicationLogic) -> None:
    """Give the compare views one zoom and one slice, fitted to the anatomical volume and put onto its voxels.

    In Slicer `applicationLogic` is `slicer.app.applicationLogic()`.
    """
    every = applicationLogic.GetSliceLogics()
    logics = [every.GetItemAsObject(index) for index in range(every.GetNumberOfItems())] if every is not None else []
    logics = {logic.GetSliceNode().GetLayoutName(): logic for logic in logics}
    views = [logics[tag] for tag in VIEWS if tag in logics]
    for logic in views:
        anatomical = views[0].GetSliceCompositeNode().GetBackgroundVolumeID()
        width, height, _ = logic.GetSliceNode().GetDimensions()
        logic.FitSliceToVolume(logic.GetMRMLScene().GetNodeByID(anatomical), width, height)
        if logic is views[0]:
            logic.SnapSliceOffsetToIJK()
        else:
            logic.GetSliceNode().SetSliceOffset(views[0].GetSliceNode().GetSliceOffset())


def show_crosshair(scene: vtkMRMLScene) -> None:
    """Have all views show the crosshair, until `return_crosshair`: who moves it sees one place in every volume."""
    crosshair = scene.GetFirstNodeByClass("vtkMRMLCrosshairNode")
    if crosshair is None:
        return
    if crosshair.GetAttribute(_OWN_MODE) is None:
        crosshair.SetAttribute(_OWN_MODE, str(crosshair.GetCrosshairMode()))
    if crosshair.GetCrosshairMode() == crosshair.NoCrosshair:
        crosshair.SetCrosshairMode(crosshair.ShowSmallBasic)


def return_crosshair(scene: vtkMRMLScene) -> None:
    """Show the crosshair as it was before `show_crosshair`."""
    crosshair = scene.GetFirstNodeByClass("vtkMRMLCrosshairNode")
    if crosshair is None:
        return
    mode = crosshair.GetAttribute(_OWN_MODE)
    if mode is not None:
        crosshair.SetCrosshairMode(int(mode))
        crosshair.SetAttribute(_OWN_MODE, None)


def composites(scene: vtkMRMLScene) -> list:
    """The composite nodes of the compare views that exist, in the order anatomical, functional, fused."""
    found = (scene.GetNodeByID(f"vtkMRMLSliceCompositeNode{tag}") for tag in VIEWS)
    return [node for node in found if node is not None]
