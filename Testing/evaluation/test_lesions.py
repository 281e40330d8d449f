"""The lesion study on fusing functions whose answers are known: copies, inversions, baselines."""

import csv
import subprocess
import sys

import numpy as np
import pytest
import SimpleITK as sitk

from MMIFAminLib.display.color import ColorTable
from MMIFAminLib.errors import InputError
from MMIFAminLib.evaluation.baselines import average, maximum
from MMIFAminLib.evaluation.lesions import (
    CONTRAST,
    FWHM,
    Case,
    Lesion,
    anatomy_fixed_correlation,
    brain_mask,
    draw_lesions,
    lesion_study,
    load_case,
    measure_lesion,
)
from MMIFAminLib.files.volumes import write_volume

SPACING = (4.0, 2.0, 2.0)


def copy_uptake(a, b):
    return b


def ignore_uptake(a, b):
    return a


def invert_uptake(a, b):
    return 1 - b


def make_case(name="head", table=None):
    """A ball of uptake 40 to 60 with a cold core, in a bright shell that only the anatomical image shows."""
    random = np.random.default_rng(7)
    grid = np.stack(np.meshgrid(*(np.arange(n) - (n - 1) / 2 for n in (24, 64, 64)), indexing="ij"))
    radius = np.sqrt(sum((axis * s) ** 2 for axis, s in zip(grid, SPACING)))
    uptake = np.where((radius < 40) & (radius > 12), random.uniform(40, 60, radius.shape), 0)
    anatomical = np.where(radius < 40, random.uniform(0.2, 0.8, radius.shape), np.where(radius < 46, 1.0, 0))
    return Case(name, anatomical.astype(np.float32), uptake.astype(np.float32), SPACING, table)


@pytest.fixture(scope="module")
def case():
    return make_case()


def test_brain_is_the_warm_ball(case):
    warm = case.uptake > 0
    assert (case.brain & warm).sum() > 0.9 * warm.sum() and not (case.brain & ~warm).any()


def test_brain_leaves_out_a_small_warm_part(case):
    uptake = case.uptake.copy()
    uptake[10:14, 1:6, 1:6] = 60
    assert not brain_mask(uptake, SPACING)[:, :6, :6].any()


def test_lesions_are_reproducible_and_within_their_limits(case):
    lesions = draw_lesions(case, 300, seed=1)
    assert lesions == draw_lesions(case, 300, seed=1) != draw_lesions(case, 300, seed=2)
    assert all(case.brain[lesion.center] for lesion in lesions)
    widths, contrasts = np.array([[lesion.fwhm, lesion.contrast] for lesion in lesions]).T
    assert FWHM[0] <= widths.min() < 7 and 14 < widths.max() <= FWHM[1]
    assert CONTRAST[0] <= abs(contrasts).min() < 0.12 and 0.58 < abs(contrasts).max() <= CONTRAST[1]
    assert 100 < (contrasts > 0).sum() < 200


@pytest.mark.parametrize("contrast", [0.5, -0.5])
def test_uptake_change_is_the_gaussians(contrast):
    """In uniform uptake u the mean over the core of u * contrast * profile, by independent arithmetic."""
    shape = (41, 41, 41)
    case = Case("uniform", np.zeros(shape, np.float32), np.full(shape, 8.0, np.float32), (1.0, 1.0, 1.0))
    change = measure_lesion(copy_uptake, case, Lesion((20, 20, 20), 12.0, contrast))
    z, y, x = np.mgrid[-6:7, -6:7, -6:7]
    profile = np.exp(-(z**2 + y**2 + x**2) / (2 * (12.0 / 2.3548200450309493) ** 2))
    top = 8 * max(1, 1 + contrast)
    assert change.uptake == pytest.approx(8 * contrast * profile[profile >= 0.5].mean() / top, rel=1e-5)
    assert change.recovery == pytest.approx(1, abs=1e-5) and change.right


def test_no_lesion_is_clipped(case):
    """What the fusing function sees stays within [0, 1], and a lesion changes nothing far from itself."""
    seen = []
    for lesion in draw_lesions(case, 40, seed=3):
        measure_lesion(lambda a, b: seen.append(b) or b, case, lesion)
    for plain, lesioned in zip(seen[::2], seen[1::2]):
        assert min(plain.min(), lesioned.min()) >= 0 and max(plain.max(), lesioned.max()) <= 1
        assert np.count_nonzero(plain != lesioned) > 0
        np.testing.assert_allclose(plain[:, 0], lesioned[:, 0], atol=1e-6)


@pytest.mark.parametrize(
    "fuse, right, recovery, spearman",
    [(copy_uptake, 1, 1, 1), (ignore_uptake, 0, 0, 0), (invert_uptake, 0, -1, -1), (average, 1, 0.5, 1)],
)
def test_study_of_known_fusions(case, fuse, right, recovery, spearman):
    row, total = lesion_study(fuse, [case], n=30)
    assert row["case"] == "head" and {**row, "case": "all"} == total
    assert row["right"] == row["hot_right"] == row["cold_right"] == right
    assert row["recovery"] == pytest.approx(recovery, abs=1e-4)
    assert row["spearman"] == pytest.approx(spearman, abs=0.03)
    assert 0 < row["strong"] < row["lesions"] == 30


