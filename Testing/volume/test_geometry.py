"""Same grid, label maps and slice layout, on phantoms without symmetry and on the SPM templates."""

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st

from MMIFAminLib.errors import GeometryError, InputError
from MMIFAminLib.volume.geometry import (
    PLANES,
    check_grid,
    check_not_labels,
    check_volume,
    extent,
    same_grid,
    slice_view,
)
from support.phantoms import Grid, directions, grids, head, rotation

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


# --- grids and labels ---


def test_extent_is_in_ras_with_half_a_voxel_around():
    grid = Grid(size=(10, 20, 30), spacing=(1, 2, 3), origin=(5, 10, -20))
    assert extent(grid.image(np.zeros((30, 20, 10), np.uint8))) == "R -14..-4, A -49..-9, S -22..68 mm"


def test_grids_of_other_sizes_are_other_grids():
    small, large = head(Grid(size=(20, 20, 20))), head(Grid(size=(20, 20, 24)))
    assert not same_grid(small, large) and not same_grid(large, small)


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
