"""Where the volumes lie: read from nodes, respected by the fusion, given to the fused node to the last bit."""

# ruff: noqa: F401, F811

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st

from support.phantoms import Grid, directions, grids, head, head_values, rotation

slicer = pytest.importorskip("slicer", reason="needs the slicer-core package")
import vtk

from MMIFAminLib import mrml
from MMIFAminLib.mrml.nodes import NodeGeometry
from support.scenes import (
    FINE,
    LPS_TO_RAS,
    UNIT,
    add_transform,
    add_volume,
    close,
    expected,
    fuser,
    new_scene,
    pair,
    scene,
    state,
    voxels,
    vtk_matrix,
)

# --- reading nodes ---


@given(grids(), directions(), st.tuples(*[st.integers(-90, 90)] * 3), st.integers(0, 2))
@settings(deadline=None, max_examples=25)
def test_image_lies_where_the_node_lies(grid, direction, shift, parents):
    scene, logic = new_scene()
    values = np.random.default_rng(0).integers(-300, 300, grid.size[::-1]).astype(np.int16)
    node = add_volume(scene, grid.image(values), "V")
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = np.reshape(direction, (3, 3)), shift
    parent = None
    for _ in range(parents):
        parent = add_transform(scene, matrix, parent=parent)
    node.SetAndObserveTransformNodeID(parent.GetID() if parent else None)
    image = mrml.node_to_image(node)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image), values)
    to_ras = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(to_ras)
    for index in ((0, 0, 0), tuple(n - 1 for n in grid.size), (grid.size[0] - 1, 0, 0)):
        ras = to_ras.MultiplyPoint((*index, 1))[:3]
        world = [0.0] * 3
        node.TransformPointToWorld(ras, world)
        lps = np.array(world) * (-1, -1, 1)
        np.testing.assert_allclose(image.TransformIndexToPhysicalPoint(index), lps, atol=1e-6)


def test_image_is_a_copy(scene):
    node = add_volume(scene, head(FINE), "T1")
    image = mrml.node_to_image(node)
    voxels(node)[:] = -1
    assert sitk.GetArrayViewFromImage(image).min() >= 0


def test_image_of_an_extent_that_does_not_begin_at_zero(scene):
    node = add_volume(scene, head(FINE), "T1")
    data = node.GetImageData()
    data.SetExtent(*(v for n, first in zip(FINE.size, (3, -2, 5)) for v in (first, first + n - 1)))
    image = mrml.node_to_image(node)
    matrix = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    first = LPS_TO_RAS @ np.array(matrix.MultiplyPoint((3, -2, 5, 1)))
    np.testing.assert_allclose(image.GetOrigin(), first[:3])


# --- fusing ---


def test_geometry_is_the_anatomical_one(scene, pair, fuser):
    parent = add_transform(scene, np.block([[rotation((20, 10, -35)), np.array([[9.0], [-20], [4]])], [np.eye(4)[3:]]]))
    for node in pair:
        node.SetAndObserveTransformNodeID(parent.GetID())
    for rgb in (False, True):
        fused = mrml.fuse_nodes(*pair, rgb=rgb, fuser=fuser, **UNIT)
        matrices = [vtk.vtkMatrix4x4(), vtk.vtkMatrix4x4()]
        for node, matrix in zip((fused, pair[0]), matrices):
            node.GetIJKToRASMatrix(matrix)
        assert all(matrices[0].GetElement(i, j) == matrices[1].GetElement(i, j) for i in range(4) for j in range(4))
        assert fused.GetTransformNodeID() == parent.GetID()
        assert fused.GetImageData().GetExtent() == pair[0].GetImageData().GetExtent()
    scalar = mrml.fuse_nodes(*pair, fuser=fuser, **UNIT)
    assert close(voxels(scalar), expected(FINE.points())), "moved together, the two still match"


@pytest.mark.parametrize(
    "matrix",
    [
        np.block([[rotation((0, 0, 15)), np.array([[12.0], [-7], [5]])], [np.eye(4)[3:]]]),
        np.array([[1.1, 0.15, 0, 5], [0, 0.9, -0.1, -3], [0.05, 0, 1, 8], [0, 0, 0, 1.0]]),
    ],
    ids=["rigid", "affine"],
)
def test_parent_transform_of_the_functional_volume_is_respected(scene, pair, fuser, matrix):
    anatomical, functional = pair
    displaced = vtk.vtkMatrix4x4()
    functional.GetIJKToRASMatrix(displaced)
    vtk.vtkMatrix4x4.Multiply4x4(vtk_matrix(np.linalg.inv(matrix)), displaced, displaced)
    straight = voxels(mrml.fuse_nodes(*pair, fuser=fuser, **UNIT)).copy()
    functional.SetIJKToRASMatrix(displaced)
    wrong = voxels(mrml.fuse_nodes(*pair, fuser=fuser, **UNIT))
    assert np.abs(wrong - straight).max() > 0.3, "without its transform the volume lies elsewhere"
    functional.SetAndObserveTransformNodeID(add_transform(scene, matrix).GetID())
    again = voxels(mrml.fuse_nodes(*pair, fuser=fuser, **UNIT))
    np.testing.assert_allclose(again, straight, atol=2e-3)


def test_oblique_directions_are_not_rounded():
    scene, _logic = new_scene()
    random = np.random.default_rng(0)
    image = np.zeros((2, 2, 2), np.float32)
    for _ in range(100):
        grid = Grid(
            spacing=tuple(random.uniform(0.3, 9.0, 3)),
            origin=tuple(random.uniform(-100.0, 100.0, 3)),
            direction=tuple(rotation(random.uniform(-180.0, 180.0, 3)).ravel()),
        )
        source, output = (
            add_volume(scene, grid.image(image), "volume"),
            add_volume(scene, Grid().image(image), "fused"),
        )
        NodeGeometry.of(source).give_to(output)
        assert state(output)[1] == state(source)[1]  # IJK to RAS
        assert output.GetSpacing() == source.GetSpacing()
    scene.Clear(True)
