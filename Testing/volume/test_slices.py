"""What the network is shown: the slices and the box that have content, in square pixels."""

import numpy as np
import pytest

from MMIFAminLib.volume.intensity import Window
from MMIFAminLib.volume.slices import content, squaring, stretched

UNIT = Window(0.0, 1.0)


def box_of(*places, shape=(6, 96, 120), multiple=4):
    """Slices and box of two volumes, content at ``places`` (k, row, column), every second one in the second volume."""
    volumes = np.zeros((2, *shape), np.float32)
    for number, place in enumerate(places):
        volumes[number % 2][place] = 0.5
    return content([(volume, UNIT) for volume in volumes], multiple)


def test_content_of_either_volume_counts_with_a_margin_of_sixteen_pixels():
    slices, (rows, columns) = box_of((1, 40, 44), (4, 60, 80))
    assert slices == [1, 4]
    assert (rows, columns) == (slice(24, 80), slice(28, 100))  # 40 - 16; 60 + 1 + 16 up to a multiple of 4


def test_the_box_begins_and_ends_at_multiples_and_inside_the_image():
    assert box_of((0, 41, 45))[1] == (slice(24, 60), slice(28, 64))
    assert box_of((0, 0, 119), (0, 95, 0))[1] == (slice(0, 96), slice(0, 120))
    assert box_of((0, 5, 100), multiple=8)[1] == (slice(0, 24), slice(80, 120))


def test_empty_volumes_have_no_slices_and_the_whole_box():
    assert box_of() == ([], (slice(0, 96), slice(0, 120)))


def test_the_window_says_what_is_content():
    a = np.full((2, 40, 40), -5.0, np.float32)
    a[1, 20, 20], a[1, 0, 0] = 11.0, 10.0  # at the lower end is still background
    slices, (rows, columns) = content([(a, Window(10.0, 20.0)), (a, Window(50.0, 60.0))], 4)
    assert slices == [1] and (rows, columns) == (slice(4, 40), slice(4, 40))


def test_the_box_is_never_too_thin_for_the_network():
    for height in (16, 17, 18, 40, 96):
        for row in range(height):
            rows = box_of((0, row, 60), shape=(2, height, 120))[1][0]
            assert rows.stop - rows.start >= 16 and 0 <= rows.start <= row < rows.stop <= height


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 2, 0)])
def test_views_across_the_memory_have_the_same_content(order):
    volume = np.zeros((30, 60, 90), np.float32)
    volume[10:12, 30:34, 50] = 1
    view = np.ascontiguousarray(volume.transpose(order)).transpose(np.argsort(order))
    assert view.strides != volume.strides or order == (0, 1, 2)
    assert content([(view, UNIT), (view * 0, UNIT)], 4) == content([(volume, UNIT), (volume * 0, UNIT)], 4)
    assert content([(volume, UNIT), (volume * 0, UNIT)], 4) == ([10, 11], (slice(12, 52), slice(32, 68)))


@pytest.mark.parametrize(
    "spacing, factors",
    [((1, 1), (1, 1)), ((3, 1), (3, 1)), ((1, 3), (1, 3)), ((2.6, 1), (3, 1)), ((1.4, 1), (1, 1)), ((20, 1), (8, 1))],
)
def test_slices_far_apart_get_rows_or_columns_between(spacing, factors):
    assert squaring(*spacing) == factors


def test_stretching_keeps_the_old_pixels_and_interpolates_between_them():
    images = np.float32([[[0, 4], [2, 8]], [[1, 1], [3, 1]]])
    assert np.array_equal(stretched(images, (1, 1)), images)
    assert stretched(images, (2, 1))[0].tolist() == [[0, 4], [1, 6], [2, 8]]
    assert stretched(images, (1, 4))[0].tolist() == [[0, 1, 2, 3, 4], [2, 3.5, 5, 6.5, 8]]
    assert stretched(images, (2, 2))[1].tolist() == [[1, 1, 1], [2, 1.5, 1], [3, 2, 1]]
    three = np.float32([[[0], [2], [6], [4]]])
    assert stretched(three, (2, 1))[0, :, 0].tolist() == [0, 1, 2, 4, 6, 5, 4]
    one_row = images[:, :1]
    assert np.array_equal(stretched(one_row, (8, 1)), one_row)
    assert stretched(images, (2, 3)).dtype == np.float32
