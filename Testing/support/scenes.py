"""What the MRML tests share: a real scene, volume nodes made of images, the engine around a network known by heart.

Its fixtures are imported by name by the tests that use them.
"""

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import slicer
import torch
import vtk
from vtk.util.numpy_support import numpy_to_vtk, vtk_to_numpy

from MMIFAminLib.engine.fusion import VolumeFuser
from MMIFAminLib.engine.weights import WeightsInfo
from MMIFAminLib.mrml.compare import LAYOUT_ID, VIEWS
from support.phantoms import Grid, head, head_values, rotation

FOUR_UP = slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView
LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
FINE = Grid(size=(40, 48, 36), spacing=(4.5, 4.5, 5.0)).centred_at()
OBLIQUE = Grid(size=(36, 40, 36), spacing=(5.5, 6.0, 5.0), direction=tuple(rotation((12, -8, 20)).ravel())).centred_at(
    (3, 2, -1)
)
UNIT = dict(anatomicalWindow=(0, 1), functionalWindow=(0, 2))
HEAT = "vtkMRMLPETProceduralColorNodePET-Heat"


@pytest.fixture
def scene():
    scene, logic = new_scene()
    yield scene
    scene.Clear(True)


@pytest.fixture
def pair(scene):
    """A T1 and a PET of the phantom head, the PET (0 to 2) on a coarser oblique grid."""
    return add_volume(scene, head(FINE), "T1"), add_volume(scene, head(OBLIQUE, "pet", 2.0), "PET", color_node=HEAT)


@pytest.fixture(scope="module")
def fuser():
    return maximum_fuser()


def new_scene():
    """A scene with Slicer's colour nodes, made `slicer.mrmlScene`, and the application logic that must outlive them."""
    scene = slicer.mrmlScene = slicer.vtkMRMLScene()
    logic = slicer.vtkSlicerApplicationLogic()
    logic.SetMRMLScene(scene)
    colors = logic.GetColorLogic()
    colors.SetMRMLScene(scene)
    colors.AddDefaultColorNodes()
    return scene, logic


