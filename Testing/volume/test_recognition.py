"""What a volume is taken for: CT as it is met, MR, uptake, labels, head or trunk; and the window that follows."""

import numpy as np
import pytest
import SimpleITK as sitk

from MMIFAminLib.volume.hounsfield import display_window, hounsfield_scale
from MMIFAminLib.volume.intensity import background_value, choose_window
from MMIFAminLib.volume.labels import looks_like_labels
from MMIFAminLib.volume.recognition import Hints, recognise

SPACING = (4.0, 4.0, 4.0)


def points(shape, spacing):
    axes = [(np.arange(n) - (n - 1) / 2) * s for n, s in zip(shape, spacing)]
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)


def inside(at, radii):
    return np.sum((at / np.array(radii)) ** 2, axis=-1) <= 1


def grain(shape, sd):
    return np.random.default_rng(3).normal(0, sd, shape)


def ct_head():
    at = points((44, 50, 44), SPACING)
    hu = np.full(at.shape[:-1], -1000.0)
    for radii, value in (((82, 92, 76), 20), ((78, 88, 72), 900), ((72, 82, 66), 35), ((20, 30, 20), 5)):
        hu[inside(at, radii)] = value
    return np.maximum(hu + grain(hu.shape, 8), -1024)


def trunk():
    """A CT (HU) and uptake of a trunk: lungs, fat, liver of 2.2 with a lesion of 6, a bladder of 80."""
    at = points((100, 60, 90), SPACING)
    long = at * np.array([0.0, 1.0, 1.0])
    body, within = inside(long, (1, 110, 170)), inside(long, (1, 92, 150))
    lungs = inside(at - (120, 0, 70), (80, 70, 55)) | inside(at - (120, 0, -70), (80, 70, 55))
    hu = np.where(lungs, -850.0, np.where(within, 50.0, np.where(body, -100.0, -1000.0)))
    uptake = np.where(lungs, 0.3, np.where(within, 1.0, np.where(body, 0.4, 0.0)))
    uptake[inside(at - (0, 0, -60), (50, 60, 70))] = 2.2
    uptake[inside(at - (0, 10, -60), (12, 12, 12))] = 6
    uptake[inside(at - (-160, 0, 0), (30, 35, 35))] = 80
    return hu + grain(hu.shape, 10), uptake * (1 + grain(hu.shape, 0.05))


def padded(value):
    hu = ct_head()
    hu[:, :3], hu[:, -3:] = value, value
    return hu.astype(np.int16)


@pytest.mark.parametrize("value", [-2000, -3024, -32768])
def test_padding_does_not_hide_a_ct(value):
    assert recognise(padded(value), SPACING, "anatomical").kind == "ct"
    assert str(choose_window(padded(value))).startswith("0:100 ")
    assert background_value(padded(value)) == -1000


def test_a_ct_of_other_units_gets_the_brain_window_in_these():
    hu = ct_head()
    unsigned = (hu + 1024).astype(np.uint16)
    assert hounsfield_scale(unsigned) == (1.0, 1024.0)
    shows = recognise(unsigned, SPACING, "functional")
    assert (shows.kind, shows.region) == ("ct", "head")
    window = choose_window(unsigned, role="functional", shows=shows)
    assert (window.low, window.high) == (1024, 1124)
    assert background_value(unsigned) == 24

    scaled = ((np.clip(hu, -1024, 1024) + 1024) / 2048).astype(np.float32)
    shows = recognise(scaled, SPACING, "functional")
    assert (shows.kind, shows.region) == ("ct", "head")
    window = choose_window(scaled, shows=shows)
    assert np.allclose(np.array([window.low, window.high]) * 2048 - 1024, (0, 100), atol=30)

    clipped = np.clip(hu, -200, 300).astype(np.int16)
    assert hounsfield_scale(clipped) == (1.0, 0.0)
    assert background_value(clipped) == -200
    assert hounsfield_scale(np.clip(hu, 0, 300)) is None, "no air and no fat: no more a CT than an MR"


@pytest.mark.parametrize("low, high", [(-135, 215), (-100, 900), (0, 300)])
def test_a_ct_in_the_grey_levels_of_a_wide_window_is_shown_about_as_by_the_brain_window(low, high):
    levels = np.clip((ct_head() - low) / (high - low) * 255, 0, 255).astype(np.uint8)
    for role in ("anatomical", "functional"):
        shows = recognise(levels, SPACING, role)
        assert (shows.kind, shows.scale) == ("ct", None)
        window = choose_window(levels, role=role, shows=shows)
        hu = np.array([window.low, window.high]) / 255 * (high - low) + low
        assert -40 <= hu[0] <= 10 and 60 <= hu[1] <= 120, hu
        assert "display window" in window.origin


