"""Which volumes belong together by their names and places, and the studies in a folder of volume files."""

import pytest

from MMIFAminLib.cohort import Row, find_studies
from MMIFAminLib.cohort.naming import role_by_name, stem
from MMIFAminLib.cohort.pairing import Candidate, pair_up
from MMIFAminLib.errors import InputError


def paired(*names, groups=None):
    """The pairs of names, and what is said of the names that are left out."""
    groups = groups or [""] * len(names)
    made = [Candidate(name, name, role_by_name(name), group) for name, group in zip(names, groups)]
    pairs, left_out = pair_up(made)
    return pairs, {one.name: why for one, why in left_out}


@pytest.mark.parametrize(
    "name, words",
    [
        ("Head MR", {"head"}),
        ("PETHead", {"head"}),
        ("patient1_ct", {"patient", "1"}),
        ("sub-01_T1w", {"sub", "01"}),
        ("FDG_PET", set()),
        ("CTChest", {"chest"}),
        ("pet2", {"2"}),
        ("T2", set()),
        ("HeadT1w", {"head", "w"}),
    ],
)
def test_a_stem_is_what_no_modality_says(name, words):
    assert stem(name) == words


@pytest.mark.parametrize(
    "names, pairs",
    [
        (["Head MR", "Head PET", "Trunk CT", "Trunk PET"], [("Head MR", "Head PET"), ("Trunk CT", "Trunk PET")]),
        (["CT", "PET early", "PET late"], [("CT", "PET early"), ("CT", "PET late")]),
        (["ct1", "ct2", "pet1", "pet2"], [("ct1", "pet1"), ("ct2", "pet2")]),
        (["ct_chest", "fdg_wb"], [("ct_chest", "fdg_wb")]),
        (["p1 T1", "p1 CT", "p1 PET CT fused", "p1 PET"], []),
        (["p1_ct", "p1_pet", "p1_pet_late"], [("p1_ct", "p1_pet"), ("p1_ct", "p1_pet_late")]),
    ],
)
def test_names_that_agree_make_a_pair(names, pairs):
    assert paired(*names)[0] == pairs


def test_another_patients_anatomy_is_nobodys():
    pairs, left_out = paired("p1_ct", "p1_pet", "p2_pet")
    assert pairs == [("p1_ct", "p1_pet")]
    assert left_out == {"p2_pet": "the only MR or CT beside it, 'p1_ct', is that of 'p1_pet' by its name"}


@pytest.mark.parametrize(
    "name", ["liver labels PET", "p1_pet_seg", "PET LabelMap", "p1_pet_mask2", "p1_desc-organs_dseg"]
)
def test_what_is_called_a_label_map_is_not_fused_unasked(name):
    pairs, left_out = paired("CT", name)
    assert pairs == [] and left_out[name] == "a label map by its name: choose it yourself"
    assert paired("CT", "unmasked PET")[0] == [("CT", "unmasked PET")]


def test_what_lies_apart_is_not_paired():
    pairs, left_out = paired("CT", "PET", "T1", groups=["a", "b", "c"])
    assert pairs == [] and left_out == {
        "PET": "there is no MR or CT beside it",
        "CT": "there is no PET or SPECT beside it",
        "T1": "there is no PET or SPECT beside it",
    }


def test_what_is_left_out_is_told_why():
    _, left_out = paired("T1", "CT", "PET", "scout", "CT_for_PET")
    assert left_out["PET"] == "several could be meant: 'T1', 'CT'; choose two yourself"
    assert left_out["T1"] == "no functional volume is plainly its own"
    assert left_out["scout"].startswith("not corrected, a localizer") and "nothing tells" in left_out["CT_for_PET"]


def test_a_folder_of_volume_files_is_a_cohort(tmp_path):
    for name in ("a/ct.nrrd", "a/pet.nii.gz", "p1_T1.mha", "p1_pet.nrrd", "P1_PET.nii", "notes.txt", "b/pet.nrrd"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "results" / ".cohort").mkdir(parents=True)
    (tmp_path / "results" / "ct.nrrd").touch()
    studies = find_studies(tmp_path)
    assert studies.rows == (
        Row("P1_PET-1", tmp_path / "p1_T1.mha", tmp_path / "P1_PET.nii"),
        Row("p1_pet-2", tmp_path / "p1_T1.mha", tmp_path / "p1_pet.nrrd"),
        Row("a_pet", tmp_path / "a" / "ct.nrrd", tmp_path / "a" / "pet.nii.gz"),
    )
    (left,) = studies.left_out
    assert (left.what, left.why) == (str(tmp_path / "b" / "pet.nrrd"), "there is no MR or CT beside it")
    with pytest.raises(InputError, match="holds no study to fuse: .*pet.nrrd: there is no MR or CT beside it"):
        find_studies(tmp_path / "b")
