"""Three at once: what the form promises of all three sources whatever the weights, and which three are taken."""

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st

from MMIFAminLib.engine.fusion import VolumeFuser
from MMIFAminLib.engine.weights import WeightsInfo
from MMIFAminLib.errors import FusionCancelled, GeometryError, InputError
from MMIFAminLib.network import MMIFAMIN
from MMIFAminLib.volume.choices import choose
from MMIFAminLib.volume.recognition import Hints
from support import phantoms
from support.lesions import bump, core
from support.networks import stirred

LEVEL = 1 / 255
SIZE = 48
FINE = phantoms.Grid((32, 36, 22), (6.0, 6.0, 6.0)).centred_at()
COARSE = phantoms.Grid((26, 28, 20), (8.0, 8.0, 8.0)).centred_at()
UNITS = {"anatomical_window": (0, 1), "functional_window": (0, 1), "second_window": (0, 1)}


def fuser_of(seed, strength):
    """A random network, ``strength`` times as strong."""
    network = stirred(MMIFAMIN(), seed=seed)
    for parameter in network.parameters():
        parameter.data *= strength
    return VolumeFuser(network, WeightsInfo("random", None, "0" * 64, {}), "cpu", "fp32")


@pytest.fixture(scope="module")
def fusers():
    """Random weights of a trained size, and ten times as strong: every residual at one of its ends."""
    return [fuser_of(1, 1), fuser_of(3, 10)]


@pytest.fixture(scope="module")
def triple():
    """MR, PET and, on another grid, CT in HU of the phantom head."""
    return phantoms.head(FINE, scale=1000.0, dtype=np.int16), phantoms.head(FINE, "pet", 12.0), phantoms.ct_head(COARSE)


def volume(random):
    """White, black, striped, noisy and smooth slices in any order, float32 ``(5, SIZE, SIZE)`` in [0, 1]."""
    rows, columns = np.indices((SIZE, SIZE))
    wave = 0.5 + 0.5 * np.sin(rows / random.uniform(2, 9)) * np.cos(columns / random.uniform(2, 9))
    stripes = columns // random.integers(1, 6) % 2
    slices = [np.ones_like(wave), np.zeros_like(wave), stripes, random.random(wave.shape), wave]
    return np.stack([slices[n] for n in random.permutation(5)]).astype(np.float32)


def fuse(fuser, a, b, u):
    images = [sitk.GetImageFromArray(array) for array in (a, u, b)]
    fused = fuser.fuse(images[0], images[1], second_anatomical=images[2], kind="uptake", insist=True, **UNITS)
    return sitk.GetArrayFromImage(fused.image)


# --- what the form promises ---


@given(st.integers(0, 9999), st.booleans())
@settings(max_examples=6)
def test_nothing_below_what_all_three_show(fusers, seed, wild):
    a, b, u = (volume(np.random.default_rng([seed, n])) for n in range(3))
    fused = fuse(fusers[wild], a, b, u)
    darker = np.minimum(a, b)
    assert fused.min() >= 0 and fused.max() <= 1
    assert (fused >= 0.6 * darker - LEVEL).all(), "below what both anatomical volumes show"
    assert (fused >= np.minimum(darker, u) - LEVEL).all(), "below all three"
    assert fused[u == 0].max() <= 0.61, "anatomy alone must leave headroom"
    assert fused[u < 0.95].max() < 1 - LEVEL, "white without the hottest uptake"
    assert not fused[np.maximum(np.maximum(a, b), u) == 0].any()


@given(st.integers(0, 9999), st.floats(4, 20), st.floats(0.1, 1.0), st.floats(0, 0.15), st.booleans())
@settings(max_examples=6)
def test_more_uptake_is_brighter_on_any_two(fusers, seed, fwhm, height, noise, wild):
    random = np.random.default_rng(seed)
    a, b, below = (volume(np.random.default_rng([seed, n])) for n in range(3))
    center = random.uniform(12, SIZE - 12, 2)
    grain = noise * random.standard_normal(a.shape)
    lesion = height * bump((SIZE, SIZE), center, fwhm)
    above = below * (1 - height)
    without, with_lesion = (np.clip(u + grain, 0, 1).astype(np.float32) for u in (above, above + lesion))
    rise = fuse(fusers[wild], a, b, with_lesion) - fuse(fusers[wild], a, b, without)
    inside = core((SIZE, SIZE), center, fwhm)
    for k in range(len(a)):
        asked = (with_lesion - without)[k][inside].mean()
        assert asked < 0.04 or rise[k][inside].mean() >= 0.25 * asked


