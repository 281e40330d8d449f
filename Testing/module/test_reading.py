"""The section *Read* of the panel on the widget bench, and what it does from the console."""

import numpy as np
import pytest
from PIL import Image

from bench.driving import case, chosen, fused, names
from bench.fixtures import bench  # noqa: F401

slicer = pytest.importorskip("slicer", reason="the widget bench needs slicer-core")
pytestmark = pytest.mark.filterwarnings("error:(already has|does not have) observer")

HOT = (-38.0, 12.0, 20.0)  # RAS of the phantom's hot spot


@pytest.fixture
def panel(bench):  # noqa: F811
    return bench.open()


def crosshair(bench):  # noqa: F811
    return bench.scene.GetFirstNodeByClass("vtkMRMLCrosshairNode")


def view(bench, name="Red"):  # noqa: F811
    return bench.scene.GetNodeByID(f"vtkMRMLSliceNode{name}")


def place_of(bench, name="Red"):  # noqa: F811
    """Where the middle of a slice view is (RAS, mm)."""
    matrix = view(bench, name).GetSliceToRAS()
    return [matrix.GetElement(axis, 3) for axis in range(3)]


def hottest_place(node):
    """The place (RAS, mm) of the hottest voxel of a volume node."""
    import vtk

    k, j, i = np.unravel_index(slicer.util.arrayFromVolume(node).argmax(), node.GetImageData().GetDimensions()[::-1])
    matrix = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    return list(matrix.MultiplyPoint([int(i), int(j), int(k), 1])[:3])


def spots(bench, panel):  # noqa: F811
    chosen(bench, panel)
    panel.ui.spotsButton.click()
    bench.wait(lambda: not panel._job.busy)
    return panel.ui.spotsTable


def mip(bench, panel):  # noqa: F811
    nodes = chosen(bench, panel)
    panel.ui.mipButton.click()
    bench.wait(lambda: not panel._job.busy)
    assert panel.ui.mipButton.checked, panel.ui.statusLabel.text
    return nodes


class TestCursor:
    def test_both_sources_and_the_fused_value_are_told(self, bench, panel):  # noqa: F811
        panel.ui.greyCheckBox.checked = True
        fused(bench, panel)
        grey = panel.ui.greySelector.currentNode()
        crosshair(bench).SetCursorPositionRAS(list(HOT))
        text = panel.ui.cursorLabel.text
        assert text.startswith("R -38.0  A 12.0  S 20.0 mm\nHead MR ")
        i, j, k = (round(v) for v in self.ijk(grey, HOT))
        value = slicer.util.arrayFromVolume(grey)[k, j, i]
        assert f"fused {value:.3g}" in text and "Head PET" in text
        panel.ui.greyCheckBox.checked = False
        panel._parameterNode.fusedGrey = None
        crosshair(bench).SetCursorPositionRAS([-38.0, 12.0, 20.1])
        assert f"fused {value:.2f}"[:9] in panel.ui.cursorLabel.text, "the fused value, not the RGB triplet"

    @staticmethod
    def ijk(node, place):
        import vtk

        matrix = vtk.vtkMatrix4x4()
        node.GetRASToIJKMatrix(matrix)
        return matrix.MultiplyPoint([*place, 1.0])[:3]

    def test_outside_and_without_volumes_nothing_is_told(self, bench, panel):  # noqa: F811
        crosshair(bench).SetCursorPositionRAS([1.0, 2.0, 3.0])
        assert panel.ui.cursorLabel.text == "R 1.0  A 2.0  S 3.0 mm"
        chosen(bench, panel)
        crosshair(bench).SetCursorPositionRAS([500.0, 2.0, 3.0])
        assert "Head" not in panel.ui.cursorLabel.text
        crosshair(bench).SetCursorPositionInvalid()
        assert panel.ui.cursorLabel.text == ""

    def test_nothing_is_observed_after_the_panel_is_gone(self, bench, panel):  # noqa: F811
        mip(bench, panel)
        panel.cleanup()
        assert not panel.Observations
        assert not crosshair(bench).HasObserver(crosshair(bench).CursorPositionModifiedEvent)
        assert not panel._turnTimer.active


