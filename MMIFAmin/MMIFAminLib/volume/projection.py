"""The maximum intensity projection (MIP) of a volume from any side: the view that PET is read in."""

from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk

from ..errors import InputError
from .geometry import check_volume, finite, image_like, index_to_physical
from .intensity import Window, choose_window
from .recognition import NOTHING_TOLD, Hints, recognise

_STEP = 2.0  # mm: finer voxels are taken together, by their maximum
# Of the window that a fusion would choose: an upper end below the one leaves all black, above the other white.
_BLACK, _BLANK = 1 / 100, 30


@dataclass(frozen=True)
class Projection:
    """The volume seen from one side, upright: `values` float32 (rows from the head down, columns from left to right as seen).

    `spacing` is in mm between rows and between columns; `floor` is the value where nothing is seen through.
    """

    values: np.ndarray
    spacing: tuple[float, float]
    floor: float
    _hit: np.ndarray  # the column of the volume that each value comes from, -1 for none
    _xy: np.ndarray
    _z: np.ndarray

    @property
    def top(self) -> float:
        """S (mm) of the first row."""
        return float(self._z[0])

    def place(self, row: int, column: int) -> tuple[float, float, float] | None:
        """Where (RAS, mm) the value at a pixel comes from, the nearest of equals; None beside the volume."""
        rows, columns = self.values.shape
        if not (0 <= row < rows and 0 <= column < columns) or self._hit[row, column] < 0:
            return None
        x, y = self._xy[self._hit[row, column]]
        return -float(x), -float(y), float(self._z[row])


class Turntable:
    """A volume that can be looked at from all around its long axis (S).

    Each voxel falls into one pixel, so that none is missed and the highest value of a volume is that of every projection; an
    oblique volume is first brought upright, and between its own voxels interpolated. What is not a number counts as
    background.
    """

    def __init__(self, image: sitk.Image, name: str = "volume") -> None:
        """`image`: scalar, 3D, LPS in mm. Raises InputError, naming `name`, for a colour or a constant volume."""
        check_volume(image, name)
        if image.GetNumberOfComponentsPerPixel() != 1:
            raise InputError(f"{name} is in colours: a MIP is made of the uptake itself, choose a scalar volume")
        image = _upright(finite(image, name)[0])
        values, spacing = sitk.GetArrayFromImage(image).astype(np.float32), np.array(image.GetSpacing())
        self._floor = float(values.min())
        if not values.max() > self._floor:
            raise InputError(f"{name} is constant: there is nothing to see in a MIP; choose another volume")
        centres = [origin + mm * np.arange(n) for origin, mm, n in zip(image.GetOrigin(), spacing, image.GetSize())]
        for axis, step in enumerate(max(1, int(_STEP / mm)) for mm in spacing):
            starts = np.arange(0, len(centres[axis]), step)
            values = np.maximum.reduceat(values, starts, axis=2 - axis)
            centres[axis] = np.add.reduceat(centres[axis], starts) / np.diff(np.append(starts, len(centres[axis])))
            spacing[axis] *= step
        x, y, z = centres
        xy = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
        columns = values.reshape(len(z), -1)[::-1].T  # (x and y, from the head down)
        seen = columns.max(axis=1) > self._floor
        self._xy, self._z, self._columns = xy[seen], z[::-1], np.ascontiguousarray(columns[seen])
        middle = (self._xy.min(axis=0) + self._xy.max(axis=0)) / 2
        nearest = np.linalg.norm(self._xy - middle, axis=1).argmin()
        self._middle = self._xy[nearest]  # on the grid: seen along its axes, every pixel then has its own voxels
        self._width = max(spacing[:2])
        self._half = int(np.ceil(np.linalg.norm(self._xy - self._middle, axis=1).max() / self._width))
        self.spacing = (float(spacing[2]), float(self._width))
        """mm between rows and between columns of every projection."""

    def at(self, angle: float) -> Projection:
        """The projection from `angle` degrees: 0 from the front, 90 from the patient's left, 180 from behind."""
        across = np.array([np.cos(np.radians(angle)), np.sin(np.radians(angle))])
        away = np.array([-across[1], across[0]])
        where = self._xy - self._middle
        column = np.rint(where @ across / self._width).astype(int) + self._half
        order = np.lexsort((where @ away, column))
        ends = np.searchsorted(column[order], np.arange(2 * self._half + 2))
        rows = np.arange(len(self._z))
        values = np.full((rows.size, 2 * self._half + 1), self._floor, np.float32)
        hit = np.full(values.shape, -1, np.int32)
        for number, (start, end) in enumerate(zip(ends, ends[1:])):
            if start < end:
                along = order[start:end]
                block = self._columns[along]
                first = block.argmax(axis=0)
                values[:, number], hit[:, number] = block[first, rows], along[first]
        return Projection(values, self.spacing, self._floor, hit, self._xy, self._z)


