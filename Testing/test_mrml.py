"""Volume nodes in, fused nodes out, on a real MRML scene: geometry, transforms, display, provenance, refusals."""

import json
import threading

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st
from phantoms import Grid, directions, grids, head, head_values, rotation

slicer = pytest.importorskip("slicer", reason="needs the slicer-core package")
import vtk  # noqa: E402
from MMIFAminLib import __version__, mrml  # noqa: E402
from MMIFAminLib.color import ColorTable  # noqa: E402
from MMIFAminLib.errors import FusionCancelled, GeometryError, InputError  # noqa: E402
from scenes import (  # noqa: E402
    LPS_TO_RAS,
    add_transform,
    add_volume,
    maximum_fuser,
    new_scene,
    node_ids,
    state,
    vtk_matrix,
)

FINE = Grid(size=(40, 48, 36), spacing=(4.5, 4.5, 5.0)).centred_at()
OBLIQUE = Grid(size=(36, 40, 36), spacing=(5.5, 6.0, 5.0), direction=tuple(rotation((12, -8, 20)).ravel())).centred_at(
    (3, 2, -1)
)
UNIT = dict(anatomicalWindow=(0, 1), functionalWindow=(0, 2))
HEAT, RAINBOW = "vtkMRMLPETProceduralColorNodePET-Heat", "vtkMRMLColorTableNodeRainbow"


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


def expected(points, moved=np.zeros(3)):
    return np.clip(np.maximum(head_values(points), head_values(points - moved, "pet")), 0, 1)


def close(array, wanted):
    """Equal but for the interpolation of the smooth phantom from 5.5 mm voxels."""
    return np.abs(array - wanted).mean() < 0.01 and np.abs(array - wanted).max() < 0.35


def voxels(node):
    return slicer.util.arrayFromVolume(node)


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


def test_scalar_output(scene, pair, fuser):
    fused = mrml.fuse_nodes(*pair, fuser=fuser, **UNIT)
    assert fused.GetClassName() == "vtkMRMLScalarVolumeNode"
    assert fused.GetName() == "T1 + PET fused"
    assert voxels(fused).dtype == np.float32
    assert close(voxels(fused), expected(FINE.points()))
    assert slicer.util.arrayFromVolume(fused).shape == voxels(pair[0]).shape
    display = fused.GetDisplayNode()
    assert (display.GetWindowLevelMin(), display.GetWindowLevelMax()) == (0, 1)
    assert not display.GetAutoWindowLevel() and display.GetColorNodeID() == "vtkMRMLColorTableNodeGrey"


def test_color_output(scene, pair, fuser):
    source = mrml.snapshot(*pair)
    made = mrml.fuse_snapshot(source, fuser, anatomical_window=(0, 1), functional_window=(0, 2))
    node = mrml.publish(source, made, scene, rgb=True)
    assert node.GetClassName() == "vtkMRMLVectorVolumeNode"
    assert node.GetVoxelVectorType() == slicer.vtkMRMLVolumeNode.VoxelVectorTypeColorRGB
    assert voxels(node).dtype == np.uint8 and voxels(node).shape == FINE.size[::-1] + (3,)
    heat = sitk.GetArrayFromImage(made.rgb(mrml.resolve_color_table(scene.GetNodeByID(HEAT)))).astype(int)
    assert np.abs(voxels(node) - heat).max() <= 3 and (voxels(node) == heat).mean() > 0.98
    assert np.ptp(voxels(node).astype(int), axis=-1).max() > 100, "a hot colour table must give colours"


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


def test_sources_are_not_touched(scene, pair, fuser):
    parent = add_transform(scene, np.eye(4))
    pair[1].SetAndObserveTransformNodeID(parent.GetID())
    before = [state(node) for node in pair]
    for rgb in (False, True):
        mrml.fuse_nodes(*pair, rgb=rgb, fuser=fuser)
    assert [state(node) for node in pair] == before


def test_rgb_functional_volume_of_the_atlas(scene, shared, fuser):
    folder = shared / "data" / "volumes"
    mr, rgb, pet = (sitk.ReadImage(str(folder / f"pet41_{kind}.nrrd"))[..., 30:34] for kind in ("mr", "pet_rgb", "pet"))
    nodes = [add_volume(scene, image, name) for image, name in ((mr, "MR"), (rgb, "PET RGB"), (pet, "PET"))]
    window = dict(anatomicalWindow=(0, 255), fuser=fuser)
    through_colors = mrml.fuse_nodes(nodes[0], nodes[1], functionalWindow=(0, 1), **window)
    from_uptake = mrml.fuse_nodes(nodes[0], nodes[2], functionalWindow=(0, 1000), **window)
    np.testing.assert_allclose(voxels(through_colors), voxels(from_uptake), atol=1e-3)


