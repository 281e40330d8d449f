"""What is printed in a picture is read off it again: the sides of the patient, and the values of the colours."""

import numpy as np
import pytest
import SimpleITK as sitk

from MMIFAminLib.display.color import ColorTable
from MMIFAminLib.display.figure import Column, montage, preview
from MMIFAminLib.volume.intensity import Window
from MMIFAminLib.volume.resampling import Overlap
from support.lettering import find_text, read_letter
from support.phantoms import Grid

LEFT_FRONT_TOP = (40.0, -40.0, 30.0)  # LPS, mm


def blue_head_with_a_green_ball(values):
    return np.stack([np.zeros_like(values), values >= 1, (values > 0) & (values < 1)], axis=-1).astype(np.float32)


@pytest.mark.parametrize("orientation", ["LPS", "RAI", "PIR", "SAL"])
def test_each_letter_stands_on_its_side_of_the_patient(orientation):
    """A ball at the patient's left, front and top: the letter on the ball's side is L, in sagittal slices A."""
    grid = Grid()
    points = grid.points()
    values = 0.5 * (np.abs(points) < (80, 80, 80)).all(axis=-1)
    values[np.linalg.norm(points - LEFT_FRONT_TOP, axis=-1) < 10] = 1
    volume = sitk.DICOMOrient(grid.image(values.astype(np.float32)), orientation)
    column = Column("", [volume], blue_head_with_a_green_ball)
    shown = np.asarray(montage([column], position=LEFT_FRONT_TOP)).astype(int)
    grey, ball = shown[..., 0], shown[..., 1] - shown[..., 0] > 128  # what is printed is grey, what is shown has no red
    head = (shown[..., 2] - shown[..., 0] > 64) | ball
    rows = np.flatnonzero(head.sum(axis=1) > 60)
    bands = np.split(rows, np.flatnonzero(np.diff(rows) > 5) + 1)
    assert len(bands) == 3
    for band, (here, opposite) in zip(bands, ("LR", "LR", "AP")):
        columns = np.flatnonzero(head[band].any(axis=0))
        middle = slice((band[0] + band[-1]) // 2 - 14, (band[0] + band[-1]) // 2 + 15)
        left, right = grey[middle, : columns[0]], grey[middle, columns[-1] + 1 :]
        ball_is_right = np.argwhere(ball[band])[:, 1].mean() > columns.mean()
        on_its_side, on_the_other = (right, left) if ball_is_right else (left, right)
        assert read_letter(on_its_side) == here and read_letter(on_the_other) == opposite


def test_the_legend_prints_the_window_and_each_value_at_its_own_colours():
    """PET from 12 to 47 in rainbow colours: where 47 stands colours are strong, where 12 stands they are nearly
    none.
    """
    from MMIFAminLib.engine.fusion import FusedVolume  # imports torch

    grid = Grid()
    head = (np.abs(grid.points()) < (60, 70, 50)).all(axis=-1).astype(np.float32)
    uptake = grid.image(head * 30)
    fused = FusedVolume(grid.image(head * 0.5), uptake, Window(0.0, 1.0), Window(12.0, 47.0), Overlap(1.0))
    shown = np.asarray(preview(grid.image(head), fused, table=ColorTable.named("rainbow")).convert("RGB")).astype(int)
    footer = slice(shown.shape[0] - 78 - 60, None)  # the legend is under the slices, or beside the last of them
    grey, chroma = shown.min(axis=-1), np.ptp(shown, axis=-1)
    low, high = (find_text(grey[footer], text) for text in ("12", "47"))
    assert len(low) == len(high) == 2  # below the functional volume and below the fused one

    def strongest(place):
        row, column = int(place[0]) + footer.start, int(place[1])
        return chroma[max(0, row - 34) : row + 35, max(0, column - 34) : column + 35].max()

    for dim, strong in zip(sorted(low, key=lambda place: place[1]), sorted(high, key=lambda place: place[1])):
        assert strongest(dim) < 0.6 * strongest(strong)
    assert not find_text(grey[footer], "0.5") and not find_text(grey[footer], "48")
