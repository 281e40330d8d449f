"""Units, *Show as SUV*, and what the volumes are taken for: in the panel, its parameters and the console."""

import json

import numpy as np
import pytest

from bench.driving import case, chosen, fused
from bench.fixtures import bench  # noqa: F401
from MMIFAminLib.errors import InputError

slicer = pytest.importorskip("slicer", reason="the widget bench needs slicer-core")


@pytest.fixture
def panel(bench):  # noqa: F811
    return bench.open()


@pytest.fixture
def warned(monkeypatch):
    """The warnings that were shown."""
    texts = []
    monkeypatch.setattr(slicer.util, "warningDisplay", lambda text, **options: texts.append(text))
    return texts


def load_pet(folder, **changes):
    from bench.database import load_pet

    return load_pet(folder, **changes)


def values(node):
    return slicer.util.arrayFromVolume(node)


def set_unit(node, code):
    entry = slicer.vtkCodedEntry()
    entry.SetValueSchemeMeaning(code, "UCUM", code)
    node.SetVoxelValueUnits(entry)


def show_as_suv(bench, panel, node):  # noqa: F811
    panel.ui.functionalSelector.setCurrentNode(node)
    panel.ui.suvButton.click()
    bench.wait(lambda: not panel._job.busy)


class TestSuv:
    def test_a_pet_of_the_database_is_shown_as_suv_and_back(self, bench, panel, tmp_path):
        from bench.database import FACTOR

        node = load_pet(tmp_path)
        before = values(node).copy()
        show_as_suv(bench, panel, node)
        np.testing.assert_allclose(values(node), before * FACTOR, rtol=1e-6)
        assert panel.ui.unitLabel.text == "SUV" and panel.ui.suvButton.text == "Undo SUV"
        assert "70 kg, 370 MBq, 60 min after the injection" in panel.ui.unitLabel.toolTip
        panel.ui.suvButton.click()
        assert panel.ui.unitLabel.text == "not known" and panel.ui.suvButton.text == "Show as SUV"
        np.testing.assert_allclose(values(node), before, rtol=2e-7)

    def test_a_custom_window_goes_along(self, bench, panel, tmp_path):
        from bench.database import FACTOR

        node = load_pet(tmp_path)
        panel.ui.functionalWindowComboBox.setCurrentIndex(panel.ui.functionalWindowComboBox.count - 1)
        panel.ui.functionalHighSpinBox.value = 20000.0
        show_as_suv(bench, panel, node)
        assert panel._parameterNode.functionalHigh == pytest.approx(20000 * FACTOR, abs=0.01)
        panel.ui.suvButton.click()
        assert panel._parameterNode.functionalHigh == pytest.approx(20000, rel=2e-3)

    def test_custom_begins_in_suv_where_the_window_was_automatic(self, bench, panel, tmp_path):
        from bench.database import FACTOR

        node = load_pet(tmp_path)
        panel._parameterNode.functionalHigh = 17111.0  # as an automatic fusion leaves it
        show_as_suv(bench, panel, node)
        panel.ui.functionalWindowComboBox.setCurrentIndex(panel.ui.functionalWindowComboBox.count - 1)
        assert panel.ui.functionalHighSpinBox.value == pytest.approx(17111 * FACTOR, abs=0.01)

    @pytest.mark.parametrize(
        "changes, reason",
        [
            ({"PatientWeight": None}, "weight is missing"),
            ({"PatientWeight": lambda k: 70 + k}, "contradict each other in PatientWeight"),
            ({"DecayCorrection": None}, "decay correction is not told"),
            ({"CorrectedImage": ["DECY"]}, "not corrected for ATTN"),
        ],
    )
    def test_what_the_headers_lack_is_said_and_no_suv_shown(self, bench, panel, tmp_path, warned, changes, reason):
        node = load_pet(tmp_path, **changes)
        before = values(node).copy()
        show_as_suv(bench, panel, node)
        assert reason in panel.ui.statusLabel.text and reason in warned[0]
        assert np.array_equal(values(node), before) and node.GetVoxelValueUnits() is None
        assert panel.ui.suvButton.text == "Show as SUV"

    def test_images_that_left_the_database_are_counted(self, bench, panel, tmp_path, warned):
        node = load_pet(tmp_path)
        slicer.dicomDatabase.files.popitem()
        show_as_suv(bench, panel, node)
        assert "1 of the 4 DICOM images of 'PET'" in panel.ui.statusLabel.text
        slicer.dicomDatabase.isOpen = False
        panel.ui.suvButton.click()
        assert "database is not open" in panel.ui.statusLabel.text and len(warned) == 2

    def test_whole_numbers_of_slices_with_slopes_of_their_own_are_not_believed(self, bench, panel, tmp_path, warned):
        node = load_pet(tmp_path, RescaleSlope=lambda k: 1 + k)
        show_as_suv(bench, panel, node)
        assert panel.ui.unitLabel.text == "SUV" and not warned, "floating point values are"
        panel.ui.suvButton.click()
        whole = slicer.util.addVolumeFromArray(values(node).astype(np.int16), None, "PET 2")
        whole.SetAttribute("DICOM.instanceUIDs", node.GetAttribute("DICOM.instanceUIDs"))
        show_as_suv(bench, panel, whole)
        assert "different rescale slopes" in warned[0] and whole.GetVoxelValueUnits() is None

    @pytest.mark.parametrize("slopes, told", [((2.5,) * 4, 2.5), ((2.5, 2.5, 2.5, 3.0), 2.5), ((2.5,) * 4, 5.0)])
    def test_an_enhanced_pet_whose_frames_are_scaled_alike(self, bench, panel, tmp_path, warned, slopes, told):
        """Slopes of frames, or a real world value mapping, that Slicer's reader does not know are told, and no SUV given."""
        from bench.database import FACTOR, load_enhanced_pet

        node = load_enhanced_pet(tmp_path, slopes, told)
        before = values(node).copy()
        show_as_suv(bench, panel, node)
        right = slopes == (told,) * 4
        np.testing.assert_allclose(values(node), before * (FACTOR if right else 1), rtol=1e-6)
        assert right or ("scales of their own" in warned[0] and node.GetVoxelValueUnits() is None)

    def test_the_button_says_why_it_cannot(self, bench, panel, tmp_path):
        assert panel.ui.suvButton.toolTip == "Choose a functional volume."
        node = load_pet(tmp_path)
        panel.ui.functionalSelector.setCurrentNode(node)
        assert panel.ui.suvButton.enabled and "headers" in panel.ui.suvButton.toolTip
        for change, reason in (
            (lambda: node.SetAttribute("DICOM.Modality", "NM"), "SUV is for PET; 'PET' is NM."),
            (lambda: set_unit(node, "{SUVbw}g/ml"), "'PET' is in SUV."),
        ):
            change()
            panel.updateGUI()
            assert not panel.ui.suvButton.enabled and panel.ui.suvButton.toolTip == reason
        other = case(bench).pair()[1]
        panel.ui.functionalSelector.setCurrentNode(other)
        assert "does not come from Slicer's DICOM database" in panel.ui.suvButton.toolTip

    def test_the_console_shows_as_suv(self, bench, tmp_path):
        from bench.database import FACTOR

        logic, node = bench.module.MMIFAminLogic(), load_pet(tmp_path)
        assert logic.showAsSuv(node).factor == pytest.approx(FACTOR, rel=1e-9)
        assert node.GetVoxelValueUnits().GetCodeValue() == "{SUVbw}g/ml"
        with pytest.raises(InputError, match="'PET' is in SUV"):
            logic.showAsSuv(node)