def test_fusing_needs_no_nodes_once_the_snapshot_is_taken(scene, pair, fuser):
    source, made = mrml.snapshot(*pair), []

    def work():
        made.append(mrml.fuse_snapshot(source, fuser, anatomical_window=(0, 1), functional_window=(0, 2)))

    thread = threading.Thread(target=work)
    scene.RemoveNode(pair[1])
    thread.start()
    thread.join()
    node = mrml.publish(source, made[0], scene)
    assert close(voxels(node), expected(FINE.points()))
    assert (
        node.GetAttribute("MMIFAmin.functionalName") == "PET" and node.GetNodeReference("MMIFAmin.functional") is None
    )


# --- output node, provenance ---


def test_provenance(scene, pair, fuser):
    ids = [node.GetID() for node in pair]
    fused = mrml.fuse_nodes(*pair, rgb=True, plane="coronal", functionalWeight=0.5, fuser=fuser, **UNIT)
    assert fused.GetAttribute("MMIFAmin.anatomicalNodeID") == ids[0]
    assert fused.GetAttribute("MMIFAmin.functionalNodeID") == ids[1]
    assert [fused.GetAttribute(f"MMIFAmin.{role}Name") for role in ("anatomical", "functional")] == ["T1", "PET"]
    assert fused.GetAttribute("MMIFAmin.version") == __version__
    assert fused.GetAttribute("MMIFAmin.weightsSHA256") == "ab" * 32
    assert "research use only" in fused.GetAttribute("MMIFAmin.notice").lower()
    parameters = json.loads(fused.GetAttribute("MMIFAmin.parameters"))
    assert parameters["plane"] == "coronal" and parameters["functional_weight"] == 0.5
    assert parameters["windows"]["functional"] == {"low": 0, "high": 2, "origin": "given"}
    assert parameters["color_table"] == "PET-Heat" and parameters["device"] == "cpu"


def test_output_node_is_reused(scene, pair, fuser):
    first = mrml.fuse_nodes(*pair, fuser=fuser, **UNIT)
    first.GetDisplayNode().SetWindowLevelMinMax(0.2, 0.7)
    before = node_ids(scene)
    second = mrml.fuse_nodes(*pair, first, fuser=fuser, anatomicalWindow=(0, 2), functionalWindow=(0, 4))
    assert second is first and node_ids(scene) == before
    assert first.GetName() == "T1 + PET fused"
    assert abs(voxels(first).max() - 0.5) < 0.05, "the voxels are those of the second fusion"
    display = first.GetDisplayNode()
    window = (display.GetWindowLevelMin(), display.GetWindowLevelMax())
    assert np.allclose(window, (0.2, 0.7)), "the user's own window stays"


def test_reused_output_follows_its_sources_but_keeps_a_name_given_by_hand(scene, pair, fuser):
    fused = mrml.fuse_nodes(*pair, fuser=fuser)
    other = add_volume(scene, head(FINE, "pet"), "FDG")
    assert mrml.fuse_nodes(pair[0], other, fused, fuser=fuser).GetName() == "T1 + FDG fused"
    fused.SetName("for the tumour board")
    assert mrml.fuse_nodes(*pair, fused, fuser=fuser).GetName() == "for the tumour board"


def test_two_outputs_of_a_pair_have_names_of_their_own(scene, pair, fuser):
    names = {mrml.fuse_nodes(*pair, rgb=rgb, fuser=fuser).GetName() for rgb in (False, True)}
    assert len(names) == 2 and all(name.startswith("T1 + PET fused") for name in names)


def test_removing_the_output_undoes_the_fusion(scene, pair, fuser):
    for rgb in (False, True):
        before = node_ids(scene)
        fused = mrml.fuse_nodes(*pair, rgb=rgb, fuser=fuser)
        display = fused.GetDisplayNodeID()
        scene.RemoveNode(fused)
        assert node_ids(scene) - before <= {display}, "MRML itself leaves the display node of a removed volume"


