"""Volume nodes read into plain images: geometry in world LPS, parent transforms included, voxels copied once."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import combinations
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import SimpleITK as sitk
import vtk
from vtk.util.numpy_support import vtk_to_numpy

from ..display.color import ColorTable
from ..errors import GeometryError, InputError
from ..volume.recognition import Hints
from .colors import node_color_table

if TYPE_CHECKING:
    from slicer import vtkMRMLNode, vtkMRMLScalarVolumeNode, vtkMRMLScene, vtkMRMLTransformableNode, vtkMRMLVolumeNode

_PROCESS = secrets.token_hex(4)
_Node = TypeVar("_Node", bound="vtkMRMLNode")
RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
_NOT_INTENSITIES = {
    "vtkMRMLLabelMapVolumeNode": "a label map, which holds labels and not intensities",
    "vtkMRMLDiffusionWeightedVolumeNode": "a diffusion-weighted series",
    "vtkMRMLDiffusionTensorVolumeNode": "a tensor field",
}


@dataclass(frozen=True)
class SourceVolume:
    """One source as it was when Fuse was pressed: a copy of its voxels in world LPS (None once let go), where it came
    from, the DICOM modality and the unit of the values that the scene tells (None where it does not), and `voxels_stamp`."""

    id: str
    name: str
    image: sitk.Image | None
    modality: str | None = None
    unit: str | None = None
    stamp: str = ""

    @property
    def kept_image(self) -> sitk.Image:
        """The image. Raises InputError once it was let go."""
        if self.image is None:
            raise InputError(f"The voxels of '{self.name}' were let go; fuse again.")
        return self.image

    def scalar_image(self) -> sitk.Image:
        """The image, or of one in colours their magnitude; any thread. Raises InputError once it was let go."""
        image = self.kept_image
        if image.GetNumberOfComponentsPerPixel() == 1:
            return image
        return sitk.VectorMagnitude(sitk.Cast(image, sitk.sitkVectorFloat32))


@dataclass(frozen=True)
class NodeGeometry:
    """Where a volume node's voxels are, in its parent's RAS: kept apart, because `SetIJKToRASMatrix` and `CopyOrientation`
    take the directions out of a matrix again and may round them.
    """

    directions: list[list[float]]
    spacing: tuple[float, float, float]
    origin: tuple[float, float, float]

    @classmethod
    def of(cls, node: vtkMRMLVolumeNode) -> NodeGeometry:
        directions = [[0.0] * 3 for _ in range(3)]
        node.GetIJKToRASDirections(directions)
        return cls(directions, node.GetSpacing(), node.GetOrigin())

    def give_to(self, node: vtkMRMLVolumeNode) -> None:
        node.SetIJKToRASDirections(self.directions)
        node.SetSpacing(self.spacing)
        node.SetOrigin(self.origin)


@dataclass(frozen=True)
class Snapshot:
    """All that fusing and publishing need to know of two volume nodes; nodes may change or vanish meanwhile.

    `geometry` (without parent transforms), `extent` (VTK, 6 integers) and `transform_id` are those of the anatomical node
    and become those of the output. `table` is the functional node's own colour table, None if it is shown in greys or
    colours by itself. `between` is the (4, 4) matrix from functional to anatomical voxel indices. `second` and
    `second_between` are those of a second anatomical volume, None where two are fused.
    """

    anatomical: SourceVolume
    functional: SourceVolume
    geometry: NodeGeometry
    extent: tuple[int, ...]
    transform_id: str | None
    table: ColorTable | None
    between: list[list[float]]
    second: SourceVolume | None = None
    second_between: list[list[float]] | None = None

    @property
    def fused_name(self) -> str:
        """The name of what comes out of this pair."""
        names = [volume.name for volume in (self.anatomical, self.second, self.functional) if volume is not None]
        return f"{' + '.join(names)} fused"

    @property
    def sources(self) -> tuple[SourceVolume, ...]:
        """The anatomical, the functional and, of three, the second anatomical volume."""
        return (self.anatomical, self.functional) + (() if self.second is None else (self.second,))

    def without_voxels(self) -> Snapshot:
        """All that publishing needs: a fusion of large volumes need not hold the copies of its sources to the end."""
        second = self.second and replace(self.second, image=None)
        anatomical, functional = (replace(volume, image=None) for volume in (self.anatomical, self.functional))
        return replace(self, anatomical=anatomical, functional=functional, second=second)


@contextmanager
def naming(source: Snapshot) -> Iterator[None]:
    """Around what the engine does with a snapshot: its errors know the volumes by their roles only, and name them here."""
    try:
        yield
    except InputError as error:
        roles = zip(("anatomical", "functional", "second anatomical"), source.sources)
        named = ", ".join(f"{role}: '{volume.name}'" for role, volume in roles)
        raise type(error)(f"{error.plain.rstrip('.')} ({named})") from error


def snapshot(
    anatomicalNode: vtkMRMLScalarVolumeNode,
    functionalNode: vtkMRMLScalarVolumeNode,
    secondNode: vtkMRMLScalarVolumeNode | None = None,
) -> Snapshot:
    """Copy what a fusion of the volume nodes needs, of two or with a second anatomical one of three; main thread only, the
    nodes are not changed.

    The anatomical node is a `vtkMRMLScalarVolumeNode` of one component; the functional node too, or a colour
    (`vtkMRMLVectorVolumeNode`, uint8 RGB) volume. Raises InputError or GeometryError, naming the volume, for a
    missing, empty, label map or otherwise unfit node, for the same node twice, and for a non-linear transform.
    """
    check_pair(anatomicalNode, functionalNode, secondNode)
    to_world = node_to_world(anatomicalNode)
    return Snapshot(
        anatomical=_source(anatomicalNode),
        functional=_source(functionalNode),
        geometry=NodeGeometry.of(anatomicalNode),
        extent=tuple(anatomicalNode.GetImageData().GetExtent()),
        transform_id=anatomicalNode.GetTransformNodeID(),
        table=node_color_table(functionalNode),
        between=np.linalg.solve(to_world, node_to_world(functionalNode)).tolist(),
        second=_source(secondNode) if secondNode is not None else None,
        second_between=(
            np.linalg.solve(to_world, node_to_world(secondNode)).tolist() if secondNode is not None else None
        ),
    )


def check_pair(
    anatomicalNode: vtkMRMLScalarVolumeNode,
    functionalNode: vtkMRMLScalarVolumeNode,
    secondNode: vtkMRMLScalarVolumeNode | None = None,
) -> None:
    """Raise InputError or GeometryError, in one sentence that names the volume, unless the two, or three, can be fused.

    Quick: looks at no voxel.
    """
    check_source(anatomicalNode, "anatomical")
    check_source(functionalNode, "functional")
    if anatomicalNode is functionalNode:
        raise InputError(f"'{anatomicalNode.GetName()}' is chosen twice; choose another volume as the functional one.")
    anatomies = {"anatomical": anatomicalNode}
    if secondNode is not None:
        check_source(secondNode, "second anatomical")
        if secondNode in (anatomicalNode, functionalNode):
            raise InputError(f"'{secondNode.GetName()}' is chosen twice; choose another second volume, or none.")
        anatomies["second anatomical"] = secondNode
    for role, node in anatomies.items():
        if node.GetImageData().GetNumberOfScalarComponents() != 1:
            raise InputError(
                f"The {role} volume '{node.GetName()}' is a colour volume; choose a scalar one (CT or MR), "
                "or convert it with the Vector to Scalar Volume module."
            )
    for node in (functionalNode, *anatomies.values()):
        check_geometry(node, node_to_world(node))


def check_geometry(node: vtkMRMLVolumeNode, matrix: np.ndarray) -> None:
    """Raise GeometryError unless the (4, 4) matrix from voxels to millimetres has three independent axes."""
    spacing = np.linalg.norm(matrix[:3, :3], axis=0)
    if not np.isfinite(matrix).all() or abs(np.linalg.det(matrix[:3, :3])) <= 1e-9 * spacing.prod():
        raise GeometryError(
            f"The volume '{node.GetName()}' has a geometry without three independent axes; correct its spacing, "
            "directions or parent transform."
        )


def check_source(node: vtkMRMLNode, role: str) -> None:
    """Raise InputError, in one sentence that names the volume, unless `node` can be a source of a fusion."""
    if node is None:
        raise InputError(f"No {role} volume is chosen; choose one.")
    if not node.IsA("vtkMRMLVolumeNode"):
        raise InputError(
            f"'{node.GetName()}' is not a volume ({node.GetNodeTagName()}); choose a volume as the {role} one."
        )
    for class_name, what in _NOT_INTENSITIES.items():
        if node.IsA(class_name):
            raise InputError(f"The {role} volume '{node.GetName()}' is {what}; choose an image volume.")
    if not node.IsA("vtkMRMLScalarVolumeNode"):
        raise InputError(f"The {role} volume '{node.GetName()}' is of an unknown kind ({node.GetNodeTagName()}).")
    if node.GetScene() is None:
        raise InputError(f"The {role} volume '{node.GetName()}' is in no scene; add it to the scene first.")
    if node.GetScene().IsClosing():  # its transforms may be gone already, and it lies elsewhere
        raise InputError(f"The scene of the {role} volume '{node.GetName()}' is being closed.")
    data = node.GetImageData()
    if data is None or data.GetNumberOfPoints() == 0 or data.GetPointData().GetScalars() is None:
        raise InputError(f"The {role} volume '{node.GetName()}' holds no voxels; load it again.")
    components = data.GetNumberOfScalarComponents()
    is_rgb = components == 3 and data.GetScalarType() == vtk.VTK_UNSIGNED_CHAR
    if components != 1 and not is_rgb:
        raise InputError(
            f"The {role} volume '{node.GetName()}' has {components} components per voxel; choose a scalar volume or "
            "an 8-bit RGB one."
        )


def still_there(node: _Node) -> _Node:
    """``node``, before a result of work that took a while is put into its scene. Raises InputError if it has left that."""
    if node.GetScene() is None:
        raise InputError(f"'{node.GetName()}' is no longer in the scene; nothing was changed.")
    return node


def free_name(scene: vtkMRMLScene, name: str) -> str:
    """``name`` for a new node, with a number behind it where another has it now; the scene's own counts what is gone, too."""
    return name if scene.GetFirstNodeByName(name) is None else scene.GenerateUniqueName(name)


