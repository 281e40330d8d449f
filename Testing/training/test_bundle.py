"""The MONAI bundle: complete, usable without MMIFAmin, equal to the network, and able to train."""

import subprocess
import sys

import monai.bundle
import nibabel
import numpy as np
import pytest
import torch

from MMIFAminLib.engine.weights import load_weights, save_weights
from MMIFAminLib.errors import InputError
from MMIFAminLib.network import MMIFAMIN, Architecture
from MMIFAminLib.training import Config
from MMIFAminLib.training.bundle import export_bundle
from support.tiny_run import ENVIRONMENT, TINY, data  # noqa: F401 (data is a fixture)

WITHOUT_MMIFAMIN = (
    "import runpy, sys; sys.modules['MMIFAminLib'] = None; runpy.run_module('monai.bundle', run_name='__main__')"
)


@pytest.fixture(scope="module")
def network():
    """A network that does something other than the maximum, and treats uptake in its own way."""
    torch.manual_seed(0)
    network = MMIFAMIN(Architecture.from_dict(TINY["architecture"])).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter += 0.05 * torch.randn_like(parameter)
    return network


@pytest.fixture(scope="module")
def bundle(network, tmp_path_factory):
    folder = tmp_path_factory.mktemp("bundle")
    card = {"config": Config.from_dict(TINY | {"steps": 2, "look_every": 2}).to_dict()}
    save_weights(network, folder / "tiny.safetensors", card)
    return export_bundle(folder / "out", folder / "tiny.safetensors")


def test_the_bundle_is_complete(bundle):
    for name in ("LICENSE", "docs/README.md", "configs/metadata.json", "configs/inference.json", "configs/train.json"):
        assert (bundle / name).stat().st_size > 100
    state = torch.load(bundle / "models" / "model.pt", weights_only=True)
    assert {value.dtype for value in state.values()} == {torch.float32}


@pytest.mark.parametrize("uptake", [True, False])
def test_inference_equals_the_network_on_axial_slices(bundle, network, tmp_path, uptake):
    rng = np.random.default_rng(0)
    # Axes in the order left, superior, posterior, so that reorientation is needed there and back.
    affine = np.array([[-2.0, 0, 0, 30], [0, 0, -2, 10], [0, 3, 0, -5], [0, 0, 0, 1]])
    volumes = {}
    for key in ("anatomical", "functional"):
        values = rng.gamma(2, 100, (24, 3, 20)).astype(np.float32)
        volumes[key] = nibabel.Nifti1Image(values, affine)
        (tmp_path / key).mkdir()
        nibabel.save(volumes[key], tmp_path / key / "head.nii.gz")
    command = [sys.executable, "-c", WITHOUT_MMIFAMIN, "run", "--config_file", "configs/inference.json"]
    command += ["--dataset_dir", tmp_path, "--output_dir", tmp_path / "eval", "--uptake", str(uptake)]
    result = subprocess.run(command, cwd=bundle, env=ENVIRONMENT, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    fused = nibabel.load(tmp_path / "eval" / "head" / "head_fused.nii.gz")
    assert np.allclose(fused.affine, affine)

    slices = []
    for key, (low, high) in (("anatomical", (1, 99.5)), ("functional", (0, 99.9))):
        values = (
            volumes[key].get_fdata(dtype=np.float32).transpose(1, 2, 0)
        )  # S, P, L: rows to the back, columns to the left
        low, high = np.percentile(values, (low, high))
        slices.append(torch.from_numpy(((values - low) / (high - low)).clip(0, 1).astype(np.float32)).unsqueeze(1))
    with torch.no_grad():
        expected = network(*slices, torch.full((3,), float(uptake)))[:, 0].numpy().transpose(2, 0, 1)
    assert np.abs(fused.get_fdata() - expected).max() < 1e-3
    assert np.abs(np.maximum(*(s[:, 0].numpy().transpose(2, 0, 1) for s in slices)) - expected).max() > 0.05


def test_the_metadata_describe_the_network(bundle, monkeypatch):
    monkeypatch.chdir(bundle)
    monkeypatch.syspath_prepend(str(bundle))
    files = {"meta_file": "configs/metadata.json", "config_file": "configs/inference.json"}
    monai.bundle.verify_net_in_out("network_def", **files, device="cpu", n=3)


def test_training_runs_from_the_bundle(bundle, data, tmp_path, monkeypatch):  # noqa: F811
    monkeypatch.chdir(bundle)
    output = tmp_path / "training"
    monai.bundle.run(config_file="configs/train.json", dataset_dir=str(data), output_dir=str(output))
    _, started = load_weights(bundle / "models" / "tiny.safetensors")
    assert load_weights(output / "tiny.safetensors")[1].card["start_sha256"] == started.sha256


def test_a_folder_with_files_is_not_overwritten(bundle):
    with pytest.raises(InputError, match="not empty"):
        export_bundle(bundle)


def test_the_shipped_weights_make_a_bundle(tmp_path):
    bundle = export_bundle(tmp_path / "bundle")
    names = {path.relative_to(bundle).as_posix() for path in bundle.rglob("*") if path.is_file()}
    assert {"models/model.pt", "models/mmif-amin.safetensors", "models/mmif-amin.json"} <= names and not any(
        "pycache" in name for name in names
    )
