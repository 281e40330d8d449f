"""The panel on the widget bench: the real `.ui` file, widget class, engine and MRML scene, with a small pair."""

import threading
import unittest

import numpy as np
import pytest
import SimpleITK as sitk
from PIL import Image

from bench.driving import case, chosen, composites, fused, names, slow
from bench.fixtures import bench  # noqa: F401

slicer = pytest.importorskip("slicer", reason="the widget bench needs slicer-core")
pytestmark = pytest.mark.filterwarnings("error:(already has|does not have) observer")

PET_HEAT = "vtkMRMLPETProceduralColorNodePET-Heat"


def cases():
    from MMIFAminLib.module import selftest

    return sorted(name for name in dir(selftest.SelfTestCases) if name.startswith("test_"))


@pytest.fixture
def panel(bench):  # noqa: F811
    return bench.open()


@pytest.mark.parametrize("name", cases())
def test_the_self_test_passes(bench, name, monkeypatch):  # noqa: F811
    monkeypatch.setattr(slicer.util, "loadVolume", bench.load_volume)  # which slicer-core lacks the application for
    bench.open()
    result = unittest.TestResult()
    bench.module.MMIFAminTest(name).run(result)
    assert not result.errors + result.failures, (result.errors + result.failures)[0][1]
    assert not result.skipped


@pytest.mark.parametrize("bench", ["no views"], indirect=True)
@pytest.mark.parametrize("name", [name for name in cases() if "panel" in name])
def test_the_self_test_passes_without_a_main_window(bench, name, monkeypatch):  # noqa: F811
    monkeypatch.setattr(slicer.util, "loadVolume", bench.load_volume)
    bench.open()
    bench.frame.isEntered = False  # no module is ever opened there
    result = unittest.TestResult()
    bench.module.MMIFAminTest(name).run(result)
    assert not result.errors + result.failures, (result.errors + result.failures)[0][1]


class TestSelection:
    def test_the_pair_is_preselected_and_found_aligned(self, bench, panel):
        case(bench).pair()
        bench.wait(lambda: panel.ui.functionalSelector.currentNode() is not None)
        assert panel.ui.anatomicalSelector.currentNode().GetName() == "Head MR"
        assert panel.ui.functionalSelector.currentNode().GetName() == "Head PET"
        assert panel.ui.colorTableSelector.currentNode().GetID() == PET_HEAT
        bench.wait(lambda: "Aligned" in panel.ui.alignmentLabel.text)
        assert "Mutual information" in panel.ui.alignmentLabel.toolTip
        assert panel.ui.fuseButton.enabled and panel.ui.fuseButton.toolTip.startswith("Fuse the two volumes")

    def test_label_maps_are_not_offered(self, bench, panel):
        bench.scene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "labels")
        rgb = bench.scene.AddNewNodeByClass("vtkMRMLVectorVolumeNode", "rgb")
        offered = panel.ui.functionalSelector
        assert [offered.nodeFromIndex(index) for index in range(offered.nodeCount())] == [rgb]
        assert panel.ui.anatomicalSelector.nodeCount() == 0

    def test_other_sources_get_a_new_output(self, bench, panel):
        first = fused(bench, panel)
        other = case(bench).pair()[1]
        panel.ui.functionalSelector.setCurrentNode(other)
        assert panel.ui.colorSelector.currentNode() is None
        case(bench).fuse(panel)
        second = panel.ui.colorSelector.currentNode()
        assert second is not first and second.GetNodeReference("MMIFAmin.functional") is other

    def test_the_windows_that_were_chosen_are_shown(self, bench, panel):
        fused(bench, panel)
        assert panel.ui.functionalHighSpinBox.value == pytest.approx(9.0, abs=3.0)  # grey matter takes up 8, blurred
        assert not panel.ui.functionalHighSpinBox.enabled

    def test_both_outputs_share_geometry_and_differ_in_kind(self, bench, panel):
        panel.ui.greyCheckBox.checked = True
        color = fused(bench, panel)
        grey = panel.ui.greySelector.currentNode()
        assert grey.GetClassName() == "vtkMRMLScalarVolumeNode"
        assert color.GetImageData().GetDimensions() == grey.GetImageData().GetDimensions()

    def test_a_custom_window_reaches_the_engine(self, bench, panel):
        chosen(bench, panel)
        panel.ui.anatomicalWindowComboBox.setCurrentIndex(panel.ui.anatomicalWindowComboBox.count - 1)
        assert panel.ui.anatomicalLowSpinBox.enabled
        panel.ui.anatomicalLowSpinBox.value, panel.ui.anatomicalHighSpinBox.value = 700.0, 600.0
        assert "below" in panel.ui.fuseButton.toolTip and not panel.ui.fuseButton.enabled
        panel.ui.anatomicalLowSpinBox.value = 50.0
        case(bench).fuse(panel)
        parameters = panel.ui.colorSelector.currentNode().GetAttribute("MMIFAmin.parameters")
        assert '"low": 50.0' in parameters and '"high": 600.0' in parameters


