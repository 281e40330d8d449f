"""The loss terms measure what the metrics measure, and the adaptive loss does what its name says."""

import numpy as np
import pytest
import torch
from PIL import Image

from MMIFAminLib.errors import InputError
from MMIFAminLib.evaluation.baselines import laplacian_pyramid
from MMIFAminLib.evaluation.metrics import RANKED, score
from MMIFAminLib.losses.adaptive import MEASURES, STEP, AdaptiveLoss, Standing, worth
from MMIFAminLib.losses.information import InformationLoss
from MMIFAminLib.losses.lesion import plant_lesions
from MMIFAminLib.losses.shortfall import ShortfallLoss
from MMIFAminLib.losses.terms import TERMS
from MMIFAminLib.losses.uncertainty import UncertaintyLoss
from MMIFAminLib.network.bounds import fused_uptake


@pytest.fixture(scope="module")
def pair(shared):
    """One real CT-MR pair and its Laplacian-pyramid fusion, ``(1, 1, 256, 256)`` in [0, 1]."""
    folder = shared / "data/harvard/val/CT-MRI"
    name = sorted(path.name for path in (folder / "MRI").glob("*.png"))[7]
    a, b = (np.array(Image.open(folder / kind / name).convert("L"), np.float32) / 255 for kind in ("MRI", "CT"))
    f = np.rint(laplacian_pyramid(a, b) * 255) / 255
    return [torch.from_numpy(x.astype(np.float32))[None, None] for x in (a, b, f)]


@pytest.fixture
def phantom():
    """Two smooth random sources and a fused image, two of each."""
    generator = torch.Generator().manual_seed(3)
    coarse = torch.rand(6, 1, 8, 8, generator=generator)
    return torch.nn.functional.interpolate(coarse, size=64, mode="bicubic").clamp(0, 1).split(2)


@pytest.mark.parametrize(
    "term, metric, to_metric, tolerance",
    [
        ("structure", "SSIM", lambda t: 2 * (1 - t), 1e-3),
        ("differences", "SCD", lambda t: 2 * (1 - t), 1e-3),
        ("visual_information", "VIF", lambda t: 2 * (1 - t), 5e-3),
        ("edge_transfer", "Qabf", lambda t: 1 - t, 0.02),
    ],
)
def test_terms_equal_the_metrics_they_stand_for(pair, term, metric, to_metric, tolerance):
    expected = score(*(np.rint(x[0, 0].numpy() * 255) for x in pair))[metric]
    assert to_metric(TERMS[term](*pair).item()) == pytest.approx(expected, abs=tolerance)


@pytest.mark.parametrize("term", TERMS)
def test_terms_are_per_image_finite_and_have_a_gradient(phantom, term):
    a, b, f = phantom
    f = f.clone().requires_grad_()
    values = TERMS[term](a, b, f)
    assert values.shape == (2,) and torch.isfinite(values).all()
    values.sum().backward()
    assert torch.isfinite(f.grad).all() and f.grad.abs().max() > 0
    alone = torch.cat([TERMS[term](a[i : i + 1], b[i : i + 1], f[i : i + 1]) for i in range(2)])
    assert torch.allclose(values, alone, atol=1e-5), "an image's value depends on its neighbours in the batch"


@pytest.mark.parametrize("term", TERMS)
def test_terms_are_finite_on_empty_images(term):
    empty = torch.zeros(1, 1, 64, 64)
    f = empty.clone().requires_grad_()
    TERMS[term](empty, empty, f).sum().backward()
    assert torch.isfinite(f.grad).all()


def test_what_neither_source_shows_is_an_invention(phantom):
    a, b, _ = phantom
    flat = torch.full_like(a, 0.9)
    fine = flat - 0.1 * (torch.arange(64) % 2)  # every second column: central differences see nothing
    assert TERMS["invention"](flat, 0.3 * flat, fine).min() > 0.08
    for f in (torch.maximum(a, b), (a + b) / 2, a + b):
        assert TERMS["invention"](a, b, f).max() < 1e-6
    assert TERMS["invention"](a, b, fine).min() > TERMS["invention"](fine, b, fine).max() == 0


def test_what_the_form_shows_alone_is_legible(phantom):
    a, u, _ = phantom
    plain = fused_uptake(a, u, torch.zeros_like(a))
    assert TERMS["legibility"](a, u, plain).tolist() == [0, 0]
    inside = (torch.maximum(a, u) > 0).float()
    assert TERMS["legibility"](a, u, plain + 0.01 * inside) == pytest.approx(0.5, abs=0.01)