def test_grey_levels_that_already_are_the_brain_window_stay_whole():
    levels = np.clip(ct_head() / 100 * 255, 0, 255).astype(np.uint8)
    assert display_window(levels) is None
    assert choose_window(levels).origin.startswith("MR")


def test_head_and_trunk_get_their_windows():
    head, body = recognise(ct_head(), SPACING, "anatomical"), trunk()[0]
    assert (head.kind, head.region) == ("ct", "head")
    assert choose_window(ct_head(), shows=head).origin == "CT of a head in HU recognised: ct-brain preset"
    shows = recognise(body, SPACING, "anatomical")
    assert (shows.kind, shows.region) == ("ct", "trunk")
    window = choose_window(body, shows=shows)
    assert (window.low, window.high) == (-135, 215)
    thin = body[70:80]  # a slab through the lungs, 40 mm
    assert recognise(thin, SPACING, "anatomical").region == "trunk"
    child = recognise(trunk()[0], (2.0, 2.0, 2.0), "anatomical")  # half the size: told by lungs and fat
    assert child.region == "trunk"


def test_uptake_windows_go_by_unit_and_region():
    uptake = trunk()[1].astype(np.float32)
    told = recognise(uptake, SPACING, "functional", Hints(modality="PT", unit="GML"))
    assert (told.kind, told.region, told.suv) == ("uptake", "trunk", True)
    window = choose_window(uptake, role="functional", shows=told)
    assert (window.low, window.high) == (0, 10)
    untold = recognise(uptake * 1000, SPACING, "functional", Hints(modality="PT", unit="BQML"))
    assert not untold.suv
    window = choose_window(uptake * 1000, role="functional", shows=untold)
    assert 10000 < window.high < 20000, "a bladder of 80 000 does not take the window over"
    lesion, liver = window.to_unit(np.array([6000.0, 2200.0]))
    assert lesion - liver > 0.15
    head = recognise(uptake, (1.5, 1.5, 1.5), "functional", Hints(unit="{SUVbw}g/ml"))
    assert (head.region, head.suv) == ("head", True)
    assert choose_window(uptake, role="functional", shows=head).high > 80, "in a head the hottest is never clipped"


