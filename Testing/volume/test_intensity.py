"""Windows: what is chosen and why, what is never clipped, and values of every type there and back."""

import itertools
import re

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from MMIFAminLib.errors import InputError
from MMIFAminLib.volume.intensity import (
    PRESETS,
    Window,
    choose_window,
    clean,
    looks_like_ct,
    robust_maximum,
    shows_uptake,
)
from support.phantoms import ct_head, head

DTYPES = (np.uint8, np.int8, np.uint16, np.int16, np.uint32, np.int32, np.uint64, np.int64, np.float32, np.float64)


def array_of(image):
    return sitk.GetArrayFromImage(image)


# --- Window ---


@given(
    hnp.arrays(st.sampled_from(DTYPES), hnp.array_shapes(min_dims=1, max_dims=3)),
    st.floats(-1e6, 1e6),
    st.floats(1e-3, 1e6),
)
@settings(deadline=None)
def test_unit_is_the_clipped_share_of_the_window(array, low, width):
    before = array.copy()
    window = Window(low, low + width)
    unit = window.to_unit(array)
    assert unit.dtype == np.float32 and unit.shape == array.shape
    assert unit.min() >= 0 and unit.max() <= 1  # fails on NaN too
    finite = np.isfinite(array)
    exact = np.clip((array[finite].astype(np.longdouble) - window.low) / (window.high - window.low), 0, 1)
    np.testing.assert_allclose(unit[finite], exact.astype(float), atol=2e-3)
    assert np.all(unit[np.isnan(array)] == 0) and np.all(unit[np.isposinf(array)] == 1)
    np.testing.assert_array_equal(array, before)


@pytest.mark.parametrize("dtype", DTYPES)
def test_unit_values_tell_the_values_again(dtype):
    info = np.iinfo(dtype) if np.issubdtype(dtype, np.integer) else None
    low, high = (max(info.min, -1000), min(info.max, 3000)) if info else (-1000, 3000)
    values = np.linspace(low, high, 256).astype(dtype)
    window = Window(low, high)
    unit = window.to_unit(values).astype(float)
    np.testing.assert_allclose(low + unit * (high - low), values.astype(float), atol=1e-3)


@pytest.mark.parametrize("offset", [1e9, 2**53, -1e12])
def test_a_narrow_window_far_from_zero_keeps_its_steps(offset):
    values = offset + np.arange(0, 101, 4, dtype=np.float64)
    np.testing.assert_allclose(Window(offset, offset + 100).to_unit(values), np.arange(0, 101, 4) / 100, atol=1e-6)
    integers = values.astype(np.int64)
    np.testing.assert_allclose(Window(offset, offset + 100).to_unit(integers), np.arange(0, 101, 4) / 100, atol=1e-6)


def test_a_very_narrow_window_keeps_its_steps():
    values = 5000 + np.arange(11) / 1000
    np.testing.assert_allclose(Window(5000, 5000.01).to_unit(values), np.arange(11) / 10, atol=1e-6)


def test_extreme_values_do_not_overflow():
    huge = np.array([-np.inf, -1e300, 0, 1e300, np.inf, np.nan])
    assert Window(0, 1).to_unit(huge).tolist() == [0, 0, 0, 1, 1, 0]
    assert Window(-1e300, 1e300).to_unit(huge).tolist() == [0, 0, 0.5, 1, 1, 0]
    tiny = np.array([0, 1e-40, 2e-40])
    np.testing.assert_allclose(Window(0, 2e-40).to_unit(tiny), [0, 0.5, 1])


@pytest.mark.parametrize("low, high", [(1, 1), (2, 1), (0, np.nan), (-np.inf, 0), (-1.7e308, 1.7e308)])
def test_an_empty_window_is_refused(low, high):
    with pytest.raises(InputError, match="window .* is empty"):
        Window(low, high)


def test_presets_are_those_of_the_application():
    """The numbers of 3D Slicer's Volumes module: level minus and plus half the window."""
    assert PRESETS == {
        "ct-brain": (0.0, 100.0),
        "ct-soft-tissue": (-135.0, 215.0),
        "ct-bone": (-100.0, 900.0),
        "ct-lung": (-1200.0, 200.0),
    }


# --- clean ---


@pytest.mark.parametrize("dtype", DTYPES)
def test_clean_leaves_finite_arrays_alone(dtype):
    array = np.arange(24).reshape(2, 3, 4).astype(dtype)
    same, count = clean(array)
    assert same is array and count == 0


