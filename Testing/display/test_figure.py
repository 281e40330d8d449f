"""Pictures and reports: orientation, proportions, labels, what is written and when nothing is."""

import csv
import json

import numpy as np
import pytest
import SimpleITK as sitk
from PIL import Image

from MMIFAminLib.display.color import ColorTable
from MMIFAminLib.display.figure import Column, montage, preview
from MMIFAminLib.display.legend import GREY, HEIGHT, ColorBar, ColorSquare, draw_legend, plain_number
from MMIFAminLib.errors import InputError
from MMIFAminLib.evaluation.baselines import maximum
from MMIFAminLib.files.writing import write_csv, write_json, write_png
from MMIFAminLib.volume.hottest import hottest_spot
from MMIFAminLib.volume.intensity import Window
from MMIFAminLib.volume.resampling import Overlap
from support.phantoms import Grid, head_values

UNIT = Window(0.0, 1.0)


def head(grid=Grid(), kind="mr"):
    return grid.image(head_values(grid.points(), kind).astype(np.float32))


def picture(*columns, **options):
    return np.asarray(montage(columns, **options))


@pytest.mark.parametrize("orientation", ["RPI", "PIR", "SAL", "LAS", "IRP"])
def test_the_picture_does_not_depend_on_how_a_volume_is_stored(orientation):
    volume, center = head(), (2.0, 6.0, -2.0)
    stored = sitk.DICOMOrient(volume, orientation)
    assert stored.GetDirection() != volume.GetDirection()
    expected = picture(Column("MR", [volume]), position=center)
    np.testing.assert_array_equal(picture(Column("MR", [stored]), position=center), expected)


@pytest.mark.parametrize("voxels", [70, 110])  # above a million voxels every second one is looked at
def test_what_is_empty_is_cut_away_but_for_6_mm(voxels):
    """40 x 20 x 10 mm of content: the picture shows 52 x 32 x 22 mm of it, the widest as 330 pixels."""
    array, start = np.zeros((voxels,) * 3, np.float32), voxels // 4 * 2 - 14
    array[start + 10 : start + 20, start + 5 : start + 25, start : start + 40] = 1.0
    axial, others = round(330 * 32 / 52), round(330 * 22 / 52)
    size = montage([Column("", [sitk.GetImageFromArray(array)])]).size
    assert size == (330 + 2 * 16, axial + 2 * others + 160)  # titles, names of the planes and margins


def test_the_sides_of_the_patient_are_where_radiologists_look_for_them():
    """One bright ball in a head: at its place, left, front and top of the patient, in each of the three rows."""
    grid = Grid()
    points = grid.points()
    ball = grid.image((np.linalg.norm(points - (40.0, -40.0, 30.0), axis=-1) < 8).astype(np.float32))
    frame = grid.image((np.abs(points) < (80, 80, 80)).all(axis=-1).astype(np.float32) * 0.3)
    column = Column("", [frame, ball], lambda dim, bright: np.maximum(dim, bright))
    shown = picture(column, position=(40.0, -40.0, 30.0))[..., 0]
    rows = np.flatnonzero((shown == round(0.3 * 255)).sum(axis=1) > 100)
    bands = np.split(rows, np.flatnonzero(np.diff(rows) > 5) + 1)
    assert len(bands) == 3  # axial, coronal, sagittal
    for band, (to_right, upward) in zip(bands, ((1, 1), (1, 1), (-1, 1))):
        part = shown[band[0] : band[-1] + 1]
        spot = np.argwhere(part > 0.9 * 255).mean(axis=0)
        middle = np.argwhere(part > 0.2 * 255).mean(axis=0)
        assert (spot[1] - middle[1]) * to_right > 20, "patient's left at the right, front at the left"
        assert (middle[0] - spot[0]) * upward > 20, "front at the top of axial, head at the top of the others"


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 4.0), (3.0, 1.0, 1.5)])
def test_proportions_are_true_for_any_spacing(spacing):
    size = tuple(int(120 / s) for s in spacing)
    grid = Grid(size=size, spacing=spacing).centred_at()
    radius = np.linalg.norm(grid.points(), axis=-1)
    shown = picture(Column("", [grid.image((radius < 40).astype(np.float32))]))[..., 0] > 200
    rows = np.flatnonzero(shown.sum(axis=1) > 60)
    bands = np.split(rows, np.flatnonzero(np.diff(rows) > 20) + 1)
    assert len(bands) == 3
    for band in bands:
        where = np.argwhere(shown[band[0] - 15 : band[-1] + 15])
        height, width = np.ptp(where, axis=0) + 1
        assert height == pytest.approx(width, rel=2 * max(spacing) / 80)


