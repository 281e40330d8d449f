"""Same grid, resampling, overlap and slice layout, on phantoms without symmetry and on the SPM templates."""

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st

from MMIFAminLib.errors import GeometryError, InputError
from MMIFAminLib.volume.geometry import (
    PLANES,
    Overlap,
    check_grid,
    check_not_labels,
    check_volume,
    extent,
    resample_to,
    same_grid,
    slice_view,
)
from support.phantoms import BALLS, Grid, brightest_point, ct_head, directions, grids, head, head_values, rotation

FLIPPED = (-1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
OBLIQUE = tuple(rotation((12, -8, 20)).ravel())


def array_of(image):
    return sitk.GetArrayFromImage(image)


# --- grids ---


def test_templates_share_a_grid_except_the_flipped_spect(shared):
    t1, pet, spect = (sitk.ReadImage(str(shared / f"data/templates/{n}.nii.gz")) for n in ("T1", "PET", "SPECT"))
    assert same_grid(t1, pet)
    assert t1.GetSize() == spect.GetSize() and not same_grid(t1, spect)


@given(grids())
@settings(deadline=None)
def test_a_grid_equals_itself_and_no_shifted_or_rescaled_one(grid):
    image = grid.image(np.zeros(grid.size[::-1], np.uint8))
    other = sitk.Image(image)
    assert same_grid(image, other)
    other.SetOrigin(np.array(grid.origin) + 1e-5 * min(grid.spacing))  # what float32 headers do
    assert same_grid(image, other)
    other.SetOrigin(np.array(grid.origin) + 0.1 * min(grid.spacing))
    assert not same_grid(image, other)
    other = sitk.Image(image)
    other.SetSpacing(np.array(grid.spacing) * (1, 1, 1.05))
    assert not same_grid(image, other)


@pytest.mark.parametrize(
    "change, words",
    [
        ({"size": (8, 8)}, "2D image, not a volume"),
        ({"size": (8, 8, 8, 5)}, "4 dimensions"),
        ({"size": (8, 1, 1)}, "8 x 1 x 1 voxels"),
        ({"spacing": (0, 1, 1)}, "0 x 1 x 1 mm"),
        ({"spacing": (1, -2, 1)}, "1 x -2 x 1 mm"),
        ({"spacing": (1, float("nan"), 1)}, "1 x nan x 1 mm"),
        ({"origin": (float("inf"), 0, 0)}, "origin"),
        ({"direction": (1, 0, 0, 1, 0, 0, 0, 0, 1)}, "singular direction"),
        ({"direction": (float("nan"),) * 9}, "singular direction"),
    ],
)
def test_impossible_grids_are_refused_by_name(change, words):
    grid = {"size": (8, 8, 8), "spacing": (1, 1, 1), "origin": (0, 0, 0), "direction": np.eye(3).ravel()}
    check_grid(**grid, name="CT head")
    with pytest.raises(GeometryError, match=f"^CT head .*{words}"):
        check_grid(**grid | change, name="CT head")


def test_check_volume_takes_scalar_and_rgb_and_single_slices():
    for components in (1, 3):
        pixel = sitk.sitkVectorUInt8 if components == 3 else sitk.sitkInt16
        check_volume(sitk.Image([8, 8, 8], pixel, components))
    check_volume(sitk.Image([8, 8, 1], sitk.sitkFloat64))
    check_volume(sitk.Image([1, 8, 8], sitk.sitkFloat64))


@pytest.mark.parametrize(
    "image, words",
    [
        (sitk.Image([8, 8], sitk.sitkUInt8), "2D image"),
        (sitk.Image([8, 8, 8, 2], sitk.sitkUInt8), "4 dimensions"),
        (sitk.Image([8, 8, 8], sitk.sitkVectorUInt8, 4), "4 components"),
        (sitk.Image([8, 8, 8], sitk.sitkVectorFloat32, 3), "3 components of vector of 32-bit float"),
        (sitk.Image([8, 8, 8], sitk.sitkComplexFloat32), "complex"),
    ],
)
def test_check_volume_refuses_by_name(image, words):
    with pytest.raises(InputError, match=f"^PET .*{words}"):
        check_volume(image, "PET")


# --- resampling ---


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
        with pytest.raises(GeometryError, match="do not overlap"):
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


def test_extent_is_in_ras_with_half_a_voxel_around():
    grid = Grid(size=(10, 20, 30), spacing=(1, 2, 3), origin=(5, 10, -20))
    assert extent(grid.image(np.zeros((30, 20, 10), np.uint8))) == "R -14..-4, A -49..-9, S -22..68 mm"


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


def test_grids_of_other_sizes_are_other_grids():
    small, large = head(Grid(size=(20, 20, 20))), head(Grid(size=(20, 20, 24)))
    assert not same_grid(small, large) and not same_grid(large, small)


def test_an_image_on_the_grid_becomes_float():
    image = head(Grid(), scale=200, dtype=np.int16)
    assert resample_to(image, head(Grid()))[0].GetPixelID() == sitk.sitkFloat32


@pytest.mark.parametrize("modality, refused", [("SEG ", True), ("MR", False), ("CT", False), ("XA", False)])
def test_of_dicom_objects_segmentations_are_label_maps(modality, refused):
    image = head(Grid(), scale=200, dtype=np.int16)
    image.SetMetaData("0008|0060", modality)
    if refused:
        with pytest.raises(InputError, match="label map"):
            check_not_labels(image)
    else:
        check_not_labels(image)


def test_few_values_are_labels_only_where_there_are_many_voxels():
    for side, levels, refused in ((16, 8, True), (16, 9, False), (15, 8, False), (16, 1, False)):
        values = (np.arange(side**3) % levels).astype(np.int16).reshape(side, side, side)
        if refused:
            with pytest.raises(InputError, match="label map"):
                check_not_labels(sitk.GetImageFromArray(values))
        else:
            check_not_labels(sitk.GetImageFromArray(values))


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


# --- slices ---


@given(grids(), st.sampled_from(PLANES), st.booleans())
@settings(max_examples=60, deadline=None)
def test_slices_are_put_back_exactly(grid, plane, rgb):
    values = np.arange(np.prod(grid.size) * (3 if rgb else 1), dtype=np.float32)
    values = values.reshape(grid.size[::-1] + ((3,) if rgb else ()))
    view = slice_view(grid.image(np.zeros(grid.size[::-1], np.uint8)), plane)
    slices = view.take(values)
    assert np.shares_memory(slices, values)
    back = np.zeros_like(values)
    view.take(back)[...] = slices  # as a fused volume is written
    np.testing.assert_array_equal(back, values)
    assert sorted((*view.pixel_spacing, view.slice_spacing)) == sorted(grid.spacing)


ROWS_COLUMNS_SLICES = {  # LPS directions of increasing slice, row and column in radiological display
    "axial": ((0, 0, 1), (0, 1, 0), (1, 0, 0)),
    "coronal": ((0, -1, 0), (0, 0, -1), (1, 0, 0)),
    "sagittal": ((-1, 0, 0), (0, 0, -1), (0, 1, 0)),
}


@given(directions(tilt=15), st.sampled_from(("axial", "coronal", "sagittal")), st.permutations((2.0, 3.0, 5.0)))
@settings(max_examples=60, deadline=None)
def test_slices_are_in_radiological_orientation(direction, plane, spacing):
    grid = Grid(size=(9, 8, 7), spacing=tuple(spacing), direction=direction).centred_at()
    view = slice_view(grid.image(np.zeros((7, 8, 9), np.uint8)), plane)
    points = view.take(grid.points())
    steps = [points[1, 0, 0] - points[0, 0, 0], points[0, 1, 0] - points[0, 0, 0], points[0, 0, 1] - points[0, 0, 0]]
    for step, wanted in zip(steps, ROWS_COLUMNS_SLICES[plane]):
        assert step @ np.array(wanted) > 0.8 * np.linalg.norm(step)
    lengths = [np.linalg.norm(step) for step in steps]
    np.testing.assert_allclose(lengths, (view.slice_spacing, *view.pixel_spacing))


@given(directions(tilt=0))
@settings(max_examples=25, deadline=None)
def test_the_presented_slices_do_not_depend_on_how_the_volume_is_stored(direction):
    """Left stays left: the same head stored with any axis order and flips gives the same pictures."""
    reference, stored = (
        head(Grid(size=(16, 16, 16), spacing=(12.0, 12.0, 12.0), direction=d).centred_at())
        for d in (np.eye(3).ravel(), direction)
    )
    for plane in ("axial", "coronal", "sagittal"):
        pictures = [slice_view(image, plane).take(array_of(image)) for image in (reference, stored)]
        np.testing.assert_allclose(pictures[0], pictures[1], atol=1e-5)


def test_edges_say_where_left_is():
    grid = Grid().centred_at()
    points = grid.points()
    letters = {"R": (-1, 0, 0), "L": (1, 0, 0), "A": (0, -1, 0), "P": (0, 1, 0), "I": (0, 0, -1), "S": (0, 0, 1)}
    for plane in ("axial", "coronal", "sagittal"):
        view = slice_view(head(grid), plane)
        middle = view.take(points)[view.take(points).shape[0] // 2]
        rows, columns = middle.shape[:2]
        places = (middle[rows // 2, 0], middle[rows // 2, -1], middle[0, columns // 2], middle[-1, columns // 2])
        for place, letter in zip(places, view.edges):
            assert place @ np.array(letters[letter]) > 50


def test_acquisition_takes_the_stored_slices(shared):
    coronal = sitk.ReadImage(str(shared / "data/volumes/pet25_mr.nrrd"))
    view = slice_view(coronal, "acquisition")
    assert view == slice_view(coronal, "coronal")
    assert view.take(array_of(coronal)).shape == (74, 256, 256)
    assert (view.pixel_spacing, view.slice_spacing) == ((1.0, 1.0), 2.0)
    axial = sitk.ReadImage(str(shared / "data/volumes/pet41_mr.nrrd"))
    np.testing.assert_array_equal(slice_view(axial, "acquisition").take(array_of(axial)), array_of(axial))


def test_a_single_slice_has_its_own_plane_only():
    image = sitk.Image([32, 24, 1], sitk.sitkInt16)
    assert slice_view(image, "acquisition").take(array_of(image)).shape == (1, 24, 32)
    assert slice_view(image, "axial").plane == "axial"
    with pytest.raises(GeometryError, match="the anatomical volume is one slice thick"):
        slice_view(image, "coronal")


def test_unknown_plane_is_named():
    with pytest.raises(InputError, match="'transverse' is not one of axial"):
        slice_view(head(Grid()), "transverse")