class TestMip:
    def test_one_click_there_and_one_back(self, bench, panel):  # noqa: F811
        layout = bench.app.layoutManager().layoutLogic().GetLayoutNode()
        before = layout.GetViewArrangement()
        offered = panel.ui.functionalSelector.nodeCount()
        mip(bench, panel)
        composite = bench.scene.GetNodeByID("vtkMRMLSliceCompositeNodeMMIFAminMIP")
        shown = bench.scene.GetNodeByID(composite.GetBackgroundVolumeID())
        assert shown.GetName() == "Head PET MIP" and shown.GetImageData().GetDimensions()[2] == 36
        assert shown.GetDisplayNode().GetColorNodeID() == "vtkMRMLColorTableNodeInvertedGrey"
        assert panel.ui.functionalSelector.nodeCount() == offered + 2 and panel.ui.mipButton.text.startswith("Back")
        panel.ui.mipButton.click()
        assert layout.GetViewArrangement() == before and not panel.ui.mipButton.checked
        assert names(bench.scene, "vtkMRMLVolumeNode") == ["Head MR", "Head PET"]

    def test_a_click_in_it_jumps_into_the_body(self, bench, panel):  # noqa: F811
        functional = mip(bench, panel)[1]
        stack = next(node for node in slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode") if "MIP" in node.GetName())
        values = slicer.util.arrayFromVolume(stack)
        x, y = self.pixel(bench, stack, np.unravel_index(values[0].argmax(), values[0].shape))
        mouse = bench.app.layoutManager().sliceWidget("MMIFAminMIP").sliceView().interactor()
        mouse.SetEventInformation(x, y)
        mouse.InvokeEvent("LeftButtonPressEvent")
        hottest = hottest_place(functional)
        there = [place_of(bench, name)[axis] for axis, name in enumerate(("Yellow", "Green", "Red"))]
        assert there == pytest.approx(hottest, abs=10), "within a voxel of 9.6 mm"
        assert crosshair(bench).GetCrosshairRAS() == pytest.approx(there)
        assert view(bench, "MMIFAminMIP").GetSliceOffset() == 0, "the MIP itself does not jump"

    @staticmethod
    def pixel(bench, node, index):  # noqa: F811
        import vtk

        matrix, row, column = vtk.vtkMatrix4x4(), *index
        node.GetIJKToRASMatrix(matrix)
        place = matrix.MultiplyPoint([int(column), int(row), 0, 1])
        matrix.DeepCopy(view(bench, "MMIFAminMIP").GetXYToRAS())
        matrix.Invert()
        return [round(value) for value in matrix.MultiplyPoint(place)[:2]]

    def test_the_cursor_in_it_tells_of_the_body(self, bench, panel):  # noqa: F811
        functional = mip(bench, panel)[1]
        stack = next(node for node in slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode") if "MIP" in node.GetName())
        values = slicer.util.arrayFromVolume(stack)
        pixel = self.pixel(bench, stack, np.unravel_index(values[0].argmax(), values[0].shape))
        crosshair(bench).SetCursorPositionXYZ([*pixel, 0.0], view(bench, "MMIFAminMIP"))
        assert f"Head PET {slicer.util.arrayFromVolume(functional).max():.3g}" in panel.ui.cursorLabel.text

    def test_it_turns_while_that_is_chosen(self, bench, panel):  # noqa: F811
        mip(bench, panel)
        panel.ui.turningCheckBox.checked = True
        bench.wait(lambda: view(bench, "MMIFAminMIP").GetSliceOffset() >= 2)
        panel.logic.turnMip(35)
        assert 0 <= view(bench, "MMIFAminMIP").GetSliceOffset() < 36
        panel.ui.mipButton.click()
        assert not panel._turnTimer.active and not panel.ui.turningCheckBox.enabled

    def test_another_layout_or_volume_ends_it(self, bench, panel):  # noqa: F811
        layout = bench.app.layoutManager().layoutLogic().GetLayoutNode()
        functional = mip(bench, panel)[1]
        layout.SetViewArrangement(slicer.vtkMRMLLayoutNode.SlicerLayoutOneUpRedSliceView)
        assert not panel.ui.mipButton.checked
        panel.ui.mipButton.click()
        bench.wait(lambda: not panel._job.busy)
        bench.scene.RemoveNode(functional)
        assert not panel.ui.mipButton.checked and names(bench.scene, "vtkMRMLVolumeNode") == ["Head MR"]
        assert layout.GetViewArrangement() == slicer.vtkMRMLLayoutNode.SlicerLayoutOneUpRedSliceView

    def test_it_comes_back_with_its_scene(self, bench, panel):  # noqa: F811
        mip(bench, panel)
        panel.logic.dropMip()  # as in a scene that was loaded: the parameters say that it is shown, its node was not saved
        bench.exit()
        bench.enter()
        bench.wait(lambda: "Head PET MIP" in names(bench.scene, "vtkMRMLVolumeNode"))
        assert panel.ui.mipButton.checked and not panel._job.busy

    def test_a_film_is_saved(self, bench, panel, tmp_path, monkeypatch):  # noqa: F811
        chosen(bench, panel)
        for name in ("turn.gif", "turn"):
            monkeypatch.setattr(panel, "askFilm", lambda name=name: str(tmp_path / name))
            panel.ui.filmButton.click()
            bench.wait(lambda: not panel._job.busy)
            assert "Film saved" in panel.ui.statusLabel.text
        with Image.open(tmp_path / "turn.gif") as made:
            assert made.n_frames == 36
        assert len(list((tmp_path / "turn").iterdir())) == 36
        monkeypatch.setattr(panel, "askFilm", lambda: str(tmp_path / "turn.mp4"))
        panel.ui.filmButton.click()
        assert "ends in .gif" in panel.ui.statusLabel.text
        monkeypatch.setattr(panel, "askFilm", lambda: "")
        panel.ui.filmButton.click()
        assert not panel._job.busy


class TestSpots:
    def test_they_are_listed_and_a_click_jumps_there(self, bench, panel):  # noqa: F811
        table = spots(bench, panel)
        headings = [table.horizontalHeaderItem(column).text() for column in range(table.columnCount)]
        assert headings == ["Spot", "R", "A", "S", "Maximum", "Peak", "Distance"]
        assert table.rowCount >= 1 and table.visible
        place = [float(table.item(0, column).text()) for column in (1, 2, 3)]
        assert place == pytest.approx(hottest_place(panel.ui.functionalSelector.currentNode()), abs=0.1)
        table.cellClicked(0, 0)
        assert [place_of(bench, name)[axis] for axis, name in enumerate(("Yellow", "Green", "Red"))] == pytest.approx(
            place, abs=0.1
        )
        points = slicer.util.getNodesByClass("vtkMRMLMarkupsFiducialNode")
        assert [node.GetName() for node in points] == ["Head PET hottest spots"]
        assert names(bench.scene, "vtkMRMLTableNode") == ["Head PET hottest spots"]

    def test_found_again_they_replace_the_former(self, bench, panel):  # noqa: F811
        spots(bench, panel)
        panel.ui.spotCountSpinBox.value = 1
        assert panel._parameterNode.spotCount == 1
        panel.ui.spotsButton.click()
        bench.wait(lambda: not panel._job.busy)
        assert panel.ui.spotsTable.rowCount == 1 and len(names(bench.scene, "vtkMRMLTableNode")) == 1
        panel.ui.functionalSelector.setCurrentNode(None)
        assert panel.ui.spotsTable.rowCount == 0 and not panel.ui.spotsButton.enabled
        assert "Choose a functional volume" in panel.ui.spotsButton.toolTip

    def test_a_volume_without_uptake_is_told(self, bench, panel, caplog):  # noqa: F811
        chosen(bench, panel)
        functional = panel.ui.functionalSelector.currentNode()
        slicer.util.updateVolumeFromArray(functional, slicer.util.arrayFromVolume(functional) * 0)
        panel.ui.spotsButton.click()
        bench.wait(lambda: not panel._job.busy)
        assert "'Head PET' has no uptake above 0" in panel.ui.statusLabel.text
        panel.ui.mipButton.click()
        bench.wait(lambda: not panel._job.busy)
        assert "constant" in panel.ui.statusLabel.text and not panel.ui.mipButton.checked


class TestCompare:
    def stencils(self, bench):  # noqa: F811
        logics = bench.app.layoutManager().mrmlSliceLogics()
        every = [logics.GetItemAsObject(index) for index in range(logics.GetNumberOfItems())]
        return {
            logic.GetSliceNode().GetLayoutName(): logic.GetBlend().GetNumberOfInputConnections(1) for logic in every
        }

    def test_the_divider_cuts_every_view_of_the_fused_volume(self, bench, panel):  # noqa: F811
        fused(bench, panel)
        assert not any(self.stencils(bench).values())
        panel.ui.dividerSlider.value = 0.5
        assert all(self.stencils(bench)[name] for name in ("Red", "Yellow", "Green"))
        panel.ui.dividerSlider.value = 0.0
        assert not any(self.stencils(bench).values())

    def test_its_line_is_dragged_by_the_mouse(self, bench, panel):  # noqa: F811
        fused(bench, panel)
        panel.ui.dividerSlider.value = 0.5
        seen = bench.app.layoutManager().sliceWidget("Red").sliceView()
        renderer, mouse = seen.renderWindow().GetRenderers().GetFirstRenderer(), seen.interactor()
        width, heard = view(bench).GetDimensions()[0], []
        mouse.AddObserver("MouseMoveEvent", lambda caller, event: heard.append(event))  # as Slicer's own
        assert renderer.GetViewProps().GetNumberOfItems() == 1

        def move(column, event="MouseMoveEvent"):
            mouse.SetEventInformation(column, 30)
            mouse.InvokeEvent(event)

        move(width // 2 + 30, "LeftButtonPressEvent")  # beside the line
        move(5)
        assert panel.ui.dividerSlider.value == 0.5 and heard == ["MouseMoveEvent"]
        move(width // 2 + 3, "LeftButtonPressEvent")
        move(width * 3 // 4)
        assert panel.ui.dividerSlider.value == pytest.approx(0.75, abs=0.01) and len(heard) == 1, "Slicer hears nothing"
        move(-50)
        assert 0 < panel.ui.dividerSlider.value < 0.1, "not away"
        move(width // 4)
        move(width // 4, "LeftButtonReleaseEvent")
        move(3)
        assert panel.ui.dividerSlider.value == pytest.approx(0.25, abs=0.01) and len(heard) == 2
        panel.ui.dividerSlider.value = 0.0
        assert renderer.GetViewProps().GetNumberOfItems() == 0
        move(width // 4, "LeftButtonPressEvent")
        move(width // 2)
        assert panel.ui.dividerSlider.value == 0.0 and len(heard) == 3
        panel.ui.dividerSlider.value = 0.5
        bench.scene.Clear(0)
        assert renderer.GetViewProps().GetNumberOfItems() == 0

    def test_side_by_side_has_one_crosshair(self, bench, panel):  # noqa: F811
        fused(bench, panel)
        mark = crosshair(bench)
        mark.SetCursorPositionRAS([1.0, 2.0, 3.0])
        assert mark.GetCrosshairMode() == mark.NoCrosshair and mark.GetCrosshairRAS() != (1.0, 2.0, 3.0)
        panel.ui.compareButton.click()
        mark.SetCursorPositionRAS([-38.0, 12.0, 20.0])
        assert mark.GetCrosshairMode() == mark.ShowSmallBasic and mark.GetCrosshairRAS() == (-38.0, 12.0, 20.0)
        panel.ui.compareButton.click()
        assert mark.GetCrosshairMode() == mark.NoCrosshair

    def test_what_is_held_is_shown_and_let_go_of(self, bench, panel):  # noqa: F811
        output = fused(bench, panel)
        panel.ui.opacitySlider.value = 0.75
        composite = bench.scene.GetNodeByID("vtkMRMLSliceCompositeNodeRed")
        for name in ("anatomical", "functional"):
            button = getattr(panel.ui, f"hold{name.title()}Button")
            button.pressed()
            source = getattr(panel._parameterNode, name)
            assert (composite.GetBackgroundVolumeID(), composite.GetForegroundOpacity()) == (source.GetID(), 0.0)
            button.released()
            anatomical = panel._parameterNode.anatomical
            assert composite.GetBackgroundVolumeID() == anatomical.GetID()
            assert composite.GetForegroundVolumeID() == output.GetID() and composite.GetForegroundOpacity() == 0.75
        panel.ui.compareButton.click()
        for button in (panel.ui.holdAnatomicalButton, panel.ui.holdFunctionalButton):
            assert not button.enabled and button.toolTip == "Side by side shows both sources."
        panel.ui.compareButton.click()
        assert (
            panel.ui.holdFunctionalButton.enabled and "While this is pressed" in panel.ui.holdFunctionalButton.toolTip
        )

    def test_planes_follow_an_oblique_volume_and_go_back(self, bench, panel):  # noqa: F811
        anatomical, _functional = chosen(bench, panel)
        turn = np.deg2rad(20)
        anatomical.SetIJKToRASDirections(
            [[-np.cos(turn), np.sin(turn), 0], [-np.sin(turn), -np.cos(turn), 0], [0, 0, 1]]
        )

        def across():
            matrix = view(bench).GetSliceToRAS()
            return [abs(matrix.GetElement(axis, 0)) for axis in range(3)]

        assert across() == pytest.approx([1, 0, 0])
        panel.ui.alongVolumeCheckBox.checked = True
        assert across() == pytest.approx([np.cos(turn), np.sin(turn), 0], abs=1e-6)
        panel._parameterNode.anatomical = case(bench).pair()[0]
        assert across() == pytest.approx([1, 0, 0]), "of the volume that is chosen now"
        panel._parameterNode.anatomical = anatomical
        assert across() == pytest.approx([np.cos(turn), np.sin(turn), 0], abs=1e-6)
        panel.ui.alongVolumeCheckBox.checked = False
        assert across() == pytest.approx([1, 0, 0])

    def test_side_by_side_takes_the_planes_of_the_volume_too(self, bench, panel):  # noqa: F811
        fused(bench, panel)
        anatomical = panel._parameterNode.anatomical
        turn = np.deg2rad(20)
        anatomical.SetIJKToRASDirections(
            [[-np.cos(turn), np.sin(turn), 0], [-np.sin(turn), -np.cos(turn), 0], [0, 0, 1]]
        )
        panel.ui.alongVolumeCheckBox.checked = True
        panel.ui.compareButton.click()
        for name in ("MMIFAminAnatomical", "MMIFAminFunctional", "MMIFAminFused"):
            assert abs(view(bench, name).GetSliceToRAS().GetElement(1, 0)) == pytest.approx(np.sin(turn), abs=1e-6)


class TestRendering:
    def test_the_grey_volume_is_rendered_on_a_click(self, bench, panel):  # noqa: F811
        fused(bench, panel)
        assert not panel.ui.renderButton.enabled and "Tick Grey" in panel.ui.renderButton.toolTip
        panel.ui.greyCheckBox.checked = True
        panel.ui.fuseButton.click()
        bench.wait(lambda: not panel._job.busy)
        panel.ui.renderButton.click()
        grey = panel.ui.greySelector.currentNode()
        display = slicer.modules.volumerendering.logic().GetFirstVolumeRenderingDisplayNode(grey)
        opacity = display.GetVolumePropertyNode().GetScalarOpacity()
        assert display.GetVisibility() and panel.ui.renderButton.text == "Hide the rendering"
        assert opacity.GetValue(0.5) < 0.06 and opacity.GetValue(0.95) > 0.85
        panel.ui.renderButton.click()
        assert not display.GetVisibility() and not panel.ui.renderButton.checked


class TestConsole:
    def test_everything_is_one_call(self, bench, tmp_path):  # noqa: F811
        logic = bench.module.MMIFAminLogic()
        anatomical, functional = case(bench).pair()
        found = logic.hottestSpots(functional, count=2)
        assert found.table.GetNumberOfRows() == found.points.GetNumberOfControlPoints()
        logic.saveFilm(functional, tmp_path / "turn.gif", angles=3, high=5.0)
        with Image.open(tmp_path / "turn.gif") as made:
            assert made.n_frames == 3
        p = logic.getParameterNode()
        p.anatomical, p.functional = anatomical, functional
        logic.showMip(p)
        assert p.mip
        logic.leaveLayout(p)
        assert not p.mip
        from MMIFAminLib.errors import InputError

        with pytest.raises(InputError, match="No functional volume"):
            logic.hottestSpots(None)
        with pytest.raises(InputError, match="tick Grey"):
            logic.render(p)
