"""What a person looks at after a fusion: the picture of three planes."""

import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, NamedTuple, Protocol

import numpy as np
import SimpleITK as sitk
from PIL import Image, ImageDraw

from ..errors import GeometryError, InputError
from ..volume import geometry, intensity
from ..volume.hottest import hottest_spot
from . import color
from .legend import GREY, HEIGHT, ColorBar, ColorSquare, draw_legend, font

PLANES = ("axial", "coronal", "sagittal")
_CELL, _GAP, _HEADER, _FOOTER = 330, 16, 48, HEIGHT + 26  # pixels
_SIDE = 18  # pixels left and right of a slice, for the letters of the patient's sides
_WHITE = (235, 235, 235)
_CONTENT, _MARGIN = 0.05, 6.0  # what counts as more than background, and the mm kept around it


class Fused(Protocol):
    """What the picture takes of a ``FusedVolume``: its images on the anatomical grid, and the windows of the sources.

    ``second`` and its window are None where two were fused; ``report`` says what the pair was taken for.
    """

    image: sitk.Image
    functional: sitk.Image
    anatomical_window: intensity.Window
    functional_window: intensity.Window
    second: sitk.Image | None
    second_window: intensity.Window | None
    report: dict[str, Any]


class Column(NamedTuple):
    """One column of a montage.

    `images` are 3D volumes and `paint` turns their voxels, arrays of any one shape (...), into grey levels in [0, 1] or
    uint8 (...) or colours (..., 3); without it the first image is shown as it is. `legend` explains the colours.
    """

    title: str
    images: Sequence[sitk.Image]
    paint: Callable[..., np.ndarray] = lambda values: values
    legend: ColorBar | ColorSquare | None = None


def montage(columns: Sequence[Column], *, position: Sequence[float] | None = None, footer: str = "") -> Image.Image:
    """Picture of volumes on one grid: a row each for axial, coronal and sagittal, a column for each of `columns`.

    Slices go through `position` (LPS, mm; default: the centre of mass of what is shown), cropped to the content, in
    true proportions and radiological orientation with the sides labelled. Raises InputError where the grids differ or
    `position` lies outside.
    """
    grid = _common_grid(columns)
    arrays = [[sitk.GetArrayViewFromImage(image) for image in column.images] for column in columns]
    box, center = _content(columns, arrays, grid.GetSpacing()[::-1])
    if position is not None:
        center = voxel_at(grid, position)
    rows = _rows(columns, arrays, grid, center, box)
    size = (len(columns) * (_CELL + _GAP) + _GAP, _HEADER + sum(row.height + _GAP for row in rows) + _FOOTER)
    canvas = Image.new("RGB", size)
    for number, column in enumerate(columns):
        _draw_column(canvas, column, number, rows)
    top = _HEADER
    for row in rows:
        ImageDraw.Draw(canvas).text((_GAP, top - 4), row.view.plane, GREY, font(14), anchor="ls")  # in the gap above
        top += row.height + _GAP
    ImageDraw.Draw(canvas).text((_GAP, size[1] - 14), footer, GREY, font(14), anchor="ls")
    return canvas


class _Row(NamedTuple):
    """One plane: its view, the slice of every column as uint8, and their size in the picture, in pixels."""

    view: geometry.SliceView
    cells: list[np.ndarray]
    width: int
    height: int


def _common_grid(columns: Sequence[Column]) -> sitk.Image:
    grid = columns[0].images[0]
    for column in columns:
        if not all(geometry.same_grid(grid, image) for image in column.images):
            raise InputError(f"'{columns[0].title}' and '{column.title}' lie on different grids: resample one first.")
    return grid


def _rows(columns, arrays, grid: sitk.Image, center: Sequence[int], box: Sequence[slice]) -> list[_Row]:
    """The three planes through `center`, all at one scale: the widest fills a cell but for its sides."""
    views = _views(grid)
    cells = [
        [_bytes(c.paint(*(_slice(view, array, center, box) for array in group))) for c, group in zip(columns, arrays)]
        for view in views
    ]
    sizes = [[n * mm for n, mm in zip(shown[0].shape, view.pixel_spacing)] for view, shown in zip(views, cells)]
    scale = (_CELL - 2 * _SIDE) / max(width for _, width in sizes)
    return [
        _Row(view, shown, max(1, round(width * scale)), max(1, round(height * scale)))
        for view, shown, (height, width) in zip(views, cells, sizes)
    ]