def test_clean_counts_and_replaces_what_is_not_finite():
    array = np.linspace(-0.1, 1, 1000).reshape(10, 10, 10)
    array[1, 2, 3], array[4, 5, 6], array[7, 8, 9] = np.nan, np.inf, -np.inf
    before = array.copy()
    cleaned, count = clean(array, "PET")
    assert count == 3 and cleaned.dtype == np.float32
    assert cleaned[1, 2, 3] == cleaned[4, 5, 6] == cleaned[7, 8, 9] == 0
    valid = np.isfinite(array)
    np.testing.assert_array_equal(cleaned[valid], array[valid].astype(np.float32))
    np.testing.assert_array_equal(array, before)


def test_background_of_a_ct_is_air():
    array = array_of(ct_head()).astype(np.float32)
    array[20, 20, 20] = np.nan
    cleaned, _ = clean(array)
    assert cleaned[20, 20, 20] == -1000


@pytest.mark.parametrize(
    "array, words",
    [
        (np.zeros((0, 4, 4)), "is empty"),
        (np.zeros((4, 4, 4), np.complex64), "complex"),
        (np.array([["a", "b"]]), "not numbers"),
        (np.full((4, 4, 4), np.nan), "no finite value"),
        (np.full((4, 4, 4), np.inf), "no finite value"),
    ],
)
def test_clean_refuses_by_name(array, words):
    with pytest.raises(InputError, match=f"^MR head .*{words}"):
        clean(array, "MR head")
    with pytest.raises(InputError, match=f"^MR head .*{words}"):
        choose_window(array, name="MR head")


def test_a_mask_of_bool_has_a_window():
    mask = array_of(head()) > 0.3
    window = choose_window(mask)
    np.testing.assert_array_equal(window.to_unit(clean(mask)[0]), mask.astype(np.float32))


# --- choices ---


@pytest.mark.parametrize("role", ["anatomical", "functional"])
@pytest.mark.parametrize("padding", [None, -2000, -3024])
def test_ct_is_recognised_in_either_role(role, padding):
    array = array_of(ct_head())
    if padding:
        array[:, :4] = padding
    window = choose_window(array, role=role)
    assert (window.low, window.high) == PRESETS["ct-brain"] and "CT" in window.origin


def test_mr_and_uptake_are_not_taken_for_ct(shared):
    for name in ("T1", "T2", "PD", "PET", "SPECT"):
        assert not looks_like_ct(array_of(sitk.ReadImage(str(shared / f"data/templates/{name}.nii.gz"))))
    for path in (shared / "data/volumes").glob("*_mr.nrrd"):
        assert not looks_like_ct(array_of(sitk.ReadImage(str(path))))
    standardised = array_of(head())
    standardised = (standardised - standardised.mean()) / standardised.std()
    assert not looks_like_ct(standardised) and not looks_like_ct(standardised * 100)


