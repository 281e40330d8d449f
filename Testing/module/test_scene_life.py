"""The panel and the scene: nothing outlives it, nothing is chosen by itself, what is out of date says so."""

import numpy as np
import pytest

from bench.driving import case, chosen, composites, fused, names, slow
from bench.fixtures import bench  # noqa: F401

slicer = pytest.importorskip("slicer", reason="the widget bench needs slicer-core")


@pytest.fixture
def panel(bench):  # noqa: F811
    return bench.open()


def arrangement(bench):  # noqa: F811
    return bench.app.layoutManager().layoutLogic().GetLayoutNode().GetViewArrangement()


def measure(bench, panel):  # noqa: F811
    panel.ui.measureButton.click()
    bench.wait(lambda: not panel._job.busy)


class TestClosing:
    def test_the_scores_of_a_former_scene_are_not_those_of_this_one(self, bench, panel, tmp_path):
        """Two patients, saved one after the other: their fused volumes have the same node ID."""
        identifiers, paths = [], [str(tmp_path / f"{patient}.mrml") for patient in "AB"]
        for path in paths:
            identifiers.append(fused(bench, panel).GetID())
            bench.scene.SetURL(path)
            bench.scene.Commit(path)
            bench.scene.Clear(0)
        for path in paths[:1]:
            fused(bench, panel)
            bench.scene.Clear(0)
            bench.scene.SetURL(path)
            bench.scene.Connect()
            bench.wait(lambda: panel.ui.colorSelector.currentNode() is not None)
        assert panel.ui.colorSelector.currentNode().GetID() in identifiers
        assert not panel.ui.measureButton.enabled and "fuse again" in panel.ui.measureButton.toolTip

    def test_nothing_of_the_last_fusion_is_held_after_closing(self, bench, panel):
        fused(bench, panel)
        assert panel.logic._last.nodes
        bench.scene.Clear(0)
        assert panel.logic._last == ((), None, None, None)

    def test_nothing_can_be_clicked_while_a_scene_is_being_closed(self, bench, panel):
        chosen(bench, panel)
        clicked = []

        def click(*_):
            for button in (panel.ui.fuseButton, panel.ui.registerButton, panel.ui.swapButton, panel.ui.suvButton):
                clicked.append(button.enabled)
                button.click()
            panel.onFuse()  # as a script may

        bench.scene.AddObserver(bench.scene.EndCloseEvent, lambda *_: clicked.append("closed"))
        panel.addObserver(bench.scene, bench.scene.StartCloseEvent, click)
        bench.scene.Clear(0)
        assert clicked == [False] * 4 + ["closed"] and not panel._job.busy
        case(bench).choose(panel)
        assert panel.ui.fuseButton.enabled

    def test_a_scene_closed_side_by_side_gives_the_former_layout_back(self, bench, panel):
        fused(bench, panel)
        before = arrangement(bench)
        panel.ui.compareButton.click()
        assert arrangement(bench) != before
        bench.scene.Clear(0)
        bench.app.processEvents()
        assert arrangement(bench) == before
        assert not panel.ui.compareButton.checked

    def test_reloading_the_module_and_closing_the_scene_leaves_a_living_panel(self, bench, panel):
        panel.cleanup()
        again = bench.module.MMIFAminWidget(bench.frame)  # as the developers' Reload does: no enter() follows
        bench.record.widgetInstance = again
        again.setup()
        bench.widget = again
        bench.scene.Clear(0)
        case(bench).pair()
        bench.wait(lambda: again.ui.functionalSelector.currentNode() is not None)
        assert again.ui.fuseButton.enabled

    def test_a_scene_loaded_while_the_module_is_hidden_is_there_when_it_is_entered(self, bench, panel, tmp_path):
        output = fused(bench, panel).GetName()
        path = str(tmp_path / "scene.mrml")
        bench.scene.SetURL(path)
        bench.scene.Commit(path)
        bench.exit()
        bench.scene.Clear(0)
        bench.scene.SetURL(path)
        bench.scene.Connect()
        bench.app.processEvents()
        bench.enter()
        assert panel.ui.colorSelector.currentNode().GetName() == output
        assert panel.ui.functionalSelector.currentNode().GetName() == "Head PET"


