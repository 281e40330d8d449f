"""Volume nodes in, fused nodes out, on a real MRML scene: display, names, provenance, refusals."""

# ruff: noqa: F401, F811

import json
import pickle
import threading
import weakref

import numpy as np
import pytest
import SimpleITK as sitk

from support.phantoms import head

slicer = pytest.importorskip("slicer", reason="needs the slicer-core package")
import vtk

from MMIFAminLib import __version__, mrml
from MMIFAminLib.errors import FusionCancelled, GeometryError, InputError
from support.scenes import (
    FINE,
    UNIT,
    add_transform,
    add_volume,
    close,
    expected,
    fuser,
    maximum_fuser,
    node_ids,
    pair,
    scene,
    state,
    voxels,
    vtk_matrix,
)

# --- fusing ---


def test_scalar_output(scene, pair, fuser):
    fused = mrml.fuse_nodes(*pair, fuser=fuser, **UNIT)
    assert fused.GetClassName() == "vtkMRMLScalarVolumeNode"
    assert fused.GetName() == "T1 + PET fused grey"
    assert voxels(fused).dtype == np.float32
    assert close(voxels(fused), expected(FINE.points()))
    assert slicer.util.arrayFromVolume(fused).shape == voxels(pair[0]).shape
    display = fused.GetDisplayNode()
    assert (display.GetWindowLevelMin(), display.GetWindowLevelMax()) == (0, 1)
    assert not display.GetAutoWindowLevel() and display.GetColorNodeID() == "vtkMRMLColorTableNodeGrey"


def test_sources_are_not_touched(scene, pair, fuser):
    parent = add_transform(scene, np.eye(4))
    pair[1].SetAndObserveTransformNodeID(parent.GetID())
    before = [state(node) for node in pair]
    for rgb in (False, True):
        mrml.fuse_nodes(*pair, rgb=rgb, fuser=fuser)
    assert [state(node) for node in pair] == before


@pytest.mark.parametrize("rgb", [False, True])
def test_copies_of_the_sources_are_gone_when_the_output_is_made(scene, rgb, fuser, monkeypatch):
    """So that a fusion of large volumes never holds sources, results and output at once."""
    images = [sitk.Cast(head(scale=1000.0), sitk.sitkInt16), sitk.Cast(head(kind="pet", scale=1000.0), sitk.sitkInt16)]
    nodes = [add_volume(scene, image, name) for image, name in zip(images, ("T1", "PET"))]
    copies, alive = [], []

    class Watched:
        def fuse(self, *sources, **options):
            copies.extend(map(weakref.ref, sources))
            return fuser.fuse(*sources, **options)

    name = "paint" if rgb else "_scalar_image"
    make = getattr(mrml.publishing, name)

    def watched(*arguments):
        alive.extend(copy() is not None for copy in copies)
        return make(*arguments)

    monkeypatch.setattr(mrml.publishing, name, watched)
    mrml.fuse_nodes(*nodes, rgb=rgb, fuser=Watched())
    assert alive == [False, False]


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
        made.append(mrml.paint(made[0], source.table))

    thread = threading.Thread(target=work)
    scene.RemoveNode(pair[1])
    thread.start()
    thread.join()
    scene.AddNode(pair[1])
    node = mrml.publish(source, made[0], scene)
    assert close(voxels(node), expected(FINE.points()))
    assert node.GetAttribute("MMIFAmin.functionalName") == "PET"
    assert node.GetNodeReference("MMIFAmin.functional") is pair[1]
    colored = mrml.publish(source, made[0], scene, painting=made[1])
    assert colored.GetImageData().GetExtent() == pair[0].GetImageData().GetExtent()
    assert np.ptp(voxels(colored).astype(int), axis=-1).max() > 100, "a hot colour table must give colours"


@pytest.mark.parametrize("gone", [0, 1, 2])
def test_a_source_that_leaves_the_scene_meanwhile_is_told_and_nothing_else_changes(scene, pair, fuser, gone):
    nodes = (*pair, add_volume(scene, head(FINE), "CT"))
    output = mrml.fuse_nodes(*pair, fuser=fuser, **UNIT)
    before = []

    def remove(fraction, text):
        if nodes[gone].GetScene() is not None:
            scene.RemoveNode(nodes[gone])
            before.extend((state(output), node_ids(scene)))

    with pytest.raises(InputError, match=f"^'{nodes[gone].GetName()}' is no longer in the scene; nothing was changed"):
        mrml.fuse_nodes(*pair, output, secondNode=nodes[2], fuser=fuser, progress=remove, **UNIT)
    assert [state(output), node_ids(scene)] == before


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
    assert first.GetName() == "T1 + PET fused grey"
    assert abs(voxels(first).max() - 0.5) < 0.05, "the voxels are those of the second fusion"
    display = first.GetDisplayNode()
    window = (display.GetWindowLevelMin(), display.GetWindowLevelMax())
    assert np.allclose(window, (0.2, 0.7)), "the user's own window stays"


def test_reused_output_follows_its_sources_but_keeps_a_name_given_by_hand(scene, pair, fuser):
    fused = mrml.fuse_nodes(*pair, fuser=fuser)
    other = add_volume(scene, head(FINE, "pet"), "FDG")
    assert mrml.fuse_nodes(pair[0], other, fused, fuser=fuser).GetName() == "T1 + FDG fused grey"
    fused.SetName("for the tumour board")
    assert mrml.fuse_nodes(*pair, fused, fuser=fuser).GetName() == "for the tumour board"


def test_two_outputs_of_a_pair_have_names_of_their_own(scene, pair, fuser):
    names = {mrml.fuse_nodes(*pair, rgb=rgb, fuser=fuser).GetName() for rgb in (False, True)}
    assert names == {"T1 + PET fused colour", "T1 + PET fused grey"}


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
        mrml.publish(source, other, scene, output, mrml.paint(other, source.table) if rgb else None)
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


def test_a_panel_is_told_nothing_to_type(scene, pair):
    anatomical, functional = pair
    voxels(functional)[:] = np.arange(voxels(functional).size).reshape(voxels(functional).shape) // 2000 % 3
    with pytest.raises(InputError) as caught:
        mrml.fuse_nodes(anatomical, functional, fuser=maximum_fuser(), kind="uptake")
    message = str(caught.value)
    assert "label map" in message and message.endswith(
        f"insist (anatomical: 'T1', functional: '{functional.GetName()}')"
    )
    again = pickle.loads(pickle.dumps(InputError("Insist.", typed="--insist")))  # from a worker process
    assert (str(again), again.plain) == ("Insist. (--insist)", "Insist.")
