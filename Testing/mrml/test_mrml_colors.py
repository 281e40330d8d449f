"""Colour: tables from Slicer's colour nodes, the colour fused node, and recolouring it, also after a reload."""

# ruff: noqa: F401, F811

import json

import numpy as np
import pytest
import SimpleITK as sitk

slicer = pytest.importorskip("slicer", reason="needs the slicer-core package")
from MMIFAminLib import mrml
from MMIFAminLib.display.color import ColorTable
from MMIFAminLib.errors import InputError
from support.scenes import FINE, HEAT, UNIT, add_volume, fuser, new_scene, node_ids, pair, scene, voxels

RAINBOW = "vtkMRMLColorTableNodeRainbow"


def test_color_output(scene, pair, fuser):
    source = mrml.snapshot(*pair)
    made = mrml.fuse_snapshot(source, fuser, anatomical_window=(0, 1), functional_window=(0, 2))
    node = mrml.publish(source, made, scene, painting=mrml.paint(made, source.table))
    assert node.GetClassName() == "vtkMRMLVectorVolumeNode"
    assert node.GetVoxelVectorType() == slicer.vtkMRMLVolumeNode.VoxelVectorTypeColorRGB
    assert voxels(node).dtype == np.uint8 and voxels(node).shape == FINE.size[::-1] + (3,)
    heat = sitk.GetArrayFromImage(made.rgb(mrml.resolve_color_table(scene.GetNodeByID(HEAT)))).astype(int)
    assert np.abs(voxels(node) - heat).max() <= 6 and (voxels(node) == heat).mean() > 0.98
    assert np.ptp(voxels(node).astype(int), axis=-1).max() > 100, "a hot colour table must give colours"


def test_color_nodes_become_tables(scene, pair):
    heat = mrml.node_color_table(pair[1])
    unit = np.linspace(0, 1, 50)
    np.testing.assert_allclose(heat(unit), ColorTable.named("pet-heat")(unit), atol=0.02)
    pair[1].GetDisplayNode().SetAndObserveColorNodeID(RAINBOW)
    lookup = scene.GetNodeByID(RAINBOW).GetLookupTable()
    table = mrml.node_color_table(pair[1])
    np.testing.assert_allclose(table(128 / 255), lookup.GetTableValue(128)[:3], atol=1e-3)
    assert mrml.node_color_table(pair[0]) is None, "greys are no colours"
    for chosen in ("vtkMRMLColorTableNodeInvertedGrey", "vtkMRMLPETProceduralColorNodePET-MaximumIntensityProjection"):
        pair[1].GetDisplayNode().SetAndObserveColorNodeID(chosen)
        greys = mrml.node_color_table(pair[1])
        assert np.ptp(greys.colors, axis=1).max() < 0.01 and greys.colors[0, 0] > greys.colors[-1, 0], chosen
    assert mrml.resolve_color_table(None).name == "inferno"
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
    again = loaded.GetFirstNodeByName("T1 + PET fused colour")
    assert not again.GetImageData().GetPointData().HasArray("MMIFAmin.fused"), "files keep the picture only"
    assert again.GetAttribute("MMIFAmin.weightsSHA256") == "ab" * 32
    mrml.recolor(again, "rainbow")
    difference = np.abs(voxels(again) - rainbow)
    assert difference.mean() < 1 and np.percentile(difference, 99) <= 8
    assert loaded.GetNumberOfNodesByClass("vtkMRMLVolumeNode") == 3

    loaded.RemoveNode(loaded.GetFirstNodeByName("PET"))
    mrml.recolor(again, "inferno")  # what is needed was recovered with the first recolouring
    again.GetImageData().GetPointData().RemoveArray("MMIFAmin.uptake")
    with pytest.raises(InputError, match="T1 \\+ PET fused colour"):
        mrml.recolor(again, "inferno")


def forget(node):
    """As after a reload: the file keeps the colours alone."""
    points = node.GetImageData().GetPointData()
    for name in ("MMIFAmin.fused", "MMIFAmin.uptake"):
        points.RemoveArray(name)


def test_what_is_out_of_date_is_not_recolored_from_other_uptake(scene, pair, fuser):
    node = mrml.fuse_nodes(*pair, rgb=True, fuser=fuser, **UNIT)
    forget(node)
    before = voxels(node).copy()
    origin = pair[1].GetOrigin()
    pair[1].SetOrigin(0.0, 0.0, 0.0)
    with pytest.raises(InputError, match="cannot be recoloured after it was loaded.*fuse again"):
        mrml.recolor(node, "rainbow")
    np.testing.assert_array_equal(voxels(node), before)
    pair[1].SetOrigin(*origin)
    mrml.recolor(node, "rainbow")


def test_a_fusion_with_a_photograph_is_recolored_after_a_reload(scene, pair, fuser):
    photograph = np.random.default_rng(0).integers(0, 255, (*voxels(pair[0]).shape, 3)).astype(np.uint8)
    image = sitk.GetImageFromArray(photograph, isVector=True)
    image.CopyInformation(mrml.node_to_image(pair[0]))
    node = mrml.fuse_nodes(pair[0], add_volume(scene, image, "Photo"), rgb=True, fuser=fuser, functionalWindow=(0, 255))
    rainbow = voxels(mrml.recolor(node, "rainbow")).astype(int)
    mrml.recolor(node)
    forget(node)
    assert np.abs(voxels(mrml.recolor(node, "rainbow")) - rainbow).mean() < 1


def test_only_color_outputs_of_ours_are_recolored(scene, pair, fuser):
    scalar = mrml.fuse_nodes(*pair, fuser=fuser)
    for node, words in ((None, "No volume is given"), (pair[0], "is no colour fused"), (scalar, "is no colour fused")):
        with pytest.raises(InputError, match=words):
            mrml.recolor(node, "rainbow")


def test_what_was_insisted_on_is_recolored_after_a_reload(scene, pair, fuser):
    phantom = sitk.Cast(sitk.Round(mrml.node_to_image(pair[1]) * 2), sitk.sitkInt16)  # of few activities
    node = mrml.fuse_nodes(
        pair[0], add_volume(scene, phantom, "XCAT"), rgb=True, kind="uptake", insist=True, fuser=fuser
    )
    rainbow = voxels(mrml.recolor(node, "rainbow")).astype(int)
    mrml.recolor(node)
    forget(node)
    assert np.abs(voxels(mrml.recolor(node, "rainbow")) - rainbow).mean() < 1
