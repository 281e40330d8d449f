"""Presets in the panel, the parameter node and the application's settings; the libraries loaded in the background."""

import json
import logging

import pytest

from bench.driving import case, chosen
from bench.fixtures import bench  # noqa: F401

slicer = pytest.importorskip("slicer", reason="the widget bench needs slicer-core")


@pytest.fixture
def panel(bench):  # noqa: F811
    return bench.open()


def pick(panel, name):
    combo = panel.ui.presetComboBox
    index = [combo.itemText(i) for i in range(combo.count)].index(name)
    combo.setCurrentIndex(index)
    combo.activated(index)


class TestPresets:
    @pytest.mark.parametrize(
        "name, anatomical, functional, plane",
        [
            ("PET/CT oncology, soft tissue", "ct-soft-tissue", "0:10", "axial"),
            ("PET/CT oncology, lung", "ct-lung", "0:10", "axial"),
            ("PET/MR brain", "mr", "uptake", "axial"),
            ("Bone SPECT/CT", "ct-bone", "uptake", "coronal"),
            ("Perfusion SPECT/MR", "mr", "uptake", "axial"),
            ("DaTSCAN SPECT/MR", "mr", "uptake", "axial"),
            ("CT/MR planning", "ct-soft-tissue", "mr", "axial"),
        ],
    )
    def test_one_choice_sets_everything(self, bench, panel, name, anatomical, functional, plane):
        from MMIFAminLib.module import presets, state

        pick(panel, name)
        p = panel._parameterNode
        windows = {"anatomical_window": anatomical, "functional_window": functional}
        kind = "anatomical" if functional == "mr" else "auto"
        assert state.options(p) == {"plane": plane, "kind": kind, **windows}
        assert p.colorTable.GetID() == presets.BUILT_IN[name]["table"]
        assert panel.ui.presetComboBox.currentText == name
        assert not panel.ui.savePresetButton.enabled and not panel.ui.deletePresetButton.enabled

    def test_settings_changed_by_hand_are_of_no_preset(self, bench, panel):
        pick(panel, "PET/MR brain")
        panel.ui.planeComboBox.setCurrentIndex(2)
        assert panel.ui.presetComboBox.currentText == "Own settings"
        panel.ui.planeComboBox.setCurrentIndex(0)
        assert panel.ui.presetComboBox.currentText == "PET/MR brain"

    def test_the_colours_of_a_preset_stay_when_volumes_are_chosen_after_it(self, bench, panel):
        pick(panel, "Perfusion SPECT/MR")
        case(bench).choose(panel)
        assert panel._parameterNode.colorTable.GetID().endswith("PET-Rainbow2")

    def test_a_preset_side_by_side_shows_a_new_fusion_so(self, bench, panel):
        from MMIFAminLib.mrml.compare import LAYOUT_ID

        pick(panel, "DaTSCAN SPECT/MR")
        chosen(bench, panel)
        case(bench).fuse(panel)
        assert bench.app.layoutManager().layoutLogic().GetLayoutNode().GetViewArrangement() == LAYOUT_ID
        assert panel.ui.compareButton.checked

    def test_the_layout_of_a_preset_counts_for_what_is_fused_already(self, bench, panel):
        from MMIFAminLib.mrml.compare import LAYOUT_ID

        chosen(bench, panel)
        case(bench).fuse(panel)
        layout = bench.app.layoutManager().layoutLogic().GetLayoutNode()
        before = layout.GetViewArrangement()
        for name, arrangement in (("DaTSCAN SPECT/MR", LAYOUT_ID), ("Perfusion SPECT/MR", before)):
            pick(panel, name)
            assert (layout.GetViewArrangement(), panel.ui.presetComboBox.currentText) == (arrangement, name)
            case(bench).fuse(panel)
            assert layout.GetViewArrangement() == arrangement
        panel.logic.usePreset("datscan")
        assert layout.GetViewArrangement() == LAYOUT_ID

    def test_own_settings_keep_the_layout_that_is_seen_and_the_second_window(self, bench, panel):
        from MMIFAminLib.module import presets, state

        chosen(bench, panel)
        case(bench).fuse(panel)
        panel.ui.compareButton.click()
        panel._parameterNode.secondWindow = state.AnatomicalWindow.CT_BONE
        panel.logic.savePreset("Beside")
        assert presets.own(bench.app.userSettings())["Beside"]["sideBySide"]
        assert panel.ui.presetComboBox.currentText == "Beside"
        assert presets.options(presets.find(bench.app.userSettings(), "Beside")[1])["secondWindow"] == "ct-bone"
        panel.ui.compareButton.click()
        panel._parameterNode.secondWindow = state.AnatomicalWindow.AUTO
        pick(panel, "Beside")
        assert panel._parameterNode.compared
        assert panel._parameterNode.secondWindow is state.AnatomicalWindow.CT_BONE

    def test_own_settings_are_saved_named_used_in_another_scene_and_deleted(self, bench, panel):
        from MMIFAminLib.module import presets

        panel.ui.planeComboBox.setCurrentIndex(1)
        panel.ui.functionalWindowComboBox.setCurrentIndex(panel.ui.functionalWindowComboBox.count - 1)
        panel.ui.functionalHighSpinBox.value = 7.5
        panel.ui.presetComboBox.setEditText("Our thorax")
        assert panel.ui.savePresetButton.enabled
        panel.ui.savePresetButton.click()
        assert panel.ui.presetComboBox.currentText == "Our thorax"
        bench.scene.Clear(0)
        assert panel.ui.planeComboBox.currentIndex == 0
        pick(panel, "Our thorax")
        assert panel.ui.planeComboBox.currentIndex == 1 and panel.ui.functionalHighSpinBox.value == 7.5
        assert panel.ui.presetComboBox.currentText == "Our thorax"
        panel.ui.deletePresetButton.click()
        assert presets.own(bench.app.userSettings()) == {}
        assert panel.ui.presetComboBox.currentText == "Own settings"

    def test_a_built_in_name_is_not_taken_and_damaged_settings_are_left_out(self, bench, panel):
        from MMIFAminLib.errors import InputError
        from MMIFAminLib.module import presets

        settings = bench.app.userSettings()
        with pytest.raises(InputError, match="comes with the module"):
            presets.save(settings, "PET/MR brain", panel._parameterNode)
        for text in ("{", "[1]", json.dumps({"a": {"plane": "OBLIQUE"}, "b": 3, "c": {"functionalHigh": "x"}})):
            settings.setValue(presets.KEY, text)
            assert presets.own(settings) == {}

    def test_what_another_version_has_saved_stays(self, bench, panel):
        from MMIFAminLib.module import presets

        settings = bench.app.userSettings()
        newer = {"plane": "OBLIQUE"}
        settings.setValue(presets.KEY, json.dumps({"newer": newer, "odd": {"functionalWeight": 3}}))
        panel.logic.savePreset("Ours")
        assert list(presets.own(settings)) == ["Ours"]
        presets.delete(settings, "Ours")
        assert json.loads(settings.value(presets.KEY)) == {"newer": newer, "odd": {"functionalWeight": 3}}


