"""Metrics against the reference scores, against scikit-image, and on images whose scores are known by construction."""

import csv
import math

import numpy as np
import pytest
from PIL import Image

from MMIFAminLib.errors import InputError
from MMIFAminLib.evaluation.metrics import METRICS, RANKED, rank_methods, score

FUNCTIONAL = {"CT-MRI": "CT", "PET-MRI": "PET", "SPECT-MRI": "SPECT"}
FUSED_BY = {"average": lambda a, b: np.floor((a + b) / 2), "maximum": np.maximum}


def load_pair(shared, task, case):
    """The MR and the luma of the other image of one `val` pair, float in 0..255."""
    folder = shared / "data" / "harvard" / "val" / task
    mr = np.asarray(Image.open(folder / "MRI" / f"{case}.png").convert("L"), float)
    other = np.asarray(Image.open(folder / FUNCTIONAL[task] / f"{case}.png"), float)
    return mr, other if other.ndim == 2 else np.rint(other[..., :3] @ [0.299, 0.587, 0.114])


def read_rows(path, **where):
    with open(path, newline="") as file:
        return [row for row in csv.DictReader(file) if all(row[key] == value for key, value in where.items())]


@pytest.fixture(scope="module")
def pair(shared):
    return load_pair(shared, "PET-MRI", "41068")


@pytest.mark.parametrize("task", FUNCTIONAL)
def test_agrees_with_the_reference_scores(shared, task):
    rows = read_rows(shared / "reference" / "metrics_reference.csv", task=task)
    assert len(rows) == 8
    for row in rows:
        a, b = load_pair(shared, task, row["id"])
        ours = score(a, b, FUSED_BY[row["fused_by"]](a, b))
        assert set(ours) - set(row) == {"ENfg"}
        for name in set(ours) & set(row):
            assert ours[name] == pytest.approx(float(row[name]), abs=1e-5), (row["id"], row["fused_by"], name)


@pytest.mark.parametrize("task", FUNCTIONAL)
def test_agrees_with_the_published_comparison(shared, task):
    """Maximum fusion of the comparison, which has ENfg too: every seventh pair."""
    for row in read_rows(shared / "reference" / "peers_val.csv", task=task, method="maximum")[::7]:
        a, b = load_pair(shared, task, row["id"])
        ours = score(a, b, np.maximum(a, b))
        for name, value in ours.items():
            assert value == pytest.approx(float(row[name]), abs=1e-4), (row["id"], name)


def test_every_metric_is_described():
    image = np.random.default_rng(0).uniform(0, 255, (200, 180))
    assert [metric.name for metric in METRICS] == list(score(image, image, image))
    assert all(len(metric.meaning) > 20 for metric in METRICS) and set(RANKED) < {metric.name for metric in METRICS}


def test_perfect_fusion_of_equal_sources():
    image = np.rint(np.random.default_rng(1).uniform(0, 255, (192, 224)))
    ours = score(image, image, image)
    assert ours["SSIM"] == pytest.approx(2) and ours["VIF"] == pytest.approx(2, abs=1e-6)
    assert ours["CC"] == pytest.approx(1) and ours["MSSSIM"] == pytest.approx(1)
    assert ours["MI"] == pytest.approx(2 * math.log(2) * ours["EN"])
    assert ours["PSNR"] == math.inf and ours["SCD"] == 0


def test_ssim_is_scikit_images(pair):
    from skimage.metrics import structural_similarity

    a, b = pair
    fused = (a + b) / 2
    theirs = sum(structural_similarity(source, fused, data_range=255) for source in (a, b))
    assert score(a, b, fused)["SSIM"] == pytest.approx(theirs, abs=1e-9)


def test_background_noise_raises_en_but_hardly_enfg(pair):
    a, b = pair
    fused = np.maximum(a, b)
    noisy = fused + (fused == 0) * np.random.default_rng(2).integers(0, 6, fused.shape)
    clean, inflated = score(a, b, fused), score(a, b, noisy)
    assert inflated["EN"] - clean["EN"] > 1
    assert abs(inflated["ENfg"] - clean["ENfg"]) < 0.1


def test_is_symmetric_in_the_sources_and_takes_uint8(pair):
    a, b = pair
    fused = np.maximum(a, b)
    forward, swapped = score(a, b, fused), score(*(x.astype(np.uint8) for x in (b, a, fused)))
    assert forward == pytest.approx(swapped, abs=1e-9)


def test_flat_and_small_images_give_numbers_or_nan():
    empty = np.zeros((200, 200))
    assert score(empty, empty, empty)["Qabf"] == 0 and not any(map(math.isnan, score(empty, empty, empty).values()))
    noise = np.random.default_rng(3).integers(0, 256, (176, 180))
    missing_below = {7: {"VIF", "SSIM", "MSSSIM"}, 41: {"VIF", "MSSSIM"}, 176: {"MSSSIM"}, 177: set()}
    for rows, missing in ((limit - 1, missing) for limit, missing in missing_below.items()):
        small = noise[:rows]
        assert {name for name, value in score(small, small, small).items() if math.isnan(value)} == missing, rows


@pytest.mark.parametrize(
    "spoil, complaint",
    [
        (lambda image: image[:, :-1], "differ in size"),
        (lambda image: image[None], "2D"),
        (lambda image: image[:1], "2x2"),
        (lambda image: image * 300, "0..255"),
        (lambda image: np.where(image > 0.5, np.nan, image), "0..255"),
    ],
)
def test_refuses_what_it_cannot_score(spoil, complaint):
    image = np.random.default_rng(4).uniform(0, 1, (64, 64))
    with pytest.raises(InputError, match=complaint):
        score(image, image, spoil(image))


@pytest.mark.parametrize(
    "task, published",
    [
        ("CT-MRI", {"GeSeNet": 3.89, "maximum": 4.67, "ALMFNet": 4.89, "average": 11.33, "U2Fusion": 12.33}),
        ("PET-MRI", {"maximum": 4.33, "ALMFNet": 5.00, "GeSeNet": 5.11, "average": 10.89, "U2Fusion": 13.44}),
        ("SPECT-MRI", {"GeSeNet": 4.22, "ReFusion": 4.44, "maximum": 8.11, "average": 11.78, "DenseFuse": 12.67}),
    ],
)
def test_ranks_reproduce_the_published_table(shared, task, published):
    values = {}
    for row in read_rows(shared / "reference" / "peers_val.csv", task=task):
        values.setdefault(row["method"], []).append([float(row[name]) for name in RANKED])
    means = {method: dict(zip(RANKED, np.mean(table, axis=0))) for method, table in values.items()}
    ranks = rank_methods(means)
    assert len(ranks) == 16 and next(iter(ranks)) == next(iter(published))
    assert {method: round(ranks[method], 2) for method in published} == published


def test_ranks_average_ties():
    first, second = dict.fromkeys(RANKED, 2.0), dict.fromkeys(RANKED, 1.0)
    assert rank_methods({"worst": dict.fromkeys(RANKED, 0.0), "x": second, "y": second, "best": first}) == {
        "best": 1.0,
        "x": 2.5,
        "y": 2.5,
        "worst": 4.0,
    }
    assert rank_methods({}) == {}
