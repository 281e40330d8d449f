"""The truth measures: values known beforehand, and those of another implementation on real data."""

import csv

import matplotlib
import numpy as np
import pytest
import SimpleITK as sitk

from MMIFAminLib.display.color import ColorTable, colorize, overlay
from MMIFAminLib.errors import InputError
from MMIFAminLib.evaluation import truth
from MMIFAminLib.evaluation.baselines import maximum
from MMIFAminLib.evaluation.truth_study import Screen, read_spots, truth_study
from MMIFAminLib.volume.shown import shown


@pytest.fixture(scope="module")
def pairs(shared):
    """Anatomy, uptake and the anatomical volume of the trunk and of a brain."""
    body, volumes = shared / "data" / "body", shared / "data" / "volumes"
    ct, fdg = (sitk.ReadImage(str(body / f"{name}.nrrd"), sitk.sitkFloat32) for name in ("ct", "fdg"))
    suv = sitk.GetArrayFromImage(sitk.Resample(fdg, ct, sitk.Transform(), sitk.sitkLinear, 0.0))
    mr, pet = (sitk.ReadImage(str(volumes / f"pet41_{name}.nrrd")) for name in ("mr", "pet"))
    return {
        "trunk": (np.clip((sitk.GetArrayFromImage(ct) + 135) / 350, 0, 1), np.clip(suv / 10, 0, 1), ct),
        "pet41": (sitk.GetArrayFromImage(mr) / np.float32(255), sitk.GetArrayFromImage(pet) / np.float32(1000), mr),
    }


@pytest.fixture(scope="module")
def reference(shared):
    with open(shared / "reference" / "truth_reference.csv", newline="") as file:
        return list(csv.DictReader(file))


def expected(reference, **wanted):
    found = [row for row in reference if all(row[name] == value for name, value in wanted.items())]
    return {row["measure"]: float(row["value"]) for row in found}


def table_of(name):
    """The reference's inferno is matplotlib's, of 256 colours."""
    if name != "inferno":
        return ColorTable.named(name)
    return ColorTable(name, None, matplotlib.colormaps[name](np.linspace(0, 1, 256))[:, :3])


@pytest.mark.parametrize("case", ["trunk", "pet41"])
@pytest.mark.parametrize("name", ["inferno", "pet-heat"])
def test_readings_are_those_of_the_reference(pairs, reference, case, name):
    anatomy, uptake, _ = pairs[case]
    picture = overlay(anatomy, uptake, table_of(name))
    wanted = expected(reference, case=case, method="overlay 0.5", table=name)
    tissue = (anatomy > truth.TISSUE) | (uptake > truth.TISSUE)
    # Few voxels of the trunk are hot: how their colours round is a matter of chance.
    assert truth.reading(picture, uptake, tissue) == pytest.approx(wanted["reading_uptake"], rel=0.05)
    assert truth.reading(picture, anatomy, tissue) == pytest.approx(wanted["reading_anatomy"], rel=0.05)


@pytest.mark.parametrize("name", ["inferno", "pet-heat"])
def test_distances_of_lesions_are_those_of_the_reference(pairs, reference, shared, name):
    anatomy, uptake, ct = pairs["trunk"]
    picture = overlay(anatomy, uptake, table_of(name))
    wanted = expected(reference, case="trunk", method="overlay 0.5", table=name)
    spots = read_spots(shared / "data" / "body" / "lesions.csv", ct)
    assert len(spots) == 6
    for spot in spots:
        distance = truth.visibility(picture, anatomy, spot, ct.GetSpacing()[::-1])
        assert distance == pytest.approx(wanted[f"distance_lesion_{spot.name}"], abs=0.5)


@pytest.mark.parametrize("case", ["trunk", "pet41"])
def test_the_deviation_between_slices_is_that_of_the_reference(pairs, reference, case):
    anatomy, uptake, _ = pairs[case]
    wanted = expected(reference, case=case, method="maximum")["between_slices"]
    found = truth.between_slices(maximum(anatomy, uptake), anatomy, uptake)
    assert found == pytest.approx(wanted, rel=0.1)


def test_what_every_colour_tells_is_read_without_error_and_what_none_tells_with_the_mean():
    values = np.random.default_rng(1).integers(0, 20, (4, 60, 60)) / 20 + 0.025
    tissue = np.ones(values.shape, bool)
    told = np.repeat((values * 255).astype(np.uint8)[..., None], 3, axis=-1)
    assert truth.reading(told, values, tissue) < 0.03
    untold = np.zeros((*values.shape, 3), np.uint8)
    bands = [np.abs(np.linspace(0.025, 0.975, 20)[part] - 0.5).mean() for part in _bands()]
    assert truth.reading(untold, values, tissue) == pytest.approx(np.mean(bands), abs=0.01)


def _bands():
    centres = np.linspace(0.025, 0.975, 20)
    return [
        (centres >= low) & (centres < high) for low, high in ((0, 0.1), (0.1, 0.3), (0.3, 0.5), (0.5, 0.7), (0.7, 1))
    ]