@pytest.mark.parametrize("rgb", [False, True])
def test_failure_and_cancel_leave_the_scene_as_it_was(scene, pair, fuser, rgb):
    output = mrml.fuse_nodes(*pair, rgb=rgb, fuser=fuser)
    before, nodes = state(output), node_ids(scene)
    with pytest.raises(FusionCancelled):
        mrml.fuse_nodes(*pair, output, rgb=rgb, fuser=fuser, progress=lambda fraction, text: fraction < 0.5)
    with pytest.raises(InputError):
        mrml.fuse_nodes(*pair, output, rgb=rgb, fuser=fuser, functionalWindow="5:1")
    source = mrml.snapshot(*pair)
    other = mrml.fuse_snapshot(mrml.snapshot(pair[1], pair[0]), fuser)
    with pytest.raises(InputError, match="voxels"):
        mrml.publish(source, other, scene, output, rgb=rgb)
    if rgb:
        with pytest.raises(InputError, match="weight"):
            mrml.fuse_nodes(*pair, output, rgb=True, fuser=fuser, functionalWeight=1.5)
        with pytest.raises(InputError, match="no-such-table"):
            mrml.fuse_nodes(*pair, output, rgb=True, fuser=fuser, colorTable="no-such-table")
    assert state(output) == before and node_ids(scene) == nodes


# --- refusals: one clear sentence that names the volume ---


def refused(anatomical, functional, *words, output=None, rgb=False, error=InputError):
    with pytest.raises(error) as caught:
        mrml.fuse_nodes(anatomical, functional, output, rgb=rgb, fuser=maximum_fuser())
    message = str(caught.value)
    assert "\n" not in message and all(word in message for word in words), message


def test_refused_sources(scene, pair):
    anatomical, functional = pair
    label = add_volume(scene, sitk.Cast(head(FINE, scale=3), sitk.sitkUInt8), "Mask", "vtkMRMLLabelMapVolumeNode")
    empty = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "Nothing")
    model = scene.AddNewNodeByClass("vtkMRMLModelNode", "Skull")
    two = add_volume(scene, sitk.Compose(head(FINE), head(FINE)), "Pair")
    rgb = add_volume(scene, sitk.Cast(sitk.Compose(*[head(FINE, scale=255)] * 3), sitk.sitkVectorUInt8), "Colours")
    loose = slicer.vtkMRMLScalarVolumeNode()
    loose.SetName("Loose")
    refused(None, functional, "anatomical")
    refused(anatomical, None, "functional")
    refused(anatomical, anatomical, "T1", "twice")
    refused(label, functional, "Mask", "label map")
    refused(anatomical, label, "Mask", "label map")
    refused(anatomical, empty, "Nothing", "no voxels")
    refused(anatomical, model, "Skull", "not a volume")
    refused(anatomical, two, "Pair", "2 components")
    refused(rgb, functional, "Colours", "colour volume")
    refused(anatomical, loose, "Loose", "no scene")


def test_refused_outputs(scene, pair):
    model = scene.AddNewNodeByClass("vtkMRMLModelNode", "Skull")
    scalar = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "Grey")
    label = scene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "Mask")
    refused(*pair, "T1", "sources", output=pair[0])
    refused(*pair, "PET", "sources", output=pair[1])
    refused(*pair, "Skull", output=model)
    refused(*pair, "Mask", output=label)
    refused(*pair, "Grey", "colour", output=scalar, rgb=True)