class TestSuvWindows:
    def offered(self, combo):
        return {combo.itemText(i): combo.model().item(i).isEnabled() for i in range(combo.count)}

    @pytest.mark.parametrize("unit, words", [("", "not known"), ("BQML", "in Bq/ml, not in SUV")])
    def test_they_are_disabled_with_the_reason_on_other_units(self, bench, panel, unit, words):
        _, functional = case(bench).choose(panel)
        if unit:
            set_unit(functional, unit)
            panel.updateGUI()
        windows, presets = self.offered(panel.ui.functionalWindowComboBox), self.offered(panel.ui.presetComboBox)
        assert [name for name, enabled in windows.items() if not enabled] == [
            "SUV 0 to 5",
            "SUV 0 to 10",
            "SUV 0 to 20",
        ]
        assert [name for name, enabled in presets.items() if not enabled] == [
            "PET/CT oncology, soft tissue",
            "PET/CT oncology, lung",
        ]
        assert words in panel.ui.functionalWindowComboBox.model().item(2).toolTip()

    @pytest.mark.parametrize("told", ["unit", "name"])
    def test_they_are_offered_where_the_unit_or_the_name_says_suv(self, bench, panel, told):
        _, functional = case(bench).choose(panel)
        if told == "unit":
            set_unit(functional, "{SUVbw}g/ml")
        else:
            functional.SetName("PET SUVbw")
        panel.updateGUI()
        assert all(self.offered(panel.ui.functionalWindowComboBox).values())
        assert all(self.offered(panel.ui.presetComboBox).values())

    def test_one_that_was_chosen_before_is_not_fused_with(self, bench, panel):
        from MMIFAminLib.module.state import FunctionalWindow

        panel._parameterNode.functionalWindow = FunctionalWindow.SUV_10
        _, functional = case(bench).choose(panel)
        assert not panel.ui.fuseButton.enabled and "Show as SUV" in panel.ui.statusLabel.text
        set_unit(functional, "{SUVbw}g/ml")
        panel.updateGUI()
        assert panel.ui.fuseButton.enabled


