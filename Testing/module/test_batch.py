"""The section *Batch* of the panel on the widget bench: all pairs of the scene, or all studies of a folder."""

import json
import threading

import numpy as np
import pytest
import SimpleITK as sitk

from bench.driving import case, fused, names, slow
from bench.fixtures import bench  # noqa: F401
from MMIFAminLib.cohort import find_studies
from MMIFAminLib.cohort.results import OneByOne, Results
from MMIFAminLib.errors import InputError
from MMIFAminLib.study import default_options
from support.cohorts import make_cohort

slicer = pytest.importorskip("slicer", reason="the widget bench needs slicer-core")
pytestmark = pytest.mark.filterwarnings("error:(already has|does not have) observer")


@pytest.fixture
def panel(bench):  # noqa: F811
    return bench.open()


def add(bench, *pairs):  # noqa: F811
    """The small sample pair under other names, once for each of ``pairs`` of names."""
    from MMIFAminLib.module.sample import SAMPLES
    from MMIFAminLib.module.selftest_base import add_volume, small_pair

    images = small_pair(SAMPLES["MMIFAminHead"])
    return [tuple(add_volume(image, name) for image, name in zip(images, pair)) for pair in pairs]


def run(bench, panel):  # noqa: F811
    panel.ui.fuseAllButton.click()
    bench.wait(lambda: not panel._job.busy)


def rows(panel):
    table = panel.ui.batchTable
    return [tuple(table.item(row, column).text() for column in range(3)) for row in range(table.rowCount)]


