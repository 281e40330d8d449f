"""The MIP as a picture and as a film."""

import numpy as np
import pytest
from PIL import Image

from MMIFAminLib.display.film import film, mip_picture
from MMIFAminLib.errors import InputError
from MMIFAminLib.files.writing import write_film
from MMIFAminLib.volume.intensity import Window
from MMIFAminLib.volume.projection import Turntable
from support.lettering import find_text, read_letter
from support.phantoms import Grid

GRID = Grid(size=(20, 26, 18), spacing=(4.0, 3.0, 5.0)).centred_at()


@pytest.fixture(scope="module")
def table():
    values = np.zeros((18, 26, 20), np.float32)
    values[9, 13, 2:18] = 4.0  # a bar from right to left
    values[9, 13, 17] = 8.0
    values[0, 0, 0] = values[17, 25, 19] = 0.01  # so that all of the volume is seen
    return Turntable(GRID.image(values))


def test_uptake_is_dark_and_pixels_are_square(table):
    projection = table.at(0.0)
    picture = np.asarray(mip_picture(projection, Window(0, 8), height=90))  # 18 rows of 5 mm: 1 mm a pixel
    assert picture.shape[1] == round(projection.values.shape[1] * 4.0)
    body = picture[:90]
    assert body.min() <= 2 and body[:30].min() >= 250
    bar = np.flatnonzero(body[42] < 200)
    assert np.ptp(bar) + 1 == pytest.approx(16 * 4, abs=4)
    left, right = body[42, bar[:20]].mean(), body[42, bar[-4:-2]].mean()
    assert left == pytest.approx(127, abs=6) and right < 60, (
        "half the window is half the grey; the hot end is at the right"
    )


def test_the_letters_turn_with_the_patient(table):
    sides = [np.asarray(mip_picture(table.at(0), Window(0, 8), angle=angle))[-22:] for angle in (0, 90, 180, 360)]
    assert not np.array_equal(sides[0], sides[1]) and not np.array_equal(sides[0], sides[2])
    assert np.array_equal(sides[0], sides[3])


@pytest.mark.parametrize("angle, left, right", [(0, "R", "L"), (90, "A", "P"), (180, "L", "R"), (270, "P", "A")])
def test_the_letters_are_those_of_the_sides_that_are_seen(angle, left, right):
    """A hot ball at the patient's left and front, seen from `angle`: its side has its letter."""
    values = np.full((18, 26, 20), 0.01, np.float32)
    values[0, 0, 0] = 0.0  # what is as low as the least is not seen
    values[9, 3, 17] = 8.0  # LPS: a high column is left, a low row is front
    turned = Turntable(GRID.image(values)).at(angle)
    picture = 255 - np.asarray(mip_picture(turned, Window(0, 8), angle=angle, height=90), int)
    footer, middle = picture[90:], picture.shape[1] // 2
    letters = read_letter(footer[:, :18], "RLAP"), read_letter(footer[:, -18:], "RLAP")
    assert letters == (left, right)
    ball_is_left = picture[:90].max(axis=0).argmax() < middle
    assert letters[0 if ball_is_left else 1] in "LA"


def test_the_window_is_printed_with_its_unit(table):
    picture = 255 - np.asarray(mip_picture(table.at(0), Window(0, 8), unit="SUV", height=200), int)
    assert len(find_text(picture[200:], "0 to 8 SUV")) == 1


def test_a_film_goes_all_around(table, tmp_path):
    heard = []
    frames = film(
        table, Window(0, 8), count=4, height=90, progress=lambda fraction, text: heard.append((fraction, text))
    )
    assert len(frames) == 4 and heard[1] == (0.25, "View 2 of 4")
    darkest = [int(np.asarray(frame)[42].argmin()) - frame.width // 2 for frame in frames]
    assert darkest[0] > 20 and darkest[2] < -20 and abs(darkest[1]) < 8 and abs(darkest[3]) < 8
    write_film(frames, tmp_path / "turn.gif", seconds=2.0)
    with Image.open(tmp_path / "turn.gif") as made:
        assert (made.n_frames, made.info["duration"], made.info["loop"], made.size) == (4, 500, 0, frames[0].size)
    write_film(frames, tmp_path / "turn")
    assert sorted(path.name for path in (tmp_path / "turn").iterdir()) == ["000.png", "001.png", "002.png", "003.png"]
    with Image.open(tmp_path / "turn" / "002.png") as made:
        assert np.array_equal(np.asarray(made), np.asarray(frames[2]))


def test_no_picture_of_a_film_is_shorter_than_viewers_show(tmp_path):
    write_film([Image.new("L", (4, 4), number % 256) for number in range(360)], tmp_path / "turn.gif")
    with Image.open(tmp_path / "turn.gif") as made:
        assert made.n_frames == 360 and made.info["duration"] == 20


def test_a_film_is_a_gif_or_a_new_folder(table, tmp_path):
    frames = film(table, Window(0, 8), count=1, height=40)
    with pytest.raises(InputError, match=r"ends in \.gif"):
        write_film(frames, tmp_path / "turn.mp4")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "kept.txt").write_text("kept")
    with pytest.raises(InputError, match="holds files"):
        write_film(frames, tmp_path / "full")
    with pytest.raises(InputError, match="no folder"):
        write_film(frames, tmp_path / "nowhere" / "turn.gif")