class TestWork:
    def test_the_interface_lives_while_a_worker_fuses(self, bench, panel):
        chosen(bench, panel)
        fuser = slow()
        panel.ui.fuseButton.click()
        seen = set()
        bench.wait(lambda: seen.add(panel.ui.progressBar.format) or len(seen) > 10)
        assert panel.ui.progressBar.visible and 0 < panel.ui.progressBar.value < 1000
        assert any("Fusing slice" in text for text in seen)
        assert not panel._job.job._estimate, "the engine tells the time left, from its first slice on"
        assert threading.main_thread() not in fuser.threads
        assert not panel.ui.inputsCollapsibleButton.enabled
        panel.ui.fuseButton.click()
        bench.wait(lambda: not panel._job.busy)
        assert panel.ui.inputsCollapsibleButton.enabled and not panel.ui.progressBar.visible

    def test_cancel_answers_even_if_the_worker_does_not(self, bench, panel):
        chosen(bench, panel)
        nodes = bench.scene.GetNumberOfNodes()
        stuck = slow(stuck=True)
        panel.ui.fuseButton.click()
        bench.wait(lambda: stuck.calls == 1)
        job = panel._job.job
        panel.ui.fuseButton.click()
        assert not panel.ui.inputsCollapsibleButton.enabled and job.cancelled
        bench.wait(lambda: not panel._job.busy)
        assert not job.finished  # let go of, not waited for
        assert panel.ui.fuseButton.text == "Fuse" and "Cancelled" in panel.ui.statusLabel.text
        assert bench.scene.GetNumberOfNodes() == nodes
        following = slow(error=ValueError("reached"))
        panel.ui.fuseButton.click()
        assert following.calls == 0
        stuck.release.set()
        bench.wait(lambda: not panel._job.busy)
        assert job.finished and following.calls == 1  # the next one waited for it

    def test_an_error_names_itself_and_leaves_the_scene_alone(self, bench, panel, caplog):
        from MMIFAminLib.errors import InputError

        chosen(bench, panel)
        nodes = bench.scene.GetNumberOfNodes()
        slow(error=InputError("The functional volume 'Head PET' is empty; load it again."))
        panel.ui.fuseButton.click()
        bench.wait(lambda: not panel._job.busy)
        assert "'Head PET' is empty" in panel.ui.statusLabel.text
        assert "The volumes were not fused." in caplog.text  # what the dialog would show
        assert bench.scene.GetNumberOfNodes() == nodes
        assert panel.ui.fuseButton.enabled and panel.ui.fuseButton.text == "Fuse"

    def test_leaving_the_module_does_not_stop_the_fusion(self, bench, panel):
        chosen(bench, panel)
        panel.ui.fuseButton.click()
        bench.exit()
        bench.wait(lambda: not panel._job.busy)
        bench.enter()
        assert panel.ui.colorSelector.currentNode() is not None

    def test_cleaning_up_while_fusing_stops_the_worker_and_the_timers(self, bench, panel):
        chosen(bench, panel)
        fuser = slow()
        panel.ui.fuseButton.click()
        bench.wait(lambda: fuser.calls == 1)
        panel.cleanup()
        assert not any(thread.is_alive() for thread in fuser.threads)
        assert not panel._pollTimer.active and not panel.Observations


