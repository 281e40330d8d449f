"""Volume-wide context: slices of a volume share the means that global layers rest on; an image alone has its own."""

import numpy as np
import pytest
import torch

from MMIFAminLib.engine.fusion import VolumeFuser
from MMIFAminLib.engine.weights import WeightsInfo
from MMIFAminLib.network import MMIFAMIN, common_context, sample_slices
from support.networks import stirred


@pytest.fixture(scope="module")
def network():
    return stirred(MMIFAMIN())


def slices(count=9, size=32):
    """Slices that all have the same quarter, beside ever brighter others."""
    a, b = np.random.default_rng(5).random((2, count, size, size), np.float32)
    a *= np.linspace(0.1, 1, count, dtype=np.float32)[:, None, None]
    half = size // 2
    a[:, :half, :half], b[:, :half, :half] = a[0, :half, :half], b[0, :half, :half]
    return a, b


def tensors(*arrays):
    return [torch.from_numpy(array)[:, None] for array in arrays]


def test_the_context_of_an_image_gives_what_the_image_gives_alone(network):
    a, b = tensors(*slices(1))
    with torch.inference_mode():
        assert torch.allclose(network(a, b, context=network.image_context(a, b)), network(a, b), atol=1e-5)


def test_the_same_tissue_differs_less_between_slices_that_share_a_context(network):
    a, b = tensors(*slices(3, 384))
    with torch.inference_mode():
        shared = common_context([network.image_context(a, b)])
        corner = (slice(None), 0, slice(0, 32), slice(0, 32))  # where no convolution sees the rest
        alone, together = network(a, b)[corner], network(a, b, context=shared)[corner]
    assert alone.std(dim=0).mean() > 1e-3 and together.std(dim=0).max() < 1e-5


def test_the_fuser_shows_every_slice_of_a_volume_in_the_context_of_a_sample(network):
    a, b = slices()
    fuser = VolumeFuser(network, WeightsInfo("stirred", None, "0" * 64, {}), "cpu", "fp32")
    x, y = tensors(a, b)
    # Damping across the slices is not for uptake, so that nothing comes after the network.
    flags = torch.ones(1)
    with torch.inference_mode():
        means = [network.image_context(x[i : i + 1], y[i : i + 1], flags) for i in sample_slices(9)]
        expected = network(x, y, torch.ones(9), context=common_context(means))[:, 0].numpy()
    np.testing.assert_allclose(fuser.fuse_arrays(a, b, consecutive=True), expected, atol=1e-5)
    assert np.abs(fuser.fuse_arrays(a, b) - expected).max() > 1e-4


def test_the_sample_is_small_and_evenly_spread():
    assert sample_slices(1) == [0] and sample_slices(2) == [0, 1] and sample_slices(9) == [2, 6]
    assert len(sample_slices(80)) == 10 and len(sample_slices(1000)) == 16
    for count in (5, 33, 200):
        chosen = sample_slices(count)
        assert chosen == sorted(set(chosen)) and chosen[0] >= 0 and chosen[-1] < count
        assert np.ptp(np.diff(chosen)) <= 1
