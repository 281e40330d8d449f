"""A fused volume does not change from slice to slice more than its sources do, and is not touched where it need not be."""

import csv
import subprocess
import sys

import numpy as np
import pytest
import SimpleITK as sitk

from MMIFAminLib.engine.fusion import VolumeFuser
from MMIFAminLib.evaluation.baselines import average
from MMIFAminLib.volume import through_plane
from MMIFAminLib.volume.intensity import Window
from MMIFAminLib.volume.through_plane import steady, through_plane_ratio

UNIT = Window(0.0, 1.0)
MOST = 1.05  # times the livelier source: what the documents promise


@pytest.fixture
def fuser(stirred_weights):
    return VolumeFuser.load("cpu", "fp32", stirred_weights)


@pytest.fixture
def sources():
    """Two volumes that change slowly from slice to slice, ``(24, 80, 40)``, with an empty border."""
    random = np.random.default_rng(2)
    walks = np.cumsum(random.normal(0, 0.03, (2, 24, 80, 40)), axis=1) + random.random((2, 1, 80, 40))
    a, b = np.clip(walks, 0, 1).astype(np.float32)
    a[:, :5], b[:, :5] = 0, 0
    return a, b


def damped(fused, a, b):
    """A steadied copy, the ratio it is said to have, and by how much it was moved."""
    copy = fused.copy()
    return copy, *steady(copy, [(a, UNIT), (b, UNIT)])


def test_the_limit_is_the_one_that_is_promised():
    assert through_plane.LIMIT == MOST


def test_ratio():
    random = np.random.default_rng(0)
    a, b = np.cumsum(random.normal(size=(2, 12, 8, 8)), axis=1)
    flicker = np.where(np.arange(12)[:, None, None] % 2, 5.0, 0.0)
    assert through_plane_ratio(a, b / 10, a) == pytest.approx(1)
    assert through_plane_ratio(a, b / 10, a / 2) == pytest.approx(0.5)
    assert through_plane_ratio(a, b / 10, a + flicker) > 3
    assert np.isnan(through_plane_ratio(a[:1], b[:1], a[:1]))


def test_what_is_steady_stays_as_it_is(sources):
    fused = average(*sources)
    result, ratio, moved = damped(fused, *sources)
    assert moved == 0 and np.array_equal(result, fused)
    assert ratio == pytest.approx(through_plane_ratio(*sources, fused), rel=0.01)


def test_flicker_is_damped_to_the_limit_and_background_stays_background(sources):
    flicker = 0.04 * (-1.0) ** np.arange(24)[:, None, None]
    fused = np.where(np.maximum(*sources) > 0, np.clip(average(*sources) + flicker, 0, 1), 0).astype(np.float32)
    assert through_plane_ratio(*sources, fused) > 1.3
    result, ratio, moved = damped(fused, *sources)
    assert 0 < moved < 0.1
    assert 1.0 < through_plane_ratio(*sources, result) <= MOST
    assert ratio == pytest.approx(through_plane_ratio(*sources, result), rel=0.01)
    assert np.abs(result - fused).max() <= moved + 1e-6
    assert np.array_equal(result[:, :5], fused[:, :5]) and not result[:, :5].any()
    assert np.array_equal(result[[0, -1]], fused[[0, -1]])


def test_only_voxels_that_stand_out_from_both_neighbours_move():
    levels = np.float32([0.2, 0.2, 0.3, 0.4, 0.45, 0.4, 0.4, 0.8])
    spike = np.tile(levels[:, None, None], (1, 70, 8))
    smooth = np.tile(np.float32([0.2, 0.2, 0.3, 0.4, 0.4, 0.4, 0.4, 0.8])[:, None, None], (1, 70, 8))
    result, _, moved = damped(spike, smooth, 0.5 * smooth)  # varies by 0.7 instead of 0.6
    assert moved == pytest.approx((0.7 - 1.045 * 0.6) / 2, abs=1e-3)
    levels[4] -= moved
    assert result == pytest.approx(np.tile(levels[:, None, None], (1, 70, 8)), abs=1e-6)