class TestState:
    def test_entering_and_leaving_piles_up_no_observers(self, bench, panel):
        node = panel._parameterNode.parameterNode
        chosen(bench, panel)

        def observed():
            return len(panel.Observations), node.HasObserver("ModifiedEvent")

        before, wrapper = observed(), panel._parameterNode
        for _ in range(5):
            bench.exit()
            bench.enter()
        assert observed() == before and panel._parameterNode is wrapper
        panel.cleanup()
        assert panel.Observations == []

    def test_a_fused_scene_comes_back_with_its_outputs(self, bench, panel, tmp_path):
        output = fused(bench, panel)
        panel.ui.underComboBox.setCurrentIndex(1)
        panel.ui.opacitySlider.value = 0.4
        name, path = output.GetName(), str(tmp_path / "scene.mrml")
        bench.scene.SetURL(path)
        bench.scene.Commit(path)
        bench.scene.Clear(0)
        bench.app.processEvents()
        assert panel.ui.colorSelector.currentNode() is None
        bench.scene.SetURL(path)
        bench.scene.Connect()
        bench.wait(lambda: panel.ui.colorSelector.currentNode() is not None)
        assert panel.ui.colorSelector.currentNode().GetName() == name
        assert panel.ui.underComboBox.currentIndex == 1
        assert panel.ui.opacitySlider.value == pytest.approx(0.4)

    def test_a_script_that_changes_the_parameters_changes_the_panel(self, bench, panel):
        nodes = case(bench).pair()
        other = bench.module.MMIFAminLogic().getParameterNode()
        other.anatomical, other.functional, other.makeGrey = nodes[0], nodes[1], True
        assert panel.ui.anatomicalSelector.currentNode() is nodes[0]
        assert panel.ui.functionalSelector.currentNode() is nodes[1]
        assert panel.ui.greyCheckBox.checked

    def test_a_scene_closed_while_the_module_is_hidden_is_no_matter(self, bench, panel):
        chosen(bench, panel)
        bench.exit()
        bench.scene.Clear(0)
        bench.enter()
        assert panel.ui.anatomicalSelector.currentNode() is None and not panel.ui.fuseButton.enabled


class TestViews:
    def layout(self, bench):
        return bench.app.layoutManager().layoutLogic().GetLayoutNode()

    def test_the_fused_volume_is_shown_over_its_source_with_a_linear_opacity(self, bench, panel):
        output = fused(bench, panel)
        for opacity in (0.0, 0.25, 0.5, 1.0):
            panel.ui.opacitySlider.value = opacity
            for view in ("Red", "Yellow", "Green"):
                composite = composites()[view]
                assert composite.GetForegroundVolumeID() == output.GetID()
                assert composite.GetForegroundOpacity() == pytest.approx(opacity)
        panel.ui.underComboBox.setCurrentIndex(1)
        functional = panel.ui.functionalSelector.currentNode()
        assert {c.GetBackgroundVolumeID() for c in composites().values()} == {functional.GetID()}

    def test_one_click_compares_and_one_goes_back(self, bench, panel):
        output = fused(bench, panel)
        before = self.layout(bench).GetViewArrangement()
        panel.ui.compareButton.click()
        views = {name: c for name, c in composites().items() if name.startswith("MMIFAmin")}
        shown = {c.GetBackgroundVolumeID() for c in views.values()}
        sources = {panel.ui.anatomicalSelector.currentNode().GetID(), panel.ui.functionalSelector.currentNode().GetID()}
        assert shown == sources | {output.GetID()}
        assert all(c.GetLinkedControl() for c in views.values())
        assert self.layout(bench).GetViewArrangement() != before and panel.ui.compareButton.checked
        assert "Back" in panel.ui.compareButton.text
        panel.ui.compareButton.click()
        assert self.layout(bench).GetViewArrangement() == before
        assert composites()["Red"].GetForegroundOpacity() == 1.0

    def test_another_layout_chosen_by_the_user_ends_the_comparison(self, bench, panel):
        fused(bench, panel)
        panel.ui.compareButton.click()
        self.layout(bench).SetViewArrangement(slicer.vtkMRMLLayoutNode.SlicerLayoutOneUpRedSliceView)
        assert not panel.ui.compareButton.checked
        panel.ui.compareButton.click()
        panel.ui.compareButton.click()
        assert self.layout(bench).GetViewArrangement() == slicer.vtkMRMLLayoutNode.SlicerLayoutOneUpRedSliceView

    def test_recolouring_needs_no_fusion(self, bench, panel):
        output = fused(bench, panel)
        fuser = slow()
        before = slicer.util.arrayFromVolume(output).copy()
        panel.ui.colorTableSelector.setCurrentNode(bench.scene.GetNodeByID("vtkMRMLColorTableNodeRainbow"))
        bench.wait(lambda: not np.array_equal(slicer.util.arrayFromVolume(output), before))
        assert fuser.calls == 0 and "Rainbow" in output.GetAttribute("MMIFAmin.parameters")

    def test_without_views_comparing_says_why_not(self, bench, panel):
        fused(bench, panel)
        bench.app._views.close()
        bench.app._views = None
        panel.ui.compareButton.click()
        assert "main window" in panel.ui.statusLabel.text and not panel.ui.compareButton.checked


