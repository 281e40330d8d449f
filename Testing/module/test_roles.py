"""Which volume of a scene is taken as the anatomical one and which as the functional one."""

import pytest

from bench.fixtures import bench  # noqa: F401

slicer = pytest.importorskip("slicer", reason="needs slicer-core")
vtk = pytest.importorskip("vtk")


class TestRoles:
    def volume(self, scene, name, *, modality=None, table=None, kind="vtkMRMLScalarVolumeNode"):
        components = 3 if kind == "vtkMRMLVectorVolumeNode" else 1
        image = vtk.vtkImageData()
        image.SetDimensions(2, 2, 2)
        image.AllocateScalars(3, components)
        node = scene.AddNewNodeByClass(kind, name)
        node.SetAndObserveImageData(image)
        node.CreateDefaultDisplayNodes()
        if modality:
            node.SetAttribute("DICOM.Modality", modality)
        if table:
            node.GetDisplayNode().SetAndObserveColorNodeID(table)
        return node

    @pytest.mark.parametrize(
        "options, role",
        [
            (dict(name="scan 1", modality="PT"), "functional"),
            (dict(name="scan 1", modality="NM"), "functional"),
            (dict(name="PET scout", modality="CT"), "anatomical"),
            (dict(name="scan 1", table="vtkMRMLPETProceduralColorNodePET-Heat"), "functional"),
            (dict(name="scan 1", table="vtkMRMLColorTableNodeGrey"), None),
            (dict(name="sub-01_FDG"), "functional"),
            (dict(name="sub-01_T1w"), "anatomical"),
            (dict(name="carpet"), None),
            (dict(name="scan 1", kind="vtkMRMLVectorVolumeNode"), "functional"),
        ],
    )
    def test_a_volume_tells_its_role(self, bench, options, role):  # noqa: F811
        from MMIFAminLib.module.roles import guess_role

        assert guess_role(self.volume(bench.scene, **options)) == role

    def test_names_that_people_use_tell_a_role_and_doubtful_ones_none(self, bench):  # noqa: F811
        from MMIFAminLib.module.roles import guess_role

        told = {
            "anatomical": "MRHead MRBrainTumor1 CTChest CTACardio CTAC CT_lung T1 T1w T2Flair MPRAGE FLAIR_ax MRI "
            "AC_CT LDCT CTWB ADC DWI T1ce MP2RAGE MRAC",
            "functional": "SUVbw SUVlbm NAC PET_NAC PET-AC FDG-PET 18F-FDG DaTSCAN spect_recon WholeBodyPET "
            "PETAC WBPET FDGPET Ga68-DOTATOC 68Ga_PSMA FET MIBI HMPAO",
            None: "CT_for_PET PETCT CTPerfusion MR-PET Volume carpet respect Petra structure CT_perf MR_ASL PET_mumap "
            "[WB_CTAC]_Body PET_MRAC CTDose",
        }
        for role, names in told.items():
            for name in names.split():
                assert guess_role(self.volume(bench.scene, name)) == role, name

    @pytest.mark.parametrize(
        "code, role", [("{SUVbw}g/ml", "functional"), ("Bq/ml", "functional"), ("[hnsf'U]", "anatomical")]
    )
    def test_units_tell_a_role(self, bench, code, role):  # noqa: F811
        import slicer

        from MMIFAminLib.module.roles import guess_role

        node = self.volume(bench.scene, "scan 1")
        units = slicer.vtkCodedEntry()
        units.SetValueSchemeMeaning(code, "UCUM", code)
        node.SetVoxelValueUnits(units)
        assert guess_role(node) == role

    @pytest.mark.parametrize(
        "code, role", [("126400", "functional"), ("126401", "functional"), ("112031", "anatomical"), ("126407", None)]
    )
    def test_quantities_tell_a_role(self, bench, code, role):  # noqa: F811
        from MMIFAminLib.module.roles import guess_role

        node, quantity = self.volume(bench.scene, "scan 1"), slicer.vtkCodedEntry()
        quantity.SetValueSchemeMeaning(code, "DCM", code)
        node.SetVoxelValueQuantity(quantity)
        assert guess_role(node) == role

    def test_what_nobody_fuses_without_saying_so_is_not_chosen_by_itself(self, bench):  # noqa: F811
        from MMIFAminLib.module.roles import preselect

        for name in ("PET NAC", "PET_MIP", "CT scout", "MR localizer", "CT topogram", "liver labels PET", "CT mask"):
            self.volume(bench.scene, name)
        assert preselect(bench.scene) == (None, None)
        pet, ct = self.volume(bench.scene, "PET AC"), self.volume(bench.scene, "CT")
        assert preselect(bench.scene) == (ct, pet)

    def test_what_is_chosen_is_kept_and_our_own_volumes_are_no_sources(self, bench):  # noqa: F811
        from MMIFAminLib.module.roles import preselect

        assert preselect(bench.scene) == (None, None)
        unknown = self.volume(bench.scene, "scan 1")
        assert preselect(bench.scene) == (None, None)
        pet = self.volume(bench.scene, "PET")
        assert preselect(bench.scene) == (unknown, pet)
        made = self.volume(bench.scene, "MR + PET fused")
        made.SetAttribute("MMIFAmin.version", "1")
        mr = self.volume(bench.scene, "MR")
        assert preselect(bench.scene) == (mr, pet)
        assert preselect(bench.scene, unknown, None) == (unknown, pet)
        assert preselect(bench.scene, None, unknown) == (mr, unknown)

    def test_what_is_plainly_of_another_patient_is_not_put_beside_what_is_chosen(self, bench):  # noqa: F811
        from MMIFAminLib.module.roles import preselect

        bert_mr, anna_pet = self.volume(bench.scene, "bert MR"), self.volume(bench.scene, "anna PET")
        anna_mr = self.volume(bench.scene, "anna MR")
        assert preselect(bench.scene) == (anna_mr, anna_pet)
        assert preselect(bench.scene, bert_mr, None) == (bert_mr, None)
        assert preselect(bench.scene, anna_mr, None) == (anna_mr, anna_pet)
        bert_pet = self.volume(bench.scene, "bert PET")
        assert preselect(bench.scene, bert_mr, None) == (bert_mr, bert_pet)
        assert preselect(bench.scene, None, bert_pet) == (bert_mr, bert_pet)

    def test_what_lies_in_another_study_is_not_put_beside_what_is_chosen(self, bench):  # noqa: F811
        from MMIFAminLib.module.roles import preselect

        tree = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(bench.scene)
        nodes = []
        for study in ("first", "second"):
            item = tree.CreateStudyItem(tree.GetSceneItemID(), study)
            for name in ("MR", "PET"):
                nodes.append(self.volume(bench.scene, name))
                tree.CreateItem(item, nodes[-1])
        assert preselect(bench.scene, nodes[2], None) == (nodes[2], nodes[3])
        bench.scene.RemoveNode(nodes[3])
        assert preselect(bench.scene, nodes[2], None) == (nodes[2], None)

    def test_one_volume_alone_or_one_other_takes_the_role_that_is_left(self, bench):  # noqa: F811
        from MMIFAminLib.module.roles import preselect

        pet = self.volume(bench.scene, "PET")
        assert preselect(bench.scene) == (None, pet)
        bench.scene.RemoveNode(pet)
        mr = self.volume(bench.scene, "MR")
        assert preselect(bench.scene) == (mr, None)
        unknown = self.volume(bench.scene, "scan 1")
        assert preselect(bench.scene) == (mr, unknown)
        self.volume(bench.scene, "scan 2")
        assert preselect(bench.scene) == (mr, None), "nothing tells which of the two it is"