def test_more_contrast_is_not_flicker():
    rising = np.tile(np.linspace(0.1, 0.5, 9, dtype=np.float32)[:, None, None], (1, 70, 8))
    rising[4] += 0.05
    result, ratio, moved = damped(2 * rising, rising, rising)
    assert moved == 0 and np.array_equal(result, 2 * rising) and ratio == pytest.approx(2)


def test_a_volume_that_does_not_change_has_no_ratio():
    constant = np.full((4, 70, 8), 0.5, np.float32)
    _, ratio, moved = damped(constant, constant, constant)
    assert np.isnan(ratio) and moved == 0


@pytest.mark.parametrize("plane", ["axial", "sagittal"])
def test_a_fused_volume_says_how_much_was_damped(fuser, sources, plane):
    a, b = (sitk.GetImageFromArray(array) for array in sources)
    fused = fuser.fuse(a, b, plane=plane, anatomical_window=(0, 1), functional_window=(0, 1))
    axis = {"axial": 0, "sagittal": 2}[plane]
    ratio = through_plane_ratio(*(np.moveaxis(x, axis, 0) for x in (*sources, sitk.GetArrayFromImage(fused.image))))
    told = fused.report["through_plane"]
    assert told["ratio"] == pytest.approx(ratio, rel=0.01) and 0 <= told["damping"] <= 0.1
    assert ratio <= MOST or told["damping"] == 0


def test_consecutive_pictures_are_steadied_and_others_are_not(fuser, sources, monkeypatch):
    seen = []
    monkeypatch.setattr("MMIFAminLib.engine.fusion.steady", lambda fused, given: seen.append((fused, given)))
    apart, together = (fuser.fuse_arrays(*sources, uptake=False, consecutive=value) for value in (False, True))
    assert len(seen) == 1 and seen[0][0] is together and seen[0][0] is not apart
    assert all(array is source for (array, _), source in zip(seen[0][1], sources))


def test_no_voxel_is_damped_below_both_sources():
    """A spike that both sources show, beside slices where a flicker calls for damping, stays."""
    a = np.full((9, 70, 8), 0.3, np.float32)
    a[4] = 0.5
    flicker = np.where(np.arange(9) % 2, 0.05, 0.0).astype(np.float32)[:, None, None]
    flicker[4] = 0
    result, _, moved = damped(a + flicker, a, a)
    assert moved > 0 and (result >= a).all() and (result < a + flicker).any()


def test_uptake_is_never_damped(fuser, sources, monkeypatch):
    monkeypatch.setattr("MMIFAminLib.engine.fusion.steady", lambda *_: pytest.fail("uptake was damped"))
    fuser.fuse_arrays(*sources, consecutive=True)
    a, b = (sitk.GetImageFromArray(array) for array in sources)
    assert fuser.fuse(a, b, anatomical_window=(0, 1), functional_window=(0, 1)).report["through_plane"]["damping"] == 0


@pytest.mark.parametrize("case, functional", [("ct34", "ct"), ("spect21", "spect"), ("pet41", "pet")])
def test_real_volumes_do_not_flicker(shared, case, functional):
    volumes = [sitk.ReadImage(shared / f"data/volumes/{case}_{kind}.nrrd") for kind in ("mr", functional)]
    fused = VolumeFuser.load().fuse(*volumes)
    windows = (fused.anatomical_window, fused.functional_window)
    units = [window.to_unit(sitk.GetArrayFromImage(image)) for window, image in zip(windows, volumes)]
    assert through_plane_ratio(*units, sitk.GetArrayFromImage(fused.image)) <= MOST


def test_benchmark_on_real_volumes(shared, repository, tmp_path):
    """Averages cannot vary more than the mean of their sources; the table covers every pair of the folder."""
    script, output = repository / "Testing" / "benchmarks" / "through_plane.py", tmp_path / "through_plane.csv"
    volumes = shared / "data" / "volumes"
    command = [sys.executable, script, "--data", volumes, "--output", output, "--methods", "average"]
    subprocess.run(command, check=True, capture_output=True, text=True)
    rows = list(csv.DictReader(output.read_text().splitlines()))
    assert len(rows) == len(list(volumes.glob("*_mr.nrrd"))) > 0
    assert all(0.4 < float(row["ratio"]) < 1 for row in rows)