def _draw_column(canvas: Image.Image, column: Column, number: int, rows: Sequence[_Row]) -> None:
    """The title, the slices with the patient's sides, and the legend of one column."""
    draw = ImageDraw.Draw(canvas)
    middle, top = _GAP + number * (_CELL + _GAP) + _CELL // 2, _HEADER
    draw.text((middle, _HEADER // 2), column.title, _WHITE, font(20), anchor="mm")
    for row in rows:
        size = (row.width, row.height)
        picture = Image.fromarray(row.cells[number]).convert("RGB").resize(size, Image.Resampling.BICUBIC)
        canvas.paste(picture, (middle - row.width // 2, top))
        for side, edge in zip(row.view.edges, (-1, 1)):  # left and right
            beside = row.width // 2 + _SIDE // 2
            draw.text((middle + edge * beside, top + row.height // 2), side, GREY, font(17), anchor="mm")
        top += row.height + _GAP
    if column.legend:
        draw_legend(canvas, column.legend, middle, top, _CELL * 2 // 3)


def preview(
    anatomical: sitk.Image,
    fused: Fused,
    *,
    table: "str | color.ColorTable" = color.DEFAULT,
    weight: float = 1.0,
    titles: Sequence[str] = ("Anatomical", "Functional", "Second anatomical"),
    unit: str | None = None,
    position: Sequence[float] | None = None,
    overlay: bool = False,
    footer: str = "",
) -> Image.Image:
    """Montage of `anatomical` and its ``FusedVolume``: anatomical, functional in colours, fused grey, fused colour.

    Of three at once the second anatomical volume stands after the first. `weight` in [0, 1] is how strongly the fused
    image is coloured; `titles` name the sources (the second anatomical one last) and `unit` the functional values
    (default: as the report has it). `position` (LPS, mm) is where the planes cross; by default where uptake most exceeds
    its surroundings (``volume.hottest``), or for two pictures as in ``montage``. `overlay` adds a column with the
    functional colours at 50 % over the anatomy, for comparison. `footer` is that of ``montage``.
    """
    table = color.ColorTable.named(table) if isinstance(table, str) else table
    window, other = fused.functional_window, fused.anatomical_window
    uptake = _is_uptake(fused)
    if position is None and uptake:
        position = fused.functional.TransformIndexToPhysicalPoint(_hottest(fused)[::-1])
    scalar = anatomical.GetNumberOfComponentsPerPixel() == 1
    taken = fused.report.get("taken_for", {}).get("functional", {})
    bar = ColorBar(table, window.low, window.high, unit if unit is not None else str(taken.get("unit") or ""))

    def grey(values: np.ndarray) -> np.ndarray:
        return other.to_unit(values) if scalar else values

    def over(anatomy: np.ndarray, values: np.ndarray) -> np.ndarray:
        return color.overlay(grey(anatomy) if scalar else color.luma(anatomy) / 255, window.to_unit(values), table)

    columns = [
        Column(titles[0], [anatomical], grey),
        Column(titles[1], [fused.functional], lambda values: table(window.to_unit(values)), bar),
        Column("Fused", [fused.image]),
        Column(
            "Fused, in colours",
            [fused.image, fused.functional],
            lambda grey, values: color.colorize(grey, window.to_unit(values), table, weight),
            ColorSquare(table, window.low, window.high, bar.unit, weight, uptake),
        ),
    ]
    if fused.second is not None and fused.second_window is not None:
        columns.insert(1, Column(titles[2], [fused.second], fused.second_window.to_unit))
    if overlay:
        columns.insert(len(columns) - 1, Column("Overlay, 50 %", [anatomical, fused.functional], over, bar))
    return montage(columns, position=position, footer=footer)


def thumbnail(
    fused: Fused, *, table: "str | color.ColorTable" = color.DEFAULT, weight: float = 1.0, size: int = 128
) -> Image.Image:
    """A ``FusedVolume`` in colours as a small picture: one axial slice, no wider or higher than `size` pixels.

    It goes through the spot that ``preview`` shows, or of two pictures through the middle.
    """
    table = color.ColorTable.named(table) if isinstance(table, str) else table
    arrays = [sitk.GetArrayViewFromImage(image) for image in (fused.image, fused.functional)]
    shape, view = arrays[0].shape, _views(fused.image)[0]
    spot = _hottest(fused) if _is_uptake(fused) else [n // 2 for n in shape]
    grey, uptake = (_slice(view, array, spot, [slice(0, n) for n in shape]) for array in arrays)
    shown = color.colorize(grey, fused.functional_window.to_unit(uptake), table, weight)
    height, width = (n * mm for n, mm in zip(shown.shape, view.pixel_spacing))
    scale = size / max(height, width)
    pixels = (max(1, round(width * scale)), max(1, round(height * scale)))
    return Image.fromarray(shown).resize(pixels, Image.Resampling.BICUBIC)


def _is_uptake(fused: Fused) -> bool:
    """Whether the pair was fused as uptake on anatomy; by the values where no report tells, as they cannot tell MR from PET."""
    pair = fused.report.get("taken_for", {}).get("pair")
    return pair == "uptake" if pair else intensity.shows_uptake(sitk.GetArrayViewFromImage(fused.functional))


def _hottest(fused: Fused) -> tuple[int, int, int]:
    """Array index (k, j, i) where uptake most exceeds its surroundings (``volume.hottest``)."""
    values = sitk.GetArrayViewFromImage(fused.functional)
    return hottest_spot(fused.functional_window.to_unit(values), fused.functional.GetSpacing()[::-1])


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


def voxel_at(image: sitk.Image, position: Sequence[float]) -> list[int]:
    """Array index (k, j, i) of a point in LPS mm. Raises InputError, in RAS as viewers show it, for one outside."""
    index = image.TransformPhysicalPointToIndex([float(x) for x in position])
    if any(not 0 <= i < n for i, n in zip(index, image.GetSize())):
        left, back, head = position
        raise InputError(
            f"The place R {0 - left:g}, A {0 - back:g}, S {head:g} mm lies outside the anatomical volume, which covers "
            f"{geometry.extent(image)}."
        )
    return list(index[::-1])


def _slice(view: geometry.SliceView, array: np.ndarray, center: Sequence[int], box: Sequence[slice]) -> np.ndarray:
    """The slice of `array` through `center`, cropped to `box`: (H, W) or (H, W, components)."""
    cut = list(box)
    cut[view.axes[0]] = slice(center[view.axes[0]], center[view.axes[0]] + 1)
    return np.ascontiguousarray(view.take(array[tuple(cut)])[0])


def _bytes(shown: np.ndarray) -> np.ndarray:
    """Grey levels or colours as uint8; what is not a number is black."""
    return shown if shown.dtype == np.uint8 else np.rint(np.clip(np.nan_to_num(shown), 0, 1) * 255).astype(np.uint8)
