"""Legends: what the colours of a picture mean, in the unit of the values."""

from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ..volume.shown import shown
from . import color

GREY = (150, 150, 150)
HEIGHT = 92  # pixels, below the slices
_BAR, _SQUARE, _TOP = 12, 48, 6


class ColorBar(NamedTuple):
    """A colour table and the values at its two ends, with their unit."""

    table: color.ColorTable
    low: float
    high: float
    unit: str = ""

    def image(self, width: int) -> Image.Image:
        """The table from left to right."""
        ramp = np.rint(self.table(np.linspace(0, 1, width, dtype=np.float32)) * 255).astype(np.uint8)
        return Image.fromarray(np.broadcast_to(ramp, (_BAR, width, 3)).copy())


class ColorSquare(NamedTuple):
    """The colours of a fused picture: the values from `low` to `high` across, the anatomy's lightness up.

    `weight` is that of ``colorize``; `uptake` says whether the values are uptake, or those of a second picture.
    """

    table: color.ColorTable
    low: float
    high: float
    unit: str = ""
    weight: float = 1.0
    uptake: bool = True

    def image(self, width: int) -> Image.Image:
        """Values across, anatomy up: every colour that the picture can have."""
        anatomy, values = np.meshgrid(np.linspace(1, 0, _SQUARE), np.linspace(0, 1, width), indexing="ij")
        fused = shown(anatomy, values) if self.uptake else np.maximum(anatomy, values)
        return Image.fromarray(color.colorize(fused, values, self.table, self.weight))


def draw_legend(canvas: Image.Image, legend: "ColorBar | ColorSquare", middle: int, top: int, width: int) -> None:
    """Draw `legend` into `canvas`, centred on `middle`, its values at the ends and the anatomy's axis beside it."""
    draw = ImageDraw.Draw(canvas)
    picture = legend.image(width)
    left, top = middle - width // 2, top + _TOP
    canvas.paste(picture, (left, top))
    # Beside a bar, below a square: there its left side belongs to the anatomy.
    level = top + picture.height // 2 if isinstance(legend, ColorBar) else top + picture.height + 10
    high = f"{plain_number(legend.high)} {legend.unit}".strip()
    draw.text((left - 8, level), plain_number(legend.low), GREY, font(14), anchor="rm")
    draw.text((left + width + 8, level), high, GREY, font(14), anchor="lm")
    if isinstance(legend, ColorSquare):
        x = left - 10
        draw.line([(x, top + picture.height), (x, top)], GREY)
        draw.line([(x - 3, top + 5), (x, top), (x + 3, top + 5)], GREY)
        draw.text((x - 6, top + picture.height // 2), "anatomy", GREY, font(12), anchor="rm")


def plain_number(value: float, digits: int = 3) -> str:
    """``value`` to ``digits`` significant ones as a person writes it: 1400, not 1.4e+03; powers of ten from 1e+06 on."""
    rounded = float(f"{value:.{digits}g}")
    if rounded and not 1e-4 <= abs(rounded) < 1e6:
        return f"{value:.{digits}g}"
    return np.format_float_positional(rounded + 0.0, trim="-")


def font(size: int) -> "ImageFont.ImageFont | ImageFont.FreeTypeFont":
    """The typeface of all pictures."""
    return ImageFont.load_default(size)
