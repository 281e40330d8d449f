"""A stack of slices on a regular grid: even distances along its normal, axes at right angles."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np
import SimpleITK as sitk

from ..errors import InputError
from .integrity import MAX_VOXELS

_JITTER = 0.1  # of the usual distance: scanners round, and tables vibrate


def even_count(gaps: np.ndarray) -> int:
    """How many even slices replace these: as many where gaps only vary a little, else as close as the closest."""
    usual = float(np.median(gaps))
    if np.abs(gaps - usual).max() <= _JITTER * usual:
        return len(gaps) + 1
    return round(float(gaps.sum()) / max(float(gaps.min()), 0.25 * usual)) + 1


def between(values: np.ndarray, along: np.ndarray, even: np.ndarray) -> np.ndarray:
    """``values`` (K, J, I), at places ``along`` (mm), interpolated linearly at the places ``even``."""
    if prod(values.shape[1:]) * len(even) > MAX_VOXELS:
        raise InputError(f"unevenly spaced slices would need {len(even)} even ones, more than are read")
    made = np.empty((len(even), *values.shape[1:]), np.uint8 if values.ndim == 4 else np.float32)
    for number, place in enumerate(even):
        before = int(np.clip(np.searchsorted(along, place, side="right") - 1, 0, len(along) - 2))
        share = np.clip((place - along[before]) / (along[before + 1] - along[before]), 0, 1)
        part = (1 - share) * values[before].astype(np.float64) + share * values[before + 1]
        made[number] = np.rint(part) if values.ndim == 4 else part
    return made


def upright(
    values: np.ndarray,
    axes: np.ndarray,
    pixel: tuple[float, float],
    step: np.ndarray,
    origin: np.ndarray,
    background: float | None = None,
) -> sitk.Image:
    """A sheared stack on a grid whose slices follow the table.

    The third axis of the grid is ``step`` (LPS mm, from slice to slice); its rows are those of the stack, as nearly as a
    right angle allows, and its slices meet those of the stack in their middles. Before the first and behind the last
    slice it reaches as far as the corners of the stack hold more than ``background`` (least value, if None).
    """
    spacing = float(np.linalg.norm(step))
    third = step / spacing
    row = axes[0] - (axes[0] @ third) * third
    row /= np.linalg.norm(row)
    upright_axes = np.stack([row, np.cross(third, row)])
    sheared = np.stack([axes[0] * pixel[0], axes[1] * pixel[1], step], axis=1)
    count, rows, columns = values.shape[:3]
    middle = np.array([(columns - 1) / 2, (rows - 1) / 2, 0])
    half = np.abs(third @ sheared[:, :2]) @ middle[:2]  # how far the corners of a slice reach along the table
    more = int(np.ceil(half / spacing - 1e-6))
    pixels = [2 * (np.abs(axis @ sheared[:, :2]) @ middle[:2]) / size + 1 for axis, size in zip(upright_axes, pixel)]
    size = [max(columns, int(np.ceil(pixels[0] - 1e-6))), max(rows, int(np.ceil(pixels[1] - 1e-6))), count + 2 * more]
    if prod(size) > MAX_VOXELS:
        raise InputError(f"a tilted stack would need {' x '.join(map(str, size))} voxels, more than are read")
    margin = [(size[0] - columns) // 2, (size[1] - rows) // 2]  # whole voxels, so that the middles stay the middles
    corner = origin + sheared @ middle - more * step
    for axis, length, width, extra in zip(upright_axes, (columns, rows), pixel, margin):
        corner = corner - axis * width * ((length - 1) / 2 + extra)
    stored = sitk.GetImageFromArray(
        values if values.ndim == 4 else values.astype(np.float32), isVector=values.ndim == 4
    )
    grid = _grid(size, upright_axes, third, (*pixel, spacing), corner)
    inverse = np.linalg.inv(sheared)
    to_index = sitk.AffineTransform(inverse.ravel().tolist(), (-inverse @ origin).tolist())
    least = 0.0 if values.ndim == 4 else float(values.min())
    image = sitk.Resample(stored, grid, to_index, sitk.sitkLinear, least, stored.GetPixelID())
    shown = sitk.GetArrayViewFromImage(image) > (least if background is None else background)
    filled = np.flatnonzero(shown.reshape(len(shown), -1).any(axis=1))
    first, last = (filled[0], filled[-1] + 1) if len(filled) else (more, more + count)
    return image[:, :, int(min(first, more)) : int(max(last, more + count))]


def _grid(size, axes, normal, spacing, origin):
    image = sitk.Image([int(n) for n in size], sitk.sitkUInt8)
    return _locate(image, axes, normal, spacing, origin)


def placed(
    values: np.ndarray,
    axes: Sequence[np.ndarray] | np.ndarray,
    normal: np.ndarray,
    spacing: Sequence[float],
    origin: Sequence[float] | np.ndarray,
) -> sitk.Image:
    """``values`` (K, J, I), or (..., 3) of colours, as an image: axes and normal LPS, spacing and origin mm."""
    return _locate(sitk.GetImageFromArray(values, isVector=values.ndim == 4), axes, normal, spacing, origin)


def _locate(image, axes, normal, spacing, origin):
    image.SetSpacing([round(float(number), 6) for number in spacing])  # positions are written with few digits
    image.SetOrigin([float(number) for number in origin])
    image.SetDirection(np.stack([*axes, normal], axis=1).ravel().tolist())
    return image