def node_to_image(node: vtkMRMLVolumeNode) -> sitk.Image:
    """A copy of the node's voxels as an image in world LPS (mm), linear parent transforms applied to its geometry.

    RGB volumes become vector images. A shearing parent transform gives a direction that is not orthogonal, which
    resampling understands. Raises GeometryError for a non-linear parent transform or a singular geometry.
    """
    data = node.GetImageData()
    image = sitk.GetImageFromArray(voxels(data), isVector=data.GetNumberOfScalarComponents() > 1)
    matrix = RAS_TO_LPS @ node_to_world(node)
    check_geometry(node, matrix)
    first = np.array([*data.GetExtent()[::2], 1.0])
    spacing = np.linalg.norm(matrix[:3, :3], axis=0)
    image.SetSpacing(spacing.tolist())
    image.SetDirection((matrix[:3, :3] / spacing).ravel().tolist())
    image.SetOrigin((matrix @ first)[:3].tolist())
    return image


def voxels(data: vtk.vtkImageData) -> np.ndarray:
    """The scalars of a vtkImageData as an array (K, J, I) or (K, J, I, components): a view, not a copy."""
    components = data.GetNumberOfScalarComponents()
    shape = tuple(reversed(data.GetDimensions())) + ((components,) if components > 1 else ())
    return vtk_to_numpy(data.GetPointData().GetScalars()).reshape(shape)


