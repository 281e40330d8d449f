"""What the form of the output promises for any weights: nothing below what both sources show, more uptake brighter."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from MMIFAminLib.network import MMIFAMIN, bounds
from MMIFAminLib.volume import shown
from support.lesions import bump, core
from support.networks import stirred

LEVEL = 1 / 255
SIZE = 48


@pytest.fixture(scope="module")
def networks():
    """Random weights of a trained size, and ten times as strong: every residual at one of its ends."""
    wild = stirred(MMIFAMIN(), seed=3)
    for parameter in wild.parameters():
        parameter.data *= 10
    return [stirred(MMIFAMIN(), seed=1), wild]


def images(seed, kind, size=SIZE):
    random = np.random.default_rng(seed)
    smooth = np.add.outer(
        np.sin(np.arange(size) / random.uniform(2, 9)), np.cos(np.arange(size) / random.uniform(2, 9))
    )
    return {
        "white": np.ones((size, size)),
        "black": np.zeros((size, size)),
        "stripes": np.indices((size, size))[1] // random.integers(1, 6) % 2,
        "noise": random.random((size, size)),
        "smooth": (smooth - smooth.min()) / np.ptp(smooth),
    }[kind].astype(np.float32)


KINDS = st.sampled_from(["white", "black", "stripes", "noise", "smooth"])


def run(network, a, b, uptake):
    with torch.inference_mode():
        tensors = (torch.from_numpy(np.ascontiguousarray(x, np.float32))[None, None] for x in (a, b))
        return network(*tensors, torch.tensor([float(uptake)]))[0, 0].numpy()


@given(st.integers(0, 9999), KINDS, KINDS, st.booleans(), st.booleans())
@settings(max_examples=60)
def test_nowhere_below_both_sources(networks, seed, first, second, wild, uptake):
    a, b = images(seed, first), images(seed + 1, second)
    fused = run(networks[wild], a, b, uptake)
    assert fused.min() >= 0 and fused.max() <= 1
    if uptake:
        assert (fused >= 0.6 * a - LEVEL).all(), "below the anatomy as it is shown"
        assert fused[(b == 0)].max(initial=0) <= 0.61, "anatomy alone must leave headroom"
        assert fused[b < 0.95].max(initial=0) < 1 - LEVEL, "white without the hottest uptake"
    assert (fused >= np.minimum(a, b) - LEVEL).all(), "below both sources"
    assert not fused[np.maximum(a, b) == 0].any()


@given(
    st.integers(0, 9999),
    KINDS,
    KINDS,
    st.floats(4, 20),
    st.floats(0.1, 1.0),
    st.floats(0, 0.15),
    st.booleans(),
)
@settings(max_examples=60)
def test_more_uptake_is_brighter(networks, seed, first, second, fwhm, height, noise, wild):
    random = np.random.default_rng(seed)
    a, below = images(seed, first), images(seed + 1, second) * (1 - height)
    center = random.uniform(12, SIZE - 12, 2)
    lesion = height * bump((SIZE, SIZE), center, fwhm)
    grain = noise * random.standard_normal(a.shape)
    without, with_lesion = (np.clip(u + grain, 0, 1) for u in (below, below + lesion))
    rise = run(networks[wild], a, with_lesion, True) - run(networks[wild], a, without, True)
    inside = core((SIZE, SIZE), center, fwhm)
    assert rise[inside].mean() >= 0.25 * (with_lesion - without)[inside].mean()


def test_display_reads_back_what_the_network_shows():
    """The numbers stand twice, since neither room may import the other."""
    assert (bounds.HEADROOM, bounds.HOTTEST) == (shown.HEADROOM, shown.HOTTEST) == (0.6, 0.9)
    a, u = np.random.default_rng(0).random((2, 8, 8), np.float32)
    form = bounds.fused_uptake(*(torch.from_numpy(x) for x in (a, u)), torch.zeros(8, 8)).numpy()
    np.testing.assert_allclose(form, shown.shown(a, u), atol=1e-6)