class TestRemoving:
    @pytest.mark.parametrize("role", ["anatomical", "functional"])
    def test_a_removed_source_becomes_none(self, bench, panel, role):
        selector = getattr(panel.ui, f"{role}Selector")
        panel.ui.greyCheckBox.checked = True
        fused(bench, panel)
        bench.scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "another")
        bench.scene.RemoveNode(selector.currentNode())
        bench.app.processEvents()
        assert selector.currentNode() is None
        assert getattr(panel._parameterNode, role) is None
        assert not panel.ui.fuseButton.enabled and "Ready" not in panel.ui.statusLabel.text

    @pytest.mark.parametrize("role", ["anatomical", "functional"])
    def test_one_that_goes_while_it_is_fused_ends_that_in_a_sentence(self, bench, panel, role):
        nodes = dict(zip(("anatomical", "functional"), chosen(bench, panel)))
        slicer.util.setSliceViewerLayers(background=nodes["anatomical"], foreground=nodes["functional"])
        panel.ui.fuseButton.click()
        bench.scene.RemoveNode(nodes[role])
        bench.wait(lambda: not panel._job.busy)
        told = f"'{nodes[role].GetName()}' is no longer in the scene; nothing was changed."
        assert panel.ui.statusLabel.text.startswith(told)
        assert names(bench.scene, "vtkMRMLVectorVolumeNode") == [] and panel.ui.colorSelector.currentNode() is None
        shown = {id_ for c in composites().values() for id_ in (c.GetBackgroundVolumeID(), c.GetForegroundVolumeID())}
        assert all(bench.scene.GetNodeByID(id_) for id_ in shown - {None, ""}), shown

    def test_own_outputs_are_in_no_list_of_sources(self, bench, panel):
        panel.ui.greyCheckBox.checked = True
        fused(bench, panel)
        for selector in (panel.ui.anatomicalSelector, panel.ui.functionalSelector, panel.ui.secondSelector):
            offered = [selector.nodeFromIndex(index).GetName() for index in range(selector.nodeCount())]
            assert offered == ["Head MR", "Head PET"]
        bench.scene.Clear(0)
        assert not panel.ui.functionalSelector.sortFilterProxyModel().hiddenNodeIDs, "IDs repeat in the next scene"

    def test_without_the_fused_volume_the_anatomical_one_is_shown_alone(self, bench, panel):
        output = fused(bench, panel)
        anatomical = panel.ui.anatomicalSelector.currentNode()
        bench.scene.RemoveNode(output)
        for view in ("Red", "Yellow", "Green"):
            composite = composites()[view]
            assert composite.GetBackgroundVolumeID() == anatomical.GetID()
            assert not composite.GetForegroundVolumeID() and composite.GetForegroundOpacity() == 0.0


