"""The maximum intensity projection: nothing is missed, sides are right, and a pixel leads back into the body."""

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given
from hypothesis import strategies as st

from MMIFAminLib.errors import InputError
from MMIFAminLib.volume.projection import Turntable, angles_around, mip_window, wished_window
from MMIFAminLib.volume.recognition import Hints
from support.phantoms import BALLS, Grid, head, rotation

GRID = Grid(size=(20, 26, 18), spacing=(4.0, 3.0, 5.0)).centred_at((3.0, -2.0, 40.0))


def ball(name):
    """LPS centre of a ball of the phantom."""
    return np.array(BALLS[name][0])


def column_of(projection, row):
    return int(projection.values[row].argmax())


def test_from_the_front_it_is_the_maximum_over_depth():
    values = np.random.default_rng(0).uniform(1, 9, (18, 26, 20)).astype(np.float32)
    seen = Turntable(GRID.image(values)).at(0.0)
    assert seen.spacing == (5.0, 4.0)
    shown = seen.values[:, seen.values.max(axis=0) > seen.floor]
    np.testing.assert_array_equal(
        shown, values.max(axis=1)[::-1]
    )  # rows from the head down, the patient's right at the left


@given(angle=st.floats(-720, 720), seed=st.integers(0, 99))
def test_the_highest_value_of_every_slice_is_seen_from_everywhere(angle, seed):
    values = np.random.default_rng(seed).gamma(1.0, 2.0, (18, 26, 20)).astype(np.float32)
    seen = Turntable(GRID.image(values)).at(angle)
    np.testing.assert_array_equal(seen.values.max(axis=1), values.max(axis=(1, 2))[::-1])
    row, column = np.unravel_index(seen.values.argmax(), seen.values.shape)
    k, j, i = np.unravel_index(values.argmax(), values.shape)
    x, y, z = GRID.points()[k, j, i]
    assert seen.place(row, column) == pytest.approx((-x, -y, z))


