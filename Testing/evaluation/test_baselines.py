"""Classical baselines against the published comparison, and on inputs whose fusion is known."""

import csv

import numpy as np
import pytest
from PIL import Image

from MMIFAminLib.errors import InputError
from MMIFAminLib.evaluation.baselines import BASELINES, average, guided_filter, laplacian_pyramid, maximum
from MMIFAminLib.evaluation.metrics import score

PUBLISHED = {"average": average, "maximum": maximum, "lappyr": laplacian_pyramid, "gff": guided_filter}
FUNCTIONAL = {"CT-MRI": "CT", "PET-MRI": "PET", "SPECT-MRI": "SPECT"}


@pytest.fixture(scope="module")
def sample(shared):
    """``{task: [(case, MR, luma), ...]}``: every ninth `val` pair, in [0, 1]."""
    pairs = {}
    for task, other in FUNCTIONAL.items():
        folder = shared / "data" / "harvard" / "val" / task
        for path in sorted((folder / "MRI").glob("*.png"))[::9]:
            mr = np.asarray(Image.open(path).convert("L"), float)
            image = np.asarray(Image.open(folder / other / path.name), float)
            luma = image if image.ndim == 2 else np.rint(image[..., :3] @ [0.299, 0.587, 0.114])
            pairs.setdefault(task, []).append((path.stem, mr / 255, luma / 255))
    return pairs


@pytest.fixture(scope="module")
def published(shared):
    with open(shared / "reference" / "peers_val.csv", newline="") as file:
        return {(row["method"], row["task"], row["id"]): row for row in csv.DictReader(file)}


@pytest.mark.parametrize("method", PUBLISHED)
@pytest.mark.parametrize("task", FUNCTIONAL)
def test_scores_as_published(sample, published, task, method):
    ours, theirs = [], []
    for case, a, b in sample[task]:
        fused = np.rint(255 * PUBLISHED[method](a, b))
        scores = score(np.rint(255 * a), np.rint(255 * b), fused)
        ours.append(list(scores.values()))
        theirs.append([float(published[method, task, case][name]) for name in scores])
    assert np.mean(ours, axis=0) == pytest.approx(np.mean(theirs, axis=0), rel=2e-3)


@pytest.mark.parametrize("fuse", BASELINES.values(), ids=BASELINES)
def test_a_stack_is_fused_slice_by_slice(fuse):
    a, b = np.random.default_rng(0).random((2, 3, 50, 37), dtype=np.float32)
    fused = fuse(a, b)
    assert fused.shape == a.shape and fused.dtype == np.float32
    assert fused.min() >= 0 and fused.max() <= 1
    for k in range(3):
        np.testing.assert_allclose(fused[k], fuse(a[k], b[k]), atol=1e-6)


@pytest.mark.parametrize("fuse", BASELINES.values(), ids=BASELINES)
@pytest.mark.parametrize("shape", [(16, 16), (1, 9), (5, 257), (61, 3)])
def test_equal_sources_come_back(fuse, shape):
    image = np.random.default_rng(1).random(shape)
    np.testing.assert_allclose(fuse(image, image), image, atol=1e-5)


def test_guided_filter_and_pyramid_keep_the_sharper_source():
    """One source has a fine pattern on its left half, the other on its right: both patterns must survive."""
    pattern = np.indices((128, 128)).sum(0) % 2
    left = np.where(np.arange(128) < 64, 0.25 + 0.5 * pattern, 0.5)
    fused_average = average(left, left[:, ::-1])
    for fuse in (laplacian_pyramid, guided_filter):
        fused = fuse(left, left[:, ::-1])
        for half in (slice(8, 56), slice(72, 120)):
            assert fused[8:-8, half].std() > 0.95 * 0.25
            assert fused_average[8:-8, half].std() < 0.55 * 0.25


@pytest.mark.parametrize("fuse", BASELINES.values(), ids=BASELINES)
def test_refuses_other_shapes(fuse):
    for a, b in ((np.zeros((4, 4)), np.zeros((4, 5))), (np.zeros(4), np.zeros(4)), (np.zeros((1, 1, 4, 4)),) * 2):
        with pytest.raises(InputError, match="two equal 2D or 3D arrays"):
            fuse(a, b)
