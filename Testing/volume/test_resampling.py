"""Resampling and overlap, on phantoms without symmetry and on the SPM templates."""

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st

from MMIFAminLib.errors import GeometryError, InputError
from MMIFAminLib.volume.geometry import extent, same_grid
from MMIFAminLib.volume.recognition import Hints
from MMIFAminLib.volume.resampling import Overlap, Resampling, resample_to
from support.phantoms import BALLS, Grid, brightest_point, ct_head, grids, head, head_values, rotation

FLIPPED = (-1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
OBLIQUE = tuple(rotation((12, -8, 20)).ravel())


def array_of(image):
    return sitk.GetArrayFromImage(image)


@pytest.mark.parametrize("direction", [FLIPPED, OBLIQUE, (0, 0, 1.0, 1.0, 0, 0, 0, -1.0, 0)])
@pytest.mark.parametrize("spacing", [(4.0, 4.0, 4.0), (2.5, 3.0, 5.0)])
def test_the_phantom_lands_where_it_is_in_the_patient(direction, spacing):
    size = tuple(int(320 / s) for s in spacing)
    functional = head(Grid(size=size, spacing=spacing, direction=direction).centred_at(), "pet")
    grid = Grid()
    moved, overlap = resample_to(functional, head(grid))
    assert overlap == Overlap(1.0, "")
    assert moved.GetPixelID() == sitk.sitkFloat32 and same_grid(moved, head(grid))
    expected = head_values(grid.points(), "pet")
    assert np.abs(array_of(moved) - expected).mean() < 0.01
    assert np.corrcoef(array_of(moved).ravel(), expected.ravel())[0, 1] > 0.99
    hot = BALLS["right posterior inferior"][0]
    assert np.linalg.norm(brightest_point(moved) - hot) < 4


def test_the_flipped_spect_template_is_mirrored_exactly(shared):
    t1, spect = (sitk.ReadImage(str(shared / f"data/templates/{n}.nii.gz")) for n in ("T1", "SPECT"))
    moved, overlap = resample_to(spect, t1)
    assert overlap.fraction == 1
    np.testing.assert_allclose(array_of(moved), array_of(spect)[:, :, ::-1], atol=1e-3)


@given(grids(), st.sampled_from([np.uint8, np.int16, np.uint16, np.int32, np.int64, np.uint64, np.float32, np.float64]))
@settings(max_examples=40, deadline=None)
def test_an_image_on_the_grid_keeps_its_values(grid, dtype):
    values = np.random.default_rng(0).integers(0, 200, grid.size[::-1]).astype(dtype)
    functional = grid.image(values)
    kept, overlap = resample_to(functional, grid.image(values.astype(np.float32)))
    assert overlap == Overlap(1.0)
    np.testing.assert_array_equal(array_of(kept), values.astype(np.float32))
    np.testing.assert_array_equal(array_of(functional), values)


def test_a_slice_between_two_slices_is_not_told_to_be_elsewhere():
    anatomical = sitk.Image([8, 8, 4], sitk.sitkFloat32)
    anatomical.SetSpacing((1, 1, 10))
    functional = sitk.Image([8, 8, 1], sitk.sitkFloat32)
    functional.SetOrigin((0, 0, 15))
    with pytest.raises(GeometryError, match="^functional lies between the slices of anatomical"):
        resample_to(functional, anatomical)
    functional.SetOrigin((0, 0, 60))
    with pytest.raises(GeometryError, match="do not overlap"):
        resample_to(functional, anatomical)


@given(grids(), grids())
@settings(max_examples=60, deadline=None)
def test_coverage_counts_the_voxel_centres_inside(functional_grid, anatomical_grid):
    anatomical = anatomical_grid.image(np.zeros(anatomical_grid.size[::-1], np.float32))
    functional = functional_grid.image(np.ones(functional_grid.size[::-1], np.float32))
    index = np.linalg.solve(
        functional_grid.matrix, (anatomical_grid.points() - np.array(functional_grid.origin)).reshape(-1, 3).T
    )
    upper = np.array(functional_grid.size)[:, None] - 0.5
    surely = np.all((index > -0.5 + 1e-4) & (index < upper - 1e-4), axis=0).mean()
    perhaps = np.all((index > -0.5 - 1e-4) & (index < upper + 1e-4), axis=0).mean()
    if perhaps == 0:
        with pytest.raises(GeometryError, match="do not overlap|lies between the slices"):
            resample_to(functional, anatomical)
        return
    try:
        moved, overlap = resample_to(functional, anatomical)
    except GeometryError:
        assert surely == 0
        return
    assert surely - 1e-9 <= overlap.fraction <= perhaps + 1e-9
    assert moved.GetSize() == anatomical.GetSize()
    # A volume of ones stays one inside and is background outside.
    values = array_of(moved)
    assert np.all((np.abs(values) < 1e-4) | (np.abs(values - 1) < 1e-4))
    assert surely - 1e-9 <= (values > 0.5).mean() <= perhaps + 1e-9


class Enough(BaseException):
    """Raised by a test to stop the work, as the user's Ctrl-C is."""


def test_resampling_tells_how_far_it_is_and_can_be_stopped():
    fine, coarse = Grid((80, 90, 70), (2.4, 2.5, 2.6)).centred_at(), Grid()
    functional, anatomical = head(fine, "pet"), head(coarse)  # smoothed first, then resampled
    told = []
    moved, _ = resample_to(functional, anatomical, tick=told.append)
    assert told == sorted(told) and told[0] < 0.1 and told[-1] == 1 and len(told) > 20
    assert np.array_equal(array_of(moved), array_of(resample_to(functional, anatomical)[0]))
    for limit in (0.0, 0.2, 0.6, 1.0):
        told.clear()

        def stop(fraction, limit=limit):
            told.append(fraction)
            if fraction >= limit:
                raise Enough

        with pytest.raises(Enough):
            resample_to(functional, anatomical, tick=stop)
        assert sum(fraction >= limit for fraction in told) == 1, "asked again"
    assert np.array_equal(array_of(moved), array_of(resample_to(functional, anatomical)[0]))


def test_partial_overlap_is_measured_and_said():
    anatomical = head(Grid())
    half = Grid(size=(24, 56, 44))  # the lower half of the i axis
    moved, overlap = resample_to(head(half, "pet"), anatomical, names=("T1", "FDG"))
    assert overlap.fraction == 0.5
    assert overlap.message == "FDG covers 50 % of T1; the rest counts as background"
    assert not array_of(moved)[:, :, 24:].any() and array_of(moved)[:, :, :24].any()


def test_no_overlap_names_both_extents():
    far = Grid().centred_at((400, 0, 0))
    with pytest.raises(GeometryError) as error:
        resample_to(head(far), head(Grid()), names=("T1", "FDG"))
    text = str(error.value)
    assert text.count("\n") == 0 and "T1 covers" in text and "FDG covers" in text
    assert extent(head(Grid())) in text and extent(head(far)) in text


def test_outside_is_zero_for_uptake_and_air_for_ct():
    anatomical = head(Grid())
    small = Grid(size=(40, 56, 40)).centred_at((0, 10, 0))
    ct, overlap = resample_to(ct_head(small), anatomical)
    assert overlap.fraction < 1 and array_of(ct)[0, 0, 0] == -1000
    noisy = array_of(head(small, "pet")) - 0.05
    uptake, _ = resample_to(small.image(noisy), anatomical)
    assert array_of(uptake)[0, 0, 0] == 0


def test_invalid_voxels_do_not_spread():
    grid = Grid(size=(60, 70, 55), spacing=(3.1, 3.1, 3.1)).centred_at()
    values = array_of(head(grid, "pet"))
    values[20, 20, 20], values[30, 30, 30] = np.nan, np.inf
    moved, _ = resample_to(grid.image(values), head(Grid()))
    assert np.isfinite(array_of(moved)).all() and array_of(moved).max() <= 1.001


def test_a_much_finer_functional_volume_is_averaged_not_picked():
    """Noise of a grid four times finer must shrink as averaging makes it, and the phantom must stay."""
    fine = Grid(size=(96, 112, 88), spacing=(2.0, 2.0, 2.0)).centred_at()
    coarse = Grid(size=(24, 28, 22), spacing=(8.0, 8.0, 8.0)).centred_at()
    rng = np.random.default_rng(1)
    clean_values = array_of(head(fine, "pet"))
    noisy = fine.image(clean_values + rng.normal(0, 0.3, clean_values.shape).astype(np.float32))
    anatomical = head(coarse)
    moved, overlap = resample_to(noisy, anatomical)
    picked = sitk.Resample(noisy, anatomical, sitk.Transform(), sitk.sitkLinear, 0.0)
    expected = head_values(coarse.points(), "pet")
    assert overlap.fraction == 1
    error, error_picked = (np.std(array_of(image) - expected) for image in (moved, picked))
    assert error < 0.3 * error_picked


def cosine(step, period=8):
    """Amplitude 1 along x, voxels of 1 mm; and a grid that takes every ``step``-th of them."""
    fine = Grid((96, 8, 8), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0))
    wave = np.cos(2 * np.pi * fine.points()[..., 0] / period).astype(np.float32)
    coarse = Grid((int(80 / step), 8, 8), (float(step), 1.0, 1.0), (8.0, 0.0, 0.0))
    return fine.image(wave), coarse.image(np.zeros((8, 8, int(80 / step)), np.float32))


