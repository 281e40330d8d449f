"""Which volume of a scene is the anatomical one and which the functional one, as far as the nodes tell."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from slicer import vtkMRMLScalarVolumeNode, vtkMRMLScene

    from ..cohort.pairing import Candidate

_FUNCTIONAL_MODALITIES = {"PT", "NM", "PET", "SPECT"}
_ANATOMICAL_MODALITIES = {"MR", "CT", "MRI", "CBCT"}
_SUV_QUANTITIES = {str(code) for code in range(126400, 126407)}  # of DICOM's DCM: SUV, SUVbw, SUVlbm and so on
_ATTENUATION = "112031"  # what Slicer sets for a CT
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
    quantity = node.GetVoxelValueQuantity()
    quantity = quantity.GetCodeValue() if quantity is not None else ""
    if "SUV" in code or code in ("BQ/ML", "BQML") or quantity in _SUV_QUANTITIES:
        return "functional"
    if code == "[HNSF'U]" or quantity == _ATTENUATION:
        return "anatomical"
    display = node.GetDisplayNode()
    colors = display.GetColorNode() if display is not None else None
    if colors is not None and _FUNCTIONAL_TABLE.search(colors.GetName() or ""):
        return "functional"
    from ..cohort.naming import role_by_name  # a room that Slicer's start need not load

    return role_by_name(node.GetName() or "")


def preselect(
    scene: vtkMRMLScene,
    anatomical: vtkMRMLScalarVolumeNode | None = None,
    functional: vtkMRMLScalarVolumeNode | None = None,
) -> tuple:
    """Fill in what is not chosen (None) from the volumes of the scene, where the nodes tell; returns the pair.

    Volumes that MMIFAmin made are not taken as sources, nor are label maps, hidden nodes, and what nobody fuses without
    saying so: PET without attenuation correction, localizers, projections, what is called a label map or mask; nor two
    volumes of different patients. What is plainly of another pair, by study or name, is not put beside what is chosen.
    """
    from ..cohort.naming import why_never_by_itself
    from ..cohort.pairing import fit, pair_up

    every = {one.what: one for one in candidates_of(scene)}
    pairs, _left_out = pair_up(every.values())
    chosen = [node for node in (anatomical, functional) if node is not None]
    if pairs and not chosen:
        return pairs[0]

    def is_of_another(node):
        others = [pair for pair in pairs if node in pair and not {*pair} & {*chosen}]
        mine = [every[one] for one in chosen if one in every]
        return others and any(one.group != every[node].group or not fit(one, every[node]) for one in mine)

    volumes = [node for node in every if node not in chosen and not is_of_another(node)]
    candidates = [node for node in volumes if not why_never_by_itself(node.GetName() or "")]
    roles = {node: every[node].role for node in candidates}
    if functional is None:
        fitting = (node for node in candidates if roles[node] == "functional" and _of_one_patient(node, anatomical))
        functional = next(fitting, None)
    if anatomical is None:
        rest = [node for node in candidates if node is not functional and not node.IsA("vtkMRMLVectorVolumeNode")]
        rest = [node for node in rest if _of_one_patient(node, functional)]
        anatomical = next((node for node in rest if roles[node] == "anatomical"), None)
        if anatomical is None and functional is not None and len(rest) == 1:
            anatomical = rest[0]
    if functional is None and anatomical is not None:
        rest = [node for node in candidates if node is not anatomical and _of_one_patient(node, anatomical)]
        functional = rest[0] if len(rest) == 1 else None
    return anatomical, functional


def _of_one_patient(node, other) -> bool:
    if other is None:
        return True
    from ..mrml import other_patient

    return not other_patient(node, other)


def own_volumes(scene: vtkMRMLScene) -> list:
    """The volumes of the scene that MMIFAmin made."""
    return [node for node in _nodes(scene) if node.GetAttribute("MMIFAmin.version") is not None]


def _nodes(scene) -> list:
    nodes = scene.GetNodesByClass("vtkMRMLScalarVolumeNode")
    nodes.UnRegister(None)
    return [nodes.GetItemAsObject(index) for index in range(nodes.GetNumberOfItems())]


def source_volumes(scene: vtkMRMLScene) -> list:
    """The volumes of the scene that can be sources: those with voxels that are shown in lists and that MMIFAmin did not make."""
    return [
        node
        for node in _nodes(scene)
        if node.GetClassName() in ("vtkMRMLScalarVolumeNode", "vtkMRMLVectorVolumeNode")
        and not node.GetHideFromEditors()
        and node.GetImageData() is not None
        and node.GetAttribute("MMIFAmin.version") is None
    ]


def candidates_of(scene: vtkMRMLScene) -> list[Candidate]:
    """The source volumes of the scene as `cohort.pairing` takes them; what lies in one study or folder of the data tree belongs
    together."""
    from ..cohort.pairing import Candidate

    tree, found = scene.GetFirstNodeByClass("vtkMRMLSubjectHierarchyNode"), []
    for node in source_volumes(scene):
        item = tree.GetItemByDataNode(node) if tree is not None else 0
        group = tree.GetItemParent(item) if tree is not None and item else 0
        found.append(Candidate(node, node.GetName() or "", guess_role(node), group))
    return found


def modality_of(node: vtkMRMLScalarVolumeNode) -> str:
    """The DICOM modality that the data tree or the node itself records, or ""."""
    scene = node.GetScene()
    tree = scene.GetSubjectHierarchyNode() if scene is not None else None
    recorded = ""
    if tree is not None and (item := tree.GetItemByDataNode(node)):
        recorded = tree.GetItemAttribute(item, "DICOM.Modality")
    return (recorded or node.GetAttribute("DICOM.Modality") or "").upper()
