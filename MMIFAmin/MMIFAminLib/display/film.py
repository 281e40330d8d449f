"""The MIP as a picture, dark where uptake is high, and as a film that turns."""

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw

from ..volume.intensity import Window
from ..volume.projection import Projection, Turntable, angles_around
from .legend import font, plain_number

_FOOTER = 22  # pixels
_INK = 90
_SIDES = (
    ("R", "L"),
    ("A", "P"),
    ("L", "R"),
    ("P", "A"),
)  # at the left and right, from the front, then on from the left


def mip_picture(
    projection: Projection, window: Window, *, angle: float = 0.0, unit: str = "", height: int = 512
) -> Image.Image:
    """A projection as a grey picture ("L"): white at the window's lower end, black at its upper one, pixels square.

    `height` in pixels of the projection; below it stand the window with its `unit`, and the patient's sides at `angle`.
    """
    shown = np.rint(255 * (1 - window.to_unit(projection.values))).astype(np.uint8)
    down, across = projection.spacing
    width = max(1, round(height * shown.shape[1] * across / (shown.shape[0] * down)))
    picture = Image.new("L", (width, height + _FOOTER), 255)
    picture.paste(Image.fromarray(shown).resize((width, height), Image.Resampling.BICUBIC))
    draw, level = ImageDraw.Draw(picture), height + _FOOTER // 2
    scale = f"{plain_number(window.low)} to {plain_number(window.high)} {unit}".strip()
    draw.text((width // 2, level), scale, _INK, font(13), anchor="mm")
    left, right = _sides(angle)
    draw.text((6, level), left, _INK, font(13), anchor="lm")
    draw.text((width - 6, level), right, _INK, font(13), anchor="rm")
    return picture


def film(
    turntable: Turntable,
    window: Window,
    *,
    count: int = 36,
    unit: str = "",
    height: int = 512,
    progress: Callable[[float, str], object] = lambda fraction, text: None,
) -> list[Image.Image]:
    """`count` pictures (1 to 360) from all around, evenly, from the front on; see :func:`mip_picture`."""
    frames = []
    for number, angle in enumerate(angles_around(count)):
        progress(number / count, f"View {number + 1} of {count}")
        frames.append(mip_picture(turntable.at(angle), window, angle=angle, unit=unit, height=height))
    return frames


def side_letters(angle: float, width: int, size: int) -> np.ndarray:
    """Letters of `size` pixels at the left and right end of a strip of `width`: the patient's sides in a projection from
    `angle` degrees. Float, from 0 to 1 where ink is.
    """
    strip = Image.new("L", (width, size + 4))
    draw, (left, right) = ImageDraw.Draw(strip), _sides(angle)
    draw.text((1, strip.height // 2), left, 255, font(size), anchor="lm")
    draw.text((width - 1, strip.height // 2), right, 255, font(size), anchor="rm")
    return np.asarray(strip) / 255


def _sides(angle: float) -> tuple[str, str]:
    return _SIDES[round(angle / 90) % 4]
