"""A cohort without dask: studies fused one by one, told in the folder of the results however it ends."""

import csv

import pytest

from MMIFAminLib.cohort import Studies, find_studies
from MMIFAminLib.cohort.results import OneByOne, folder_of_results
from MMIFAminLib.engine import VolumeFuser
from MMIFAminLib.errors import FusionCancelled, InputError
from MMIFAminLib.study import default_options
from support.cohorts import make_cohort


@pytest.fixture(scope="module")
def fuser(stirred_weights):
    return VolumeFuser.load("cpu", "fp32", stirred_weights)


@pytest.fixture(scope="module")
def studies(tmp_path_factory):
    """Two pairs that can be fused, and one that is none."""
    return find_studies(make_cohort(tmp_path_factory.mktemp("cohort"), 2, ["bad,mr000.nrrd,none.nrrd,"]))


def told(folder):
    with open(folder / "cohort.csv", newline="") as file:
        return {line["id"]: (line["status"], line["reason"]) for line in csv.DictReader(file)}


def test_rows_are_fused_one_by_one_and_a_second_time_kept(studies, fuser, tmp_path):
    asked = []
    for status in ("fused", "kept"):
        cohort = OneByOne(studies, tmp_path / "out", default_options(), lambda: fuser)
        cohort.open()
        for row in cohort.rows:
            cohort.add(cohort.fuse(row, lambda fraction, text: asked.append(fraction)))
        cohort.close()
        told_of = told(tmp_path / "out")
        assert [told_of[name][0] for name in ("s000", "s001", "bad")] == [status, status, "refused"]
        assert "none.nrrd: no such file" in told_of["bad"][1]
    assert len(asked) > 4 and "s001" in (tmp_path / "out" / "cohort.html").read_text()


def test_a_cancelled_row_waits_and_the_others_are_kept(studies, fuser, tmp_path):
    cohort = OneByOne(studies, tmp_path, default_options(), lambda: fuser)
    cohort.open()
    cohort.add(cohort.fuse(cohort.rows[0], lambda fraction, text: None))
    with pytest.raises(FusionCancelled):
        cohort.fuse(cohort.rows[1], lambda fraction, text: False)
    cohort.close()
    assert {name: status for name, (status, _) in told(tmp_path).items()} == {
        "s000": "fused",
        "s001": "waiting",
        "bad": "waiting",
    }


def test_two_cannot_have_one_folder(studies, fuser, tmp_path):
    first, second = (OneByOne(studies, tmp_path, default_options(), lambda: fuser) for _ in range(2))
    first.open()
    with pytest.raises(InputError, match="another command is at work"):
        second.open()
    first.close()
    second = OneByOne(studies, tmp_path, default_options(), lambda: fuser)
    second.open()
    second.close()


def test_nothing_is_written_before_it_is_opened(studies, fuser, tmp_path):
    cohort = OneByOne(studies, tmp_path / "out", default_options(), lambda: fuser)
    assert [row.id for row in cohort.rows] == ["s000", "s001", "bad"]
    cohort.close()
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("dataset", [False, True])
def test_a_folder_in_which_nothing_comes_to_lie_is_left_as_it_was(tmp_path, dataset):
    studies = Studies((), (), tmp_path / "raw" if dataset else None)
    (tmp_path / "mine").mkdir()
    for folder in (tmp_path / "new" / "out", tmp_path / "mine"):
        with pytest.raises(KeyError), folder_of_results(studies, folder, False):
            raise KeyError
    assert [path.name for path in tmp_path.rglob("*")] == ["mine"]
    with folder_of_results(studies, tmp_path / "mine", False) as results:
        results.begin()
        (tmp_path / "mine" / ".cohort" / "s000.json").touch()
    with folder_of_results(studies, tmp_path / "mine", False):
        pass
    assert (tmp_path / "mine" / ".cohort" / "s000.json").exists()
    assert (tmp_path / "mine" / "dataset_description.json").exists() == dataset