def angles_around(count: int) -> np.ndarray:
    """`count` angles in degrees, evenly around from the front. Raises InputError unless there are 1 to 360."""
    if not 1 <= count <= 360:
        raise InputError(f"{count} angles cannot be turned through: give 1 to 360")
    return np.arange(count) * (360.0 / count)


def mip_window(image: sitk.Image, hints: Hints = NOTHING_TOLD, name: str = "volume") -> Window:
    """The Window that a fusion chooses for functional `image` where nobody wishes another.

    Raises InputError, naming `name`, for a volume that is constant or has no uptake.
    """
    image = finite(image, name)[0]  # kept as long as the view of it
    array = sitk.GetArrayViewFromImage(image)
    shows = recognise(array, image.GetSpacing()[::-1], "functional", hints)
    return choose_window(array, "auto", "functional", name, shows)


def wished_window(image: sitk.Image, high: float, hints: Hints = NOTHING_TOLD, name: str = "volume") -> Window:
    """0 to `high`, where that shows functional `image`.

    Raises InputError, naming `name`, where it leaves all black or white: an upper end in SUV where the values are Bq/ml, say.
    """
    window, usual = Window(0.0, high), mip_window(image, hints, name).high
    if not _BLACK * usual <= high <= _BLANK * usual:
        raise InputError(
            f"an upper end of {high:g} leaves the MIP {'black' if high < usual else 'blank'}: {name} is in "
            f"{hints.unit or 'an unknown unit'}, where {float(f'{usual:.3g}'):g} would show it; give one near that, or none"
        )
    return window


def _upright(image: sitk.Image) -> sitk.Image:
    """`image` with its axes along L, P and S: its own voxels in another order where they lie so, else interpolated.

    Interpolated, it is nowhere below the voxels that lie nearest: the top of a small lesion is not missed.
    """
    directions = np.abs(np.reshape(image.GetDirection(), (3, 3)))
    if np.allclose(np.sort(directions, axis=0), [[0] * 3, [0] * 3, [1] * 3], atol=1e-3):
        return sitk.DICOMOrient(image, "LPS")
    ends = np.array([[0, n - 1] for n in image.GetSize()])
    corners = np.array([[i, j, k, 1] for i in ends[0] for j in ends[1] for k in ends[2]]) @ index_to_physical(image).T
    low, high = corners[:, :3].min(axis=0), corners[:, :3].max(axis=0)
    spacing = min(image.GetSpacing())
    size = [int(n) for n in np.ceil((high - low) / spacing) + 1]
    floor = float(sitk.GetArrayViewFromImage(image).min())
    upright = sitk.Resample(
        image, size, sitk.Transform(), sitk.sitkLinear, low.tolist(), [spacing] * 3, np.eye(3).ravel(), floor
    )
    values, own = sitk.GetArrayFromImage(upright), sitk.GetArrayViewFromImage(image)
    to_lps, (j, i) = index_to_physical(image), np.indices(own.shape[1:])
    for k, plane in enumerate(own):
        lps = np.stack([i, j, np.full_like(i, k)], axis=-1) @ to_lps[:3, :3].T + to_lps[:3, 3]
        nearest = np.rint((lps - low) / spacing).astype(int)
        np.maximum.at(values, tuple(nearest[..., axis] for axis in (2, 1, 0)), plane)
    return image_like(upright, values)