class TestScene:
    def test_what_would_be_fused_is_listed_first(self, bench, panel):  # noqa: F811
        add(bench, ("p1 MR", "p1 PET"), ("p2 MR", "p2 PET"), ("Volume", "scout"), ("Liver CT", "liver labels PET"))
        panel.ui.findAllButton.click()
        bench.wait(lambda: not panel._job.busy)
        assert rows(panel) == [
            ("p1 MR + p1 PET", "waiting", ""),
            ("p2 MR + p2 PET", "waiting", ""),
            ("Volume", "left out", "nothing tells whether it is the anatomical or the functional volume"),
            ("scout", "left out", "not corrected, a localizer or a projection: choose it yourself"),
            ("liver labels PET", "left out", "a label map by its name: choose it yourself"),
            ("Liver CT", "left out", "no functional volume is plainly its own"),
        ]
        assert panel.ui.statusLabel.text.startswith("Found: 2 waiting, 4 left out.")
        assert names(bench.scene, "vtkMRMLTableNode") == ["MMIFAmin batch"]

    def test_all_pairs_are_fused_and_what_is_wrong_stops_no_other(self, bench, panel):  # noqa: F811
        (p1, p2, _p3) = add(bench, ("p1 MR", "p1 PET"), ("p2 MR", "p2 PET"), ("p3 MR", "p3 PET"))
        p2[1].SetOrigin(5000.0, 0.0, 0.0)
        panel.ui.greyCheckBox.checked = True
        run(bench, panel)
        assert [row[1] for row in rows(panel)] == ["fused", "refused", "fused"]
        assert "p2 PET" in rows(panel)[1][2] and "overlap" in rows(panel)[1][2]
        assert panel.ui.statusLabel.text.startswith("Done: 2 fused, 1 refused.")
        made = names(bench.scene, "vtkMRMLVectorVolumeNode")
        assert made == ["p1 MR + p1 PET fused colour", "p3 MR + p3 PET fused colour"]
        assert "p3 MR + p3 PET fused grey" in names(bench.scene, "vtkMRMLScalarVolumeNode")
        assert panel.ui.colorSelector.currentNode().GetName() == made[0], "the chosen pair is the first"
        panel.ui.batchTable.cellClicked(2, 0)
        assert panel.ui.functionalSelector.currentNode().GetName() == "p3 PET"
        assert panel.ui.colorSelector.currentNode().GetName() == made[1]
        red = bench.scene.GetNodeByID("vtkMRMLSliceCompositeNodeRed")
        assert red.GetForegroundVolumeID() == panel.ui.colorSelector.currentNode().GetID()
        panel.ui.batchTable.cellClicked(7, 0)

    def test_a_second_volume_that_is_chosen_has_no_part_in_it_and_that_is_told(self, bench, panel):  # noqa: F811
        (_pair,) = add(bench, ("p1 MR", "p1 PET"))
        told = "The second volume that is chosen (Inputs) does not count for a batch."
        run(bench, panel)
        assert rows(panel)[0][1] == "fused" and told not in panel.ui.statusLabel.text
        panel._parameterNode.second = slicer.util.addVolumeFromArray(np.ones((4, 4, 4)), name="extra")
        for button, counts in ((panel.ui.findAllButton, "1 waiting"), (panel.ui.fuseAllButton, "1 kept")):
            button.click()
            bench.wait(lambda: not panel._job.busy)
            assert f"{counts}, 1 left out. {told}" in panel.ui.statusLabel.text

    def test_the_result_is_that_of_fuse_and_is_kept(self, bench, panel):  # noqa: F811
        output = fused(bench, panel)
        alone = np.array(slicer.util.arrayFromVolume(output))
        run(bench, panel)
        assert rows(panel) == [("Head MR + Head PET", "kept", "")]
        panel.ui.planeComboBox.setCurrentIndex(1)
        run(bench, panel)
        assert rows(panel)[0][1] == "fused" and "coronal" in output.GetAttribute("MMIFAmin.parameters")
        panel.ui.planeComboBox.setCurrentIndex(0)
        run(bench, panel)
        assert np.array_equal(slicer.util.arrayFromVolume(output), alone)
        assert len(names(bench.scene, "vtkMRMLVectorVolumeNode")) == 1

    def test_what_is_kept_gets_the_colours_that_are_chosen(self, bench, panel):  # noqa: F811
        output = fused(bench, panel)
        before = np.array(slicer.util.arrayFromVolume(output))
        panel._parameterNode.colorTable = bench.scene.GetNodeByID("vtkMRMLColorTableNodeRainbow")
        panel.logic.fuseAll()
        assert panel.logic.batchRows()[1][0][1] == "kept"
        assert json.loads(output.GetAttribute("MMIFAmin.parameters"))["color_table"] == "Rainbow"
        assert (slicer.util.arrayFromVolume(output) != before).any()

    def test_what_was_changed_without_the_panel_is_fused_again(self, bench, panel):  # noqa: F811
        (_p1, p2) = add(bench, ("p1 MR", "p1 PET"), ("p2 MR", "p2 PET"))
        run(bench, panel)
        before = np.array(slicer.util.arrayFromVolume(slicer.util.getNode("p2 MR + p2 PET fused colour")))
        slicer.util.arrayFromVolume(p2[1])[:] //= 4
        slicer.util.arrayFromVolumeModified(p2[1])
        run(bench, panel)
        assert [row[1] for row in rows(panel)] == ["kept", "fused"]
        after = slicer.util.arrayFromVolume(slicer.util.getNode("p2 MR + p2 PET fused colour"))
        assert not np.array_equal(before, after)

    def test_a_row_of_another_batch_chooses_nothing(self, bench, panel):  # noqa: F811
        add(bench, ("p1 MR", "p1 PET"), ("p2 MR", "p2 PET"))
        run(bench, panel)
        assert [node.GetName() for node in panel.logic.batchSources(0)] == ["p1 MR", "p1 PET"]
        for name in ("p1 MR", "p1 PET"):
            bench.scene.RemoveNode(slicer.util.getNode(name))
        bench.module.MMIFAminLogic().fuseAll()
        assert [row[0] for row in panel.logic.batchRows()[1]] == ["p2 MR + p2 PET"]
        assert panel.logic.batchSources(0) == ()

    def test_a_window_in_suv_is_refused_where_the_unit_is_another(self, bench, panel):  # noqa: F811
        (pair,) = add(bench, ("p1 CT", "p1 SUV PET"))
        add(bench, ("p2 CT", "p2 PET"))
        panel.ui.anatomicalSelector.setCurrentNode(pair[0])
        panel.ui.functionalSelector.setCurrentNode(pair[1])
        panel.ui.functionalWindowComboBox.setCurrentIndex(3)  # SUV 0 to 10
        run(bench, panel)
        assert [row[1] for row in rows(panel)] == ["fused", "refused"]
        assert "The unit of 'p2 PET' is not known" in rows(panel)[1][2]

    def test_a_cancel_keeps_what_is_done(self, bench, panel):  # noqa: F811
        from MMIFAminLib.module import logic

        add(bench, ("p1 MR", "p1 PET"), ("p2 MR", "p2 PET"))
        real, slept = logic._fusers["auto", "auto"], slow()
        logic._fusers["auto", "auto"] = turns = _Turns(real, slept)
        panel.ui.fuseAllButton.click()
        assert panel.ui.fuseAllButton.text == "Cancel" and not panel.ui.findAllButton.enabled
        bench.wait(lambda: slept.calls == 1)
        assert "2 of 2, p2 MR + p2 PET" in panel.ui.progressBar.format
        panel.ui.fuseAllButton.click()
        bench.wait(lambda: not panel._job.busy)
        assert [row[1] for row in rows(panel)] == ["fused", "waiting"] and turns.calls == 2
        assert "Cancelled; what is done is kept: 1 fused, 1 waiting." in panel.ui.statusLabel.text
        assert names(bench.scene, "vtkMRMLVectorVolumeNode") == ["p1 MR + p1 PET fused colour"]
        logic._fusers["auto", "auto"] = real
        run(bench, panel)
        assert [row[1] for row in rows(panel)] == ["kept", "fused"]

    def test_a_scene_that_closes_ends_it(self, bench, panel):  # noqa: F811
        add(bench, ("p1 MR", "p1 PET"))
        fuser = slow()
        panel.ui.fuseAllButton.click()
        bench.wait(lambda: fuser.calls == 1)
        bench.scene.Clear(0)
        bench.enter()
        assert not panel._job.busy and not panel.ui.batchTable.visible
        assert panel.ui.fuseAllButton.text == "Fuse all"

    def test_without_a_pair_there_is_nothing_done(self, bench, panel):  # noqa: F811
        run(bench, panel)
        assert "no pair to fuse: the scene has no volume" in panel.ui.statusLabel.text and rows(panel) == []
        add(bench, ("T1", "scout"))
        # The one is chosen by itself a little later, and the panel asks for the other.
        bench.wait(lambda: "Choose a functional volume" in panel.ui.statusLabel.text)
        run(bench, panel)
        assert "'scout' is left out" in panel.ui.statusLabel.text and len(rows(panel)) == 2


