"""The network is what its name says: invertible, dense, multi-scale, attentive, linear in pixels, within budget."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch.utils.flop_counter import FlopCounterMode

from MMIFAminLib.network import MCFEM, MMIFAMIN, Architecture, HaarSqueeze, InvertibleDenseNetwork
from support.networks import stirred


@pytest.fixture(scope="module")
def network() -> MMIFAMIN:
    return stirred(MMIFAMIN())


def real_slices(shared, count=6) -> torch.Tensor:
    paths = sorted((shared / "data/harvard/val/PET-MRI/MRI").glob("*.png"))[::15][:count]
    return torch.stack([torch.from_numpy(np.array(Image.open(p).convert("L"), np.float32))[None] / 255 for p in paths])


def test_idn_gives_real_slices_back(shared):
    idn = stirred(InvertibleDenseNetwork(blocks=3, growth=32))
    slices = real_slices(shared)
    with torch.no_grad():
        features = idn(slices)
        assert features.shape == (len(slices), 16, 64, 64)
        assert (features - idn.squeeze(slices)).abs().mean() > 1e-2, "the coupling blocks did nothing"
        assert (idn.inverse(features) - slices).abs().max() <= 1e-4


def test_shipped_idn_gives_real_slices_back(shared):
    from MMIFAminLib.engine.weights import load_weights

    idn = load_weights()[0].idn
    slices = real_slices(shared)
    with torch.no_grad():
        assert (idn.inverse(idn(slices)) - slices).abs().max() <= 1e-4


@pytest.mark.parametrize("size", [(16, 16), (17, 23), (61, 30), (129, 255)])
def test_idn_gives_odd_sizes_back_through_the_padding(network, size):
    image = torch.rand(1, 1, *size)
    padded = network._pad(image)
    with torch.no_grad():
        back = network.idn.inverse(network.idn(padded))[..., : size[0], : size[1]]
    assert (back - image).abs().max() <= 1e-4


def test_haar_is_orthonormal():
    squeeze = HaarSqueeze(2)
    filters = squeeze.filters.flatten(1)
    assert torch.allclose(filters @ filters.T, torch.eye(16), atol=1e-6)
    constant = squeeze(torch.ones(1, 1, 8, 8))
    assert torch.allclose(constant[:, 0], torch.full((1, 2, 2), 4.0)) and constant[:, 1:].abs().max() < 1e-6


def test_dense_subnetworks_see_all_earlier_outputs():
    subnetwork = InvertibleDenseNetwork(blocks=1, growth=8).blocks[0].additive
    assert [c.in_channels for c in subnetwork.convolutions] == [8, 16] and subnetwork.output.in_channels == 24


def test_mcfem_reaches_as_far_as_its_largest_kernel():
    scales = stirred(MCFEM(16, 48, transformer_blocks=0)).scales
    x = torch.zeros(1, 48, 15, 15, requires_grad=True)
    scales(x + 0.1)[0, :, 7, 7].sum().backward()
    reach = [
        (x.grad[0, part].abs().sum(0) > 0).any(0).sum().item() for part in (slice(0, 16), slice(16, 32), slice(32, 48))
    ]
    assert reach == [3, 5, 7]


def test_both_attentions_act():
    attention = stirred(MCFEM(16, 48, transformer_blocks=1)).attention
    x = torch.rand(1, 48, 16, 16)
    with torch.no_grad():
        weights = attention(x) / x
    assert weights.std(dim=(2, 3)).max() > 1e-3, "no spatial attention"
    assert weights.mean(dim=(2, 3)).std() > 1e-3, "no channel attention"
    assert weights.min() > 0 and weights.max() < 1


def flops(network, height, width) -> int:
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(torch.rand(1, 1, height, width), torch.rand(1, 1, height, width))
    return counter.get_total_flops()


def test_budget(network):
    assert flops(network, 256, 256) <= 4e9
    assert sum(p.numel() for p in network.parameters()) <= 1_000_000


def test_cost_is_linear_in_pixels(network):
    assert flops(network, 256, 512) / flops(network, 128, 128) == pytest.approx(8, rel=0.01)


@settings(max_examples=20, deadline=None)
@given(height=st.integers(16, 70), width=st.integers(16, 70))
def test_any_size_from_sixteen(network, height, width):
    with torch.no_grad():
        fused = network(torch.rand(2, 1, height, width), torch.rand(2, 1, height, width))
    assert fused.shape == (2, 1, height, width)
    assert torch.isfinite(fused).all() and fused.min() >= 0 and fused.max() <= 1


def test_background_stays_background(network):
    a, b = torch.rand(1, 1, 64, 64), torch.rand(1, 1, 64, 64)
    a[..., :32], b[..., :32] = 0, 0
    with torch.no_grad():
        assert network(a, b)[..., :32].abs().max() == 0


def test_untrained_network_is_the_maximum():
    a, b = torch.rand(1, 1, 32, 32), torch.rand(1, 1, 32, 32)
    with torch.no_grad():
        assert torch.equal(MMIFAMIN().eval()(a, b), torch.maximum(a, b))


@pytest.mark.parametrize(
    "part",
    [
        {},
        {"idn": False},
        {"mcfem": False},
        {"attention": False},
        {"transformer_blocks": 0},
        {"kernel_sizes": (3,)},
        {"affine": False},
    ],
    ids=lambda part: "-".join(part) or "full",
)
def test_architecture_round_trips_and_every_parameter_learns(part):
    architecture = Architecture(**part)
    assert Architecture.from_dict(architecture.to_dict()) == architecture
    network = stirred(MMIFAMIN(architecture)).train()
    uptake = torch.tensor([0.0, 1.0])
    network(torch.rand(2, 1, 32, 32), torch.rand(2, 1, 32, 32), uptake).square().mean().backward()
    idle = [name for name, p in network.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert not idle


def test_shares_of_the_sources_start_from_a_network_without_them():
    older = stirred(MMIFAMIN(Architecture(affine=False))).eval()
    network = MMIFAMIN().eval()
    network.start_from(older)
    a, b = torch.rand(1, 1, 32, 32), torch.rand(1, 1, 32, 32)
    with torch.no_grad():
        assert torch.equal(network(a, b), older(a, b))
    with pytest.raises(ValueError, match="architectures differ"):
        network.start_from(MMIFAMIN(Architecture(channels=24)))


def test_model_cards_older_than_the_shares_are_understood():
    values = Architecture(affine=False).to_dict()
    del values["affine"]
    assert Architecture.from_dict(values) == Architecture(affine=False)


def test_uptake_is_told_image_by_image(network):
    for name, parameter in network.named_parameters():
        if name.endswith("uptake"):
            parameter.data = torch.full_like(parameter, 0.5)
    a, b = torch.rand(2, 1, 32, 32), torch.rand(2, 1, 32, 32)
    with torch.no_grad():
        picture, uptake = network(a, b), network(a, b, torch.ones(2))
        mixed = network(a, b, torch.tensor([0.0, 1.0]))
    assert (picture - uptake).abs().max() > 1e-3
    assert torch.allclose(mixed[0], picture[0], atol=1e-5) and torch.allclose(mixed[1], uptake[1], atol=1e-5)