class TestOutOfDate:
    def test_what_was_fused_before_a_registration_says_so(self, bench, panel, monkeypatch):
        monkeypatch.setattr(slicer.util, "confirmOkCancelDisplay", lambda *arguments, **options: True)
        _, functional = case(bench).choose(panel)
        functional.SetOrigin(*(a + b for a, b in zip(functional.GetOrigin(), (0.0, 22.0, 0.0))))
        panel.onSourceMoved()
        bench.wait(lambda: "mm off" in panel.ui.alignmentLabel.text)
        case(bench).fuse(panel)
        output = panel.ui.colorSelector.currentNode()
        assert "out of date" not in output.GetName()
        panel.ui.registerButton.click()
        bench.wait(lambda: not panel._job.busy)
        assert output.GetName() == "Head MR + Head PET fused colour (out of date)"
        assert "Out of date: a source was moved since. Fuse again." in panel.ui.statusLabel.text
        bench.wait(lambda: "Aligned" in panel.ui.alignmentLabel.text)
        case(bench).fuse(panel)
        assert panel.ui.colorSelector.currentNode() is output
        assert output.GetName() == "Head MR + Head PET fused colour"
        assert "Out of date" not in panel.ui.statusLabel.text

    def test_undoing_the_change_undoes_the_mark(self, bench, panel):
        output = fused(bench, panel)
        panel.ui.planeComboBox.setCurrentIndex(1)
        assert "slice plane" in panel.ui.statusLabel.text and output.GetName().endswith("(out of date)")
        panel.ui.planeComboBox.setCurrentIndex(0)
        assert "Out of date" not in panel.ui.statusLabel.text and not output.GetName().endswith(")")

    def test_a_custom_window_that_is_the_one_that_was_taken_changes_nothing(self, bench, panel):
        fused(bench, panel)
        panel.ui.functionalWindowComboBox.setCurrentIndex(panel.ui.functionalWindowComboBox.count - 1)
        assert "Out of date" not in panel.ui.statusLabel.text
        panel.ui.functionalHighSpinBox.value = 1.5
        assert "window" in panel.ui.statusLabel.text

    def test_changed_voxels_count_until_it_is_fused_again(self, bench, panel):
        output = fused(bench, panel)
        functional = panel.ui.functionalSelector.currentNode()
        slicer.util.updateVolumeFromArray(functional, slicer.util.arrayFromVolume(functional) * 0.5)
        functional.InvokeCustomModifiedEvent(slicer.vtkMRMLVolumeNode.ImageDataModifiedEvent)
        assert "voxels" in panel.ui.statusLabel.text and output.GetName().endswith("(out of date)")
        case(bench).fuse(panel)
        assert "Out of date" not in panel.ui.statusLabel.text and not output.GetName().endswith(")")

    def test_voxels_changed_from_the_console_count_too(self, bench, panel):
        output = fused(bench, panel)
        functional = panel.ui.functionalSelector.currentNode()
        functional.SetName("Head PET, renamed")
        assert "voxels" not in panel.ui.statusLabel.text
        slicer.util.arrayFromVolume(functional)[:] //= 2
        slicer.util.arrayFromVolumeModified(functional)
        assert "voxels" in panel.ui.statusLabel.text and output.GetName().endswith("(out of date)")

    def test_the_mark_survives_saving_and_loading(self, bench, panel, tmp_path):
        fused(bench, panel)
        panel.ui.functionalSelector.currentNode().SetOrigin(0.0, 0.0, 0.0)
        path = str(tmp_path / "scene.mrml")
        bench.scene.SetURL(path)
        bench.scene.Commit(path)
        bench.scene.Clear(0)
        bench.scene.SetURL(path)
        bench.scene.Connect()
        bench.wait(lambda: panel.ui.colorSelector.currentNode() is not None)
        assert panel.ui.colorSelector.currentNode().GetName().endswith("(out of date)")

    def test_volumes_that_are_known_to_be_apart_are_asked_about_once(self, bench, panel, monkeypatch):
        asked, answer = [], [False]
        monkeypatch.setattr(slicer.util, "confirmOkCancelDisplay", lambda text, title: asked.append(text) or answer[0])
        _, functional = case(bench).choose(panel)
        functional.SetOrigin(*(a + b for a, b in zip(functional.GetOrigin(), (0.0, 25.0, 0.0))))
        panel.onSourceMoved()
        bench.wait(lambda: "mm off" in panel.ui.alignmentLabel.text)
        panel.ui.fuseButton.click()
        assert len(asked) == 1 and "mm off" in asked[0] and not panel._job.busy
        answer[0] = True
        case(bench).fuse(panel)
        assert panel.ui.colorSelector.currentNode() is not None and len(asked) == 2
        case(bench).fuse(panel)
        assert len(asked) == 2


