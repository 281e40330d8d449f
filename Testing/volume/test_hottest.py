"""The hottest spots: which they are, where, and what they measure."""

import csv

import numpy as np
import pytest
import SimpleITK as sitk

from MMIFAminLib.errors import InputError
from MMIFAminLib.volume.hottest import PEAK_RADIUS, hottest_spots
from support.phantoms import Grid, rotation

FINE = Grid(size=(60, 50, 40), spacing=(2.0, 2.0, 2.0), origin=(-59.0, -49.0, -39.0))


def blobs(grid, *spots, floor=0.0):
    """Gaussian spots (LPS centre, height, sigma in mm) on `grid`."""
    points = grid.points()
    values = np.full(points.shape[:3], floor)
    for centre, height, sigma in spots:
        values += height * np.exp(-np.square(points - centre).sum(axis=-1) / (2 * sigma**2))
    return grid.image(values.astype(np.float32))


def test_spots_come_hottest_first_with_place_and_distance():
    image = blobs(FINE, ((-31.0, 11.0, 7.0), 4.0, 5.0), ((29.0, -9.0, 7.0), 9.0, 5.0), ((29.0, 21.0, -13.0), 6.0, 5.0))
    first, second, third = hottest_spots(image, count=3)
    assert (
        first.place == (-29.0, 9.0, 7.0) and second.place == (-29.0, -21.0, -13.0) and third.place == (31.0, -11.0, 7.0)
    )
    assert [spot.maximum for spot in (first, second, third)] == pytest.approx([9, 6, 4], rel=1e-4)
    assert [spot.distance for spot in (first, second, third)] == pytest.approx([0, 36.0555, 63.2456], rel=1e-4)


def test_the_peak_is_the_mean_of_a_sphere_of_one_millilitre():
    assert pytest.approx(6.2035, abs=1e-4) == PEAK_RADIUS
    hot = np.zeros(FINE.size[::-1], np.float32)
    hot[20, 25, 30] = 123.0
    assert hottest_spots(FINE.image(hot))[0].peak == pytest.approx(1.0)  # of 123 voxels of 2 mm, one is hot
    coarse = Grid(size=(20, 20, 20), spacing=(8.0, 4.0, 4.0))
    hot = np.zeros((20, 20, 20), np.float32)
    hot[10, 10, 10] = 90.0
    assert hottest_spots(coarse.image(hot))[0].peak == pytest.approx(10.0)  # 3 x 3 of 4 mm: 8 mm is beyond the sphere
    hot = np.zeros((20, 20, 20), np.float32)
    hot[0, 0, 10] = 12.0
    assert hottest_spots(coarse.image(hot))[0].peak == pytest.approx(3.0)  # at the edge only what is there counts


def test_an_organ_is_one_spot_and_a_lesion_beside_it_another():
    points = FINE.points()
    organ = (np.abs(points - (-20, 0, 0)) < (30, 12, 12)).all(axis=-1) * 5.0
    organ[18, 25, 8] = organ[18, 25, 30] = 6.0  # noise: two maxima, 44 mm apart
    lesion = sitk.GetArrayFromImage(blobs(FINE, ((43.0, 1.0, 1.0), 4.0, 4.0)))
    spots = hottest_spots(FINE.image((organ + lesion).astype(np.float32)))
    assert [round(spot.maximum, 2) for spot in spots] == [6.0, 4.0]


def test_places_are_right_on_an_oblique_grid():
    turned = Grid((48, 40, 44), (2.5, 2.0, 3.0), direction=tuple(rotation((20, -15, 30)).ravel())).centred_at(
        (5, -8, 3)
    )
    centre = turned.points()[20, 25, 30]
    spot = hottest_spots(blobs(turned, (centre, 8.0, 6.0)))[0]
    assert spot.place == pytest.approx((-centre[0], -centre[1], centre[2]))


def test_noise_is_no_spot():
    uptake = np.zeros((12, 40, 40), np.float32)
    uptake[6, 8, 8], uptake[6, 30, 8], uptake[6, 8, 30] = 50.0, 0.6, 0.4
    assert [spot.maximum for spot in hottest_spots(sitk.GetImageFromArray(uptake))] == pytest.approx([50.0, 0.6])


def test_what_is_not_a_number_is_no_spot():
    image = sitk.GetArrayFromImage(blobs(FINE, ((1.0, 1.0, 1.0), 5.0, 5.0)))
    image[2, 2, 2], image[3, 30, 3], image[30, 3, 3] = np.nan, np.inf, -np.inf
    spots = hottest_spots(FINE.image(image))
    assert len(spots) == 1 and spots[0].maximum == pytest.approx(5.0)


def test_what_cannot_be_searched_is_said():
    empty = FINE.image(np.zeros(FINE.size[::-1], np.int16))
    with pytest.raises(InputError, match="FDG has no uptake"):
        hottest_spots(empty, name="FDG")
    with pytest.raises(InputError, match="at least 1"):
        hottest_spots(blobs(FINE, ((1, 1, 1), 5, 5)), count=0)
    with pytest.raises(InputError, match="inf mm apart"):
        hottest_spots(blobs(FINE, ((1, 1, 1), 5, 5)), apart=np.inf)
    with pytest.raises(InputError, match="in colours"):
        hottest_spots(FINE.image(np.zeros((*FINE.size[::-1], 3), np.uint8)))


def test_every_lesion_of_the_trunk_is_found_after_the_bladder(shared):
    folder = shared / "data" / "body"
    with open(folder / "lesions.csv", encoding="utf-8") as file:
        lesions = [[float(row[f"{axis}_lps_mm"]) for axis in "xyz"] for row in csv.DictReader(file)]
    spots = hottest_spots(sitk.ReadImage(str(folder / "fdg.nrrd")), count=7)
    assert spots[0].maximum > 30, "the bladder"
    for x, y, z in lesions:
        assert min(np.linalg.norm(np.subtract(spot.place, (-x, -y, z))) for spot in spots) < 6.0  # 4.1 mm voxels
