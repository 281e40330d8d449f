"""What is read follows the volume that it is read from: another one, one that was moved or changed, one that is gone."""

import numpy as np
import pytest
from PIL import Image

from bench.driving import case, chosen, fused, names
from bench.fixtures import bench  # noqa: F401

slicer = pytest.importorskip("slicer", reason="the widget bench needs slicer-core")
pytestmark = pytest.mark.filterwarnings("error:(already has|does not have) observer")


@pytest.fixture
def panel(bench):  # noqa: F811
    return bench.open()


def shown(bench, panel):  # noqa: F811
    """The pair, the MIP of its functional volume in view."""
    nodes = chosen(bench, panel)
    panel.ui.mipButton.click()
    bench.wait(lambda: not panel._job.busy)
    return nodes


def renewed(bench, panel, before):  # noqa: F811
    bench.wait(lambda: not any(panel.logic._mip is mip for mip in (None, before)) and not panel._job.busy)


def mips(bench):  # noqa: F811
    return [name for name in names(bench.scene, "vtkMRMLVolumeNode") if name.endswith("MIP")]


def raise_by(bench, node, mm):  # noqa: F811
    import vtk

    transform, matrix = bench.scene.AddNewNodeByClass("vtkMRMLLinearTransformNode"), vtk.vtkMatrix4x4()
    matrix.SetElement(2, 3, mm)
    transform.SetMatrixTransformToParent(matrix)
    node.SetAndObserveTransformNodeID(transform.GetID())