class TestPairs:
    def test_another_pair_and_back_writes_into_the_pair_s_own_output(self, bench, panel):
        first = fused(bench, panel)
        functional = panel.ui.functionalSelector.currentNode()
        other = case(bench).pair()[1]
        panel.ui.functionalSelector.setCurrentNode(other)
        case(bench).fuse(panel)
        assert panel.ui.colorSelector.currentNode() is not first
        panel.ui.functionalSelector.setCurrentNode(functional)
        assert panel.ui.colorSelector.currentNode() is first
        case(bench).fuse(panel)
        assert panel.ui.colorSelector.currentNode() is first
        assert len(names(bench.scene, "vtkMRMLVectorVolumeNode")) == 2

    def test_the_outputs_say_which_is_which(self, bench, panel):
        panel.ui.greyCheckBox.checked = True
        fused(bench, panel)
        assert panel.ui.colorSelector.currentNode().GetName().endswith("fused colour")
        assert panel.ui.greySelector.currentNode().GetName().endswith("fused grey")

    def test_after_one_is_chosen_by_hand_the_only_other_one_is_too(self, bench, panel):
        nodes = case(bench).pair()
        for index, node in enumerate(nodes):
            node.SetName(f"volume {index}")
            node.GetDisplayNode().SetAndObserveColorNodeID("vtkMRMLColorTableNodeGrey")
        bench.wait(lambda: not panel._preselectTimer.active)  # which the new nodes had started
        panel.ui.anatomicalSelector.setCurrentNode(nodes[1])
        bench.wait(lambda: panel.ui.functionalSelector.currentNode() is nodes[0], 30)

    def test_the_two_can_change_places(self, bench, panel):
        anatomical, functional = chosen(bench, panel)
        panel.ui.swapButton.click()
        assert panel.ui.anatomicalSelector.currentNode() is functional
        assert panel.ui.functionalSelector.currentNode() is anatomical

    def test_a_second_anatomical_volume_gets_greys(self, bench, panel):
        nodes = case(bench).pair()
        nodes[1].SetName("head CT")
        nodes[1].GetDisplayNode().SetAndObserveColorNodeID("vtkMRMLColorTableNodeGrey")
        panel.ui.anatomicalSelector.setCurrentNode(nodes[0])
        panel.ui.functionalSelector.setCurrentNode(nodes[1])
        assert panel._parameterNode.colorTable.GetID() == "vtkMRMLColorTableNodeGrey"


class TestViews:
    def test_the_first_comparison_shows_the_whole_head(self, bench, panel):
        fused(bench, panel)
        panel.ui.compareButton.click()
        bench.app.processEvents()
        bounds = [0.0] * 6
        panel.ui.anatomicalSelector.currentNode().GetRASBounds(bounds)
        for tag in ("MMIFAminAnatomical", "MMIFAminFunctional", "MMIFAminFused"):
            width, height, _ = bench.scene.GetNodeByID(f"vtkMRMLSliceNode{tag}").GetFieldOfView()
            assert width >= bounds[1] - bounds[0] and height >= bounds[3] - bounds[2]

    def test_side_by_side_shows_a_grey_pet_in_the_colours_of_its_fusion(self, bench, panel):
        nodes = case(bench).pair()
        grey = "vtkMRMLColorTableNodeGrey"
        nodes[1].GetDisplayNode().SetAndObserveColorNodeID(grey)
        panel.ui.anatomicalSelector.setCurrentNode(nodes[0])
        panel.ui.functionalSelector.setCurrentNode(nodes[1])
        case(bench).fuse(panel)
        panel.ui.compareButton.click()
        assert nodes[1].GetDisplayNode().GetColorNode() is panel.ui.colorTableSelector.currentNode()
        panel.ui.compareButton.click()
        assert nodes[1].GetDisplayNode().GetColorNodeID() == grey