class _Turns:
    """One fuser for the first call, and another from then on."""

    def __init__(self, *fusers):
        self.fusers, self.calls = fusers, 0

    def fuse(self, *arguments, **choices):
        self.calls += 1
        return self.fusers[min(self.calls, 2) - 1].fuse(*arguments, **choices)


class _Stuck:
    """A fuser that is asked for its weights, and has none once it is released."""

    def __init__(self):
        self.asked, self.release = threading.Event(), threading.Event()

    @property
    def weights(self):
        self.asked.set()
        self.release.wait(60)
        raise RuntimeError("no weights")


class TestFolder:
    @pytest.fixture
    def folder(self, bench, panel, tmp_path, monkeypatch):  # noqa: F811
        """The panel with a folder of two studies and one that cannot be fused chosen by its buttons."""
        make_cohort(tmp_path, 2, ["bad,mr000.nrrd,none.nrrd,"])
        panel.ui.batchOfComboBox.setCurrentIndex(1)
        asked = iter([str(tmp_path), "", str(tmp_path / "out")])
        monkeypatch.setattr(panel, "askFolder", lambda title, before: next(asked))
        assert "Choose the folder" in panel.ui.fuseAllButton.toolTip
        panel.ui.batchFolderButton.click()
        panel.ui.batchResultsButton.click()
        assert "folder for the results" in panel.ui.fuseAllButton.toolTip
        panel.ui.batchResultsButton.click()
        assert panel._parameterNode.batchResults == str(tmp_path / "out")
        panel.ui.batchFolderLineEdit.text = str(tmp_path / "studies.csv")
        return tmp_path

    def test_its_studies_become_files_and_are_kept(self, bench, panel, folder):  # noqa: F811
        panel.ui.planeComboBox.setCurrentIndex(1)
        before = bench.scene.GetNumberOfNodes()
        run(bench, panel)
        assert [row[:2] for row in rows(panel)] == [("s000", "fused"), ("s001", "fused"), ("bad", "refused")]
        assert "none.nrrd: no such file" in rows(panel)[2][2]
        image = sitk.ReadImage(str(folder / "out" / "s001" / "fused.nrrd"))
        assert image.GetNumberOfComponentsPerPixel() == 3, "Colour is ticked"
        assert '"coronal"' in (folder / "out" / "s001" / "report.json").read_text()
        assert (folder / "out" / "s001" / "preview.png").exists() and (folder / "out" / "cohort.html").exists()
        assert bench.scene.GetNumberOfNodes() == before + 1, "the table alone"
        panel.ui.batchTable.cellClicked(0, 0)
        run(bench, panel)
        assert [row[1] for row in rows(panel)] == ["kept", "kept", "refused"]

    def test_a_table_that_cannot_be_written_stops_nothing(self, bench, panel, folder, monkeypatch):  # noqa: F811
        """A full disk, or a table that another application holds open."""

        def full(self, *_):
            raise InputError("cohort.csv cannot be written: no space left on device")

        monkeypatch.setattr(Results, "_write_table", full)
        run(bench, panel)
        assert [row[:2] for row in rows(panel)] == [("s000", "fused"), ("s001", "fused"), ("bad", "refused")]
        assert "no space left" in panel.ui.statusLabel.text and not panel._job.busy
        assert panel.ui.fuseAllButton.text == "Fuse all"

    def test_a_scene_that_closes_leaves_the_folder_to_others(self, bench, panel, folder):  # noqa: F811
        from MMIFAminLib.module import logic

        logic._fusers["auto", "auto"] = fuser = _Stuck()
        panel.ui.fuseAllButton.click()
        bench.wait(fuser.asked.is_set)
        bench.scene.Clear(0)
        fuser.release.set()
        assert "waiting" in (folder / "out" / "cohort.csv").read_text()
        studies = find_studies(folder / "studies.csv")
        again = OneByOne(studies, folder / "out", default_options(), lambda: None)
        again.open()
        again.close()

    def test_what_is_found_is_listed_and_nothing_written(self, bench, panel, folder):  # noqa: F811
        panel.ui.findAllButton.click()
        bench.wait(lambda: not panel._job.busy)
        assert [row[:2] for row in rows(panel)] == [("s000", "waiting"), ("s001", "waiting"), ("bad", "waiting")]
        assert not (folder / "out").exists()

    def test_a_folder_that_another_is_at_work_in_is_told(self, bench, panel, folder):  # noqa: F811
        other = OneByOne(find_studies(folder / "studies.csv"), folder / "out", default_options(), lambda: None)
        other.open()
        run(bench, panel)
        assert "another command is at work" in panel.ui.statusLabel.text and not panel._job.busy
        other.close()

    def test_places_that_are_not_there_are_told(self, bench, panel, folder):  # noqa: F811
        panel.ui.batchFolderLineEdit.text = str(folder / "nowhere")
        assert "There is no folder" in panel.ui.fuseAllButton.toolTip and not panel.ui.fuseAllButton.enabled
        (folder / "empty").mkdir()
        panel.ui.batchFolderLineEdit.text = str(folder / "empty")
        run(bench, panel)
        assert "holds no study to fuse" in panel.ui.statusLabel.text and rows(panel) == []
        panel.ui.batchOfComboBox.setCurrentIndex(0)
        assert not panel.ui.batchFolderLineEdit.enabled


def test_the_console_does_it_in_one_call(bench, tmp_path):  # noqa: F811
    add(bench, ("p1 MR", "p1 PET"), ("p2 MR", "p2 PET"))
    logic, seen = bench.module.MMIFAminLogic(), []
    table = logic.fuseAll(progress=lambda fraction, text: seen.append(text) or len(seen) < 3 or "2 of 2" not in text)
    status = [table.GetTable().GetColumn(1).GetValue(row) for row in range(table.GetNumberOfRows())]
    assert status == ["fused", "waiting"], "cancelled in the second"
    make_cohort(tmp_path, 1)
    again = logic.fuseAll(tmp_path / "studies.csv", tmp_path / "out")
    assert again is table and table.GetTable().GetColumn(1).GetValue(0) == "fused"
    assert table.GetTable().GetColumn(4).GetValue(0) == "s000/fused.nrrd"
    assert case(bench) is not None