def test_empty_background_is_cropped_and_not_a_number_is_black():
    values = np.zeros((40, 40, 40), np.float32)
    values[18:23, 18:23, 18:23] = 1
    values[0, 0, 0] = np.nan
    shown = picture(Column("", [sitk.GetImageFromArray(values)]))
    # 5 mm of content and 6 mm margin on either side: content is 5/17 of the cell, not 5/40.
    bright = (shown[..., 0] > 128).sum(axis=1).max()
    assert 0.22 * 330 < bright < 0.36 * 330
    assert picture(Column("", [sitk.GetImageFromArray(np.zeros((8, 9, 10), np.float32))])).shape[2] == 3


def test_colours_bars_and_labels_are_drawn():
    table = ColorTable.named("rainbow")
    plain = Column("FDG", [head()], table)
    without, with_bar = (picture(column) for column in (plain, plain._replace(legend=ColorBar(table, 0, 12, "SUV"))))
    difference = np.argwhere((without != with_bar).any(axis=-1))
    assert difference[:, 0].min() > without.shape[0] - 118, "the bar lies under the slices"
    assert len(np.unique(with_bar[difference[:, 0], difference[:, 1]], axis=0)) > 100
    assert (picture(plain) != picture(plain._replace(title="PET"))).any()
    assert (picture(plain) != picture(plain, footer="research use only")).any()


def test_volumes_on_different_grids_and_places_outside_are_refused():
    with pytest.raises(InputError, match="'PET' lie on different grids"):
        montage([Column("MR", [head()]), Column("PET", [head(Grid(spacing=(4.0, 4.0, 5.0)))])])
    with pytest.raises(InputError, match="outside"):
        montage([Column("MR", [head()])], position=(0.0, 0.0, 900.0))


def test_preview_shows_both_sources_and_both_fused_volumes():
    from MMIFAminLib.engine.fusion import FusedVolume  # imports torch

    mr, pet = head(), head(kind="pet")
    fused = sitk.GetImageFromArray(maximum(*(sitk.GetArrayViewFromImage(image) for image in (mr, pet))))
    fused.CopyInformation(mr)
    volume = FusedVolume(fused, pet, UNIT, UNIT, Overlap(1.0))
    mr_cell, pet_cell, grey_cell, colored_cell = np.split(np.asarray(preview(mr, volume))[:, 16:], 4, axis=1)

    def colourful(cell):
        return (np.ptp(cell[60:-90].astype(int), axis=-1) > 40).mean()

    assert colourful(mr_cell) == colourful(grey_cell) == 0
    assert colourful(pet_cell) > 0.05 and colourful(colored_cell) > 0.05
    grey = preview(mr, volume, weight=0.0)
    assert colourful(np.split(np.asarray(grey)[:, 16:], 4, axis=1)[3]) == 0


def test_preview_shows_the_second_anatomical_volume_beside_the_first():
    from MMIFAminLib.engine.fusion import FusedVolume  # imports torch

    mr, pet = head(), head(kind="pet")
    volume = FusedVolume(mr, pet, UNIT, UNIT, Overlap(1.0), second=head() * 100, second_window=Window(0.0, 100.0))
    columns = np.split(np.asarray(preview(mr, volume, overlay=True))[48:, 16:].astype(int), 6, axis=1)
    first, second, functional = columns[:3]
    assert np.abs(first[:, 80:] - second[:, 80:]).max() <= 1 and first.max() > 100  # beside the words
    assert np.abs(first - functional).max() > 100


def test_json_holds_plain_values_and_null_for_what_is_not_a_number(tmp_path):
    content = {"a": np.float32(1.5), "b": [np.int64(2), float("nan")], "c": {"path": tmp_path}, "d": (True, None, "x")}
    write_json(content, tmp_path / "r.json")
    expected = {"a": 1.5, "b": [2, None], "c": {"path": str(tmp_path)}, "d": [True, None, "x"]}
    assert json.loads((tmp_path / "r.json").read_text()) == expected