class TestWords:
    def test_a_job_begins_with_its_own_words(self, bench, panel):
        fused(bench, panel)
        panel._showProgress(1.0, "Colouring, about 0 s left")
        slow()
        panel.ui.fuseButton.click()
        assert panel.ui.progressBar.format == "Preparing" and panel.ui.progressBar.value == 0
        assert "slices/s" not in panel.ui.statusLabel.text
        panel.ui.fuseButton.click()
        assert panel.ui.progressBar.format == "Stopping..."
        bench.wait(lambda: not panel._job.busy)
        assert panel.ui.statusLabel.text == "Cancelled; nothing was changed."

    def test_chosen_volumes_are_being_checked(self, bench, panel):
        case(bench).choose(panel)
        assert panel.ui.alignmentLabel.text == "Checking..."
        panel.ui.functionalSelector.setCurrentNode(None)
        assert panel.ui.alignmentLabel.text == "Checked when both are chosen"

    def test_what_the_user_can_mend_is_no_error_of_the_application(self, bench, panel, caplog):
        from MMIFAminLib.errors import InputError

        chosen(bench, panel)
        slow(error=InputError("The functional volume 'Head PET' is empty; load it again."))
        panel.ui.fuseButton.click()
        bench.wait(lambda: not panel._job.busy)
        assert {record.levelname for record in caplog.records} == {"WARNING"}
        assert "Traceback" not in caplog.text

    def test_what_cannot_be_fused_says_so_before_the_click(self, bench, panel):
        anatomical, functional = chosen(bench, panel)
        colored = slicer.util.addVolumeFromArray(
            np.zeros((4, 4, 4, 3), np.uint8), name="picture", nodeClassName="vtkMRMLVectorVolumeNode"
        )
        grid = bench.scene.AddNewNodeByClass("vtkMRMLBSplineTransformNode", "warp")
        functional.SetAndObserveTransformNodeID(grid.GetID())
        panel.updateGUI()
        assert not panel.ui.fuseButton.enabled and "non-linear" in panel.ui.statusLabel.text
        assert panel.ui.alignmentLabel.text == panel.ui.takenLabel.text == "Not known"
        functional.SetAndObserveTransformNodeID(None)
        panel.updateGUI()
        assert panel.ui.fuseButton.enabled and "Ready." in panel.ui.statusLabel.text
        panel._parameterNode.anatomical = colored
        reason = "The anatomical volume 'picture' is a colour volume; choose a scalar one"
        assert not panel.ui.fuseButton.enabled and reason in panel.ui.statusLabel.text
        panel._parameterNode.anatomical = bench.scene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "organs")
        assert not panel.ui.fuseButton.enabled and "label map" in panel.ui.statusLabel.text

    def test_what_the_voxels_and_the_place_forbid_is_said_before_the_click_too(self, bench, panel, monkeypatch):
        monkeypatch.setattr(
            slicer.util, "confirmOkCancelDisplay", lambda *_, **__: pytest.fail("asked, to refuse then")
        )
        _anatomical, functional = chosen(bench, panel)
        values = slicer.util.arrayFromVolume(functional).copy()
        slicer.util.updateVolumeFromArray(functional, np.full_like(values, 3))
        bench.wait(lambda: not panel.ui.fuseButton.enabled)
        assert "is constant" in panel.ui.statusLabel.text and "functional: 'Head PET'" in panel.ui.fuseButton.toolTip
        slicer.util.updateVolumeFromArray(functional, values)
        bench.wait(lambda: "Functional: uptake" in panel.ui.takenLabel.text)
        assert panel.ui.fuseButton.enabled and panel.ui.statusLabel.text == "Ready."
        place = functional.GetOrigin()
        functional.SetOrigin(5000.0, 0.0, 0.0)
        bench.wait(lambda: not panel.ui.fuseButton.enabled)
        assert "do not overlap" in panel.ui.statusLabel.text and panel.ui.registerButton.enabled
        functional.SetOrigin(*place)
        bench.wait(lambda: "Functional: uptake" in panel.ui.takenLabel.text)
        assert panel.ui.fuseButton.enabled

    def test_what_this_computer_lacks_cannot_be_chosen_and_says_why(self, bench, panel):
        from MMIFAminLib.module import state

        chosen(bench, panel)
        panel.updateGUI()
        model, choices = panel.ui.precisionComboBox.model(), list(state.Precision)
        item = model.item(choices.index(state.Precision.FP16))
        if state.Device.CUDA not in panel.logic.unusable():
            pytest.skip("this computer has a GPU")
        assert not item.isEnabled() and "GPU" in item.toolTip()
        assert model.item(choices.index(state.Precision.FP32)).isEnabled()
        panel.ui.deviceComboBox.setCurrentIndex(list(state.Device).index(state.Device.CUDA))
        assert not panel.ui.fuseButton.enabled and "there is none here" in panel.ui.statusLabel.text

    def test_a_single_slice_is_not_called_apart(self, bench, panel):
        anatomical, functional = case(bench).pair()
        values = slicer.util.arrayFromVolume(functional)
        slicer.util.updateVolumeFromArray(functional, values[2:3].copy())
        origin = functional.GetOrigin()
        functional.SetOrigin(origin[0], origin[1], origin[2] + 2 * functional.GetSpacing()[2])
        panel.ui.anatomicalSelector.setCurrentNode(anatomical)
        panel.ui.functionalSelector.setCurrentNode(functional)
        bench.wait(lambda: panel.ui.alignmentLabel.text not in ("Checking...", "Checked when both are chosen"))
        assert "Not known: 'Head PET' is one slice" in panel.ui.alignmentLabel.text
        case(bench).fuse(panel)
        assert panel.ui.colorSelector.currentNode() is not None, panel.ui.statusLabel.text