class TestMip:
    def test_a_volume_that_is_moved_is_seen_where_it_is_now(self, bench, panel):  # noqa: F811
        functional = shown(bench, panel)[1]
        before = panel.logic._mip
        raise_by(bench, functional, 50.0)
        assert panel.logic.mipNeeds(panel._parameterNode) == "renewal"
        renewed(bench, panel, before)
        assert panel.logic._mip.projections[0].top == pytest.approx(before.projections[0].top + 50.0)
        assert panel.ui.mipButton.checked and mips(bench) == ["Head PET MIP"]

    def test_new_voxels_are_seen(self, bench, panel):  # noqa: F811
        functional = shown(bench, panel)[1]
        before = panel.logic._mip
        slicer.util.updateVolumeFromArray(functional, slicer.util.arrayFromVolume(functional) * 2)
        renewed(bench, panel, before)
        assert panel.logic._mip.projections[0].values.max() == 2 * before.projections[0].values.max()

    def test_another_volume_is_shown_and_none_ends_it(self, bench, panel):  # noqa: F811
        shown(bench, panel)
        other = case(bench).pair()[1]
        other.SetName("Other PET")
        panel.ui.functionalSelector.setCurrentNode(other)
        bench.wait(lambda: "Other PET MIP" in mips(bench) and not panel._job.busy)
        bench.wait(lambda: not panel._preselectTimer.active, 30)  # a new node has the panel choose what is not chosen
        panel.ui.functionalSelector.setCurrentNode(None)
        bench.wait(lambda: not panel.ui.mipButton.checked, 30)
        assert mips(bench) == [] and not panel._turnTimer.active

    def test_a_volume_without_one_ends_it_and_says_why(self, bench, panel):  # noqa: F811
        functional = shown(bench, panel)[1]
        slicer.util.updateVolumeFromArray(functional, slicer.util.arrayFromVolume(functional) * 0)
        bench.wait(lambda: not panel.ui.mipButton.checked)
        assert "constant" in panel.ui.statusLabel.text and mips(bench) == []

    def test_who_leaves_while_it_is_renewed_is_not_taken_back(self, bench, panel):  # noqa: F811
        functional = shown(bench, panel)[1]
        raise_by(bench, functional, 50.0)
        bench.wait(lambda: panel._job.busy)
        panel.ui.mipButton.click()
        bench.wait(lambda: not panel._job.busy)
        assert not panel.ui.mipButton.checked and mips(bench) == []

    def test_side_by_side_lets_go_of_it(self, bench, panel):  # noqa: F811
        fused(bench, panel)
        panel.ui.mipButton.click()
        bench.wait(lambda: not panel._job.busy)
        panel.ui.compareButton.click()
        assert panel.ui.compareButton.checked and not panel.ui.mipButton.checked and mips(bench) == []

    def test_a_film_of_it_is_seen_as_it_is(self, bench, panel, tmp_path, monkeypatch):  # noqa: F811
        shown(bench, panel)
        node = next(n for n in slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode") if n.GetName().endswith("MIP"))
        seen = []
        for high in (5.0, 50.0):  # as the mouse sets it in the view
            node.GetDisplayNode().SetWindowLevelMinMax(0.0, high)
            monkeypatch.setattr(panel, "askFilm", lambda high=high: str(tmp_path / f"to{high:.0f}"))
            panel.ui.filmButton.click()
            bench.wait(lambda: not panel._job.busy)
            with Image.open(tmp_path / f"to{high:.0f}" / "000.png") as frame:
                seen.append(np.asarray(frame.convert("L")).astype(float)[:500].mean())
        assert seen[0] < seen[1] - 5, "paler where black is higher"


class TestSpots:
    def test_they_say_that_they_are_out_of_date(self, bench, panel):  # noqa: F811
        functional, button = chosen(bench, panel)[1], panel.ui.spotsButton

        def find():
            button.click()
            bench.wait(lambda: not panel._job.busy)
            return button.text

        assert find() == "Find"
        raise_by(bench, functional, 50.0)
        assert "out of date" in button.text
        functional.SetAndObserveTransformNodeID(None)
        assert button.text == "Find"
        slicer.util.updateVolumeFromArray(functional, slicer.util.arrayFromVolume(functional) * 2)
        assert "out of date" in button.text and find() == "Find"

    def test_looking_for_them_can_be_cancelled(self, bench, panel):  # noqa: F811
        from MMIFAminLib.errors import FusionCancelled

        functional, told = chosen(bench, panel)[1], []
        work, _finish = panel.logic.spots(functional, 3)

        def cancel(fraction, text):
            told.append((fraction, text))
            return not text.startswith("Spot")

        with pytest.raises(FusionCancelled):
            work(cancel)
        assert told == [(0.0, "Looking for spots"), (0.0, "Spot 1 of 3")]

    def test_a_table_that_is_gone_is_not_listed(self, bench, panel):  # noqa: F811
        chosen(bench, panel)
        panel.ui.spotsButton.click()
        bench.wait(lambda: not panel._job.busy)
        bench.scene.RemoveNode(bench.scene.GetFirstNodeByClass("vtkMRMLTableNode"))
        panel.updateGUI()
        assert panel.ui.spotsTable.rowCount == 0


def test_a_closed_scene_has_no_values_under_the_cursor(bench, panel):  # noqa: F811
    chosen(bench, panel)
    bench.scene.GetFirstNodeByClass("vtkMRMLCrosshairNode").SetCursorPositionRAS([0.0, 0.0, 0.0])
    assert "Head PET" in panel.ui.cursorLabel.text
    bench.scene.Clear(0)
    assert panel.ui.cursorLabel.text == ""


class TestRendering:
    def test_the_button_tells_of_the_volume_that_is_chosen(self, bench, panel):  # noqa: F811
        panel.ui.greyCheckBox.checked = True
        fused(bench, panel)
        panel.ui.renderButton.click()
        assert panel.ui.renderButton.checked
        bench.scene.RemoveNode(panel.ui.greySelector.currentNode())
        assert not panel.ui.renderButton.checked and not panel._parameterNode.rendered
        case(bench).fuse(panel)
        assert panel.ui.renderButton.text == "In three dimensions"
        panel.ui.renderButton.click()
        display = slicer.modules.volumerendering.logic().GetFirstVolumeRenderingDisplayNode(
            panel.ui.greySelector.currentNode()
        )
        assert display.GetVisibility() and panel.ui.renderButton.checked

    def test_the_preset_stays_as_it_is_when_a_rendering_is_edited(self, bench, panel):  # noqa: F811
        panel.ui.greyCheckBox.checked = True
        fused(bench, panel)
        panel.ui.renderButton.click()
        preset = bench.scene.GetFirstNodeByName("MMIFAmin fused")
        display = slicer.modules.volumerendering.logic().GetFirstVolumeRenderingDisplayNode(
            panel.ui.greySelector.currentNode()
        )
        used = display.GetVolumePropertyNode()
        assert used is not preset and used.GetName() != preset.GetName()
        before = preset.GetScalarOpacity().GetValue(0.5)
        used.GetScalarOpacity().AddPoint(0.5, 0.9)
        assert preset.GetScalarOpacity().GetValue(0.5) == before


def test_voxels_wider_than_the_distance_between_spots_have_neighbours():
    import SimpleITK as sitk

    from MMIFAminLib.volume.hottest import hottest_spots

    far = np.linalg.norm(np.indices((9, 9, 9)) - 4, axis=0)
    image = sitk.GetImageFromArray(np.exp(-far).astype(np.float32))
    image.SetSpacing((12.0, 12.0, 12.0))
    assert len(hottest_spots(image)) == 1, "the flank of a spot is none"