def test_maximum_hides_lesions_below_bright_anatomy(case):
    bright = Case("bright", np.ones_like(case.anatomical), case.uptake, SPACING)
    (hidden, _), (shown, _) = (lesion_study(maximum, [c], n=30) for c in (bright, case))
    assert hidden["right"] == hidden["recovery"] == hidden["spearman"] == 0
    assert shown["right"] > 0.9 and 0.2 < shown["recovery"] < 0.9


def test_rows_over_all_cases(case):
    rows = lesion_study(average, [case, make_case("second")], n=20)
    assert [row["case"] for row in rows] == ["head", "second", "all"]
    assert rows[2]["lesions"] == 40 and rows[2]["strong"] == rows[0]["strong"] + rows[1]["strong"]
    assert rows[0]["strong"] != rows[1]["strong"] or rows[0]["recovery"] != rows[1]["recovery"]


def test_ycbcr_darkens_hot_lesions_of_a_rainbow():
    """With a palette that ends in a darker colour than its middle, copying the luma shows hot lesions as dark."""
    table = ColorTable("tent", np.array([0, 0.5, 1.0]), np.array([[0, 0, 0], [1, 1, 1], [0.2, 0.2, 0.2]]))
    hot = lesion_study(copy_uptake, [make_case(table=table)], n=30, protocol="ycbcr")[0]
    assert hot["protocol"] == "ycbcr" and hot["hot_right"] < 0.2 and hot["spearman"] < 0


def test_anatomy_is_held_fixed():
    """Uptake follows anatomy closely; a fused image that shows anatomy alone must get no credit for it."""
    random = np.random.default_rng(0)
    anatomical = random.random((10, 40, 40))
    uptake = np.clip(anatomical + random.normal(0, 0.1, anatomical.shape), 0, None)
    everywhere = np.ones(anatomical.shape, bool)
    assert np.corrcoef(anatomical.ravel(), uptake.ravel())[0, 1] > 0.9
    assert abs(anatomy_fixed_correlation(anatomical, uptake, anatomical, everywhere)) < 0.1
    assert anatomy_fixed_correlation(anatomical, uptake, uptake**3, everywhere) == pytest.approx(1)


def test_complaints(case):
    with pytest.raises(InputError, match="protocol 'palette'"):
        lesion_study(average, [case], protocol="palette")
    with pytest.raises(InputError, match="no colour table"):
        lesion_study(average, [case], protocol="ycbcr", n=1)
    with pytest.raises(InputError, match="No brain"):
        brain_mask(np.zeros((4, 8, 8)), SPACING)
    with pytest.raises(InputError, match="on one grid"):
        Case("odd", case.anatomical, case.uptake[1:], SPACING)


def test_lesion_benchmark_on_real_volumes(shared, repository, tmp_path):
    """The command end to end on the shared volumes, a few lesions: scalar average keeps every strong lesion."""
    script, output = repository / "Testing" / "benchmarks" / "lesions.py", tmp_path / "lesions.csv"
    volumes = shared / "data" / "volumes"
    command = [sys.executable, script, "--data", volumes, "--output", output, "--methods", "average", "-n", "20"]
    command += ["--cases", "spect3_spect", "spect21_spect"]
    subprocess.run(command, check=True, capture_output=True, text=True)
    rows = list(csv.DictReader(output.read_text().splitlines()))
    assert [row["case"] for row in rows] == 2 * ["spect3", "spect21", "all"]
    assert all(float(row["right"]) == 1 for row in rows if row["protocol"] == "scalar")
    assert float(rows[-1]["right"]) < 1 and float(rows[-1]["spearman"]) < float(rows[2]["spearman"])


def test_reads_a_case(shared):
    volumes = shared / "data" / "volumes"
    case = load_case(volumes / "spect21_mr.nrrd", volumes / "spect21_spect.nrrd", table="harvard-spect", name="spect21")
    assert case.uptake.shape == (17, 256, 256) and case.spacing == (6.0, 1.0, 1.0) and case.uptake.max() == 865
    assert case.anatomical.min() == 0 and case.anatomical.max() == 1


def test_what_is_no_number_is_background(tmp_path):
    """Around the brain of what SPM has brought into a template there are no zeros, but NaN."""
    values = ball(40, 30.0)
    write_volume(sitk.GetImageFromArray(values), tmp_path / "mr.nrrd")
    for name, outside in (("zero", 0), ("nan", np.nan)):
        write_volume(sitk.GetImageFromArray(np.where(values > 0, values, outside)), tmp_path / f"{name}.nrrd")
    cases = [load_case(tmp_path / "mr.nrrd", tmp_path / f"{name}.nrrd", name="pet") for name in ("zero", "nan")]
    assert lesion_study(copy_uptake, cases[:1], n=5) == lesion_study(copy_uptake, cases[1:], n=5)


def ball(size, width):
    squared = sum((axis - size / 2) ** 2 for axis in np.ogrid[:size, :size, :size])
    return ((2 - 4 * squared / width**2) * (squared < width**2 / 4)).astype(np.float32)