def with_air(uptake, share, field):
    """Uptake in a wider field, whose air is not exactly 0 but noise of that share of 1."""
    wider = [(0, 0)] + [((field - n) // 2, field - n - (field - n) // 2) for n in uptake.shape[1:]]
    values = np.pad(uptake, wider)
    return (values + np.abs(grain(values.shape, share))).astype(np.float32)


@pytest.mark.parametrize("share", [0.001, 0.005, 0.02])
def test_air_that_is_not_exactly_0_bleaches_no_body(share):
    uptake = 1000 * with_air(trunk()[1], share, 175)
    told = recognise(uptake, SPACING, "functional", Hints(modality="PT", unit="BQML"))
    assert told.region == "trunk"
    window = choose_window(uptake, role="functional", shows=told)
    assert 10000 < window.high < 20000
    assert window.to_unit(np.array([1000.0, 2200.0])).max() < 0.25, "body and liver"

    at = points((44, 50, 44), SPACING)
    brain = np.where(inside(at, (72, 82, 66)), np.where(inside(at, (20, 30, 20)), 0.3, 1.0), 0.0)
    brain[inside(at - (0, 40, 30), (12, 12, 12))] = 2
    uptake = 8 * with_air(brain, share, 100)
    told = recognise(uptake, SPACING, "functional", Hints(modality="PT"))
    assert told.region == "head" and choose_window(uptake, role="functional", shows=told).high > 15


def test_what_cannot_be_suv_is_not_shown_as_suv():
    uptake = 0.002 * trunk()[1].astype(np.float32)
    told = recognise(uptake, SPACING, "functional", Hints(modality="PT", unit="GML"))
    assert choose_window(uptake, role="functional", shows=told).high < 0.2


def test_a_ct_that_its_preset_would_leave_blank_gets_another_window():
    lung = -800 + 60 * np.random.default_rng(0).standard_normal((20, 40, 40)).clip(-2, 2)
    window = choose_window(lung, shows=recognise(lung, SPACING, "anatomical", Hints(modality="CT")))
    assert 0.2 < window.to_unit(lung).mean() < 0.8


@pytest.mark.parametrize(
    "hints, kind",
    [
        (Hints(), "uptake"),
        (Hints(modality="MR"), "mr"),
        (Hints(modality="NM", name="t1"), "uptake"),
        (Hints(name="sub-01_T2w.nii.gz"), "mr"),
        (Hints(name="FLAIR.nrrd"), "mr"),
        (Hints(name="fdg_pet.nrrd"), "uptake"),
        (Hints(name="pet_mr_fused.nrrd"), "uptake"),  # says both: nothing
        (Hints(name="planet.nrrd"), "uptake"),
        (Hints(modality="CT"), "ct"),
    ],
)
def test_what_is_told_counts(hints, kind):
    values = np.abs(grain((30, 30, 30), 100))
    assert recognise(values, SPACING, "functional", hints).kind == kind


def test_modality_counts_before_values():
    assert recognise(ct_head(), SPACING, "functional", Hints(modality="PT")).kind == "uptake"
    assert recognise(ct_head(), SPACING, "functional", Hints(name="mr")).kind == "ct"


def blocks(shape=(40, 60, 60)):
    k, j, i = np.indices(shape) // 9
    return np.where(inside(points(shape, (3, 3, 3)), (55, 80, 80)), (36 * k + 6 * j + i) % 104 + 1, 0)


def test_label_maps_are_many_labels_in_flat_patches_or_few_values():
    assert looks_like_labels(blocks().astype(np.uint8))
    assert looks_like_labels(np.where(blocks(), 1000 + blocks() % 36, 0).astype(np.int32))
    assert looks_like_labels((blocks() % 4).astype(np.float32))
    assert looks_like_labels((blocks() > 0).astype(np.float64))
    assert not looks_like_labels((blocks() % 4 + grain(blocks().shape, 0.01)).astype(np.float32))


def test_images_of_flat_patches_are_no_label_maps():
    assert not looks_like_labels(np.rint(ct_head()).astype(np.int16))
    exact = np.where(inside(points((40, 40, 40), SPACING), (60, 60, 60)), 35, -1000).astype(np.int16)
    assert not looks_like_labels(exact), "a digital phantom in HU"
    smooth = np.exp(-np.sum(points((40, 80, 80), (1, 1, 1)) ** 2, axis=-1) / 1500)
    assert not looks_like_labels(np.rint(smooth * 15).astype(np.uint8)), "coarse steps of a smooth image"


def test_steps_that_rise_are_an_image_though_one_falls_and_steps_up_and_down_are_labels():
    """Patches of 5 voxels along one axis: background and two ramps, and two steps up, one down again and again."""
    for levels, labels in ((np.r_[5 * [0], :20, 5:20], False), (np.cumsum([0] + 20 * [2, -1]), True)):
        volume = np.broadcast_to(np.repeat(levels + 1, 5), (8, 20, 5 * levels.size)).astype(np.int16)
        assert looks_like_labels(volume) == labels


def test_no_real_mr_is_taken_for_a_ct_of_a_display_window(shared):
    places = [*(shared / "data/volumes").glob("*_mr.nrrd"), *(shared / "data/harvard/val").glob("*/MRI/*.png")]
    assert len(places) > 100
    white = 0
    for path in places:
        array = sitk.GetArrayFromImage(sitk.ReadImage(str(path)))
        white += np.mean(array == array.max()) >= 0.03
        assert display_window(array) is None, path
    assert white > 3  # so that the width of the tissue told them


def test_real_volumes_are_what_they_are(shared):
    for folder, name, role, kind, region in (
        ("body", "ct.nrrd", "anatomical", "ct", "trunk"),
        ("body", "fdg.nrrd", "functional", "uptake", "trunk"),
        ("volumes", "pet25_mr.nrrd", "functional", "mr", "head"),
        ("volumes", "pet25_pet.nrrd", "functional", "uptake", "head"),
        ("volumes", "spect10_mr.nrrd", "functional", "mr", "head"),
        ("volumes", "spect10_spect.nrrd", "functional", "uptake", "head"),
        ("templates", "PET.nii.gz", "functional", "uptake", "head"),
        ("templates", "SPECT.nii.gz", "functional", "uptake", "head"),
    ):
        image = sitk.ReadImage(str(shared / "data" / folder / name))
        array = sitk.GetArrayViewFromImage(image)
        shows = recognise(array, image.GetSpacing()[::-1], role)
        assert (shows.kind, shows.region) == (kind, region), name
        assert not looks_like_labels(array), name


def test_patients_with_parkinsons_are_no_proton_densities():
    smooth = np.random.default_rng(0).random((30, 30, 30)).astype(np.float32)
    for name in ("HC_3102.nii.gz", "PD_3102.nii.gz"):
        assert recognise(smooth, SPACING, "functional", Hints(name=name)).kind == "uptake"
    assert recognise(smooth, SPACING, "functional", Hints(name="PDw.nii.gz")).kind == "mr"
