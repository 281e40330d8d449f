"""Cohorts of DICOM studies in a tree: the pairs that are plain, and DICOM written for each."""

import shutil
import subprocess

import numpy as np
import pytest

from MMIFAminLib.cohort import Row, find_studies, fuse_row
from MMIFAminLib.engine import VolumeFuser
from MMIFAminLib.errors import InputError
from MMIFAminLib.study import default_options
from support.dicom import Written, write_series

PLACES = np.array([[-48.0, -48.0, 4.0 * k] for k in range(8)])


def series(folder, modality, study, uid, **tags):
    rng = np.random.default_rng(0)
    stored = rng.integers(0, 1000, (8, 16, 16)).astype(np.int16)
    tags |= {"SeriesInstanceUID": uid, "StudyInstanceUID": study, "PatientID": f"P{study}"}
    if modality == "PT":
        tags |= {"Units": "BQML", "CorrectedImage": ["ATTN", "DECY"]}
    write_series(folder, Written(stored, PLACES, spacing=(6.0, 6.0), modality=modality, tags=tags))


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    root = tmp_path_factory.mktemp("tree")
    series(root / "anna" / "ct", "CT", "1.2.1", "1.2.1.1")
    series(root / "anna" / "pet", "PT", "1.2.1", "1.2.1.2")
    series(root / "two" / "a ct", "CT", "1.2.2", "1.2.2.1")
    series(root / "two" / "a pet", "PT", "1.2.2", "1.2.2.2")
    series(root / "two" / "b ct", "CT", "1.2.3", "1.2.3.1")
    series(root / "two" / "b pet", "PT", "1.2.3", "1.2.3.2")
    series(root / "alone", "CT", "1.2.4", "1.2.4.1")
    return root


def test_studies_whose_roles_are_plain_are_found_wherever_they_lie(tree):
    studies = find_studies(tree)
    assert studies.rows == (
        Row("anna", tree / "anna" / "ct", tree / "anna" / "pet"),
        Row("two-1", tree / "two" / "a ct", tree / "two" / "a pet"),
        Row("two-2", tree / "two" / "b ct", tree / "two" / "b pet"),
    )
    (left,) = studies.left_out
    assert left.what == str(tree / "alone") and left.why.endswith(
        "no attenuation-corrected PET or SPECT among them can be chosen by itself"
    )


def test_series_that_lie_together_are_told_by_their_uids(tree, tmp_path):
    shutil.copytree(tree / "anna" / "ct", tmp_path / "cd")
    for path in (tree / "anna" / "pet").iterdir():
        shutil.copy(path, tmp_path / "cd" / f"pet{path.name}")
    (row,) = find_studies(tmp_path).rows
    assert (str(row.anatomical), str(row.functional)) == (f"{tmp_path / 'cd'}::1.2.1.1", f"{tmp_path / 'cd'}::1.2.1.2")


def test_a_tree_without_a_study_is_told_of(tree, tmp_path):
    with pytest.raises(InputError, match="no DICOM images"):
        find_studies(tmp_path)
    with pytest.raises(InputError, match="holds no study to fuse: .*no attenuation-corrected"):
        find_studies(tree / "alone")


def test_a_row_becomes_a_dicom_series_and_is_done_once(tree, tmp_path, untrained_weights):
    fuser = VolumeFuser.load("cpu", "fp32", untrained_weights)
    row, options = find_studies(tree).rows[0], default_options(dicom=True)
    assert fuse_row(row, tmp_path, options, lambda: fuser).status == "fused"
    files = sorted((tmp_path / "anna" / "fused_dicom").iterdir())
    assert len(files) == 8 and fuse_row(row, tmp_path, options, lambda: fuser).status == "kept"
    files[0].unlink()
    assert fuse_row(row, tmp_path, options, lambda: fuser).status == "fused"
    assert len(list((tmp_path / "anna" / "fused_dicom").iterdir())) == 8
    assert sorted(path.name for path in (tmp_path / "anna").iterdir()) == ["fused_dicom", "preview.png", "report.json"]
    if shutil.which("dciodvfy") is None:
        pytest.skip("dciodvfy is not installed; on Debian: apt-get install dicom3tools")
    told = [subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True).stderr for path in files[1:3]]
    assert [line for text in told for line in text.splitlines() if line.startswith("Error")] == []


def test_folders_that_are_links_are_looked_into_once(tmp_path):
    for name in ("p_ct.nrrd", "p_pet.nrrd"):
        (tmp_path / "store" / "p").mkdir(parents=True, exist_ok=True)
        (tmp_path / "store" / "p" / name).write_bytes(b"")
    (tmp_path / "tree" / "site").mkdir(parents=True)
    (tmp_path / "tree" / "site" / "p").symlink_to(tmp_path / "store" / "p")
    (tmp_path / "tree" / "site" / "again").symlink_to(tmp_path / "tree")  # in a circle
    assert [row.id for row in find_studies(tmp_path / "tree").rows] == ["site_p_p_pet"]