class TestFromTheConsole:
    def test_a_preset_is_named_as_it_is_shown_or_by_the_beginning_in_small_letters(self, bench):  # noqa: F811
        from MMIFAminLib.errors import InputError
        from MMIFAminLib.module import presets

        settings = bench.app.userSettings()
        expected = {
            "PET/CT oncology, lung": ("ct-lung", "0:10"),
            "pet-ct-oncology": ("ct-soft-tissue", "0:10"),
            "pet-ct-oncology-lung": ("ct-lung", "0:10"),
            "DaTSCAN SPECT/MR": ("mr", "uptake"),
            "ct-mr": ("ct-soft-tissue", "mr"),
        }
        for name, windows in expected.items():
            options = presets.options(presets.find(settings, name)[1])
            assert (options["anatomicalWindow"], options["functionalWindow"]) == windows, name
            assert options["functionalWeight"] == 1.0 and options["colorTable"] is not None
        for name in ("brain pet", "", "-"):
            with pytest.raises(InputError, match="choose one of pet-ct-oncology-soft-tissue, pet-ct-oncology-lung"):
                presets.find(settings, name)

    def test_the_panel_has_those_of_the_command_line_by_their_names(self, bench):  # noqa: F811
        from MMIFAminLib.module import presets
        from MMIFAminLib.study import PRESETS

        assert len(presets.BUILT_IN) == len(PRESETS) == 7
        for name, preset in PRESETS.items():
            options = presets.options(presets.find(bench.app.userSettings(), name)[1])
            assert (options["plane"], options["kind"]) == (preset.plane, preset.kind)
            assert options["anatomicalWindow"] == preset.window
            assert options["functionalWindow"] == preset.functional_window.removeprefix("suv:")
            heat = {"pet-heat": "PET-Heat", "rainbow": "PET-Rainbow2", "grey": "Grey"}
            assert options["colorTable"].GetName() == heat[preset.color_table]

    def test_own_settings_fuse_from_the_console(self, bench, panel):  # noqa: F811
        panel.ui.planeComboBox.setCurrentIndex(1)
        panel.ui.anatomicalWindowComboBox.setCurrentIndex(panel.ui.anatomicalWindowComboBox.count - 1)
        panel.ui.anatomicalLowSpinBox.value, panel.ui.anatomicalHighSpinBox.value = 50.0, 600.0
        logic = panel.logic
        logic.savePreset("Our thorax")
        bench.scene.Clear(0)
        assert logic.presetNames()[-1] == "Our thorax"
        fused = logic.fuse(*case(bench).pair(), preset="Our thorax", functionalWindow=(0, 6))
        parameters = json.loads(fused.GetAttribute("MMIFAmin.parameters"))
        assert parameters["plane"] == "coronal"
        windows = {role: (w["low"], w["high"]) for role, w in parameters["windows"].items()}
        assert windows == {"anatomical": (50.0, 600.0), "functional": (0.0, 6.0)}
        logic.usePreset("our-thorax")
        assert panel.ui.presetComboBox.currentText == "Our thorax" and panel.ui.planeComboBox.currentIndex == 1

    def test_a_window_in_suv_is_refused_where_the_values_are_not(self, bench, panel):  # noqa: F811
        from MMIFAminLib.errors import InputError

        anatomical, functional = case(bench).pair()
        unit = slicer.vtkCodedEntry()
        unit.SetValueSchemeMeaning("BQML", "DCM", "Becquerels/milliliter")
        functional.SetVoxelValueUnits(unit)
        before = bench.scene.GetNumberOfNodes()
        with pytest.raises(InputError, match="SUV"):
            panel.logic.fuse(anatomical, functional, preset="pet-ct-oncology-soft-tissue")
        assert bench.scene.GetNumberOfNodes() == before
        assert panel.logic.fuse(anatomical, functional, preset="pet-ct-oncology-soft-tissue", functionalWindow="uptake")

    def test_colours_of_another_scene_are_not_taken_for_those_of_a_preset(self, bench, panel):  # noqa: F811
        from MMIFAminLib.module import presets

        def table(name):
            node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLColorTableNode", name)
            node.SetTypeToUser()
            return node

        panel._parameterNode.colorTable = own = table("My green")
        panel.logic.savePreset("Ward")
        preset = presets.find(bench.app.userSettings(), "Ward")[1]
        assert presets.color_table(preset) is own
        bench.scene.Clear(0)
        assert table("Segment colours").GetID() == preset["table"]
        assert presets.color_table(preset) is None


class TestPreloading:
    def test_what_a_fusion_needs_is_loaded_once_the_panel_is_entered(self, bench, panel, monkeypatch):
        from MMIFAminLib.module import preload

        assert preload.wanted()
        bench.wait(lambda: not preload.wanted(), seconds=60)
        assert logging.getLogger("matplotlib").level == logging.INFO
        bench.wait(lambda: not panel._pollTimer.active)

    def test_it_stops_when_it_is_told_to_and_reads_binaries(self, bench):
        from MMIFAminLib.module import preload

        told, loaded = [], []
        preload.load(lambda fraction, text: told.append(text) or False, lambda: loaded.append(True))
        assert len(told) == 1 and not loaded and preload.wanted()
        assert any(path.name.startswith("_SimpleITK") for path in preload.binaries("SimpleITK"))
        assert preload.binaries("no_such_package_anywhere") == []