def add_volume(scene, image, name, class_name=None, color_node=None):
    """A volume node with the voxels and the geometry (LPS to RAS) of a SimpleITK image."""
    components = image.GetNumberOfComponentsPerPixel()
    default = "vtkMRMLVectorVolumeNode" if components > 1 else "vtkMRMLScalarVolumeNode"
    node = scene.AddNewNodeByClass(class_name or default, name)
    data = vtk.vtkImageData()
    data.SetDimensions(image.GetSize())
    voxels = sitk.GetArrayFromImage(image)
    data.GetPointData().SetScalars(numpy_to_vtk(voxels.reshape(-1, components).squeeze(), deep=True))
    node.SetAndObserveImageData(data)
    matrix = np.eye(4)
    matrix[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * np.array(image.GetSpacing())
    matrix[:3, 3] = image.GetOrigin()
    node.SetIJKToRASMatrix(vtk_matrix(LPS_TO_RAS @ matrix))
    node.CreateDefaultDisplayNodes()
    if color_node:
        node.GetDisplayNode().SetAndObserveColorNodeID(color_node)
    return node


def add_transform(scene, matrix, name="transform", parent=None):
    """A linear transform node with a 4x4 matrix (RAS, to parent)."""
    node = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode", name)
    node.SetMatrixTransformToParent(vtk_matrix(matrix))
    if parent is not None:
        node.SetAndObserveTransformNodeID(parent.GetID())
    return node


def vtk_matrix(array):
    matrix = vtk.vtkMatrix4x4()
    matrix.DeepCopy(np.asarray(array, float).ravel().tolist())
    return matrix


def state(node):
    """Everything of a volume node that a fusion must not change, as comparable values."""
    matrix = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    display = node.GetDisplayNode()
    window = (
        (display.GetWindowLevelMin(), display.GetWindowLevelMax()) if hasattr(display, "GetWindowLevelMin") else None
    )
    return (
        slicer.util.arrayFromVolume(node).tobytes(),
        [matrix.GetElement(i, j) for i in range(4) for j in range(4)],
        node.GetTransformNodeID(),
        node.GetName(),
        sorted((key, node.GetAttribute(key)) for key in node.GetAttributeNames()),
        window,
        display.GetColorNodeID() if display is not None else None,
    )


def voxels(node):
    return slicer.util.arrayFromVolume(node)


def node_ids(scene):
    return {scene.GetNthNode(i).GetID() for i in range(scene.GetNumberOfNodes())}


class Application:
    """Scene, layout, and what the layout manager does of itself in Slicer: a slice logic for every slice view."""

    def __init__(self, width=120, height=120):
        self.scene, self.logic = new_scene()
        slicer.vtkMRMLSliceNode.AddDefaultSliceOrientationPresets(self.scene)
        self.layout_logic = slicer.vtkMRMLLayoutLogic()
        self.layout_logic.SetMRMLScene(self.scene)
        self.layout = self.layout_logic.GetLayoutNode()
        self.layout.SetViewArrangement(FOUR_UP)
        self.link = slicer.vtkMRMLSliceLinkLogic()
        self.link.SetMRMLApplicationLogic(self.logic)
        self.link.SetMRMLScene(self.scene)
        self.slices, self.size = {}, (width, height)
        self.logic.SetSliceLogics(vtk.vtkCollection())
        self.add_views("Red", "Green", "Yellow")
        self.layout.AddObserver("ModifiedEvent", self.on_layout)

    def close(self):
        self.layout.RemoveAllObservers()
        self.logic.GetSliceLogics().RemoveAllItems()

    def on_layout(self, *_):
        if self.layout.GetViewArrangement() == LAYOUT_ID:
            self.add_views(*VIEWS)

    def add_views(self, *tags):
        for tag in tags:
            if tag not in self.slices:
                logic = slicer.vtkMRMLSliceLogic()
                logic.SetMRMLApplicationLogic(self.logic)
                logic.SetMRMLScene(self.scene)
                logic.SetSliceNode(self.scene.GetNodeByID(f"vtkMRMLSliceNode{tag}"))
                logic.SetSliceCompositeNode(composite(self.scene, tag))
                logic.ResizeSliceNode(*self.size)
                self.slices[tag] = logic
                self.logic.GetSliceLogics().AddItem(logic)

    def picture(self, tag):
        """A view as its slice logic renders it, without display or OpenGL: uint8 (height, width, 3), top row first."""
        logic = self.slices[tag]
        logic.UpdatePipeline()
        producer = logic.GetImageDataConnection().GetProducer()
        producer.Update()
        width, height = self.size
        scalars = vtk_to_numpy(producer.GetOutput().GetPointData().GetScalars())
        return scalars.reshape(height, width, -1)[::-1, :, :3].copy()


def composite(scene, tag):
    node = slicer.vtkMRMLSliceCompositeNode()
    node.SetLayoutName(tag)
    node.SetSingletonTag(tag)
    return scene.AddNode(node)


class Maximum(torch.nn.Module):
    """In place of the network: the maximum of both sources, so that a test knows every voxel of the result."""

    class idn:
        factor = 4

    def prepared(self, device, precision):
        return self

    def forward(self, a, b, *uptake, context=None):
        return torch.maximum(a, b)

    def image_context(self, a, b, *uptake):
        return ()


def maximum_fuser():
    """The real engine around `Maximum`."""
    return VolumeFuser(Maximum(), WeightsInfo("maximum", Path("maximum"), "ab" * 32, {}), "cpu", "fp32")


def expected(points, moved=np.zeros(3)):
    return np.clip(np.maximum(head_values(points), head_values(points - moved, "pet")), 0, 1)


def close(array, wanted):
    """Equal but for the interpolation of the smooth phantom from 5.5 mm voxels."""
    return np.abs(array - wanted).mean() < 0.01 and np.abs(array - wanted).max() < 0.35
