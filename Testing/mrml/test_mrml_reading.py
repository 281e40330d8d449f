"""Values at a place, the MIP's view, the divider, spots and the rendering preset, on real nodes and slice logics."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from support.phantoms import BALLS, Grid, head, rotation

slicer = pytest.importorskip("slicer", reason="needs the slicer-core package")
import vtk

from MMIFAminLib.mrml import mip as mips
from MMIFAminLib.mrml import places, swipe
from MMIFAminLib.mrml.nodes import node_to_image
from MMIFAminLib.mrml.rendering import rendering_preset
from MMIFAminLib.volume.hottest import Spot
from MMIFAminLib.volume.intensity import Window
from support.scenes import OBLIQUE, Application, add_transform, add_volume, node_ids

HOT = BALLS["right posterior inferior"]


@pytest.fixture
def application():
    application = Application(160, 200)
    crosshair = slicer.vtkMRMLCrosshairNode()
    application.scene.AddNode(crosshair)
    yield application
    application.close()


@pytest.fixture
def pet(application):
    return add_volume(application.scene, head(OBLIQUE, "pet", 2.0), "PET")


def ras(lps):
    return -lps[0], -lps[1], lps[2]


class TestValues:
    def test_the_voxel_that_holds_the_place_under_any_transform(self, application, pet):
        place = ras(HOT[0])
        image = node_to_image(pet)
        there = image[image.TransformPhysicalPointToIndex(HOT[0])]
        assert there > 1.8 and places.value_at(pet, place) == pytest.approx(there)
        turned = np.eye(4)
        turned[:3, :3], turned[:3, 3] = rotation((10, 20, -5)), (12, -7, 30)
        pet.SetAndObserveTransformNodeID(add_transform(application.scene, turned).GetID())
        moved = (turned @ [*place, 1.0])[:3]
        assert places.value_at(pet, moved) == pytest.approx(there)
        assert places.value_at(pet, place) != pytest.approx(there)

    def test_a_non_linear_transform_counts_too(self, application, pet):
        warp = vtk.vtkThinPlateSplineTransform()
        warp.SetBasisToR()
        corners = [(x, y, z) for x in (-99, 99) for y in (-99, 99) for z in (-99, 99)]
        source, target = vtk.vtkPoints(), vtk.vtkPoints()
        for corner in corners:
            source.InsertNextPoint(corner)
            target.InsertNextPoint(corner[0] + 30, corner[1], corner[2])
        warp.SetSourceLandmarks(source)
        warp.SetTargetLandmarks(target)
        node = application.scene.AddNewNodeByClass("vtkMRMLTransformNode", "warp")
        node.SetAndObserveTransformToParent(warp)
        there = places.value_at(pet, ras(HOT[0]))
        pet.SetAndObserveTransformNodeID(node.GetID())
        x, y, z = ras(HOT[0])
        assert places.value_at(pet, (x + 30, y, z)) == pytest.approx(there, rel=1e-3)

    def test_outside_or_without_voxels_there_is_none(self, application, pet):
        assert places.value_at(pet, (900, 0, 0)) is None and places.value_at(None, (0, 0, 0)) is None
        empty = application.scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "empty")
        assert places.value_at(empty, (0, 0, 0)) is None

    def test_a_fused_volume_in_colours_tells_its_fused_value(self, application, pet, tmp_path):
        from MMIFAminLib import mrml
        from support.scenes import maximum_fuser

        anatomical = add_volume(application.scene, head(Grid()), "T1")
        source = mrml.snapshot(anatomical, pet)
        made = mrml.fuse_snapshot(source, maximum_fuser(), anatomical_window=(0, 1), functional_window=(0, 2))
        grey = mrml.publish(source, made, application.scene)
        color = mrml.publish(source, made, application.scene, painting=mrml.paint(made, source.table or inferno()))
        for lps in ((0, 0, 0), HOT[0], (30, -35, 25)):
            wanted = places.value_at(grey, ras(lps))
            assert 0.1 < wanted <= 1 and places.value_at(color, ras(lps)) == pytest.approx(wanted, abs=1e-4)
        points = color.GetImageData().GetPointData()
        for name in ("MMIFAmin.fused", "MMIFAmin.uptake"):
            points.RemoveArray(name)  # as after a reload: the file keeps the colours alone
        for lps in ((0, 0, 0), (30, -35, 25)):
            assert places.value_at(color, ras(lps)) == pytest.approx(places.value_at(grey, ras(lps)), abs=0.04)
        pet.SetOrigin(0.0, 0.0, 0.0)
        assert places.value_at(color, ras((0, 0, 0))) is None, "the uptake is no longer what was fused"


def inferno():
    from MMIFAminLib.display.color import ColorTable

    return ColorTable.named("inferno")


def test_a_jump_takes_all_views_but_one_and_the_crosshair(application):
    places.jump(application.scene, (10.0, 20.0, 30.0), except_view="Green")
    views = [
        application.scene.GetNodeByID(f"vtkMRMLSliceNode{tag}").GetSliceToRAS() for tag in ("Yellow", "Green", "Red")
    ]
    assert [view.GetElement(axis, 3) for axis, view in enumerate(views)] == [10.0, 0.0, 30.0]
    assert application.scene.GetFirstNodeByClass("vtkMRMLCrosshairNode").GetCrosshairRAS() == (10.0, 20.0, 30.0)


def test_spots_become_a_table_and_points_that_are_used_again(application, pet):
    found = [Spot((1.0, 2.0, 3.0), 9.87654, 8.5, 0.0), Spot((-4.0, 5.5, 6.0), 3.0, 2.5, 7.34)]
    nodes = places.publish_spots(pet, found, "SUV")
    table = nodes.table.GetTable()
    titles = [table.GetColumnName(index) for index in range(table.GetNumberOfColumns())]
    assert titles == ["Spot", "R (mm)", "A (mm)", "S (mm)", "SUVmax", "SUVpeak (1 ml)", "Distance (mm)"]
    assert [table.GetColumnByName(title).GetValue(1) for title in titles] == ["2", -4.0, 5.5, 6.0, 3.0, 2.5, 7.3]
    place = [0.0, 0.0, 0.0]
    nodes.points.GetNthControlPointPositionWorld(1, place)
    assert place == [-4.0, 5.5, 6.0]
    assert nodes.points.GetNthControlPointLabel(0) == "1: 9.88" and nodes.points.GetLocked()
    places.publish_spots(pet, [Spot((1.0, 2.0, 3.0), 43210.0, 4e4, 0.0)], "Bq/ml")
    assert nodes.points.GetNthControlPointLabel(0) == "1: 43200"
    places.publish_spots(pet, found, "SUV")
    before = node_ids(application.scene)
    assert places.publish_spots(pet, found[:1]) == nodes and node_ids(application.scene) == before
    assert nodes.table.GetNumberOfRows() == nodes.points.GetNumberOfControlPoints() == 1
    assert nodes.table.GetTable().GetColumnName(4) == "Maximum", "no SUV where the unit is not SUV"


class TestMip:
    @pytest.fixture
    def shown(self, application, pet):
        made = mips.turn(node_to_image(pet), Window(0, 2))
        node = mips.publish_mip(pet, made)
        assert mips.show_mip(application.layout, node) != mips.LAYOUT_ID
        application.add_views(mips.VIEW)
        mips.show_mip(application.layout, node)
        mips.fit_mip(application.logic, node)
        return made, node

    def darkest(self, application):
        picture = application.picture(mips.VIEW).astype(int)[..., 0]
        row, column = (int(index.mean()) for index in np.nonzero(picture <= picture.min() + 2))
        view = application.scene.GetNodeByID(f"vtkMRMLSliceNode{mips.VIEW}")
        return view.GetXYToRAS().MultiplyPoint((column, application.size[1] - 1 - row, 0, 1))[:3], column, picture

    def test_the_view_is_inverted_turns_and_leads_into_the_body(self, application, shown):
        made, node = shown
        place, column, picture = self.darkest(application)
        assert picture[2, 2] > 250 and picture.min() < 10
        assert column < application.size[0] / 2, "the patient's right is at the left"
        for turned in (0, 9, 18):
            place, column, _ = self.darkest(application)
            assert np.linalg.norm(np.subtract(made.body_place(place), ras(HOT[0]))) < HOT[1], turned
            mips.turn_view(application.scene, 9)
        assert column > application.size[0] / 2, "from behind the right is at the right"
        assert made.body_place((0.0, 0.0, 0.0)) is None
        mips.turn_view(application.scene, 9)
        assert application.scene.GetNodeByID(f"vtkMRMLSliceNode{mips.VIEW}").GetSliceOffset() == 0.0

    def test_letters_below_tell_the_sides_of_each_view(self, application, shown):
        made, node = shown
        rows, columns = made.projections[0].values.shape
        below = slicer.util.arrayFromVolume(node)[:, rows:]

        def letter(view, half):
            part = np.array_split(below[view], 2, axis=1)[half] > 1.0  # half of the window's upper end
            return part[:, part.any(axis=0)].tolist()

        right, left, front, back = letter(0, 0), letter(0, 1), letter(9, 0), letter(9, 1)
        assert len({str(one) for one in (right, left, front, back)}) == 4 and all(
            len(one[0]) > 2 for one in (right, left)
        )
        assert (letter(18, 0), letter(18, 1)) == (left, right), "seen from behind"
        assert (letter(27, 0), letter(27, 1)) == (back, front), "seen from the right"
        across, down = made.projections[0].spacing[1], made.projections[0].spacing[0]
        beside = (mips._FAR - across * (2 - columns // 2), 0.0, made.projections[0].top - down * (rows + 4))
        assert made.body_place(beside) is None, "no place of the body"

    def test_heights_are_those_of_the_body(self, application, shown):
        place, *_ = self.darkest(application)
        assert place[2] == pytest.approx(HOT[0][2], abs=4)

    def test_it_is_hidden_not_saved_and_used_again(self, application, pet, shown):
        made, node = shown
        assert node.GetHideFromEditors() and not node.GetSaveWithScene()
        assert mips.publish_mip(pet, made) is node and mips.mip_nodes(application.scene) == [node]
        other = add_volume(application.scene, head(Grid()), "innocent")
        pet.SetNodeReferenceID("MMIFAmin.mip", other.GetID())  # as after a reload, when the ID is another's
        assert mips.publish_mip(pet, made) is not other and other.GetName() == "innocent"


def test_the_divider_shows_the_source_left_and_the_fused_volume_right(application):
    scene, shape = application.scene, Grid().size[::-1]
    dark = add_volume(scene, Grid().image(np.full(shape, 0.2, np.float32)), "dark")
    light = add_volume(scene, Grid().image(np.full(shape, 0.9, np.float32)), "light")
    for node in (dark, light):
        node.GetDisplayNode().AutoWindowLevelOff()
        node.GetDisplayNode().SetWindowLevelMinMax(0, 1)
    for tag in ("Red", "Green"):
        logic = application.slices[tag]
        logic.GetSliceCompositeNode().SetBackgroundVolumeID(dark.GetID())
        logic.GetSliceCompositeNode().SetForegroundVolumeID(light.GetID())
        logic.GetSliceCompositeNode().SetForegroundOpacity(1.0)
        logic.FitSliceToVolume(dark, *application.size)
    oblique = scene.GetNodeByID("vtkMRMLSliceNodeGreen")
    oblique.SetSliceToRASByNTP(0.3, 0.9, 0.3, 1.0, 0.1, -0.2, 0.0, 0.0, 0.0, 0)
    swipe.divide(application.logic, light, 0.5)
    for tag in ("Red", "Green"):
        line = application.picture(tag)[100, :, 0].astype(int)
        inside = np.flatnonzero(line)
        assert set(line[inside[inside < 80]]) == {51} and set(line[inside[inside >= 80]]) == {229}, tag
    swipe.divide(application.logic, light, 0.25)
    assert application.picture("Red")[100, 50, 0] == 229
    swipe.divide(application.logic, None, 0.25)
    assert set(application.picture("Red")[100, :, 0]) == {229}, "nothing is cut any more"


def test_the_preset_shows_anatomy_through_and_uptake_lit(application):
    slicer.vtkSlicerVolumeRenderingLogic().SetMRMLScene(application.scene)  # tells the scene of the class
    preset = rendering_preset(application.scene)
    assert rendering_preset(application.scene) is preset
    opacity, color = preset.GetScalarOpacity(), preset.GetColor()
    assert opacity.GetValue(0.05) == 0, "air"
    assert 0 < opacity.GetValue(0.3) <= opacity.GetValue(0.6) <= 0.06
    even = preset.GetGradientOpacity().GetValue(0.0)
    assert (1 - even * opacity.GetValue(0.6)) ** 60 > 0.5, "a lesion is seen through 60 mm of the brightest anatomy"
    assert opacity.GetValue(0.64) < 0.025 and opacity.GetValue(0.73) > 0.75, "bone with little uptake; a small lesion"
    assert opacity.GetValue(0.9) >= 0.9
    assert np.ptp(color.GetColor(0.4)) == pytest.approx(0, abs=1e-6), "anatomy is grey"
    red, green, blue = color.GetColor(0.75)
    assert red > green > blue, "uptake is lit"


def test_uptake_all_over_is_a_veil_before_what_is_hotter(application):
    slicer.vtkSlicerVolumeRenderingLogic().SetMRMLScene(application.scene)

    def opacity(values, at):
        return rendering_preset(application.scene, np.array(values)).GetScalarOpacity().GetValue(at)

    plain = [0.3] * 900
    brain, lesion, bladder = [0.7] * 600, [0.85] * 5, [0.97] * 300
    assert opacity(plain + brain + lesion, 0.7) < 0.04 and opacity(plain + brain + lesion, 0.85) > 0.75
    assert opacity(plain + lesion + bladder, 0.73) > 0.75, "a bladder dims no lesion"
    assert opacity([0.75] * 900, 0.85) > 0.75 and opacity([0.0] * 9, 0.73) > 0.75


def test_rendered_by_slicer_lesion_bone_and_body_stand_out():
    """Through Slicer's own displayable manager on its own blue background, in a process that a lack of OpenGL may end."""
    ran = subprocess.run(
        [sys.executable, "-m", "support.three_d"],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    if ran.returncode:
        pytest.skip("there is no OpenGL to render with")
    shown = {name: np.array(color) for name, color in json.loads(ran.stdout.splitlines()[-1]).items()}
    red, green, blue = shown["lesion"]
    assert red > 200 and red > green + 60 > blue + 120, "lit, behind 60 mm of the body"
    assert shown["spine"].mean() > shown["body"].mean() + 8, "bone lighter than the body around it"
    assert shown["body"].mean() < shown["beside"].mean() - 10, "and the body darker than what is behind it"
    assert shown["body"][2] > shown["body"][0] + 20, "which is seen through it"
