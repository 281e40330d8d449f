"""Which volume of a scene is the anatomical one and which the functional one, as far as the nodes tell."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from slicer import vtkMRMLScalarVolumeNode, vtkMRMLScene

_FUNCTIONAL_MODALITIES = {"PT", "NM", "PET", "SPECT"}
_ANATOMICAL_MODALITIES = {"MR", "CT", "MRI", "CBCT"}
_FUNCTIONAL_WORD = re.compile(r"pet|spect|fdg|psma|dotatate|datscan|nm|nac|uptake|perfusion|suv(bw|lbm|bsa|ibw|max)?")
_ANATOMICAL_WORD = re.compile(r"mri?|mra|t1w?|t2w?|pd|flair|mprage|swi|ct|cbct|cta|ctac")
_WORD = re.compile(
    r"[A-Z]+(?=[A-Z][a-z]{2})|[A-Z]?[a-z]+|[A-Z]+[0-9]*|[a-z]+[0-9]*"
)  # MRHead: MR, Head; CTChest: CT, Chest
_FUNCTIONAL_TABLE = re.compile(r"pet|spect|heat|rainbow|inferno|hot|fire", re.IGNORECASE)


def guess_role(node: vtkMRMLScalarVolumeNode) -> str | None:
    """ "functional", "anatomical" or None: by DICOM modality, RGB voxels, units, colour table, and last by name."""
    modality = modality_of(node)
    if modality in _FUNCTIONAL_MODALITIES or node.IsA("vtkMRMLVectorVolumeNode"):
        return "functional"
    if modality in _ANATOMICAL_MODALITIES:
        return "anatomical"
    units = node.GetVoxelValueUnits()
    code = (units.GetCodeValue() or "").upper() if units is not None else ""
    if "SUV" in code or code in ("BQ/ML", "BQML"):
        return "functional"
    if code == "[HNSF'U]":
        return "anatomical"
    display = node.GetDisplayNode()
    colors = display.GetColorNode() if display is not None else None
    if colors is not None and _FUNCTIONAL_TABLE.search(colors.GetName() or ""):
        return "functional"
    return _role_by_name(node.GetName() or "")


def _role_by_name(name) -> str | None:
    """The role that the words of ``name`` tell; None where they tell none or both (CT_for_PET, CTPerfusion)."""
    words = set()
    for part in re.findall(r"[A-Za-z0-9]+", name):
        words |= {part.lower(), part.lower().rstrip("0123456789")} | {word.lower() for word in _WORD.findall(part)}
    functional = any(_FUNCTIONAL_WORD.fullmatch(word) for word in words)
    anatomical = any(_ANATOMICAL_WORD.fullmatch(word) for word in words)
    return None if functional == anatomical else "functional" if functional else "anatomical"


def preselect(
    scene: vtkMRMLScene,
    anatomical: vtkMRMLScalarVolumeNode | None = None,
    functional: vtkMRMLScalarVolumeNode | None = None,
) -> tuple:
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


def own_volumes(scene: vtkMRMLScene) -> list:
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


def modality_of(node: vtkMRMLScalarVolumeNode) -> str:
    """The DICOM modality that the data tree or the node itself records, or ""."""
    scene = node.GetScene()
    tree = scene.GetSubjectHierarchyNode() if scene is not None else None
    recorded = ""
    if tree is not None and (item := tree.GetItemByDataNode(node)):
        recorded = tree.GetItemAttribute(item, "DICOM.Modality")
    return (recorded or node.GetAttribute("DICOM.Modality") or "").upper()