def test_uptake_is_put_on_what_the_two_give(fusers):
    a, b, u = (volume(np.random.default_rng([5, n])) for n in range(3))
    anatomy = fusers[0].fuse_arrays(a, b, uptake=False, consecutive=True)
    expected = fusers[0].fuse_arrays(anatomy, u, consecutive=True)
    np.testing.assert_allclose(fuse(fusers[0], a, b, u), expected, atol=2e-3)
    assert np.abs(expected - fusers[0].fuse_arrays(a, u, consecutive=True)).max() > 0.1


# --- which three, and how they are taken ---


def test_each_has_its_own_window_and_grid(fusers, triple):
    before = [sitk.Hash(image) for image in triple]
    fused = fusers[0].fuse(triple[0], triple[1], second_anatomical=triple[2], names=("t1", "fdg", "ct"))
    second = fused.report["second"]
    assert second["taken_for"]["shows"] == "ct" and second["taken_for"]["unit"] == "HU"
    assert (second["window"]["low"], second["window"]["high"]) == (0.0, 100.0) and "head" in second["window"]["origin"]
    assert second["slices"] > 10
    assert fused.report["windows"]["functional"]["high"] == pytest.approx(12, abs=0.5)
    assert fused.report["taken_for"]["pair"] == "uptake"
    expected = phantoms.ct_head(FINE)
    assert fused.second.GetSize() == fused.image.GetSize() and fused.second.GetOrigin() == triple[0].GetOrigin()
    tissue = (sitk.GetArrayFromImage(expected) > 0) & (sitk.GetArrayFromImage(expected) < 100)
    inner = phantoms.head_values(FINE.points()) > 0.35
    difference = (sitk.GetArrayFromImage(fused.second) - sitk.GetArrayFromImage(expected))[tissue & inner]
    assert np.median(np.abs(difference)) < 2
    assert [sitk.Hash(image) for image in triple] == before


def test_a_ct_beside_tells_the_region_of_uptake():
    mr, pet = np.random.default_rng(0).random((2, 8, 8, 8), np.float32) * 20
    hints = (Hints("MR"), Hints("PT", "SUV"))
    windows = [
        choose(mr, pet, ((5.0,) * 3,) * 2, ("auto", "auto"), hints, region=r).windows[1] for r in ("trunk", "head")
    ]
    assert (windows[0].low, windows[0].high) == (0.0, 10.0) and windows[1].high > 15


@pytest.mark.parametrize(
    "options, said",
    [
        ({"second_modality": "PT"}, "second anatomical volume shows uptake .told by its modality"),
        ({"names": ("t1", "fdg", "pet")}, "second anatomical volume shows uptake .told by its name"),
        ({"anatomical_modality": "NM"}, "The anatomical volume shows uptake"),
        ({"functional_modality": "MR"}, "functional volume is taken for an anatomical one .MR"),
        ({"kind": "anatomical"}, "functional volume is taken for an anatomical one"),
        ({"second_window": (5000, 6000)}, "leaves second anatomical volume blank"),
    ],
)
def test_other_three_are_refused(fusers, triple, options, said):
    second = phantoms.head(COARSE, scale=1000.0, dtype=np.int16)
    with pytest.raises(InputError, match=said):
        fusers[0].fuse(triple[0], triple[1], second_anatomical=second, **options)


def test_a_second_that_is_another_or_elsewhere_is_refused(fusers, triple):
    with pytest.raises(InputError, match="functional and the second anatomical volume are one and the same"):
        fusers[0].fuse(triple[0], triple[1], second_anatomical=triple[1])
    away = sitk.Image(triple[2])
    away.SetOrigin((9000.0, 0.0, 0.0))
    with pytest.raises(GeometryError, match="second anatomical"):
        fusers[0].fuse(triple[0], triple[1], second_anatomical=away)
    picture = phantoms.head(FINE, "pet")
    rgb = np.random.default_rng(0).integers(0, 255, (*sitk.GetArrayFromImage(picture).shape, 3), np.uint8)
    with pytest.raises(InputError, match="colours of no known palette"):
        fusers[0].fuse(triple[0], FINE.image(rgb), second_anatomical=triple[2])


def test_progress_goes_on_and_cancels_in_the_middle_of_the_pair(fusers, triple):
    seen = []
    fusers[0].fuse(
        triple[0], triple[1], second_anatomical=triple[2], progress=lambda fraction, text: seen.append(fraction)
    )
    assert seen == sorted(seen) and seen[-1] == 1.0 and sum(0.15 < f < 0.5 for f in seen) > 5
    with pytest.raises(FusionCancelled):
        fusers[0].fuse(triple[0], triple[1], second_anatomical=triple[2], progress=lambda done, text: done < 0.3)