def test_smoothing_before_coarser_sampling_is_of_the_width_that_is_said():
    """A Gaussian of variance t takes a wave of frequency w down to exp(t (cos w - 1)); t is (step^2 - 1) / 2.3548^2."""
    for step, period in ((2, 8), (4, 16)):
        moved, _ = resample_to(*cosine(step, period))
        variance = (step**2 - 1) / (8 * np.log(2))
        expected = np.exp(variance * (np.cos(2 * np.pi / period) - 1))
        assert np.abs(array_of(moved)).max() == pytest.approx(expected, abs=0.012), (step, period)
    barely, _ = resample_to(*cosine(1.1))
    assert np.abs(array_of(barely)).max() > 0.99, "steps below 1.2 voxels are not smoothed"


def test_an_image_on_the_grid_becomes_float():
    image = head(Grid(), scale=200, dtype=np.int16)
    assert resample_to(image, head(Grid()))[0].GetPixelID() == sitk.sitkFloat32


def test_rgb_and_label_maps_are_refused():
    grid = Grid()
    anatomical = head(grid)
    rgb = grid.image(np.zeros((*grid.size[::-1], 3), np.uint8))
    with pytest.raises(InputError, match="^FDG is an RGB volume"):
        resample_to(rgb, anatomical, names=("T1", "FDG"))
    labels = np.digitize(head_values(grid.points()), [0.1, 0.4, 0.8]).astype(np.int16)
    with pytest.raises(InputError, match="^FDG is a label map"):
        resample_to(grid.image(labels), anatomical, names=("T1", "FDG"))
    with pytest.raises(InputError, match="^T1 is a label map"):
        resample_to(anatomical, grid.image(labels), names=("T1", "FDG"))
    marked = head(grid, scale=200, dtype=np.int16)
    resample_to(marked, anatomical)
    marked.SetMetaData("intent_code", "1002")
    with pytest.raises(InputError, match="label map"):
        resample_to(marked, anatomical)