class TestTaken:
    @pytest.mark.parametrize(
        "share, words", [(0.0, "0"), (7.6e-7, "under 0.01"), (0.00044, "0.044"), (0.244, "24"), (0.999, "100")]
    )
    def test_the_share_at_the_upper_end_is_a_number_that_can_be_read(self, bench, share, words):
        from MMIFAminLib.module import units

        assert units._line({"shows": "mr", "region": "head", "unit": None, "at_upper_end": share}) == (
            f"MR, head; {words} % at upper end"
        )

    def test_what_was_taken_for_what_is_told_before_and_after_fusing(self, bench, panel):
        assert panel.ui.takenLabel.text == "Told when both are chosen"
        nodes = chosen(bench, panel)
        bench.wait(lambda: "anatomy" in panel.ui.takenLabel.text, seconds=60)
        before = panel.ui.takenLabel.text.splitlines()
        assert before[0] == "Uptake on anatomy"
        assert before[1].startswith("Anatomical: MR, head; 0") and before[1].endswith("% at upper end")
        assert before[2].startswith("Functional: uptake, head, unit not known; 0")
        assert "Functional: told by its name." in panel.ui.takenLabel.toolTip
        case(bench).fuse(panel)
        assert panel.ui.takenLabel.text.splitlines() == before
        taken = json.loads(panel.ui.colorSelector.currentNode().GetAttribute("MMIFAmin.parameters"))["taken_for"]
        assert (taken["pair"], taken["anatomical"]["shows"], taken["functional"]["region"]) == ("uptake", "mr", "head")
        set_unit(nodes[1], "BQML")
        slicer.util.updateVolumeFromArray(nodes[1], values(nodes[1]) * 1)
        nodes[1].InvokeCustomModifiedEvent(slicer.vtkMRMLVolumeNode.ImageDataModifiedEvent)
        bench.wait(lambda: "Bq/ml" in panel.ui.takenLabel.text, seconds=60)

    def test_it_is_the_report_of_the_fusion(self, bench):
        from MMIFAminLib import mrml
        from MMIFAminLib.module import state

        logic = bench.module.MMIFAminLogic()
        p = logic.getParameterNode()
        p.anatomical, p.functional = case(bench).pair()
        p.kind, p.functionalWindow = state.Kind.ANATOMICAL, state.FunctionalWindow.MR
        told, labels = logic.taken(p)(lambda fraction, text: True)
        source = mrml.snapshot(p.anatomical, p.functional)
        assert told == mrml.fuse_snapshot(source, logic.fuser(), **state.options(p)).report["taken_for"]
        assert labels == [] and told["pair"] == "anatomical" and told["functional"]["told_by"] == "kind"

    def test_colours_of_no_known_palette_are_a_picture(self, bench):
        from MMIFAminLib import mrml

        anatomical, functional = case(bench).pair()
        pixels = np.random.default_rng(0).integers(0, 256, (*values(functional).shape, 3)).astype(np.uint8)
        picture = slicer.util.addVolumeFromArray(pixels, None, "picture", "vtkMRMLVectorVolumeNode")
        picture.CopyOrientation(functional)
        options = {"kind": "auto", "anatomical_window": "auto", "functional_window": "auto", "plane": "axial"}
        assert mrml.taken_for(mrml.snapshot(anatomical, picture), options)["pair"] == "luma"