class TestQuality:
    @pytest.fixture
    def measured(self, bench, panel):
        output = fused(bench, panel)
        panel.ui.measureButton.click()
        bench.wait(lambda: not panel._job.busy)
        return output

    def test_every_metric_has_a_value_and_a_meaning(self, bench, panel, measured):
        from MMIFAminLib.evaluation.metrics import METRICS

        table = panel.ui.qualityTable
        shown = [[table.item(row, column).text() for column in range(3)] for row in range(table.rowCount)]
        assert [row[0] for row in shown] == [metric.name for metric in METRICS]
        undefined = {row[0]: row[2] for row in shown if row[1] == "\u2013"}
        assert undefined["MSSSIM"] == "Not defined for slices below 176 pixels."
        for metric, row in zip(METRICS, shown):
            assert row[2] == undefined.get(metric.name, metric.meaning)
        assert float(dict((row[0], row[1]) for row in shown)["EN"]) > 0

    def test_the_chart_of_the_chosen_metric_is_shown_and_left(self, bench, panel, measured):
        layout = bench.app.layoutManager().layoutLogic().GetLayoutNode()
        before = layout.GetViewArrangement()
        panel.ui.plotButton.click()
        panel.ui.metricComboBox.setCurrentIndex(0)
        panel.ui.metricComboBox.activated(0)
        view = slicer.util.getNodesByClass("vtkMRMLPlotViewNode")[0]
        assert view.GetPlotChartNode().GetName().startswith("EN by slice")
        panel.ui.plotButton.click()
        assert layout.GetViewArrangement() == before and not panel.ui.plotButton.checked

    def test_a_chart_after_side_by_side_leaves_the_picture_seen(self, bench, panel, measured):
        functional = panel.ui.functionalSelector.currentNode()
        colors = functional.GetDisplayNode().GetColorNodeID()
        crosshair = bench.scene.GetFirstNodeByClass("vtkMRMLCrosshairNode")
        mode = crosshair.GetCrosshairMode()
        panel.ui.compareButton.click()
        assert panel._parameterNode.compared and panel._parameterNode.opacity == 0
        panel.ui.plotButton.click()
        shown = slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode")
        assert panel._parameterNode.opacity == 1 and {
            c.GetForegroundOpacity() for c in shown if c.GetForegroundVolumeID()
        } == {1}
        assert functional.GetDisplayNode().GetColorNodeID() == colors and crosshair.GetCrosshairMode() == mode

    def test_deleting_the_fused_volume_undoes_everything(self, bench, panel, measured):
        assert names(bench.scene, "vtkMRMLTableNode")
        bench.scene.RemoveNode(measured)
        bench.wait(lambda: not names(bench.scene, "vtkMRMLTableNode"))
        assert not names(bench.scene, "vtkMRMLPlotChartNode") + names(bench.scene, "vtkMRMLPlotSeriesNode")
        assert sorted(names(bench.scene, "vtkMRMLVolumeNode")) == ["Head MR", "Head PET"]
        assert not panel.ui.compareButton.enabled and panel.ui.qualityTable.rowCount == 0


