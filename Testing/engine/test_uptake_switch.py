"""The network's switch: on for measured uptake (PET, SPECT), off for pictures (CT, MR, the luma of colours)."""

import numpy as np
import pytest
import SimpleITK as sitk
import torch

from MMIFAminLib.engine.fusion import VolumeFuser
from MMIFAminLib.engine.weights import save_weights
from MMIFAminLib.network import MMIFAMIN
from support import phantoms
from support.networks import stirred


@pytest.fixture
def switched(tmp_path):
    """A fuser whose network does something else when its second source is measured uptake, and that network."""
    network = stirred(MMIFAMIN())
    network.decoder.last.weight.data *= 0.1
    generator = torch.Generator().manual_seed(1)
    for name, parameter in network.named_parameters():
        if name.endswith("uptake"):
            parameter.data = torch.randn(parameter.shape, generator=generator)
    save_weights(network, tmp_path / "switched.safetensors", {})
    return VolumeFuser.load("cpu", "fp32", tmp_path / "switched.safetensors"), network


def test_the_network_is_told_what_is_measured_uptake(switched):
    fuser, network = switched
    a, b = np.random.default_rng(3).random((2, 1, 32, 32), np.float32)
    batch = [torch.from_numpy(image)[None] for image in (a, b)]
    with torch.inference_mode():
        expected = {told: network(*batch, torch.tensor([told])).numpy()[0] for told in (0.0, 1.0)}
    assert np.abs(expected[1.0] - expected[0.0]).mean() > 0.01
    assert fuser.fuse_arrays(a, b) == pytest.approx(expected[1.0], abs=1e-5)
    assert fuser.fuse_arrays(a, b, uptake=False) == pytest.approx(expected[0.0], abs=1e-5)


def test_of_volumes_pet_is_measured_uptake_and_ct_is_not(switched):
    fuser, _ = switched
    grid = phantoms.Grid((48, 56, 1), (4.0, 4.0, 4.0)).centred_at()
    mr, pet = phantoms.head(grid), phantoms.head(grid, "pet")
    arrays = [sitk.GetArrayFromImage(image) for image in (mr, pet)]
    for window, uptake in (("0:1", True), ("ct-soft-tissue", False), ("mr", False)):
        fused = fuser.fuse(mr, pet, anatomical_window="0:1", functional_window=window)
        shown = fused.functional_window.to_unit(arrays[1])
        assert sitk.GetArrayFromImage(fused.image) == pytest.approx(
            fuser.fuse_arrays(arrays[0], shown, uptake=uptake), abs=1e-5
        )
