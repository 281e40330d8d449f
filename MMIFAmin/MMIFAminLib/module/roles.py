"""Which volume of a scene is the anatomical one and which the functional one, as far as the nodes tell."""

from __future__ import annotations

import re

_FUNCTIONAL_MODALITIES = {"PT", "NM", "PET", "SPECT"}
_ANATOMICAL_MODALITIES = {"MR", "CT", "MRI", "CBCT"}
_FUNCTIONAL_NAME = re.compile(r"(?<![a-z])(pet|spect|fdg|suv|nm|uptake|perfusion)(?![a-z])", re.IGNORECASE)
_ANATOMICAL_NAME = re.compile(r"(?<![a-z])(mri?|t1w?|t2w?|pd|flair|ct|cbct|mprage)(?![a-z])", re.IGNORECASE)
_FUNCTIONAL_TABLE = re.compile(r"pet|spect|heat|rainbow|inferno|hot|fire", re.IGNORECASE)


def guess_role(node) -> str | None:
    """ "functional", "anatomical" or None: by DICOM modality, RGB voxels, units, colour table, and last by name."""
    modality = _modality(node)
    if modality in _FUNCTIONAL_MODALITIES or node.IsA("vtkMRMLVectorVolumeNode"):
        return "functional"
    if modality in _ANATOMICAL_MODALITIES:
        return "anatomical"
    units = node.GetVoxelValueUnits()
    if units is not None and "SUV" in (units.GetCodeValue() or "").upper():
        return "functional"
    display = node.GetDisplayNode()
    colors = display.GetColorNode() if display is not None else None
    if colors is not None and _FUNCTIONAL_TABLE.search(colors.GetName() or ""):
        return "functional"
    name = (node.GetName() or "").replace("_", " ")
    if _FUNCTIONAL_NAME.search(name):
        return "functional"
    return "anatomical" if _ANATOMICAL_NAME.search(name) else None


def preselect(scene, anatomical=None, functional=None) -> tuple:
    """Fill in what is not chosen (None) from the volumes of the scene, where the nodes tell; returns the pair.

    Volumes that MMIFAmin made are not taken as sources, nor are label maps and hidden nodes.
    """
    candidates = [node for node in _volumes(scene) if node not in (anatomical, functional)]
    roles = {node: guess_role(node) for node in candidates}
    if functional is None:
        functional = next((node for node in candidates if roles[node] == "functional"), None)
    if anatomical is None:
        rest = [node for node in candidates if node is not functional and not node.IsA("vtkMRMLVectorVolumeNode")]
        anatomical = next((node for node in rest if roles[node] == "anatomical"), None)
        if anatomical is None and functional is not None and len(rest) == 1:
            anatomical = rest[0]
    if functional is None and anatomical is not None:
        rest = [node for node in candidates if node is not anatomical]
        functional = rest[0] if len(rest) == 1 else None
    return anatomical, functional


def own_volumes(scene) -> list:
    """The volumes of the scene that MMIFAmin made."""
    return [node for node in _nodes(scene) if node.GetAttribute("MMIFAmin.version") is not None]


def _nodes(scene) -> list:
    nodes = scene.GetNodesByClass("vtkMRMLScalarVolumeNode")
    nodes.UnRegister(None)
    return [nodes.GetItemAsObject(index) for index in range(nodes.GetNumberOfItems())]


def _volumes(scene) -> list:
    return [
        node
        for node in _nodes(scene)
        if node.GetClassName() in ("vtkMRMLScalarVolumeNode", "vtkMRMLVectorVolumeNode")
        and not node.GetHideFromEditors()
        and node.GetImageData() is not None
        and node.GetAttribute("MMIFAmin.version") is None
    ]


def _modality(node) -> str:
    """The DICOM modality that the data tree or the node itself records, or ""."""
    scene = node.GetScene()
    tree = scene.GetSubjectHierarchyNode() if scene is not None else None
    recorded = ""
    if tree is not None and (item := tree.GetItemByDataNode(node)):
        recorded = tree.GetItemAttribute(item, "DICOM.Modality")
    return (recorded or node.GetAttribute("DICOM.Modality") or "").upper()