def test_mr_window_keeps_the_brain_and_ignores_outliers(shared):
    for path in [*(shared / "data/volumes").glob("*_mr.nrrd"), shared / "data/templates/T1.nii.gz"]:
        array = array_of(sitk.ReadImage(str(path))).astype(np.float32)
        window = choose_window(array)
        assert "MR" in window.origin and abs(window.low) <= 0.01 * array.max()
        foreground = array[array > 0.05 * array.max()]
        assert (foreground > window.high).mean() < 0.01  # nothing of note is clipped
        assert window.high >= np.percentile(foreground, 98)
        spiked = array.copy()
        spiked.reshape(-1)[:: array.size // 20] = 100 * array.max()
        assert abs(choose_window(spiked).high - window.high) < 0.05 * window.high


@pytest.mark.parametrize("dtype", DTYPES)
def test_windows_do_not_depend_on_the_type(dtype):
    values = array_of(head(scale=100, dtype=np.int16))
    reference = {spec: choose_window(values, spec) for spec in ("auto", "mr", "uptake")}
    for spec, window in reference.items():
        chosen = choose_window(values.astype(dtype), spec)
        assert (chosen.low, chosen.high) == pytest.approx((window.low, window.high)) and chosen.origin == window.origin
    if np.issubdtype(dtype, np.signedinteger) or np.issubdtype(dtype, np.floating):
        shifted = choose_window((values - 20).astype(dtype), "mr")
        assert (shifted.low, shifted.high) == pytest.approx((reference["mr"].low - 20, reference["mr"].high - 20))


def test_a_tiny_object_that_sampling_may_miss_still_gets_a_window():
    array = np.zeros((100, 128, 128), np.float32)
    array[50, 60, 61:64] = 7
    for role in ("anatomical", "functional"):
        window = choose_window(array, role=role)
        assert window.low == 0 and window.high == 7


@st.composite
def lesions(draw, thick_slices=False):
    """A warm volume and a Gaussian lesion of 3 to 4 voxels' width anywhere inside, at any sub-voxel place."""
    shape = np.array((9, 20, 20))
    width = np.array([draw(st.floats(3, 4))] * 3)
    if thick_slices:
        width[0] = 0.5
    margin = 1 if thick_slices else 2
    centre = [draw(st.floats(margin, n - 1 - margin)) for n in shape]
    if thick_slices:
        centre[0] = round(centre[0])
    axes = np.meshgrid(*(np.arange(n) for n in shape), indexing="ij")
    distance = sum(((axis - c) / (w / 2.3548)) ** 2 for axis, c, w in zip(axes, centre, width))
    background = draw(st.floats(0, 1))
    return background + draw(st.floats(0.5, 50)) * np.exp(-distance / 2)


@given(st.one_of(lesions(), lesions(thick_slices=True)), st.sampled_from([np.float32, np.uint16]))
@settings(deadline=None)
def test_the_uptake_window_never_clips_a_small_lesion(volume, dtype):
    volume = (volume * (1000 if dtype == np.uint16 else 1)).astype(dtype)
    window = choose_window(volume, "uptake")
    assert window.low == 0 and window.high == pytest.approx(volume.max())


@given(st.integers(0, 2**32 - 1), st.integers(2, 4))
@settings(deadline=None)
def test_the_uptake_window_never_clips_a_small_ball(seed, diameter):
    """Balls of one value: at a diameter of 2 voxels a cube of eight."""
    rng = np.random.default_rng(seed)
    centre = rng.uniform(3, 12, 3) if diameter > 2 else rng.integers(3, 12, 3) + 0.5
    axes = np.meshgrid(*[np.arange(16)] * 3, indexing="ij")
    ball = sum((axis - c) ** 2 for axis, c in zip(axes, centre)) <= (diameter / 2) ** 2
    volume = np.where(ball, 9.0, rng.uniform(0, 1, ball.shape))
    assert choose_window(volume, "uptake").high == 9


WARM = array_of(head(kind="pet"))


@given(st.integers(0, 2**32 - 1), st.floats(3, 1e4), st.integers(1, 3))
@settings(max_examples=40, deadline=None)
def test_hot_voxels_do_not_stretch_the_uptake_window(seed, brightness, cluster):
    """Up to three hot voxels in a row, at several places, more than twice as bright as their surroundings."""
    rng = np.random.default_rng(seed)
    expected = choose_window(WARM, "uptake").high
    spiked = WARM.copy()
    for k, j, i in rng.integers(2, 40, (5, 3)):
        spiked[k, j, i : i + cluster] = brightness
    assert choose_window(spiked, "uptake").high == pytest.approx(expected, rel=1e-6)


def test_real_uptake_is_not_clipped(shared):
    for path in sorted((shared / "data/volumes").glob("*_pet.nrrd")) + sorted(
        (shared / "data/volumes").glob("*_spect.nrrd")
    ):
        array = array_of(sitk.ReadImage(str(path)))
        window = choose_window(array, role="functional")
        assert window.low == 0 and (array > window.high).sum() <= 3 and "uptake" in window.origin


def test_robust_maximum_where_nothing_has_neighbours():
    """Then it is the highest value there is: a window must come out."""
    lonely = np.zeros((9, 9, 9))
    lonely[4, 4, 4] = 5
    assert choose_window(lonely, "uptake").high == 5
    assert choose_window(np.array([[[0.0, 5.0]]]), "uptake").high == 5
    assert robust_maximum(lonely[:5, :5, :5] + 1) == 1


def test_ct_and_mr_in_the_functional_place_are_pictures_not_uptake(shared):
    pet = array_of(sitk.ReadImage(str(shared / "data/templates/PET.nii.gz")))
    for spec in ("auto", "uptake", "0:1", (0, 1), Window(0, 1)):
        assert shows_uptake(pet, spec)
    assert not shows_uptake(pet, "mr") and not shows_uptake(pet, " CT-bone")
    assert not shows_uptake(array_of(ct_head()))


# --- specifications ---


@pytest.mark.parametrize(
    "spec, expected",
    [
        ("-160:240", (-160, 240)),
        (" 0 : 1e2 ", (0, 100)),
        ((-5, 5.5), (-5, 5.5)),
        ([0, 7], (0, 7)),
        ("ct-bone", PRESETS["ct-bone"]),
        ("CT-Brain", PRESETS["ct-brain"]),
        (Window(1, 2, "by hand"), (1, 2)),
    ],
)
def test_given_windows(spec, expected):
    window = choose_window(array_of(ct_head()), spec)
    assert (window.low, window.high) == expected and window.origin


@pytest.mark.parametrize("spec", ["auto", "mr", "uptake"])
def test_a_choice_asked_for_is_read_as_a_given_one_is(spec):
    for array in (array_of(ct_head()), array_of(head())):
        assert choose_window(array, spec) == choose_window(array, f" {spec.upper()}")


@pytest.mark.parametrize(
    "spec", ["brain", "1:2:3", ":", "a:b", "5", "", None, 5, (1,), (1, 2, 3), ("x", 1), {"low": 1}]
)
def test_unreadable_windows_are_refused_with_the_choices(spec):
    with pytest.raises(InputError, match=re.escape("LOW:HIGH or one of auto, mr, uptake, ct-brain")):
        choose_window(array_of(head()), spec)


@pytest.mark.parametrize("spec", ["10:5", "nan:1", "3:3"])
def test_empty_given_windows_are_refused(spec):
    with pytest.raises(InputError, match="LOW below HIGH"):
        choose_window(array_of(head()), spec)


@pytest.mark.parametrize("spec", ["auto", "mr", "uptake", "0:1", "ct-brain"])
@pytest.mark.parametrize("value", [0, -1000, 3.5])
def test_constant_volumes_are_refused_by_name(spec, value):
    with pytest.raises(InputError, match=f"^FDG head is constant .*{value}"):
        choose_window(np.full((8, 8, 8), value), spec, role="functional", name="FDG head")


def test_blank_results_are_refused_by_name():
    with pytest.raises(InputError, match="^FDG has no uptake above 0"):
        choose_window(np.linspace(-5, 0, 512).reshape(8, 8, 8), role="functional", name="FDG")
    with pytest.raises(InputError, match="leaves T1 blank.* 0 to 1"):
        choose_window(np.linspace(0, 1, 512).reshape(8, 8, 8), "100:200", name="T1")


def test_role_is_checked():
    with pytest.raises(InputError, match="role"):
        choose_window(array_of(head()), role="pet")


def test_three_hot_voxels_of_any_shape_are_noise_and_five_in_a_cross_are_a_lesion():
    steps = [step for step in itertools.product((-1, 0, 1), repeat=3) if any(step)]
    for first, second in itertools.combinations(steps, 2):
        volume = np.ones((9, 9, 9))
        for place in ((0, 0, 0), first, second):
            volume[tuple(np.add(place, 4))] = 100
        assert robust_maximum(volume) == 1, (first, second)
    volume = np.ones((9, 9, 9))
    volume[4, 4, 3:6] = volume[4, 3:6, 4] = 100
    assert robust_maximum(volume) == 100


def test_stripes_of_columns_do_not_mislead_the_sample():
    """120 rows of 100: 1.2 million voxels, of which every seventh is looked at, not every sixth."""
    volume = np.random.default_rng(0).uniform(100, 110, (120, 100, 100)).astype(np.float32)
    volume[:, :, 1::2] += 800
    window = choose_window(volume, "mr")
    assert window.low < 110 and window.high > 905


def test_all_voxels_of_a_small_volume_are_looked_at():
    volume = np.random.default_rng(5).gamma(2.0, 100.0, (10, 11, 13))
    assert choose_window(volume, "mr").low == pytest.approx(np.percentile(volume, 0.5), rel=1e-12)


def test_a_window_that_begins_at_the_highest_value_leaves_nothing():
    volume = np.arange(27.0).reshape(3, 3, 3)
    for spec in ((26, 30), (-5, 0)):
        with pytest.raises(InputError, match="leaves volume blank"):
            choose_window(volume, spec)
    assert choose_window(volume, (25.9, 30)).low == 25.9
