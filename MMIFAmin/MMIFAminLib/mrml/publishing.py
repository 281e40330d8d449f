"""The fused volume as a node of the scene: geometry of the anatomical node, display, name and provenance."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import SimpleITK as sitk
import vtk
from vtk.util.numpy_support import vtk_to_numpy

from .. import __version__
from ..errors import InputError
from .colors import resolve_color_table
from .freshness import (
    ANATOMICAL_ROLE,
    FUNCTIONAL_ROLE,
    ITSELF,
    OUT_OF_DATE,
    OUT_OF_DATE_SUFFIX,
    RECIPE,
    SECOND_ROLE,
    keep_session,
    renew,
)
from .legend import hide_legend
from .nodes import Snapshot, free_name, naming, other_patient, snapshot
from .quality import quality_nodes
from .recoloring import Painting, check_weight, paint, painted_with

if TYPE_CHECKING:
    from slicer import vtkMRMLScalarVolumeNode, vtkMRMLScene

    from ..engine.fused import FusedVolume
    from ..engine.fusion import VolumeFuser
    from ..engine.progress import Progress
    from ..engine.watching import Watcher
    from .colors import ColorChoice

_REPORTED = ("plane", "windows", "taken_for", "overlap", "device", "precision", "warnings", "second")
_CLASSES = {False: "vtkMRMLScalarVolumeNode", True: "vtkMRMLVectorVolumeNode"}


def fuse_nodes(
    anatomicalNode: vtkMRMLScalarVolumeNode,
    functionalNode: vtkMRMLScalarVolumeNode,
    outputNode: vtkMRMLScalarVolumeNode | None = None,
    *,
    secondNode: vtkMRMLScalarVolumeNode | None = None,
    rgb: bool = False,
    plane: str = "axial",
    anatomicalWindow: str | tuple[float, float] = "auto",
    functionalWindow: str | tuple[float, float] = "auto",
    secondWindow: str | tuple[float, float] = "auto",
    kind: str = "auto",
    insist: bool = False,
    colorTable: ColorChoice = None,
    functionalWeight: float = 1.0,
    fuser: VolumeFuser | None = None,
    progress: Progress | None = None,
    watcher: Watcher | None = None,
) -> vtkMRMLScalarVolumeNode:
    """Fuse two volume nodes and return the fused one: scalar (float32, 0 to 1), or colour (uint8 RGB) if `rgb`.

    The output has the anatomical node's geometry and parent transform; the sources stay as they are. An existing
    `outputNode` is overwritten only once the fusion has succeeded. Windows and `kind` of the pair ("auto", "uptake",
    "anatomical") are as in `VolumeFuser.fuse`, `insist` fuses label maps and two patients too; `colorTable` is a colour node, a
    ColorTable or a built-in name (None: the functional node's own, unless it is grey); `functionalWeight` in [0, 1]
    scales its colourfulness. A `watcher` is shown the slices as they come (`GrowingVolume`). Raises MMIFAminError
    with one sentence for the user, and FusionCancelled when `progress(fraction, text)` returns False.

    With `secondNode`, a second anatomical volume, three are fused at once; `secondWindow` is its own.
    """
    source, scene = snapshot(anatomicalNode, functionalNode, secondNode), anatomicalNode.GetScene()
    nodes = (anatomicalNode, functionalNode, *([] if secondNode is None else [secondNode]))
    if not insist and (message := other_patient(*nodes)):
        raise InputError(f"{message}; if you mean it, say insist=True.")
    check_output(source, outputNode, rgb)
    check_weight(functionalWeight)
    table = resolve_color_table(colorTable, source.table)
    if fuser is None:
        from ..engine.fusion import VolumeFuser

        fuser = VolumeFuser.load()
    options = {
        "plane": plane,
        "anatomical_window": anatomicalWindow,
        "functional_window": functionalWindow,
        "kind": kind,
    }
    if secondNode is not None:
        options["second_window"] = secondWindow
    fused = fuse_snapshot(source, fuser, **options, insist=insist, progress=progress, watcher=watcher)
    source = source.without_voxels()
    painting = paint(fused, table, functionalWeight) if rgb else None
    return publish(source, fused, scene, outputNode, painting, options)


def fuse_snapshot(
    source: Snapshot,
    fuser: VolumeFuser,
    *,
    plane: str = "axial",
    anatomical_window: str | tuple[float, float] = "auto",
    functional_window: str | tuple[float, float] = "auto",
    second_window: str | tuple[float, float] = "auto",
    kind: str = "auto",
    insist: bool = False,
    progress: Progress | None = None,
    watcher: Watcher | None = None,
) -> FusedVolume:
    """Fuse a snapshot into a FusedVolume, shown to a `watcher` slice by slice. Touches no node: runs in any thread."""
    with naming(source):
        return fuser.fuse(
            source.anatomical.kept_image,
            source.functional.kept_image,
            second_anatomical=source.second and source.second.kept_image,
            plane=plane,
            anatomical_window=anatomical_window,
            functional_window=functional_window,
            second_window=second_window,
            kind=kind,
            insist=insist,
            anatomical_modality=source.anatomical.modality,
            functional_modality=source.functional.modality,
            second_modality=source.second and source.second.modality,
            functional_unit=source.functional.unit,
            names=[volume.name for volume in source.sources],
            progress=progress,
            watcher=watcher,
        )


def check_output(source: Snapshot, outputNode: vtkMRMLScalarVolumeNode | None, rgb: bool) -> None:
    """Raise InputError unless the fusion of `source` may be written into `outputNode` (None: a new node)."""
    if outputNode is None:
        return
    name, wanted = outputNode.GetName(), _CLASSES[bool(rgb)]
    if outputNode.GetID() in [volume.id for volume in source.sources]:
        raise InputError(
            f"The output '{name}' is one of the sources; choose another output, sources are never changed."
        )
    if outputNode.GetClassName() != wanted:
        kind = "a colour (vector)" if rgb else "a scalar"
        raise InputError(
            f"The output '{name}' is a {outputNode.GetNodeTagName()} node; choose {kind} volume or let one be created."
        )
    if outputNode.GetScene() is None:
        raise InputError(f"The output '{name}' is in no scene; add it to the scene first.")


def publish(
    source: Snapshot,
    fused: FusedVolume,
    scene: vtkMRMLScene,
    outputNode: vtkMRMLScalarVolumeNode | None = None,
    painting: Painting | None = None,
    options: dict | None = None,
) -> vtkMRMLScalarVolumeNode:
    """Write a FusedVolume, or its `painting` in colours, into the scene and return the node; main thread only.

    `options` ("plane", "anatomical_window", "functional_window", "kind") is what the fusion was asked for: a later
    choice is compared with it (`freshness.what_changed`). Everything that can fail happens before the first change to
    the scene, so an error leaves it as it was. Raises InputError for a source that has left the scene meanwhile: nobody
    could tell later what the fused volume was made of.
    """
    rgb = painting is not None
    check_output(source, outputNode, rgb)
    for volume in source.sources:
        if scene.GetNodeByID(volume.id) is None:
            raise InputError(f"'{volume.name}' is no longer in the scene; nothing was changed.")
    expected = tuple(high - low + 1 for low, high in zip(source.extent[::2], source.extent[1::2]))
    if fused.image.GetSize() != expected:
        raise InputError(
            f"The fused volume has {fused.image.GetSize()} voxels, the anatomical one {expected}; fuse again."
        )
    parameters = {key: fused.report[key] for key in _REPORTED if key in fused.report}
    if rgb:
        data = painting.data
        data.SetExtent(list(source.extent))
        parameters |= painted_with(painting.table, painting.weight)
    else:
        data = _scalar_image(fused.image, source.extent)
    keep_session(data)
    name = f"{source.fused_name} {'colour' if rgb else 'grey'}"
    node = outputNode or scene.AddNewNodeByClass(_CLASSES[rgb], free_name(scene, name))
    _fill(node, source, data, name)
    hide_legend(node)  # of what it showed before
    for measured in quality_nodes(node):  # which it was before
        scene.RemoveNode(measured)
    _record(node, source, fused, parameters, options)
    node.SetAttribute("MMIFAmin.name", name)
    renew(node)  # a source may have changed while they were fused
    _file_beside(node, scene.GetNodeByID(source.anatomical.id))
    return node


def _scalar_image(image: sitk.Image, extent) -> vtk.vtkImageData:
    data = vtk.vtkImageData()
    data.SetExtent(extent)
    data.AllocateScalars(vtk.VTK_FLOAT, 1)
    array = vtk_to_numpy(data.GetPointData().GetScalars())
    np.copyto(array, sitk.GetArrayViewFromImage(image).ravel(), casting="same_kind")
    return data


def _fill(node, source: Snapshot, data, name: str) -> None:
    scene = node.GetScene()
    is_ours = node.GetAttribute("MMIFAmin.version") is not None
    if node.GetName() and node.GetName().endswith(OUT_OF_DATE_SUFFIX):
        node.SetName(node.GetName().removesuffix(OUT_OF_DATE_SUFFIX))
    given = node.GetAttribute("MMIFAmin.name")
    if is_ours and given != name and node.GetName().startswith(given):
        node.SetName(free_name(scene, name))
    modifying = node.StartModify()
    try:
        source.geometry.give_to(node)
        in_scene = source.transform_id is not None and scene.GetNodeByID(source.transform_id) is not None
        node.SetAndObserveTransformNodeID(source.transform_id if in_scene else None)
        if node.IsA("vtkMRMLVectorVolumeNode"):
            node.SetVoxelVectorType(node.VoxelVectorTypeColorRGB)
        node.SetAndObserveImageData(data)
    finally:
        node.EndModify(modifying)
    if node.GetDisplayNode() is None:
        node.CreateDefaultDisplayNodes()
    if not is_ours:
        _forget_former(node)
        _show_whole_range(node)


def _forget_former(node) -> None:
    """What a volume of the user's told of the voxels that it had: unit, and the DICOM images that they came from."""
    node.SetVoxelValueQuantity(None)
    node.SetVoxelValueUnits(None)
    for name in node.GetAttributeNames():
        if name.startswith("DICOM.") or name == "MMIFAmin.suv":
            node.SetAttribute(name, None)


def _show_whole_range(node) -> None:
    display = node.GetDisplayNode()
    display.SetAutoWindowLevel(False)
    display.SetApplyThreshold(False)
    if node.IsA("vtkMRMLVectorVolumeNode"):
        display.SetWindowLevelMinMax(0, 255)
        return
    display.SetWindowLevelMinMax(0.0, 1.0)
    if node.GetScene().GetNodeByID("vtkMRMLColorTableNodeGrey") is not None:
        display.SetAndObserveColorNodeID("vtkMRMLColorTableNodeGrey")


def _record(node, source: Snapshot, fused, parameters: dict, options: dict | None) -> None:
    """Provenance: as attributes that tell all, and as node references that survive a scene that renumbers its nodes."""
    roles = {ANATOMICAL_ROLE: source.anatomical, FUNCTIONAL_ROLE: source.functional, SECOND_ROLE: source.second}
    for role, volume in roles.items():  # without a second, what an earlier fusion recorded of one is taken away
        id_, name = (volume.id, volume.name) if volume is not None else (None, None)
        node.SetAttribute(f"{role}NodeID", id_)
        node.SetAttribute(f"{role}Name", name)
        node.SetNodeReferenceID(role, id_)
    node.SetAttribute(ITSELF, node.GetID())
    node.SetNodeReferenceID(ITSELF, node.GetID())
    recipe = {"between": source.between, "second_between": source.second_between, "options": options}
    recipe["stamps"] = [volume.stamp for volume in source.sources]
    node.SetAttribute(RECIPE, json.dumps(recipe, default=str))
    node.SetAttribute(OUT_OF_DATE, None)
    node.SetAttribute("MMIFAmin.version", __version__)
    node.SetAttribute("MMIFAmin.weightsSHA256", fused.report["weights"]["sha256"])
    node.SetAttribute("MMIFAmin.parameters", json.dumps(parameters))
    node.SetAttribute("MMIFAmin.notice", fused.report["notice"])


def _file_beside(node, anatomicalNode) -> None:
    """Put the output where the anatomical volume is in the data tree: Slicer's *Export to DICOM* takes patient and study
    from there."""
    tree = node.GetScene().GetFirstNodeByClass("vtkMRMLSubjectHierarchyNode")
    if tree is None or anatomicalNode is None:
        return
    if anatomical := tree.GetItemByDataNode(anatomicalNode):
        # The application gives a new node an item by itself, but not while it processes a batch.
        item = tree.GetItemByDataNode(node) or tree.CreateItem(tree.GetSceneItemID(), node)
        tree.SetItemParent(item, tree.GetItemParent(anatomical))
