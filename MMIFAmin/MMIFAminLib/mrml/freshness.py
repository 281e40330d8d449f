"""Whether a fused volume still shows its sources as they are: place, voxels and the options it was made with.

What a fused volume was made of is recorded on its node, so that it is known after a scene was saved and loaded. One
that is out of date says so in its name, which the slice views' corners, the data tree and every selector show.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import TYPE_CHECKING

import numpy as np
import vtk

from ..errors import GeometryError
from .nodes import node_to_world, voxels_stamp

if TYPE_CHECKING:
    from slicer import vtkMRMLScalarVolumeNode, vtkMRMLScene

ANATOMICAL_ROLE = "MMIFAmin.anatomical"
FUNCTIONAL_ROLE = "MMIFAmin.functional"
SECOND_ROLE = "MMIFAmin.second"
RECIPE = "MMIFAmin.recipe"
"""Attribute: where the sources lay to each other, the stamps of their voxels, and the options of the fusion, as JSON."""

OUT_OF_DATE = "MMIFAmin.outOfDate"
"""Attribute of a fused volume whose sources or options have changed since: what has."""

ITSELF = "MMIFAmin.itself"
"""Attribute and reference by which a fused volume knows itself, and a clone of it does not: its ID and itself. The reference is
renumbered with the scene, the attribute outlasts the original.
"""

OUT_OF_DATE_SUFFIX = " (out of date)"
_VOXELS = "the voxels of a source were changed"
_MOVED = "a source was moved"
_AWAY = "it no longer lies where its sources are"
_SESSION = "MMIFAmin.session"  # field of the image data, which no file keeps: the stamps of the sources still hold
_OPTIONS = {
    "plane": "slice plane",
    "kind": "kind of pair",
    "anatomical_window": "window",
    "functional_window": "window",
    "second_window": "window",
}
_TOLERANCE = 1e-3  # mm, and for directions of a unit voxel: scene files round


def made_of(scene: vtkMRMLScene, sources: tuple, rgb: bool) -> vtkMRMLScalarVolumeNode | None:
    """The volume of the scene that was fused from `sources`, as `sources_of` has them (colour if `rgb`, else grey), or None.

    A clone of one is what somebody has set aside: nothing is fused into it.
    """
    for node in own_volumes(scene):
        if sources_of(node) == sources and bool(node.IsA("vtkMRMLVectorVolumeNode")) == rgb and not _is_clone(node):
            return node
    return None


def _is_clone(fusedNode):
    known = (fusedNode.GetAttribute(ITSELF), fusedNode.GetNodeReferenceID(ITSELF))
    return known[0] is not None and fusedNode.GetID() not in known


def sources_of(fusedNode: vtkMRMLScalarVolumeNode) -> tuple:
    """The anatomical, the functional and, of three, the second anatomical node that a volume was fused from; None for one
    that is gone.
    """
    three = fusedNode.GetAttribute(f"{SECOND_ROLE}NodeID") is not None
    roles = (ANATOMICAL_ROLE, FUNCTIONAL_ROLE, SECOND_ROLE)[: 3 if three else 2]
    return tuple(fusedNode.GetNodeReference(role) for role in roles)


def own_volumes(scene: vtkMRMLScene) -> list:
    """The fused volumes of the scene that MMIFAmin made."""
    nodes = scene.GetNodesByClass("vtkMRMLScalarVolumeNode")
    nodes.UnRegister(None)
    every = (nodes.GetItemAsObject(index) for index in range(nodes.GetNumberOfItems()))
    return [node for node in every if node.GetAttribute("MMIFAmin.version") is not None]


def what_changed(fusedNode: vtkMRMLScalarVolumeNode, options: dict | None = None) -> str:
    """In a few words what has changed since `fusedNode` was fused, or "".

    `options` are those that a fusion would take now: "plane", "anatomical_window", "functional_window" and "kind" as in
    `VolumeFuser.fuse` (None: not compared). A volume that a former version made is taken as it is; one whose sources are
    gone, too, but for what was known of their place and voxels before.
    """
    recipe = json.loads(fusedNode.GetAttribute(RECIPE) or "null")
    sources = sources_of(fusedNode)
    if recipe is None:
        return ""
    if None in sources:
        known = fusedNode.GetAttribute(OUT_OF_DATE) or ""
        return _VOXELS if known == "voxels" else known if known in (_MOVED, _AWAY) else ""
    if fusedNode.GetAttribute(OUT_OF_DATE) == "voxels" or _are_others(fusedNode, recipe.get("stamps"), sources):
        return _VOXELS
    try:
        anatomical, *others, fused = (node_to_world(node) for node in (*sources, fusedNode))
    except GeometryError:
        return _MOVED
    for other, before in zip(others, (recipe["between"], recipe.get("second_between"))):
        if not np.allclose(np.linalg.solve(anatomical, other), before, rtol=1e-4, atol=_TOLERANCE):
            return _MOVED
    if not np.allclose(anatomical, fused, rtol=1e-4, atol=_TOLERANCE):
        return _AWAY
    return _other_options(fusedNode, recipe["options"], options) if options and recipe["options"] else ""


def surely_current(fusedNode: vtkMRMLScalarVolumeNode, options: dict) -> bool:
    """Whether nothing has changed (see `what_changed`), nor have the voxels of any source since it was fused, by whomever.

    That is known in the process that fused it, until the scene is loaded anew: no after that.
    """
    stamps = json.loads(fusedNode.GetAttribute(RECIPE) or "{}").get("stamps")
    sources = sources_of(fusedNode)
    same = None not in sources and stamps == [voxels_stamp(node) for node in sources]
    return same and not what_changed(fusedNode, options)


def keep_session(data: vtk.vtkImageData) -> None:
    """Have the voxels of a fused volume tell that they were fused in this session, as long as they are not read anew."""
    mark = vtk.vtkIntArray()
    mark.SetName(_SESSION)
    data.GetFieldData().AddArray(mark)


def _are_others(fusedNode, stamps, sources) -> bool:
    """Whether a source has other voxels than when it was fused, though nobody was told: it was not chosen, or no panel open."""
    data = fusedNode.GetImageData()
    if not stamps or data is None or not data.GetFieldData().HasArray(_SESSION):
        return False
    return stamps != [voxels_stamp(node) for node in sources]


def _other_options(fusedNode, before: dict, options: dict) -> str:
    parameters = json.loads(fusedNode.GetAttribute("MMIFAmin.parameters"))
    for name, words in _OPTIONS.items():
        now, then = _plain(options.get(name, "auto")), before.get(name, "auto")
        windows = parameters["windows"] | {"second": parameters.get("second", {}).get("window")}
        used = windows.get(name.removesuffix("_window"))
        same_kind = name == "kind" and now == parameters.get("taken_for", {}).get("pair")
        if now != then and not same_kind and not _limits(now, used):
            return f"another {words} is chosen"
    return ""


def note_voxels(sourceNode: vtkMRMLScalarVolumeNode) -> None:
    """Note that the voxels of a volume were changed: all that was fused from it is out of date."""
    for node in own_volumes(sourceNode.GetScene()) if sourceNode.GetScene() is not None else ():
        stamps = json.loads(node.GetAttribute(RECIPE) or "{}").get("stamps") or ()
        if sourceNode in sources_of(node) and voxels_stamp(sourceNode) not in stamps:  # else fused again meanwhile
            mark(node, "voxels")


def mark(fusedNode: vtkMRMLScalarVolumeNode, reason: str) -> None:
    """Have the node say that it is out of date, or with "" as the reason that it is not."""
    name = fusedNode.GetName() or ""
    plain = name.removesuffix(OUT_OF_DATE_SUFFIX)
    if (fusedNode.GetAttribute(OUT_OF_DATE) or "") != reason:
        fusedNode.SetAttribute(OUT_OF_DATE, reason or None)
    wanted = plain + OUT_OF_DATE_SUFFIX if reason else plain
    if wanted != name:
        fusedNode.SetName(wanted)


def refresh(scene: vtkMRMLScene, current: Collection[vtkMRMLScalarVolumeNode] = (), options: dict | None = None) -> str:
    """Mark every fused volume of the scene that is out of date, and unmark the others.

    `options` count for the nodes in `current` alone. Returns what has changed for the first of those, or "".
    """
    answer = ""
    for node in own_volumes(scene):
        reason = renew(node, options if node in current else None)
        answer = answer or (reason if node in current else "")
    return answer


def renew(fusedNode: vtkMRMLScalarVolumeNode, options: dict | None = None) -> str:
    """Mark `fusedNode` if it is out of date, else unmark it. Returns what has changed, as `what_changed` does."""
    reason = what_changed(fusedNode, options)
    mark(fusedNode, "voxels" if reason == _VOXELS else reason)
    return reason


def _plain(window):
    return list(map(float, window)) if isinstance(window, tuple) else window


def _limits(window, used: dict | None) -> bool:
    """Whether a window given by its limits is the one that was used."""
    return isinstance(window, list) and used is not None and np.allclose(window, (used["low"], used["high"]), rtol=1e-5)