def matrix_to_array(matrix: vtk.vtkMatrix4x4) -> np.ndarray:
    """A vtkMatrix4x4 as a (4, 4) float array."""
    return np.array([[matrix.GetElement(row, column) for column in range(4)] for row in range(4)])


def array_to_matrix(array: np.ndarray) -> vtk.vtkMatrix4x4:
    """A (4, 4) array as a vtkMatrix4x4."""
    matrix = vtk.vtkMatrix4x4()
    matrix.DeepCopy(np.asarray(array, dtype=float).ravel().tolist())
    return matrix


def hints_of(node: vtkMRMLVolumeNode) -> Hints:
    """What a volume node tells of itself: DICOM modality, code of the unit, name."""
    units = node.GetVoxelValueUnits()
    code = (units.GetCodeValue() or None) if units is not None else None
    return Hints(_modality(node), code, node.GetName())


def other_patient(*nodes: vtkMRMLVolumeNode) -> str:
    """In words, that two of the volume nodes lie under different patients of the data tree, where Slicer's DICOM module
    puts what it loads; else ""."""
    ids = [(node, _patient(node)) for node in nodes]
    for (one, first), (other, second) in combinations(ids, 2):
        if first and second and first != second:
            return f"'{one.GetName()}' and '{other.GetName()}' are of different patients (their patient ids differ)"
    return ""


