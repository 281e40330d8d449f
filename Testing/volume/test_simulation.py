"""The simulated PET: lesions where they are said to be, a scanner's resolution, grid and noise."""

import numpy as np
import pytest
import SimpleITK as sitk

from MMIFAminLib.volume.simulation import Lesion, scan, with_lesions


@pytest.fixture
def background():
    """2 SUV everywhere in a box of 96 x 80 x 64 mm, seen from the patient's feet: the first axis runs to the right."""
    image = sitk.GetImageFromArray(np.full((32, 40, 48), 2, np.uint8))
    image.SetSpacing((2.0, 2.0, 2.0))
    image.SetDirection((-1, 0, 0, 0, 1, 0, 0, 0, 1))
    image.SetOrigin((50.0, -40.0, -30.0))
    return image


def value(image, *point):
    return image.EvaluateAtPhysicalPoint(point, sitk.sitkLinear)


def test_a_lesion_adds_its_change_at_its_centre_and_half_of_it_half_its_width_away(background):
    uptake = with_lesions(background, [Lesion((20.0, 10.0, 4.0), 16.0, 6.0), Lesion((-20.0, -10.0, 4.0), 16.0, -9.0)])
    assert value(uptake, 20, 10, 4) == pytest.approx(8, abs=0.05)
    assert value(uptake, 28, 10, 4) == pytest.approx(5, abs=0.05) == value(uptake, 20, 10, 12)
    assert value(uptake, -20, 30, 4) == pytest.approx(2, abs=0.05)
    assert value(uptake, -20, -10, 4) == 0, "there is no uptake below none"
    assert sitk.GetArrayViewFromImage(background).max() == 2


def test_the_scanner_blurs_by_six_millimetres_on_an_oblique_grid_that_holds_everything(background):
    hot = scan(with_lesions(background, [Lesion((10.0, 4.0, 2.0), 8.0, 1e4)]), (1.5, 1.5, 2.0))
    # Widths add in squares: 8 and 6 mm make 10, and the peak falls by (8 / 10) ** 3.
    assert value(hot, 10, 4, 2) == pytest.approx(5120, rel=0.08)
    assert value(hot, 15, 4, 2) == pytest.approx(2560, rel=0.08)
    cosines = np.abs(np.reshape(hot.GetDirection(), (3, 3)).diagonal())
    assert hot.GetSpacing() == (1.5, 1.5, 2.0) and (cosines < 0.999).all() and (cosines > 0.9).all()
    corners = [(x, y, z) for x in (-44.0, 50.0) for y in (-40.0, 38.0) for z in (-30.0, 32.0)]
    indices = np.array([hot.TransformPhysicalPointToIndex(corner) for corner in corners])
    assert (indices >= 0).all() and (indices < hot.GetSize()).all()


def test_noise_grows_with_the_root_of_the_uptake_and_is_always_the_same(background):
    once, again = (sitk.GetArrayFromImage(scan(sitk.Cast(background, sitk.sitkFloat32))) for _ in range(2))
    np.testing.assert_array_equal(once, again)
    deviations = []
    for times in (1, 4):
        image = scan(sitk.Cast(background, sitk.sitkFloat32) * times)
        inside = image[tuple(slice(n // 2 - 6, n // 2 + 6) for n in image.GetSize())]
        deviations.append(sitk.GetArrayViewFromImage(inside).std())
    assert deviations[0] == pytest.approx(0.06 * 8 / 2, rel=0.1), "a quarter of 8 SUV: half of its noise"
    assert deviations[1] == pytest.approx(2 * deviations[0], rel=0.02)