@pytest.mark.parametrize(
    "size, spacing", [((30, 26, 24), (7.0, 9.0, 9.5)), ((90, 90, 70), (2.2, 2.5, 3.0)), (None, None)]
)
def test_a_part_is_what_the_whole_has_there(size, spacing):
    """Coarser than the grid, finer (smoothed first), and on it."""
    anatomical = head(Grid(), scale=1000.0, dtype=np.int16)
    grid = Grid(size, spacing, direction=OBLIQUE).centred_at((5, 0, -4)) if size else Grid()
    resampling = Resampling(head(grid, "pet", 12.0, dtype=np.int16), anatomical)
    whole = array_of(resampling.whole())
    for axis, index in ((0, 0), (0, 21), (1, 30), (2, 47)):
        part = resampling.part(axis, index)
        assert part.dtype == np.float32 and part.shape[axis] == 1 and part.ndim == 3
        np.testing.assert_allclose(part, whole.take([index], axis), atol=1e-4)
    assert whole.max() > 5


def test_outside_is_air_too_for_a_ct_of_the_spine_that_holds_none():
    small = Grid(size=(30, 30, 30)).centred_at()
    tissue = np.random.default_rng(0).normal(40, 60, small.size[::-1]).clip(-180, 900)
    spine, anatomical = small.image(tissue.astype(np.int16)), head(Grid())
    for hints in (Hints(modality="CT"), Hints(unit="HU"), Hints(name="ct.nii.gz")):
        assert array_of(resample_to(spine, anatomical, hints=hints)[0])[0, 0, 0] == -1000
    assert array_of(resample_to(spine, anatomical)[0])[0, 0, 0] == 0, "nothing tells"