def test_csv_round_trip(tmp_path):
    rows = [{"name": "a,b", "EN": 1 / 3, "n": 5}, {"name": "c", "EN": 1234567.0, "n": 6}]
    write_csv(rows, tmp_path / "t.csv")
    with open(tmp_path / "t.csv", newline="") as file:
        read = list(csv.DictReader(file))
    assert [row["name"] for row in read] == ["a,b", "c"]
    assert [float(row["EN"]) for row in read] == pytest.approx([1 / 3, 1234567.0], rel=1e-5)


def test_a_report_that_cannot_be_written_leaves_the_old_one(tmp_path):
    path = tmp_path / "t.csv"
    write_csv([{"a": 1}], path)
    before = path.read_bytes()
    with pytest.raises(ValueError, match="b"):
        write_csv([{"a": 1}, {"a": 2, "b": 3}], path)
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]
    with pytest.raises(InputError, match="nowhere"):
        write_png(Image.new("L", (4, 4)), tmp_path / "nowhere" / "x.png")


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_volume_of_one_slice_is_shown_in_its_plane_alone(axis):
    whole = head()
    index = [slice(None)] * 3
    index[axis] = slice(whole.GetSize()[axis] // 2, whole.GetSize()[axis] // 2 + 1)
    single = whole[tuple(index)]
    center = [n // 2 for n in whole.GetSize()]
    shown = montage([Column("", [single])])
    expected = montage([Column("", [whole])], position=whole.TransformIndexToPhysicalPoint(center))
    assert shown.height < expected.height * 2 / 3  # one row of three, and the foot
    assert np.asarray(shown)[60:-80, 40:-40].std() > 20, "the slice itself"


@pytest.mark.parametrize(
    "value, text",
    [
        (1400.0, "1400"),
        (1437.5, "1440"),
        (-1000.0, "-1000"),
        (0.0, "0"),
        (-0.0, "0"),
        (0.0123, "0.0123"),
        (7.26, "7.26"),
    ]
    + [(123456.0, "123000"), (2.5e7, "2.5e+07"), (3e-6, "3e-06")],
)
def test_numbers_at_the_bar_are_written_out(value, text):
    assert plain_number(value) == text


def test_the_legend_of_the_fused_colours_has_uptake_across_and_anatomy_up():
    square = np.asarray(ColorSquare(ColorTable.named("inferno"), 0, 10).image(200)).astype(int)
    assert np.ptp(square[:, 0], axis=-1).max() == 0, "no uptake is grey"
    assert np.all(np.diff(square[:, 0, 0]) <= 0) and square[-1, 0, 0] == 0, "the anatomy's lightness goes up"
    assert np.ptp(square[:, 120:], axis=-1).min() > 40
    picture = ColorSquare(ColorTable.named("inferno"), 0, 10, uptake=False).image(200)
    assert np.asarray(picture)[0, 0, 0] == 255, "of two pictures the anatomical one may be white"


def lesion_and_bladder():
    """Uptake of a trunk: a large hot bladder with a tip as small as a lesion, and a lesion that is less hot."""
    points = Grid().points()
    values = np.full(points.shape[:-1], 0.1, np.float32)
    for center, radius in (((0.0, 30.0, -30.0), 28), ((0.0, 30.0, 4.0), 9)):
        values[np.linalg.norm(points - center, axis=-1) < radius] = 8.0
    values += 0.9 * np.exp2(-((np.linalg.norm(points - (40.0, -40.0, 30.0), axis=-1) / 6.0) ** 2))
    return Grid().image(values)


def test_the_planes_go_through_the_lesion_and_not_through_the_bladder():
    pet = lesion_and_bladder()
    spot = hottest_spot(UNIT.to_unit(sitk.GetArrayViewFromImage(pet)), pet.GetSpacing()[::-1])
    place = pet.TransformIndexToPhysicalPoint(spot[::-1])
    assert np.linalg.norm(np.subtract(place, (40.0, -40.0, 30.0))) < 6


def test_where_nothing_else_is_hot_they_go_through_the_large_piece():
    uptake = np.full((40, 40, 40), 0.1, np.float32)
    uptake[10:22, 12:24, 14:26] = 1.0
    k, j, i = hottest_spot(uptake, (4.0, 4.0, 4.0))
    assert 10 <= k < 22 and 12 <= j < 24 and 14 <= i < 26


def test_preview_takes_the_hottest_spot_another_place_or_the_overlay():
    from MMIFAminLib.engine.fused import FusedVolume

    mr, pet = head(), lesion_and_bladder()
    volume = FusedVolume(mr, pet, UNIT, UNIT, Overlap(1.0))
    first = np.asarray(preview(mr, volume))
    spot = hottest_spot(UNIT.to_unit(sitk.GetArrayViewFromImage(pet)), pet.GetSpacing()[::-1])
    place = pet.TransformIndexToPhysicalPoint(spot[::-1])
    np.testing.assert_array_equal(first, np.asarray(preview(mr, volume, position=place)))
    assert (first != np.asarray(preview(mr, volume, position=(0.0, 0.0, 0.0)))).any()
    wider = np.asarray(preview(mr, volume, overlay=True))
    assert wider.shape[1] == first.shape[1] + 330 + 16
    np.testing.assert_array_equal(wider[:, : 3 * 346], first[:, : 3 * 346])


def test_anatomy_rises_along_the_arrow_beside_the_square():
    canvas = Image.new("RGB", (400, HEIGHT))
    draw_legend(canvas, ColorSquare(ColorTable.named("inferno"), 0, 5, "SUV"), middle=200, top=3, width=120)
    pixels = np.asarray(canvas)
    square, drawn = pixels[9:57, 140:260], (pixels[9:58, 127:140] == GREY).all(axis=-1)
    np.testing.assert_array_equal(square[0, 0], 145, err_msg="bright anatomy without uptake: L* 60")
    np.testing.assert_array_equal(square[-1, 0], 0)
    arrow = np.zeros((49, 13), bool)
    arrow[:, 3] = True
    for row, column in [(1, 2), (2, 2), (3, 1), (4, 1), (5, 0)]:  # the head points up
        arrow[row, column] = arrow[row, 6 - column] = True
    np.testing.assert_array_equal(drawn, arrow, err_msg=str(np.argwhere(drawn[:8]).tolist()))
    word = np.argwhere(pixels[:60, :127].any(axis=-1))  # the axis's name, left of its middle
    assert abs(word[:, 0].mean() - 33) < 3 and word[:, 1].max() in (122, 123, 124)
    for number in (pixels[60:, :133], pixels[60:, 268:]):  # the values, below and outside the square
        assert abs(np.flatnonzero(number.any(axis=(1, 2))).mean() + 60 - 67) < 3
    assert not pixels[60:, 133:268].any()


def test_the_numbers_of_a_bar_stand_beside_it():
    canvas = Image.new("RGB", (400, HEIGHT))
    draw_legend(canvas, ColorBar(ColorTable.named("inferno"), 2, 5), middle=200, top=3, width=120)
    pixels = np.asarray(canvas)
    for number in (pixels[:, :133], pixels[:, 268:]):
        assert abs(np.flatnonzero(number.any(axis=(1, 2))).mean() - 15) < 2  # the middle of rows 9 to 20


@pytest.mark.parametrize("pair", ["anatomical", "luma", "uptake"])
def test_preview_goes_by_what_the_pair_was_taken_for(pair):
    """Two MR look like MR and PET to whoever sees their values alone: of two pictures there is no hottest spot."""
    from MMIFAminLib.engine.fused import FusedVolume

    mr, second = head(), lesion_and_bladder()
    report = {"taken_for": {"pair": pair, "functional": {"unit": "SUV"}}}
    volume = FusedVolume(mr, second, UNIT, UNIT, Overlap(1.0), report)
    spot = hottest_spot(UNIT.to_unit(sitk.GetArrayViewFromImage(second)), second.GetSpacing()[::-1])
    place = second.TransformIndexToPhysicalPoint(spot[::-1])
    there, shown = (np.asarray(preview(mr, volume, **at)) for at in ({"position": place}, {}))
    assert (there == shown).all() == (pair == "uptake")
    assert (shown != np.asarray(preview(mr, volume, unit=""))).any(), "the unit that the report has is told"
