"""Tables and other nodes that belong to a volume: found again by a reference on it, filed below it in the data tree."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import vtk

if TYPE_CHECKING:
    from slicer import vtkMRMLNode


_OWNER = "MMIFAmin.owner"


def owned_node(owner: vtkMRMLNode, role: str) -> Any:
    """The node that `owner` references in `role`, or None; also where it belongs to another: a clone of a volume refers to
    the nodes of its original."""
    node = owner.GetNodeReference(role)
    return node if node is not None and node.GetNodeReferenceID(_OWNER) in (None, owner.GetID()) else None


def own(owner: vtkMRMLNode, node: vtkMRMLNode, role: str) -> None:
    """Have `owner` reference a node in `role` as its own."""
    owner.SetNodeReferenceID(role, node.GetID())
    node.SetNodeReferenceID(_OWNER, owner.GetID())


def owned(owner: vtkMRMLNode, class_name: str, role: str, name: str) -> Any:
    """The node that `owner` references in `role`, made where there is none; called `name` from now on."""
    node = owned_node(owner, role)
    if node is None:
        node = owner.GetScene().AddNewNodeByClass(class_name)
    own(owner, node, role)
    node.SetName(name)
    return node


def fill_table(node: vtkMRMLNode, columns: dict) -> None:
    """Give a table node these columns (title: texts, or an array of numbers) and no others; locked."""
    modifying = node.StartModify()
    node.RemoveAllColumns()
    for title, values in columns.items():
        column = vtk.vtkDoubleArray() if isinstance(values, np.ndarray) else vtk.vtkStringArray()
        column.SetName(title)
        for value in values:
            column.InsertNextValue(value)
        node.AddColumn(column)
    node.SetUseColumnTitleAsColumnHeader(True)
    node.SetLocked(True)
    node.EndModify(modifying)


def file_under(owner: vtkMRMLNode, nodes: list) -> None:
    """In the data tree these nodes hang below their owner, so that deleting it there deletes them too."""
    tree = owner.GetScene().GetFirstNodeByClass("vtkMRMLSubjectHierarchyNode")
    if tree is None or not (parent := tree.GetItemByDataNode(owner)):
        return
    for node in nodes:
        item = tree.GetItemByDataNode(node)
        if item:
            tree.SetItemParent(item, parent)