class TestRegistration:
    def test_a_moved_volume_is_noticed_registered_and_put_back(self, bench, panel):
        anatomical, functional = chosen(bench, panel)
        place = np.array(functional.GetOrigin())
        functional.SetOrigin(*(place + (0.0, 25.0, 0.0)))
        panel.ui.functionalSelector.setCurrentNode(None)
        panel.ui.functionalSelector.setCurrentNode(functional)
        bench.wait(lambda: "mm off" in panel.ui.alignmentLabel.text)
        panel.ui.registerButton.click()
        bench.wait(lambda: not panel._job.busy)
        transform = functional.GetParentTransformNode()
        assert transform is not None, panel.ui.statusLabel.text
        matrix = slicer.util.arrayFromTransformMatrix(transform)
        assert matrix[1, 3] == pytest.approx(-25.0, abs=4.0)
        bench.wait(lambda: "Aligned" in panel.ui.alignmentLabel.text)
        assert panel.ui.registerButton.text == "Undo registration"
        panel.ui.registerButton.click()
        assert functional.GetParentTransformNode() is None and panel.ui.registerButton.text == "Register first"
        bench.wait(lambda: "mm off" in panel.ui.alignmentLabel.text)

    def test_what_a_registration_leads_astray_stays_where_it_was(self, bench, panel, monkeypatch):
        _anatomical, functional = chosen(bench, panel)
        astray = sitk.Euler3DTransform()
        astray.SetTranslation((0.0, 25.0, 0.0))
        monkeypatch.setattr("MMIFAminLib.volume.registration.register_rigid", lambda *_, **__: astray)
        panel.ui.registerButton.click()
        bench.wait(lambda: not panel._job.busy)
        assert functional.GetParentTransformNode() is None and panel.ui.registerButton.text == "Register first"
        assert "'Head PET' seemed aligned" in panel.ui.statusLabel.text
        bench.wait(lambda: not panel._check.busy)
        assert "Aligned" in panel.ui.alignmentLabel.text and panel.ui.fuseButton.enabled


def test_the_panel_can_be_looked_at(bench, tmp_path):  # noqa: F811
    from PySide6 import QtWidgets

    panel = bench.open()
    fused(bench, panel)
    for section in (panel.ui.advancedCollapsibleButton, panel.ui.qualityCollapsibleButton):
        section.collapsed = False
    panel.ui.measureButton.click()
    bench.wait(lambda: not panel._job.busy)
    bench.screenshot(tmp_path / "panel.png", width=440)
    picture = np.asarray(Image.open(tmp_path / "panel.png").convert("L"))
    assert picture.shape[1] == 440 and picture.shape[0] > 800
    assert picture.std() > 10
    table = panel.ui.qualityTable._q
    for row in range(table.rowCount()):
        assert table.rowHeight(row) >= table.sizeHintForRow(row), "words of a row are cut"
        for column in (0, 1):
            text = table.item(row, column).text()
            assert table.fontMetrics().horizontalAdvance(text) < table.columnWidth(column), f"{text} is elided"
    parts = [item.widget() for item in map(panel._panel._q.layout().itemAt, range(panel._panel._q.layout().count()))]
    shown = [part.geometry() for part in parts if part is not None and part.isVisible()]
    gaps = {below.top() - above.bottom() for above, below in zip(shown, shown[1:])}
    assert len(shown) > 6 and len(gaps) == 1, f"groups lie {gaps} pixels apart"
    ends = {part.layout().contentsMargins().bottom() for part in parts if part is not None and part.layout()}
    assert ends == {0}, "and end with their last row"
    for combo in map(panel.ui.__dict__.get, ("presetComboBox", "anatomicalWindowComboBox", "functionalWindowComboBox")):
        option = QtWidgets.QStyleOptionComboBox()
        combo._q.initStyleOption(option)
        field = QtWidgets.QStyle.SubControl.SC_ComboBoxEditField
        style, complex_ = combo._q.style(), QtWidgets.QStyle.ComplexControl.CC_ComboBox
        room = style.subControlRect(complex_, option, field, combo._q).width()
        for text in map(combo.itemText, range(combo.count)):
            assert combo._q.fontMetrics().horizontalAdvance(text) < room, f"'{text}' is cut"
    for name in ("fuseButton", "registerButton", "compareButton", "measureButton", "plotButton"):
        button = getattr(panel.ui, name)._q
        assert button.width() >= button.sizeHint().width(), f"the text of {name} is cut"