def voxels_stamp(node: vtkMRMLVolumeNode) -> str:
    """What changes with the voxels of a volume node, as long as this process lives and the scene is not loaded anew."""
    return f"{_PROCESS}-{node.GetImageData().GetMTime()}" if node.GetImageData() is not None else ""


def _source(node) -> SourceVolume:
    told = hints_of(node)
    return SourceVolume(node.GetID(), node.GetName(), node_to_image(node), told.modality, told.unit, voxels_stamp(node))


def _patient(node) -> str:
    scene = node.GetScene()
    tree = scene.GetFirstNodeByClass("vtkMRMLSubjectHierarchyNode") if scene is not None else None
    if tree is None or not (item := tree.GetItemByDataNode(node)):
        return ""
    return (tree.GetAttributeFromItemAncestor(item, "DICOM.PatientID", "Patient") or "").strip()


def _modality(node) -> str | None:
    """The DICOM modality that the data tree or the node itself records."""
    scene = node.GetScene()
    # Not GetSubjectHierarchyNode, which makes one where there is none.
    tree = scene.GetFirstNodeByClass("vtkMRMLSubjectHierarchyNode") if scene is not None else None
    recorded = ""
    if tree is not None and (item := tree.GetItemByDataNode(node)):
        recorded = tree.GetItemAttribute(item, "DICOM.Modality")
    return recorded or node.GetAttribute("DICOM.Modality") or None


def _ijk_to_ras(node) -> np.ndarray:
    matrix = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    return matrix_to_array(matrix)


def node_to_world(node: vtkMRMLVolumeNode) -> np.ndarray:
    """The 4x4 matrix from voxel indices to world RAS, parent transforms included; GeometryError if one is not linear."""
    return parent_to_world(node) @ _ijk_to_ras(node)


def parent_to_world(node: vtkMRMLTransformableNode) -> np.ndarray:
    """The 4x4 matrix (RAS) of all parent transforms of a node. Raises GeometryError if one of them is not linear."""
    parent = node.GetParentTransformNode()
    if parent is None:
        return np.eye(4)
    if not parent.IsTransformToWorldLinear():
        raise GeometryError(
            f"The volume '{node.GetName()}' is under the non-linear transform '{parent.GetName()}'; harden the "
            "transform on the volume (Data module, right click, Harden transform) and try again."
        )
    matrix = vtk.vtkMatrix4x4()
    parent.GetMatrixTransformToWorld(matrix)
    return matrix_to_array(matrix)
