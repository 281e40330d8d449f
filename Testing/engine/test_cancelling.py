"""Cancelling the volume fuser: at any step, without waiting for it, leaving nothing behind."""

import threading

import numpy as np
import pytest
import SimpleITK as sitk

from MMIFAminLib.engine.fusion import VolumeFuser
from MMIFAminLib.errors import FusionCancelled
from support.phantoms import Grid, head, rotation

FINE = Grid((32, 36, 22), (6.0, 6.0, 6.0)).centred_at()
COARSE = Grid((22, 24, 16), (9.0, 9.0, 11.0), direction=tuple(rotation((8, -5, 12)).ravel())).centred_at()


@pytest.fixture(scope="module")
def pair():
    """MR and, on a coarser oblique grid, PET of the phantom."""
    return head(FINE, scale=1000.0, dtype=np.int16), head(COARSE, "pet", 12.0)


@pytest.fixture
def fuser(stirred_weights):
    return VolumeFuser.load("cpu", "fp32", stirred_weights)


def voxels(fused):
    return sitk.GetArrayFromImage(fused.image)


@pytest.mark.parametrize("when", [0.0, 0.05, 0.3, 0.77, 1.0])
def test_cancel_stops_the_work(fuser, pair, when):
    fuser.threads = 2
    slices = fuser.fuse(*pair).report["slices"]
    computed, compute = [], fuser._compute
    fuser._compute = lambda a, *rest: computed.append(len(a)) or compute(a, *rest)
    seen = []

    def progress(fraction, text):
        assert not seen or seen[-1] < when, "asked again after the refusal"
        seen.append(fraction)
        return fraction < when

    with pytest.raises(FusionCancelled, match="nothing was changed"):
        fuser.fuse(*pair, progress=progress)
    begun = 2 * fuser.threads  # slices may have begun when the answer comes
    assert seen == sorted(seen) and sum(computed) <= max(0.0, when - 0.1) / 0.9 * slices + 1 + begun


def test_cancel_does_not_wait_for_the_resampling(fuser, pair):
    asked = []

    def progress(fraction, text):
        asked.append(text)
        return asked.count("Resampling the functional volume") < 5

    with pytest.raises(FusionCancelled, match="nothing was changed"):
        fuser.fuse(*pair, progress=progress)
    assert asked.count("Resampling the functional volume") == 5 and asked[-1] == "Resampling the functional volume"


def test_progress_may_lead_to_another_fusion(fuser, pair):
    """As it does where it lets a program's events be handled."""
    expected, others = voxels(fuser.fuse(*pair)), []

    def progress(fraction, text):
        if text.startswith("Resampling") and len(others) < 3:
            others.append(None)
            others[-1] = voxels(fuser.fuse(*(sitk.Image(image) for image in pair)))

    assert np.array_equal(voxels(fuser.fuse(*pair, progress=progress)), expected)
    assert len(others) == 3 and all(np.array_equal(other, expected) for other in others)


def test_cancel_does_not_wait_for_a_slow_slice(fuser, pair):
    released, asked = threading.Event(), []
    fuser._compute = lambda *batch: released.wait(60)

    def progress(fraction, text):
        asked.append(text)
        return len(asked) < 8

    try:
        with pytest.raises(FusionCancelled):
            fuser.fuse(*pair, progress=progress)
        assert not released.is_set() and asked[-1] == asked[-2], "progress was not called during the slice"
    finally:
        released.set()


def test_progress_tells_slices_and_time_left(fuser, pair):
    said = []
    slices = fuser.fuse(*pair, progress=lambda fraction, text: said.append((fraction, text))).report["slices"]
    assert said[0] == (0.0, "Checking the volumes") and said[-1] == (1.0, f"Fused {slices} slices")
    assert any(f"Fusing slice 9 of {slices}, about" in text for _, text in said)


def test_progress_counts_the_slices_of_batches(fuser, pair):
    fuser.batch_pixels = 4 * 32 * 36  # of pixels of 6 mm, which are not cropped much
    said = []
    slices = fuser.fuse(*pair, progress=lambda fraction, text: said.append((fraction, text))).report["slices"]
    told = [text for _, text in said if text.startswith("Fus")]
    assert said[-1] == (1.0, f"Fused {slices} slices")
    assert any(text.startswith(f"Fusing slice 5 of {slices}") for text in told)
    assert not any(text.startswith(f"Fusing slice 2 of {slices}") for text in told)


def test_what_progress_raises_comes_through(fuser, pair):
    def progress(fraction, text):
        if fraction > 0.5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fuser.fuse(*pair, progress=progress)