def test_what_is_darker_than_both_sources_is_dark(phantom):
    a, b, _ = phantom
    a, b = 0.3 + 0.7 * a, 0.2 + 0.7 * b
    for f in (torch.maximum(a, b), torch.minimum(a, b), (a + b) / 2):
        assert TERMS["darkness"](a, b, f).max() == 0
    hole = torch.full_like(a, 0.5)
    assert TERMS["darkness"](hole, 1.5 * hole, hole - 0.1) == pytest.approx(torch.full((2,), 0.1), abs=1e-3)


ONE = torch.zeros(2, dtype=torch.long)


def test_adaptive_weights_belong_to_the_kind_of_each_image(phantom):
    loss = AdaptiveLoss({"structure": 1.0, "contrast": 2.5}, rate=0.5, kinds=2)
    before, _ = loss(*phantom, torch.tensor([0, 1]))
    loss.adapt(1, {"structure": 1e3, "contrast": 2.5})
    assert loss.weights(0) == pytest.approx({"structure": 1.0, "contrast": 2.5})
    # Half way to the bound, and to 1.1 times 2.5.
    assert loss.weights(1) == pytest.approx({"structure": 50**0.5, "contrast": 6.875**0.5}, rel=1e-3)
    after, report = loss(*phantom, torch.tensor([0, 1]))
    second = [x[1:] for x in phantom]
    gains = {"structure": 50**0.5 - 1, "contrast": 6.875**0.5 - 2.5}
    expected = sum(gain * TERMS[name](*second).item() / 2 for name, gain in gains.items())
    assert (after - before).item() == pytest.approx(expected, rel=1e-3)
    assert report["weight of structure"].item() == pytest.approx((1 + 50**0.5) / 2, rel=1e-3)


def test_a_later_stage_begins_with_what_was_learned():
    loss = AdaptiveLoss({"structure": 1.0, "contrast": 2.5}, kinds=2)
    loss.take_over(1, {"contrast": 4.0, "structure": 3.0})
    for other in ({}, {"structure": 9.0}, {"structure": 9.0, "entropy": 9.0}):
        loss.take_over(1, other)
    assert loss.weights(0) == pytest.approx({"structure": 1.0, "contrast": 2.5})
    assert loss.weights(1) == pytest.approx({"structure": 3.0, "contrast": 4.0})


def test_every_ranked_metric_has_a_term():
    assert sorted(metric for found in MEASURES.values() for metric in found) == sorted(RANKED)
    assert set(MEASURES) < set(TERMS) and set(STEP) == set(RANKED)


@pytest.mark.parametrize(
    "options, words",
    [
        ({"weights": {"structur": 1.0}}, "names structur"),
        ({"weights": {"structure": 1.0}, "anchors": {"dark": 1.0}}, "names dark"),
        ({"weights": {"structure": 1.0}, "uptake": {"legible": 1.0}}, "names legible"),
        ({"weights": {"structure": 1.0}, "margins": {"SSMI": 0.03}}, "names SSMI"),
        ({"weights": {"structure": 1.0}, "margins": {"VIF": 0.03}}, "names VIF"),
        ({"weights": {"structure": 1.0, "contrast": 0.0}}, "contrast must be above 0"),
    ],
)
def test_nothing_that_an_adaptive_loss_is_told_is_ignored(options, words):
    with pytest.raises(InputError, match=words):
        AdaptiveLoss(**options)


def test_adaptive_weights_stay_as_given_with_rate_0():
    loss = AdaptiveLoss({"structure": 3.0}, rate=0.0)
    loss.adapt(0, {"structure": 100.0})
    assert loss.weights(0) == pytest.approx({"structure": 3.0})


def test_a_term_is_worth_what_it_can_overtake():
    own = {"SSIM": 1.2, "SF": 10.0, "AG": 4.0}

    def field(shift, count=4):
        ratio = np.exp(shift * 2 * STEP["SSIM"])
        return [{"SSIM": 1.2 * ratio, "SF": 10.0, "AG": 4.0}] * count

    # All competitors level: half of them within the reach on either side; SSIM = 2 (1 - structure) grows by 1 / 0.6.
    level = worth("structure", 0.4, own, field(0), 2)
    assert level == pytest.approx(1 / (4 * STEP["SSIM"]) / 0.6)
    assert worth("structure", 0.4, own, field(1), 2) == pytest.approx(level / np.e)
    assert worth("structure", 0.4, own, field(-2), 2) == pytest.approx(level / np.e**2)  # ahead and behind alike
    assert worth("structure", 0.4, own, field(0, 1) + field(50, 3), 2) == pytest.approx(level / 4)
    both = 1 / (4 * STEP["SF"]) + 1 / (4 * STEP["AG"])
    assert worth("sharpness", 0.5, own, field(0), 2) == pytest.approx(both / 0.5)
    assert np.isfinite(worth("structure", 1.0, {"SSIM": -0.1}, [{"SSIM": 0.0}], 2))