def test_visibility_is_the_distance_of_core_and_ring_of_the_same_tissue():
    anatomy = np.full((41, 41, 41), 0.4)
    anatomy[:, :, 26:] = 0.9  # another tissue: not in the ring
    spot = truth.Spot("ball", (20.0, 20.0, 20.0), 8.0)
    picture = np.full((*anatomy.shape, 3), 119, np.uint8)  # L* 50
    picture[:, :, 26:] = 0
    away = np.sqrt(sum((axis - 20.0) ** 2 for axis in np.ogrid[:41, :41, :41]))
    picture[away < 4] = 255
    assert truth.visibility(picture, anatomy, spot, (1, 1, 1)) == pytest.approx(50.0, abs=0.2)
    anatomy[away < 4] = 0.6  # nothing around is like the core
    assert np.isnan(truth.visibility(picture, anatomy, spot, (1, 1, 1)))
    outside = truth.Spot("outside", (300.0, 20.0, 20.0), 8.0)
    assert np.isnan(truth.visibility(picture, anatomy, outside, (1, 1, 1)))


def test_between_slices_tells_an_offset_of_slices_and_nothing_else():
    rng = np.random.default_rng(0)
    anatomy, uptake = rng.random((2, 10, 200, 200))
    fused = 0.5 * np.floor(anatomy * 12) / 12 + 0.2 * np.floor(uptake * 12) / 12
    assert truth.between_slices(fused, anatomy, uptake) < 1e-12
    moved = fused + np.where(np.arange(10) % 2, 0.03, -0.03)[:, None, None]
    assert truth.between_slices(moved, anatomy, uptake) == pytest.approx(0.03, abs=1e-4)


def test_saturation_counts_white_where_uptake_is_not_at_its_end():
    fused = np.array([[[1.0, 0.999, 0.99, 1.0]]])
    assert truth.saturation(fused, np.array([[[0.5, 0.2, 0.1, 0.97]]])) == pytest.approx(2 / 3)


def test_order_tells_a_fall_of_chroma_colour_of_the_cold_and_grey_of_the_hot():
    def paint(anatomy, uptake):  # red that turns back to grey at half the uptake, on dark anatomy
        red = np.where(uptake < 0.5, 2 * uptake, 2 - 2 * uptake)
        return np.rint(255 * np.stack([np.maximum(anatomy, red), anatomy, anatomy], axis=-1)).astype(np.uint8)

    found = truth.order(paint, 1.0)
    assert found.fall > 90 and found.neutral < 1 and 0 < found.cold < 15
    assert truth.order(paint, 0.4).fall < 1


def test_the_study_compares_ours_with_overlays_and_classical_fusion():
    rng = np.random.default_rng(0)
    anatomy, uptake = rng.integers(0, 9, (2, 6, 64, 64)).astype(np.float32) / 8
    spot = truth.Spot("0_soft", (3.0, 30.0, 30.0), 6.0)
    case = Screen("noise", anatomy, uptake, shown(anatomy, uptake), (2.0, 1.0, 1.0), (spot,))
    rows = truth_study(case, [ColorTable.named("inferno"), ColorTable.named("rainbow")])
    assert len(rows) == 2 * 4 + 3 and all(list(row) == list(rows[0]) for row in rows)
    named = {(row["method"], row["table"]): row for row in rows}
    assert named["overlay 0.5", "rainbow"]["reading_ratio"] == 1
    ours = named["mmif-amin", "inferno"]
    tissue = (anatomy > truth.TISSUE) | (uptake > truth.TISSUE)
    picture = colorize(shown(anatomy, uptake), uptake, ColorTable.named("inferno"))
    assert ours["reading_uptake"] == truth.reading(picture, uptake, tissue) < 0.05
    assert ours["saturation"] == 0 and named["pca", None]["reading_ratio"] is None
    assert ours["distance_0_soft"] > 0 and named["maximum", None]["fall"] is None


@pytest.mark.parametrize("name, most", [("inferno", 0.85), ("hot-iron", 1), ("pet-heat", 1), ("rainbow", 1)])
def test_our_colours_are_read_better_than_the_overlay_s(pairs, name, most):
    """The sum of both errors on the trunk, where the network adds nothing to the form; and neither by much alone."""
    anatomy, uptake, _ = pairs["trunk"]
    table, tissue = ColorTable.named(name), (anatomy > truth.TISSUE) | (uptake > truth.TISSUE)
    ours, plain = (
        np.array([truth.reading(picture, values, tissue) for values in (uptake, anatomy)])
        for picture in (colorize(shown(anatomy, uptake), uptake, table), overlay(anatomy, uptake, table))
    )
    assert ours.sum() <= most * plain.sum()
    assert name != "inferno" or (ours <= plain + 0.002).all()


def test_wrong_input_is_refused(tmp_path):
    with pytest.raises(InputError, match="differ in shape"):
        truth.reading(np.zeros((4, 4, 3), np.uint8), np.zeros((4, 5)), np.ones((4, 5), bool))
    path = tmp_path / "lesions.csv"
    path.write_text("where,x_lps_mm\nliver,3\n")
    with pytest.raises(InputError, match="is no list of lesions: it needs the columns where"):
        read_spots(path, sitk.Image(4, 4, 4, sitk.sitkFloat32))


def test_a_list_of_lesions_may_come_from_a_spreadsheet(tmp_path):
    """Excel's "CSV UTF-8" begins with a byte order mark."""
    path = tmp_path / "lesions.csv"
    path.write_text("where,x_lps_mm,y_lps_mm,z_lps_mm,fwhm_mm\nliver,1,2,3,12\n", encoding="utf-8-sig")
    assert [spot.name for spot in read_spots(path, sitk.Image(4, 4, 4, sitk.sitkFloat32))] == ["0_liver"]