def test_refused_geometry(scene, pair):
    anatomical, functional = pair
    far = add_transform(scene, np.array([[1, 0, 0, 900.0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]))
    functional.SetAndObserveTransformNodeID(far.GetID())
    refused(anatomical, functional, "T1", "PET", "overlap", error=GeometryError)
    warped = scene.AddNewNodeByClass("vtkMRMLTransformNode", "warp")
    warped.SetAndObserveTransformToParent(vtk.vtkThinPlateSplineTransform())
    far.SetAndObserveTransformNodeID(warped.GetID())
    refused(anatomical, functional, "PET", "non-linear", "arden", error=GeometryError)
    flat = vtk_matrix(np.diag([1, 1, 0, 1.0]))
    far.SetAndObserveTransformNodeID(None)
    far.SetMatrixTransformToParent(flat)
    refused(anatomical, functional, "PET", "axes", error=GeometryError)


def test_constant_volume_is_named(scene, pair):
    voxels(pair[1])[:] = 3
    refused(*pair, "PET", "constant")


# --- colours ---


def test_color_nodes_become_tables(scene, pair):
    heat = mrml.node_color_table(pair[1])
    unit = np.linspace(0, 1, 50)
    np.testing.assert_allclose(heat(unit), ColorTable.named("pet-heat")(unit), atol=0.02)
    pair[1].GetDisplayNode().SetAndObserveColorNodeID(RAINBOW)
    lookup = scene.GetNodeByID(RAINBOW).GetLookupTable()
    table = mrml.node_color_table(pair[1])
    np.testing.assert_allclose(table(128 / 255), lookup.GetTableValue(128)[:3], atol=1e-3)
    assert mrml.node_color_table(pair[0]) is None, "greys are no colours"
    assert mrml.resolve_color_table(None).name == "pet-heat"
    with pytest.raises(InputError):
        mrml.resolve_color_table(7)


def test_every_color_node_of_slicer_makes_a_table(scene):
    nodes = slicer.util.getNodesByClass("vtkMRMLColorNode")
    assert len(nodes) > 30
    for node in nodes:
        table = mrml.resolve_color_table(node)
        assert table.name == node.GetName() and len(table.colors) >= 2


def test_recoloring_equals_fusing_in_that_color(scene, pair, fuser):
    node = mrml.fuse_nodes(*pair, rgb=True, fuser=fuser, **UNIT)
    rainbow = mrml.fuse_nodes(*pair, rgb=True, colorTable="rainbow", functionalWeight=0.4, fuser=fuser, **UNIT)
    before, nodes = voxels(node).copy(), node_ids(scene)
    assert mrml.recolor(node, "rainbow", 0.4) is node
    np.testing.assert_array_equal(voxels(node), voxels(rainbow))
    parameters = json.loads(node.GetAttribute("MMIFAmin.parameters"))
    assert (parameters["color_table"], parameters["functional_weight"]) == ("rainbow", 0.4)
    mrml.recolor(node, None, 1.0)
    np.testing.assert_array_equal(voxels(node), before)
    assert node_ids(scene) == nodes, "recolouring adds no node"
    mrml.recolor(node, scene.GetNodeByID(RAINBOW), 0.0)
    assert np.ptp(voxels(node), axis=-1).max() == 0, "weight 0 is grey"


def test_recoloring_tells_the_views(scene, pair, fuser):
    node, seen = mrml.fuse_nodes(*pair, rgb=True, fuser=fuser), []
    node.AddObserver(slicer.vtkMRMLVolumeNode.ImageDataModifiedEvent, lambda *_: seen.append(1))
    mrml.recolor(node, "rainbow")
    assert seen


def test_recoloring_after_a_reload(scene, pair, fuser, tmp_path):
    node = mrml.fuse_nodes(*pair, rgb=True, fuser=fuser, **UNIT)
    rainbow = voxels(mrml.recolor(node, "rainbow")).astype(int)
    mrml.recolor(node)
    for volume in (*pair, node):
        storage = slicer.vtkMRMLVolumeArchetypeStorageNode()
        scene.AddNode(storage)
        storage.SetFileName(str(tmp_path / f"{volume.GetID()}.nrrd"))
        volume.SetAndObserveStorageNodeID(storage.GetID())
        assert storage.WriteData(volume)
    scene.SetURL(str(tmp_path / "scene.mrml"))
    scene.Commit(str(tmp_path / "scene.mrml"))

    loaded, logic = new_scene()
    loaded.SetURL(str(tmp_path / "scene.mrml"))
    assert loaded.Connect()
    again = loaded.GetFirstNodeByName("T1 + PET fused")
    assert not again.GetImageData().GetPointData().HasArray("MMIFAmin.fused"), "files keep the picture only"
    assert again.GetAttribute("MMIFAmin.weightsSHA256") == "ab" * 32
    mrml.recolor(again, "rainbow")
    difference = np.abs(voxels(again) - rainbow)
    assert difference.mean() < 1 and np.percentile(difference, 99) <= 8
    assert loaded.GetNumberOfNodesByClass("vtkMRMLVolumeNode") == 3

    loaded.RemoveNode(loaded.GetFirstNodeByName("PET"))
    mrml.recolor(again, "inferno")  # what is needed was recovered with the first recolouring
    again.GetImageData().GetPointData().RemoveArray("MMIFAmin.uptake")
    with pytest.raises(InputError, match="T1 \\+ PET fused"):
        mrml.recolor(again, "inferno")


def test_only_color_outputs_of_ours_are_recolored(scene, pair, fuser):
    scalar = mrml.fuse_nodes(*pair, fuser=fuser)
    for node in (None, pair[0], scalar):
        with pytest.raises(InputError, match="colour"):
            mrml.recolor(node, "rainbow")
