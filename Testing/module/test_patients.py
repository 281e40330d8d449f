"""Volumes of two patients, as Slicer's DICOM module files them in the data tree: never fused without a word."""

import pytest

from bench.driving import case
from bench.fixtures import bench  # noqa: F401
from MMIFAminLib import mrml
from MMIFAminLib.errors import InputError

slicer = pytest.importorskip("slicer", reason="the widget bench needs slicer-core")


@pytest.fixture
def panel(bench):  # noqa: F811
    return bench.open()


def file_under(node, patient):
    """Put ``node`` into a study of a patient of that id (None: one without an id) in the data tree."""
    tree = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    item = tree.CreateSubjectItem(tree.GetSceneItemID(), "somebody")
    if patient is not None:
        tree.SetItemAttribute(item, "DICOM.PatientID", patient)
    study = tree.CreateStudyItem(item, "study")
    tree.SetItemParent(tree.GetItemByDataNode(node) or tree.CreateItem(study, node), study)


def test_the_panel_asks_once_before_it_fuses_them(bench, panel, monkeypatch):  # noqa: F811
    asked, answer = [], [False]
    monkeypatch.setattr(slicer.util, "confirmOkCancelDisplay", lambda text, title: asked.append(text) or answer[0])
    nodes = case(bench).choose(panel)
    file_under(nodes[0], "P1")
    file_under(nodes[1], "P2")
    panel.ui.fuseButton.click()
    assert not panel._job.busy and len(asked) == 1
    assert f"'{nodes[0].GetName()}' and '{nodes[1].GetName()}' are of different patients" in asked[0]
    answer[0] = True
    for _ in range(2):
        case(bench).fuse(panel)
    assert len(asked) == 2 and panel.ui.colorSelector.currentNode() is not None


@pytest.mark.parametrize("ids", [("P1", "P1"), ("P1 ", "P1"), ("P1", None), ("P1", ""), (None, None)])
def test_one_patient_or_one_who_is_not_told_is_not_asked_about(bench, ids):  # noqa: F811
    nodes = case(bench).pair()
    assert mrml.other_patient(*nodes) == ""
    for node, patient in zip(nodes, ids):
        file_under(node, patient)
    assert mrml.other_patient(*nodes) == ""


def test_the_console_refuses_them_unless_it_is_told_to_insist(bench):  # noqa: F811
    nodes, logic = case(bench).pair(), bench.module.MMIFAminLogic()
    for node, patient in zip(nodes, ("P1", "P2")):
        file_under(node, patient)
    with pytest.raises(
        InputError, match=r"of different patients \(their patient ids differ\); if you mean it, say insist=True"
    ):
        logic.fuse(*nodes)
    assert logic.fuse(*nodes, insist=True).GetImageData() is not None


def test_a_batch_does_not_pair_them(bench, panel):  # noqa: F811
    nodes = case(bench).pair()
    for node, patient in zip(nodes, ("P1", "P2")):
        file_under(node, patient)
    panel.ui.findAllButton.click()
    bench.wait(lambda: not panel._job.busy)
    table = panel.ui.batchTable
    assert [table.item(row, 1).text() for row in range(table.rowCount)] == ["left out"] * 2


def test_two_patients_are_not_chosen_by_themselves(bench):  # noqa: F811
    from MMIFAminLib.module.roles import preselect

    (mr, pet), (other_mr, other_pet) = case(bench).pair(), case(bench).pair()
    file_under(pet, "P1")
    for node in (mr, other_mr, other_pet):
        file_under(node, "P2")
    assert preselect(bench.scene) == (None, pet), "of this patient there is no MR"
    assert preselect(bench.scene, mr) == (mr, other_pet)
    file_under(other_mr, "P1")
    assert preselect(bench.scene) == (other_mr, pet)
