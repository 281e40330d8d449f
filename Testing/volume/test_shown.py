"""The grey value of anatomy and uptake: its corners, its order, its inverse."""

import numpy as np
import pytest

from MMIFAminLib.volume.shown import HEADROOM, HOTTEST, anatomy_of, shown


def test_the_corners():
    corners = shown(np.array([0.0, 1.0, 0.0, 1.0]), np.array([0.0, 0.0, 1.0, 1.0]))
    np.testing.assert_allclose(corners, [0, HEADROOM, HOTTEST, 1], atol=1e-7)
    np.testing.assert_allclose(shown(np.float32(0.5), np.float32(0.5)), (0 + 0.6 + 0.9 + 1) / 4, atol=1e-6)


def test_more_of_either_is_brighter_and_never_below_the_lower_of_the_two_as_shown():
    a, u = np.meshgrid(np.linspace(0, 1, 201), np.linspace(0, 1, 201), indexing="ij")
    value = shown(a, u)
    assert np.all(np.diff(value, axis=0) > 0) and np.all(np.diff(value, axis=1) > 0)
    assert np.all(value >= np.minimum(HEADROOM * a, u) - 1e-6)
    assert np.diff(value, axis=1).min() / 0.005 > 0.39  # on the brightest anatomy, where it rises least


def test_the_inverse_gives_the_anatomy_back_and_leaves_its_inputs_alone():
    rng = np.random.default_rng(0)
    a, u = rng.random((3, 260, 270)), rng.random((3, 260, 270))
    a.flags.writeable = u.flags.writeable = False
    back = anatomy_of(shown(a, u), u)
    assert back.dtype == np.float32 and back.shape == a.shape
    np.testing.assert_allclose(back, a, atol=2e-6)
    np.testing.assert_allclose(anatomy_of(shown(a, u)[:, ::2, ::-1], u[:, ::2, ::-1]), a[:, ::2, ::-1], atol=2e-6)


def test_what_lies_outside_counts_as_the_nearer_end():
    np.testing.assert_array_equal(shown([2.0, -1.0], [-1.0, 5.0]), shown([1.0, 0.0], [0.0, 1.0]))
    np.testing.assert_array_equal(anatomy_of([0.0, 1.0], [0.5, 0.5]), [0, 1])
    assert np.isnan(shown([np.nan], [0.5])).all()
    assert shown(np.zeros((0, 4)), np.zeros((0, 4))).shape == (0, 4)


def test_shapes_have_to_agree():
    for function in (shown, anatomy_of):
        with pytest.raises(ValueError, match=r"\(2,\) and \(3,\)"):
            function(np.zeros(2), np.zeros(3))
