"""Where a fused volume lies in the data tree, its colour legend, and a scene that is being closed."""

import json

import pytest
import slicer

from MMIFAminLib import mrml
from MMIFAminLib.errors import InputError
from support.scenes import UNIT, fuser, pair, scene  # noqa: F401

CHILD = slicer.vtkMRMLSubjectHierarchyConstants


@pytest.fixture
def study(scene, pair):  # noqa: F811
    """The data tree with both volumes in studies of their own, as Slicer's DICOM module makes them; their items."""
    tree = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    patient = tree.CreateSubjectItem(tree.GetSceneItemID(), "Doe")
    tree.SetItemAttribute(patient, CHILD.GetDICOMPatientIDAttributeName(), "P1")
    studies = []
    for node, name in zip(pair, ("MR study", "PET study")):
        item = tree.CreateStudyItem(patient, name)
        tree.SetItemAttribute(item, CHILD.GetDICOMStudyDescriptionAttributeName(), name)
        tree.CreateItem(item, node)
        studies.append(item)
    return tree, studies


@pytest.mark.parametrize("rgb", [True, False])
def test_a_fused_volume_lies_in_the_study_of_the_anatomical_one(study, pair, fuser, rgb):  # noqa: F811
    """Slicer's *Export to DICOM* takes patient and study from the items above."""
    tree, studies = study
    made = mrml.fuse_nodes(*pair, fuser=fuser, rgb=rgb, **UNIT)
    item = tree.GetItemByDataNode(made)
    assert item and tree.GetItemParent(item) == studies[0]
    patient, description = CHILD.GetDICOMLevelPatient(), CHILD.GetDICOMStudyDescriptionAttributeName()
    assert tree.GetAttributeFromItemAncestor(item, CHILD.GetDICOMPatientIDAttributeName(), patient) == "P1"
    assert tree.GetAttributeFromItemAncestor(item, description, CHILD.GetDICOMLevelStudy()) == "MR study"


def test_an_output_of_another_study_is_moved_and_keeps_its_item(study, pair, fuser):  # noqa: F811
    tree, studies = study
    made = mrml.fuse_nodes(*pair, fuser=fuser, **UNIT)
    item = tree.GetItemByDataNode(made)
    tree.SetItemParent(item, studies[1])
    mrml.fuse_nodes(*pair, made, fuser=fuser, **UNIT)
    assert tree.GetItemByDataNode(made) == item and tree.GetItemParent(item) == studies[0]


class TestLegend:
    @pytest.fixture
    def colored(self, scene, pair, fuser):  # noqa: F811
        scene.RegisterNodeClass(slicer.vtkMRMLColorLegendDisplayNode())
        return mrml.fuse_nodes(*pair, fuser=fuser, rgb=True, kind="uptake", **UNIT)

    def heat(self, scene):  # noqa: F811
        return scene.GetNodeByID("vtkMRMLPETProceduralColorNodePET-Heat")

    def test_it_has_the_table_the_window_and_the_unit(self, scene, colored):  # noqa: F811
        own = colored.GetDisplayNode()
        legend = mrml.show_legend(colored, self.heat(scene), "SUV")
        scale = legend.GetPrimaryDisplayNode()
        assert legend.GetVisibility() and legend.GetTitleText() == "SUV" and legend.GetLabelFormat() == "%.1f"
        assert legend.GetDisplayableNode() is colored and scale.GetColorNode() is self.heat(scene)
        assert (scale.GetWindowLevelMin(), scale.GetWindowLevelMax()) == (0.0, 2.0)
        assert colored.GetDisplayNode() is own, "the views draw by the volume's own display"

    def test_another_table_goes_into_the_same_legend(self, scene, colored):  # noqa: F811
        legend, rainbow = mrml.show_legend(colored, self.heat(scene), "SUV"), scene.GetFirstNodeByName("Rainbow")
        mrml.recolor(colored, rainbow)
        assert not legend.GetVisibility(), "what is painted anew has no legend until that is shown anew"
        assert mrml.show_legend(colored, rainbow, "Bq/ml") is legend
        assert legend.GetVisibility() and legend.GetPrimaryDisplayNode().GetColorNode() is rainbow
        assert scene.GetNumberOfNodesByClass("vtkMRMLColorLegendDisplayNode") == 1
        assert set(mrml.legend_nodes(colored)) == {legend, legend.GetPrimaryDisplayNode()}

    def test_what_is_no_uptake_has_none(self, scene, pair, fuser, colored):  # noqa: F811
        legend = mrml.show_legend(colored, self.heat(scene), "SUV")
        again = mrml.fuse_nodes(*pair, colored, fuser=fuser, rgb=True, kind="anatomical", **UNIT)
        assert again is colored and not legend.GetVisibility(), "of what was shown before"
        assert mrml.show_legend(colored, self.heat(scene), "SUV") is None and not legend.GetVisibility()

    def test_it_survives_saving_and_loading(self, scene, colored, tmp_path):  # noqa: F811
        mrml.show_legend(colored, self.heat(scene), "SUV")
        path = str(tmp_path / "scene.mrml")
        scene.SetURL(path)
        scene.Commit(path)
        scene.Clear(0)
        scene.SetURL(path)
        scene.Connect()
        again = scene.GetFirstNodeByName("T1 + PET fused colour")
        legend, scale = mrml.legend_nodes(again)
        assert legend.GetPrimaryDisplayNode() is scale and scale.GetWindowLevelMax() == 2.0
        assert again.GetDisplayNode().IsA("vtkMRMLVectorVolumeDisplayNode")


def test_a_scene_that_is_being_closed_gives_no_snapshot(scene, pair, fuser):  # noqa: F811
    """Halfway through, transforms may be gone: the volume that is left lies elsewhere."""
    seen = []

    def fuse(*_):
        assert scene.IsClosing()
        with pytest.raises(InputError, match="being closed"):
            mrml.snapshot(*pair)
        with pytest.raises(InputError, match="being closed"):
            mrml.fuse_nodes(*pair, fuser=fuser, **UNIT)
        seen.append(scene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode"))

    made = mrml.fuse_nodes(*pair, fuser=fuser, **UNIT)
    assert json.loads(made.GetAttribute("MMIFAmin.parameters"))["plane"] == "axial"
    tag = scene.AddObserver(scene.StartCloseEvent, fuse)
    scene.Clear(0)
    scene.RemoveObserver(
        tag
    )  # what holds the scene in its own observer is called once more when both are thrown away: a crash
    assert seen == [3]
