"""Cohorts of BIDS datasets: which images belong together, and derivatives that BIDS' own validator accepts."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import SimpleITK as sitk

pytest.importorskip("bids", reason="BIDS datasets need pybids")

from MMIFAminLib.cohort import find_studies, fuse_row
from MMIFAminLib.cohort.derivatives import describe_dataset
from MMIFAminLib.engine import VolumeFuser
from MMIFAminLib.errors import InputError
from MMIFAminLib.study import default_options
from support.cohorts import MR, PET
from support.phantoms import head

FILES = (
    "sub-01/ses-a/anat/sub-01_ses-a_T1w",
    "sub-01/ses-a/pet/sub-01_ses-a_trc-FDG_pet",
    "sub-01/ses-b/pet/sub-01_ses-b_trc-FDG_run-1_pet",
    "sub-02/anat/sub-02_T1w",
    "sub-02/anat/sub-02_acq-fast_T1w",
    "sub-02/anat/sub-02_T2w",
    "sub-02/pet/sub-02_pet",
    "sub-03/anat/sub-03_T1w",
    "sub-04/pet/sub-04_pet",
)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    root = tmp_path_factory.mktemp("dataset") / "raw"
    root.mkdir()
    description = {"Name": "phantoms", "BIDSVersion": "1.10.0", "DatasetType": "raw"}
    (root / "dataset_description.json").write_text(json.dumps(description))
    for name in FILES:
        kind, grid, scale = ("pet", PET, 8.0) if name.endswith("_pet") else ("mr", MR, 900.0)
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        sitk.WriteImage(head(grid, kind, scale), str(root / f"{name}.nii.gz"))
    return root


def pairs(studies):
    return {row.id: tuple(Path(place).name.removesuffix(".nii.gz") for place in row.sources) for row in studies.rows}


def test_every_pet_goes_with_the_anatomical_image_of_its_session_or_the_only_one(dataset):
    studies = find_studies(dataset)
    assert pairs(studies) == {
        "sub-01_ses-a_trc-FDG": ("sub-01_ses-a_T1w", "sub-01_ses-a_trc-FDG_pet"),
        "sub-01_ses-b_trc-FDG_run-1": ("sub-01_ses-a_T1w", "sub-01_ses-b_trc-FDG_run-1_pet"),
    }
    why = {Path(one.what).name.removesuffix(".nii.gz"): one.why for one in studies.left_out}
    assert set(why) == {"sub-02_pet", "sub-03_T1w", "sub-04_pet"}
    assert "several anatomical images could be meant: sub-02" in why["sub-02_pet"]
    assert why["sub-03_T1w"] == "the subject has no PET" and "no anatomical image" in why["sub-04_pet"]


def test_filters_choose_among_the_images(dataset):
    assert set(pairs(find_studies(dataset, ["session=a,b", "functional:run=1"]))) == {"sub-01_ses-b_trc-FDG_run-1"}
    only = find_studies(dataset, ["subject=02", "anatomical:suffix=T2w"])
    assert pairs(only) == {"sub-02": ("sub-02_T2w", "sub-02_pet")}
    assert only.rows[0].derivative == "sub-02/pet/sub-02_space-T2w_desc-fused"
    with pytest.raises(InputError, match="holds no study to fuse, by these filters"):
        find_studies(dataset, ["subject=99"])
    for wrong in ("subject", "=1", "left:subject=01"):
        with pytest.raises(InputError, match="say entity=value"):
            find_studies(dataset, [wrong])
    with pytest.raises(InputError, match="is for BIDS datasets"):
        find_studies(dataset / "sub-01", ["subject=01"])


def test_derivatives_pass_the_validator_of_bids(dataset, tmp_path, untrained_weights):
    fuser = VolumeFuser.load("cpu", "fp32", untrained_weights)
    output = tmp_path / "fused"
    output.mkdir()
    describe_dataset(output, dataset)
    rows = find_studies(dataset, ["subject=01"]).rows
    for row, rgb in zip(rows, (False, True)):
        first = fuse_row(row, output, default_options(rgb=rgb), lambda: fuser)
        again = fuse_row(row, output, default_options(rgb=rgb), lambda: fuser, force=True)
        assert (first.status, again.status) == ("fused", "fused") and first.hashes == again.hashes, "bit for bit"
        sidecar = json.loads((output / f"{row.derivative}_pet.json").read_text())
        assert ("in colours (RGB)" if rgb else "values in [0, 1]") in sidecar["Description"]
    names = {path.name for path in (output / "sub-01" / "ses-a" / "pet").iterdir()}
    base = "sub-01_ses-a_trc-FDG_space-T1w_desc-fused"
    assert names == {f"{base}_pet.nii.gz", f"{base}_pet.json", f"{base}_preview.png"}
    told = json.loads((output / "sub-01" / "ses-a" / "pet" / f"{base}_pet.json").read_text())
    assert (
        told["Sources"][1] == "bids:raw:sub-01/ses-a/pet/sub-01_ses-a_trc-FDG_pet.nii.gz" and told["plane"] == "axial"
    )
    validator = shutil.which("bids-validator-deno", path=str(Path(sys.executable).parent))
    if validator is None:
        pytest.skip("bids-validator-deno is not installed")
    done = subprocess.run([validator, "--json", str(output)], capture_output=True, text=True, timeout=300)
    issues = json.loads(done.stdout)["issues"]["issues"]
    assert [(one["code"], one.get("location")) for one in issues if one["severity"] == "error"] == []