class TestLabelMaps:
    @pytest.fixture
    def labels(self, bench):  # noqa: F811
        """An MR, and regions drawn on it that were loaded as an image."""
        anatomical, _ = case(bench).pair()
        regions = (values(anatomical) > 300).astype(np.int16)
        node = slicer.util.addVolumeFromArray(regions, None, "regions")
        node.CopyOrientation(anatomical)
        return anatomical, node

    def test_they_are_told_and_asked_about_before_they_are_fused(self, bench, panel, labels, monkeypatch):
        asked, answer = [], [False]
        monkeypatch.setattr(slicer.util, "confirmOkCancelDisplay", lambda text, title: asked.append(text) or answer[0])
        panel.ui.anatomicalSelector.setCurrentNode(labels[0])
        panel.ui.functionalSelector.setCurrentNode(labels[1])
        bench.wait(lambda: "'regions' looks like a label map" in panel.ui.takenLabel.text, seconds=60)
        panel.ui.fuseButton.click()
        assert "'regions': numbers of regions" in asked[0] and not panel._job.busy
        answer[0] = True
        case(bench).fuse(panel)
        assert panel.ui.colorSelector.currentNode() is not None, panel.ui.statusLabel.text

    def test_the_console_refuses_them_and_can_be_told_to_insist(self, bench, labels):
        logic = bench.module.MMIFAminLogic()
        with pytest.raises(InputError, match="label map"):
            logic.fuse(*labels)
        assert logic.fuse(*labels, insist=True).GetImageData() is not None


class TestKind:
    def test_another_kind_is_taken_told_and_marks_the_result_out_of_date(self, bench, panel):
        output = fused(bench, panel)
        panel.ui.kindComboBox.setCurrentIndex(1)
        assert "Out of date" not in panel.ui.statusLabel.text, "it was taken for uptake on anatomy before"
        panel.ui.kindComboBox.setCurrentIndex(2)
        assert "another kind of pair is chosen" in panel.ui.statusLabel.text
        assert output.GetName().endswith("(out of date)")
        bench.wait(lambda: panel.ui.takenLabel.text.startswith("Two anatomical volumes"), seconds=60)
        case(bench).fuse(panel)
        assert "Out of date" not in panel.ui.statusLabel.text and not output.GetName().endswith(")")
        assert json.loads(output.GetAttribute("MMIFAmin.parameters"))["taken_for"]["pair"] == "anatomical"

    def test_planning_presets_are_anatomical_and_the_others_leave_it_open(self, bench, panel):
        from MMIFAminLib.module import presets

        p = panel._parameterNode
        for name, kind in (("CT/MR planning", "anatomical"), ("PET/MR brain", "auto")):
            presets.apply(name, presets.BUILT_IN[name], p)
            assert p.kind.value == kind

    def test_the_console_takes_the_kind_and_refuses_others(self, bench):
        anatomical, functional = case(bench).pair()
        logic, nodes = bench.module.MMIFAminLogic(), bench.scene.GetNumberOfNodes()
        with pytest.raises(InputError, match="no kind of pair 'pet'"):
            logic.fuse(anatomical, functional, kind="pet")
        assert bench.scene.GetNumberOfNodes() == nodes
        made = logic.fuse(anatomical, functional, kind="anatomical")
        assert json.loads(made.GetAttribute("MMIFAmin.parameters"))["taken_for"]["pair"] == "anatomical"


class TestLegend:
    def legends(self, scene):
        return [node for node in slicer.util.getNodesByClass("vtkMRMLColorLegendDisplayNode", scene)]

    def test_the_fused_colours_have_one_with_window_and_unit_until_they_go(self, bench, panel):
        nodes = case(bench).choose(panel)
        set_unit(nodes[1], "{SUVbw}g/ml")
        case(bench).fuse(panel)
        (legend,) = self.legends(bench.scene)
        scale = legend.GetPrimaryDisplayNode()
        assert legend.GetVisibility() and legend.GetTitleText() == "SUV"
        assert scale.GetColorNode() is panel._parameterNode.colorTable
        assert scale.GetWindowLevelMax() == pytest.approx(panel.ui.functionalHighSpinBox.value, abs=0.01)
        panel.ui.legendCheckBox.checked = False
        assert not legend.GetVisibility()
        panel.ui.legendCheckBox.checked = True
        assert legend.GetVisibility()
        rainbow = bench.scene.GetNodeByID("vtkMRMLColorTableNodeRainbow")
        panel.ui.colorTableSelector.setCurrentNode(rainbow)
        bench.wait(lambda: scale.GetColorNode() is rainbow, seconds=30)
        bench.wait(lambda: legend.GetVisibility(), seconds=30)
        output = panel.ui.colorSelector.currentNode()
        parameters = json.loads(output.GetAttribute("MMIFAmin.parameters"))
        output.SetAttribute("MMIFAmin.parameters", json.dumps(parameters | {"taken_for": {}}))
        panel.logic.showLegend(panel._parameterNode)
        assert not legend.GetVisibility(), "a volume of version 0.1 does not say what it shows"
        bench.scene.RemoveNode(output)
        bench.wait(lambda: not self.legends(bench.scene), seconds=30)
        assert scale.GetScene() is None
