"""What a person looks at after a fusion: the picture of three planes."""

import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import NamedTuple

import numpy as np
import SimpleITK as sitk
from PIL import Image, ImageDraw, ImageFont

from ..errors import GeometryError, InputError
from ..volume import geometry
from . import color

PLANES = ("axial", "coronal", "sagittal")
_CELL, _GAP, _HEADER, _FOOTER = 330, 16, 48, 78  # pixels
_WHITE, _GREY = (235, 235, 235), (150, 150, 150)
_CONTENT, _MARGIN = 0.05, 6.0  # what counts as more than background, and the mm kept around it


class ColorBar(NamedTuple):
    """A colour table and the values at its two ends, with their unit."""

    table: color.ColorTable
    low: float
    high: float
    unit: str = ""


class Column(NamedTuple):
    """One column of a montage.

    `images` are 3D volumes and `paint` turns their voxels, arrays of any one shape (...), into grey levels in [0, 1] or
    uint8 (...) or colours (..., 3); without it the first image is shown as it is. `bar` explains the colours.
    """

    title: str
    images: Sequence[sitk.Image]
    paint: Callable[..., np.ndarray] = lambda values: values
    bar: ColorBar | None = None


def montage(columns: Sequence[Column], *, position: Sequence[float] | None = None, footer: str = "") -> Image.Image:
    """Picture of volumes on one grid: a row each for axial, coronal and sagittal, a column for each of `columns`.

    Slices go through `position` (LPS, mm; default: the centre of mass of what is shown), cropped to the content, in
    true proportions and radiological orientation with the sides labelled. Raises InputError where the grids differ or
    `position` lies outside.
    """
    grid = columns[0].images[0]
    for column in columns:
        if not all(geometry.same_grid(grid, image) for image in column.images):
            raise InputError(f"'{columns[0].title}' and '{column.title}' lie on different grids: resample one first.")
    arrays = [[sitk.GetArrayViewFromImage(image) for image in column.images] for column in columns]
    box, center = _content(columns, arrays, grid.GetSpacing()[::-1])
    if position is not None:
        center = _voxel(grid, position)

    rows = []
    for view in _views(grid):
        slices = [[_slice(view, array, center, box) for array in group] for group in arrays]
        rows.append((view, [_bytes(column.paint(*group)) for column, group in zip(columns, slices)]))
    sizes = [[n * mm for n, mm in zip(cells[0].shape, view.pixel_spacing)] for view, cells in rows]
    scale = _CELL / max(width for _, width in sizes)
    sizes = [(max(1, round(width * scale)), max(1, round(height * scale))) for height, width in sizes]

    canvas_size = (len(columns) * (_CELL + _GAP) + _GAP, _HEADER + sum(h + _GAP for _, h in sizes) + _FOOTER)
    canvas = Image.new("RGB", canvas_size)
    draw = ImageDraw.Draw(canvas)
    for number, column in enumerate(columns):
        middle = _GAP + number * (_CELL + _GAP) + _CELL // 2
        draw.text((middle, _HEADER // 2), column.title, _WHITE, _font(20), anchor="mm")
        top = _HEADER
        for (view, cells), (width, height) in zip(rows, sizes):
            picture = Image.fromarray(cells[number]).convert("RGB").resize((width, height), Image.Resampling.BICUBIC)
            canvas.paste(picture, (middle - width // 2, top))
            for side, edge in zip(view.edges, (-1, 1)):  # left and right
                beside = min(width // 2 + 12, _CELL // 2 - 8)
                draw.text((middle + edge * beside, top + height // 2), side, _GREY, _font(17), anchor="mm")
            if number == 0:
                draw.text((_GAP, top), view.plane, _GREY, _font(15), anchor="lt")
            top += height + _GAP
        if column.bar:
            _draw_bar(canvas, draw, column.bar, middle, top + 6)
    draw.text((_GAP, canvas_size[1] - 14), footer, _GREY, _font(14), anchor="ls")
    return canvas


def preview(
    anatomical: sitk.Image,
    fused,
    *,
    table: "str | color.ColorTable" = "pet-heat",
    weight: float = 1.0,
    titles: tuple[str, str] = ("Anatomical", "Functional"),
    unit: str = "",
    position: Sequence[float] | None = None,
    footer: str = "",
) -> Image.Image:
    """Montage of `anatomical` and its ``FusedVolume``: anatomical, functional in colours, fused grey, fused colour.

    `weight` in [0, 1] is how strongly the fused image is coloured; `titles` name the sources and `unit` the functional
    values; `position` and `footer` are those of ``montage``.
    """
    table = color.ColorTable.named(table) if isinstance(table, str) else table
    window = fused.functional_window
    bar = ColorBar(table, window.low, window.high, unit)
    scalar = anatomical.GetNumberOfComponentsPerPixel() == 1
    columns = (
        Column(titles[0], [anatomical], fused.anatomical_window.to_unit if scalar else lambda rgb: rgb),
        Column(titles[1], [fused.functional], lambda values: table(window.to_unit(values)), bar),
        Column("Fused", [fused.image]),
        Column(
            "Fused, in colours",
            [fused.image, fused.functional],
            lambda grey, values: color.colorize(grey, window.to_unit(values), table, weight),
            bar,
        ),
    )
    return montage(columns, position=position, footer=footer)


def _views(grid: sitk.Image) -> list[geometry.SliceView]:
    """The views of the three planes that the volume has: one alone where it is a single slice. Raises GeometryError for
    a row of voxels.
    """
    views = []
    for plane in PLANES:
        with suppress(GeometryError):
            views.append(geometry.slice_view(grid, plane))
    return views or [geometry.slice_view(grid, "acquisition")]


def _content(columns, arrays, spacing: Sequence[float]) -> tuple[list[slice], list[int]]:
    """Along k, j, i: the range of indices with content in any column and `_MARGIN` around it, and the centre of mass.

    `spacing` is that of k, j, i. Every n-th voxel is enough to tell, and keeps this fast for large volumes.
    """
    shape = arrays[0][0].shape[:3]
    step = math.ceil((math.prod(shape) / 1e6) ** (1 / 3))
    brightness = np.zeros([-(-n // step) for n in shape], np.uint8)
    for column, group in zip(columns, arrays):
        shown = _bytes(column.paint(*(np.ascontiguousarray(array[::step, ::step, ::step]) for array in group)))
        np.maximum(brightness, shown if shown.ndim == 3 else shown.max(axis=-1), out=brightness)
    brightness[brightness <= _CONTENT * 255] = 0
    box, center = [], []
    for axis, (length, size) in enumerate(zip(shape, spacing)):
        profile = brightness.sum(axis=tuple(other for other in range(3) if other != axis), dtype=np.float64)
        used = np.flatnonzero(profile) * step
        if not used.size:
            return [slice(0, n) for n in shape], [n // 2 for n in shape]
        margin = math.ceil(_MARGIN / size)
        box.append(slice(max(0, int(used[0]) - margin), min(length, int(used[-1]) + step + margin)))
        center.append(min(length - 1, round(np.average(np.arange(profile.size), weights=profile) * step)))
    return box, center


def _voxel(image: sitk.Image, position: Sequence[float]) -> list[int]:
    """Array index (k, j, i) of a point in LPS mm."""
    index = image.TransformPhysicalPointToIndex([float(x) for x in position])
    if any(not 0 <= i < n for i, n in zip(index, image.GetSize())):
        raise InputError(f"The position {tuple(position)} (LPS, mm) lies outside the volume.")
    return list(index[::-1])


def _slice(view: geometry.SliceView, array: np.ndarray, center: Sequence[int], box: Sequence[slice]) -> np.ndarray:
    """The slice of `array` through `center`, cropped to `box`: (H, W) or (H, W, components)."""
    cut = list(box)
    cut[view.axes[0]] = slice(center[view.axes[0]], center[view.axes[0]] + 1)
    return np.ascontiguousarray(view.take(array[tuple(cut)])[0])


def _bytes(shown: np.ndarray) -> np.ndarray:
    """Grey levels or colours as uint8; what is not a number is black."""
    return shown if shown.dtype == np.uint8 else np.rint(np.clip(np.nan_to_num(shown), 0, 1) * 255).astype(np.uint8)


def _font(size: int) -> ImageFont.ImageFont | ImageFont.FreeTypeFont:
    return ImageFont.load_default(size)


def plain_number(value: float) -> str:
    """``value`` to three significant digits as a person writes it: 1400, not 1.4e+03; powers of ten from 1e+06 on."""
    rounded = float(f"{value:.3g}")
    if rounded and not 1e-4 <= abs(rounded) < 1e6:
        return f"{value:.3g}"
    return np.format_float_positional(rounded + 0.0, trim="-")


def _draw_bar(canvas: Image.Image, draw: ImageDraw.ImageDraw, bar: ColorBar, middle: int, top: int) -> None:
    width, height = _CELL * 2 // 3, 12
    ramp = np.rint(bar.table(np.linspace(0, 1, width, dtype=np.float32)) * 255).astype(np.uint8)
    left = middle - width // 2
    canvas.paste(Image.fromarray(np.broadcast_to(ramp, (height, width, 3)).copy()), (left, top))
    draw.text((left - 8, top + height // 2), plain_number(bar.low), _GREY, _font(14), anchor="rm")
    draw.text(
        (left + width + 8, top + height // 2),
        f"{plain_number(bar.high)} {bar.unit}".strip(),
        _GREY,
        _font(14),
        anchor="lm",
    )