@pytest.mark.parametrize(
    "angle, side",
    [(0, (1, 0)), (90, (0, 1)), (180, (-1, 0)), (270, (0, -1))],
    ids=["front", "left", "back", "right"],
)
def test_sides_are_where_a_viewer_has_them(angle, side):
    centre = np.array([30.0, -20.0, 40.0])  # LPS: left and in front
    values = np.exp(-np.square(GRID.points() - centre).sum(axis=-1) / 50).astype(np.float32)
    seen = Turntable(GRID.image(values)).at(angle)
    row, column = np.unravel_index(seen.values.argmax(), seen.values.shape)
    offset = (column - seen.values.shape[1] // 2) * seen.spacing[1]
    middle = np.array([3.0, -2.0])
    assert offset == pytest.approx(float(np.dot(side, centre[:2] - middle)), abs=6.0)


def test_the_nearest_of_equals_is_where_a_pixel_leads():
    values = np.zeros((18, 26, 20), np.float32)
    values[9, 4, 10] = values[9, 20, 10] = 7.0
    points, table = GRID.points(), Turntable(GRID.image(values))
    for angle, j in ((0, 4), (180, 20)):
        seen = table.at(angle)
        x, y, z = points[9, j, 10]
        assert seen.place(8, column_of(seen, 8)) == pytest.approx((-x, -y, z))
    assert seen.place(0, 0) is None and seen.place(99, 0) is None


@pytest.mark.parametrize("axes", [(2, 0, 1), (1, 2, 0), (0, 2, 1)])
def test_the_order_of_the_axes_makes_no_difference(axes):
    image = head(kind="pet")
    other = sitk.PermuteAxes(sitk.Flip(image, (True, False, True)), axes)
    for angle in (0, 90):
        np.testing.assert_allclose(Turntable(other).at(angle).values, Turntable(image).at(angle).values)


def test_an_oblique_volume_is_seen_upright():
    turned = Grid((60, 64, 60), (3.5, 3.5, 3.5), direction=tuple(rotation((15, 10, -20)).ravel())).centred_at()
    seen = Turntable(head(turned, "pet")).at(0.0)
    row, column = np.unravel_index(seen.values.argmax(), seen.values.shape)
    right, front, up = seen.place(row, column)
    hot = ball("right posterior inferior")
    assert np.linalg.norm([right + hot[0], front + hot[1], up - hot[2]]) < 12.0  # its radius
    assert seen.values.max() == pytest.approx(1.0, abs=0.02)


def test_one_hot_voxel_of_an_oblique_volume_keeps_its_value():
    turned = Grid((24, 26, 18), (4.0, 3.0, 5.0), direction=tuple(rotation((15, 10, -20)).ravel())).centred_at()
    values = np.zeros((18, 26, 24), np.float32)
    values[7, 12, 15] = 5.0
    x, y, z = turned.points()[7, 12, 15]
    for angle in (0, 40, 180):
        seen = Turntable(turned.image(values)).at(angle)
        assert seen.values.max() == 5.0, "interpolated it was half of that"
        place = seen.place(*np.unravel_index(seen.values.argmax(), seen.values.shape))
        assert place == pytest.approx((-x, -y, z), abs=1.5), "half a pixel of 3 mm"


def test_fine_voxels_are_taken_together_by_their_maximum():
    fine = Grid(size=(41, 30, 12), spacing=(0.5, 1.0, 2.0)).centred_at()
    values = np.zeros((12, 30, 41), np.float32)
    values[6, 12, 17] = 5.0
    seen = Turntable(fine.image(values)).at(0.0)
    assert seen.spacing == (2.0, 2.0) and seen.values.max() == 5.0
    x, y, z = fine.points()[6, 12, 17]
    place = seen.place(*np.unravel_index(seen.values.argmax(), seen.values.shape))
    assert place == pytest.approx((-x, -y, z), abs=1.0)


def test_the_window_is_that_of_a_fusion():
    assert mip_window(head(kind="pet", scale=8.0)).high == pytest.approx(8.0, rel=0.01)
    trunk = Grid((50, 40, 45), (8.0, 8.0, 8.0)).centred_at()
    points = trunk.points()
    values = 2.0 * (np.linalg.norm(points / (170, 120, 400), axis=-1) < 1)
    values[20, 20, 25] = 60.0
    assert mip_window(trunk.image(values.astype(np.float32)), Hints("PT", "SUV")).high == 10.0


def test_what_cannot_be_turned_is_said():
    with pytest.raises(InputError, match="FDG is constant"):
        Turntable(GRID.image(np.full((18, 26, 20), 3.0)), "FDG")
    with pytest.raises(InputError, match="in colours"):
        Turntable(GRID.image(np.zeros((18, 26, 20, 3), np.uint8)))
    for count in (0, 361):
        with pytest.raises(InputError, match="1 to 360"):
            angles_around(count)
    assert angles_around(4).tolist() == [0, 90, 180, 270]


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_one_voxel_without_a_value_does_not_set_the_window(bad):
    values = np.zeros((120, 120, 120), np.float32)
    values[60:, 20:30, 20:30] = 5
    values[0, 0, 0] = bad
    assert mip_window(sitk.GetImageFromArray(values)).high == 5.0


def test_all_corners_of_an_oblique_volume_are_seen():
    turned = Grid(size=(20, 26, 18), spacing=(4.0, 3.0, 5.0), direction=tuple(rotation((10, -7, 13)).ravel()))
    for corner in np.ndindex(2, 2, 2):
        values = np.zeros((18, 26, 20), np.float32)
        values[tuple(-c for c in corner)] = 5.0
        seen = Turntable(turned.image(values)).at(0.0).values
        assert seen.max() > 1.0, corner


@pytest.mark.parametrize("high, word", [(0.07, "black"), (0.09, None), (230.0, None), (250.0, "blank")])
def test_an_upper_end_is_a_hundredth_to_thirty_times_of_the_usual_one(high, word):
    """Uptake up to 8, which is where the window ends that a fusion would choose."""
    values = np.zeros((18, 26, 20), np.float32)
    values[4:14, 6:20, 5:15] = 8.0
    image, hints = GRID.image(values), Hints(modality="PT")
    assert mip_window(image, hints).high == pytest.approx(8.0)
    if word:
        with pytest.raises(
            InputError, match=f"leaves the MIP {word}: PET is in an unknown unit, where 8 would show it"
        ):
            wished_window(image, high, hints, "PET")
    else:
        window = wished_window(image, high, hints)
        assert (window.low, window.high) == (0.0, high)
