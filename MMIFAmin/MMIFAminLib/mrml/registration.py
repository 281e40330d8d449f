"""A registration as a transform node that can be seen, moved and undone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import SimpleITK as sitk

from ..errors import InputError
from .nodes import RAS_TO_LPS, array_to_matrix, free_name, parent_to_world

if TYPE_CHECKING:
    from slicer import vtkMRMLLinearTransformNode, vtkMRMLScalarVolumeNode

_MARK = "MMIFAmin.registration"


def apply_registration(
    functionalNode: vtkMRMLScalarVolumeNode, transform: sitk.Euler3DTransform
) -> vtkMRMLLinearTransformNode:
    """Move the functional node by the result of `register_rigid`; returns the new vtkMRMLLinearTransformNode.

    The transform node goes between the volume and the parent transform it may have, so that the volume lies where the
    registration, done in world coordinates, wants it. `undo_registration` takes it away again.
    """
    scene, to_world = functionalNode.GetScene(), parent_to_world(functionalNode)
    in_parent = np.linalg.solve(to_world, motion(transform) @ to_world)
    node = scene.AddNewNodeByClass(
        "vtkMRMLLinearTransformNode", free_name(scene, f"{functionalNode.GetName()} registration")
    )
    node.SetMatrixTransformToParent(array_to_matrix(in_parent))
    node.SetAttribute(_MARK, "rigid, Mattes mutual information")
    node.SetAndObserveTransformNodeID(functionalNode.GetTransformNodeID())
    functionalNode.SetAndObserveTransformNodeID(node.GetID())
    return node


def undo_registration(functionalNode: vtkMRMLScalarVolumeNode) -> None:
    """Take away the last registration of the volume and its transform node; the volume lies where it lay before."""
    node = functionalNode.GetParentTransformNode()
    if node is None or node.GetAttribute(_MARK) is None:
        raise InputError(
            f"'{functionalNode.GetName()}' is under no registration of MMIFAmin; there is nothing to undo."
        )
    scene = node.GetScene()
    nodes = scene.GetNodesByClass("vtkMRMLTransformableNode")
    nodes.UnRegister(None)
    for moved in (nodes.GetItemAsObject(index) for index in range(nodes.GetNumberOfItems())):
        if moved.GetParentTransformNode() is node:  # the volume, and what was put beside it
            moved.SetAndObserveTransformNodeID(node.GetTransformNodeID())
    scene.RemoveNode(node)


def motion(transform: sitk.Euler3DTransform) -> np.ndarray:
    """The 4x4 matrix (RAS) that moves functional points onto anatomical ones.

    ITK's transform takes anatomical (fixed) points to functional (moving) ones in LPS: this is its inverse, in RAS.
    """
    matrix = np.eye(4)
    matrix[:3, :3] = np.reshape(transform.GetMatrix(), (3, 3))
    center = np.array(transform.GetCenter())
    matrix[:3, 3] = center + np.array(transform.GetTranslation()) - matrix[:3, :3] @ center
    return RAS_TO_LPS @ np.linalg.inv(matrix) @ RAS_TO_LPS