def ahead(metric, steps):
    """A score that is so many steps ahead of 1."""
    return float(np.exp(steps * STEP[metric]))


def test_a_margin_is_a_bound_that_counts_as_a_quarter_of_the_field():
    field = [{"SSIM": 1.45}, {"SSIM": 1.2}, {"SSIM": 0.9}, {"SSIM": 0.6}]
    bound = [{"SSIM": 1.42}]

    def structure(own, rivals, margins):
        return worth("structure", 0.3, {"SSIM": own}, rivals, 3.5, margins)

    for own in (1.3, 1.41, 1.42, 1.5):
        alone, bounded = structure(own, field, {}), structure(own, field, {"SSIM": 0.03})
        assert bounded == pytest.approx(alone + structure(own, bound, {}) / 4)
    nearest, short, far = (structure(own, field, {"SSIM": 0.03}) for own in (1.42, 1.40, 1.3))
    assert nearest > short > far
    assert (
        worth("contrast", 0.3, {"SD": 50.0}, [{"SD": 60.0}], 3.5, {"SSIM": 0.03}) > 0
    )  # other metrics are as they were


def test_worth_is_a_mean_over_patients():
    weights = {"structure": 2.0}
    first, second = (
        Standing({"SSIM": 1.2}, {"structure": 0.4}, {"other": {"SSIM": 1.2 * ahead("SSIM", steps)}}) for steps in (3, 5)
    )
    loss = AdaptiveLoss(weights, rate=1.0, reach=2.0)
    loss.learn(0, [first, second])
    wanted = np.mean([worth("structure", 0.4, s.own, list(s.field.values()), 2) for s in (first, second)])
    assert loss.weights(0)["structure"] == pytest.approx(1.1 * wanted, rel=1e-3)


def test_uptake_has_weights_of_its_own(phantom):
    given = {"structure": 2.0, "invention": 30.0}
    loss = AdaptiveLoss({"structure": 5.0}, anchors={"intensity": 1.0}, uptake=given, kinds=1)
    value, report = loss(*phantom, torch.tensor([1, 1]))
    expected = sum(weight * TERMS[name](*phantom).mean().item() for name, weight in given.items())
    assert value.item() == pytest.approx(expected, rel=1e-5) and report["weight of structure"] == 2.0


def test_shortfall_weights_grow_with_the_shortfall_of_each_image(phantom):
    a, b, _ = phantom
    loss = ShortfallLoss({"structure": 1.0, "visual_information": 1.0}, sharpness=3.0)
    good = torch.maximum(a, b)
    _, on_goal = loss(a, b, good, ONE)
    _, behind = loss(a, b, good.flip(-1), ONE)
    for name in loss.weights:
        assert behind[f"weight of {name}"] > 1.5 * on_goal[f"weight of {name}"]


def test_shortfall_goals_are_the_better_classical_fusion(phantom):
    a, b, _ = phantom
    goals = ShortfallLoss({"structure": 1.0, "differences": 1.0}).goals(a, b)
    for name, wanted in goals.items():
        assert (wanted <= TERMS[name](a, b, torch.maximum(a, b)) + 1e-6).all()


def test_uncertainty_loss_believes_large_terms_less(phantom):
    loss = UncertaintyLoss({"structure": 1.0, "intensity": 1.0})
    optimizer = torch.optim.SGD(loss.parameters(), lr=0.1)
    for _ in range(200):
        optimizer.zero_grad()
        loss(*phantom, ONE)[0].backward()
        optimizer.step()
    values = loss(*phantom, ONE)[1]
    for name in loss.weights:
        assert values[f"weight of {name}"].item() == pytest.approx(1 / values[name].item(), rel=0.05)


def test_information_follows_the_source_with_detail():
    detailed, flat = torch.rand(1, 1, 64, 64), torch.full((1, 1, 64, 64), 0.5)
    loss = InformationLoss(intensity=1.0, gradient=1.0)
    assert loss.share_of_first(detailed, flat).min() > 0.9
    assert loss.share_of_first(flat, detailed).max() < 0.1


def test_lesions_are_planted_as_drawn():
    b = torch.full((2, 1, 64, 64), 0.5)
    draws = torch.tensor([[0.5, 0.5, 0.0, 1.0, 0.9], [0.5, 0.5, 1.0, 0.0, 0.1]])
    changed = plant_lesions(b, draws)
    assert changed[0, 0, 32, 32].item() == pytest.approx(0.8) and changed[1, 0, 32, 32].item() == pytest.approx(0.4)
    for image, width in zip((changed - b).abs()[:, 0], (6, 15)):  # full width at half maximum, pixels
        assert (image[32] >= 0.5 * image.max()).sum().item() == pytest.approx(width, abs=1)
