"""One volume brought onto the grid of another: all of it, or single slices before that.

SimpleITK's convention throughout: LPS millimetres, index order (i, j, k), arrays in (k, j, i).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk

from ..errors import GeometryError, InputError
from .geometry import check_not_labels, check_volume, extent, finite, index_to_physical, same_grid
from .hounsfield import AIR_HU
from .intensity import background_value
from .recognition import NOTHING_TOLD, Hints, recognise

Tick = Callable[[float], object]
"""Called with the fraction done, about every hundredth; what it raises ends the work and comes out of it."""


@dataclass(frozen=True)
class Overlap:
    """How much of the anatomical volume the functional one covers: ``fraction`` in (0, 1], ``message`` "" when all."""

    fraction: float
    message: str = ""


def _nothing(fraction: float) -> None:
    """Nobody wants to know how far it is."""


def resample_to(
    functional: sitk.Image,
    anatomical: sitk.Image,
    *,
    names: tuple[str, str] = ("anatomical", "functional"),
    tick: Tick = _nothing,
    insist: bool = False,
    hints: Hints = NOTHING_TOLD,
) -> tuple[sitk.Image, Overlap]:
    """Bring scalar ``functional`` onto the grid of ``anatomical``: ``(float32 image, Overlap)``, see `Resampling`."""
    resampling = Resampling(
        functional, anatomical, names=names, tick=lambda done: tick(0.5 * done), insist=insist, hints=hints
    )
    return resampling.whole(lambda done: tick(0.5 + 0.5 * done)), resampling.overlap


class Resampling:
    """Scalar ``functional`` on its way to the grid of ``anatomical``; neither is changed.

    Linear interpolation; where the functional grid is finer than the anatomical one it is smoothed first, so that small
    structures are averaged rather than missed: ``tick`` follows that. Outside the functional volume the result is
    background: 0, or air for a CT, which ``hints`` or the values tell. NaN and infinities count as background. An image
    that is already on the grid keeps its values. ``overlap`` tells how much of the grid it covers.

    Raises :class:`GeometryError` when the two do not overlap (naming both extents) and :class:`InputError` for RGB
    images (recover their uptake or luma first) and, unless ``insist``, label maps.
    """

    def __init__(
        self,
        functional: sitk.Image,
        anatomical: sitk.Image,
        *,
        names: tuple[str, str] = ("anatomical", "functional"),
        tick: Tick = _nothing,
        insist: bool = False,
        hints: Hints = NOTHING_TOLD,
    ) -> None:
        for image, name in zip((anatomical, functional), names):
            check_volume(image, name)
        if not insist:
            for image, name in zip((anatomical, functional), names):
                check_not_labels(image, name)
        if functional.GetNumberOfComponentsPerPixel() != 1:
            raise InputError(f"{names[1]} is an RGB volume; recover its uptake or take its luma before resampling")
        self._anatomical, self._functional = anatomical, finite(functional, names[1])[0]
        self._background = _background(sitk.GetArrayViewFromImage(self._functional), hints)
        self._on_grid = same_grid(self._functional, anatomical)
        self.overlap = Overlap(1.0) if self._on_grid else overlap_of(self._functional, anatomical, names)
        if not self._on_grid:
            self._functional = _anti_aliased(self._functional, anatomical, tick)

    def whole(self, tick: Tick = _nothing) -> sitk.Image:
        """All of it, float32."""
        return self._brought_onto(self._anatomical, tick)

    def part(self, axis: int, index: int) -> np.ndarray:
        """What lies at ``index`` along ``axis`` of the grid's voxels (K, J, I): float32 (K, J, I), 1 along that axis.

        The same as in `whole` but for rounding, in the hundredth of its time.
        """
        size, start = list(self._anatomical.GetSize()), [0, 0, 0]
        size[2 - axis], start[2 - axis] = 1, index
        source = self._functional if self._on_grid else self._anatomical
        part = sitk.RegionOfInterest(source, size, start)
        return sitk.GetArrayFromImage(_as_float(part) if self._on_grid else self._brought_onto(part, _nothing))

    def _brought_onto(self, grid: sitk.Image, tick: Tick) -> sitk.Image:
        if self._on_grid:
            return _as_float(self._functional)
        resampler = sitk.ResampleImageFilter()
        resampler.SetReferenceImage(grid)
        resampler.SetInterpolator(sitk.sitkLinear)
        resampler.SetDefaultPixelValue(self._background)
        resampler.SetOutputPixelType(sitk.sitkFloat32)
        return _executed(resampler, self._functional, tick)


def _background(array: np.ndarray, hints: Hints) -> float:
    """The value outside: air also of a CT that is told to be one and holds none, as one of the spine alone."""
    shows = recognise(array, None, "functional", hints)
    in_hu = shows.kind == "ct" and (shows.scale, shows.offset) == (1.0, 0.0)
    return AIR_HU if in_hu else float(background_value(array))


def overlap_of(functional: sitk.Image, anatomical: sitk.Image, names: tuple[str, str]) -> Overlap:
    """How much of ``anatomical`` its partner covers. Raises GeometryError, naming both extents, where that is nothing."""
    fraction = covered_fraction(functional, anatomical)
    anatomical_name, functional_name = names
    if fraction == 0 and covered_fraction(anatomical, functional):
        raise GeometryError(
            f"{functional_name} lies between the slices of {anatomical_name} and reaches none of them: choose one with "
            "more slices"
        )
    if fraction == 0:
        raise GeometryError(
            f"{anatomical_name} and {functional_name} do not overlap: {anatomical_name} covers {extent(anatomical)}, "
            f"{functional_name} covers {extent(functional)}; register them or choose volumes of one patient"
        )
    if fraction == 1:
        return Overlap(1.0)
    percent = min(100 * fraction, 99.9)  # rounded, not all of it would be "100 %"
    return Overlap(
        fraction, f"{functional_name} covers {percent:.3g} % of {anatomical_name}; the rest counts as background"
    )


def _index_map(functional, anatomical):
    """The 4x4 matrix from anatomical index to functional index."""
    return np.linalg.solve(index_to_physical(functional), index_to_physical(anatomical))


def covered_fraction(functional: sitk.Image, anatomical: sitk.Image) -> float:
    """The share of anatomical voxel centres inside the functional volume, counted exactly, row by row."""
    matrix = _index_map(functional, anatomical)
    ni, nj, nk = anatomical.GetSize()
    j, k = np.meshgrid(np.arange(nj), np.arange(nk), indexing="ij")
    start = matrix[:3, 1:2] * j.ravel() + matrix[:3, 2:3] * k.ravel() + matrix[:3, 3:]
    first, last = np.zeros(nj * nk), np.full(nj * nk, ni - 1.0)
    tolerance = 1e-6
    for axis, size in enumerate(functional.GetSize()):
        low, high = -0.5 - tolerance - start[axis], size - 0.5 + tolerance - start[axis]
        step = matrix[axis, 0]
        if abs(step) * ni < tolerance:
            last[(low > 0) | (high < 0)] = -1
        else:
            enter, leave = (low / step, high / step) if step > 0 else (high / step, low / step)
            np.maximum(first, np.ceil(enter), out=first)
            np.minimum(last, np.floor(leave), out=last)
    return float(np.maximum(last - first + 1, 0).sum() / (ni * nj * nk))


def _executed(image_filter, image, tick):
    """``image_filter.Execute(image)``, calling ``tick(fraction)`` meanwhile; what that raises aborts the filter."""
    raised = []

    def on_progress():
        try:
            if not raised:
                tick(image_filter.GetProgress())
        except BaseException as error:  # SimpleITK would print it and raise another one
            raised.append(error)
            image_filter.Abort()

    image_filter.AddCommand(sitk.sitkProgressEvent, on_progress)
    try:
        result = image_filter.Execute(image)
    except RuntimeError:
        if not raised:
            raise
    finally:
        image_filter.RemoveAllCommands()  # the filter keeps the function, and the function the filter
    if raised:
        raise raised[0]
    return result


def _anti_aliased(functional, anatomical, tick):
    """Smooth along every functional axis that the anatomical grid samples with steps of more than one voxel.

    Both grids are modelled as Gaussian-like voxels whose full width at half maximum is the voxel: the width to add is
    sqrt(step^2 - 1) functional voxels.
    """
    steps = np.abs(_index_map(functional, anatomical)[:3, :3]).max(axis=1)
    sigma = np.sqrt(np.maximum(steps**2 - 1, 0)) / 2.3548
    sigma[(steps < 1.2) | (np.array(functional.GetSize()) == 1)] = 0
    if not sigma.any():
        return functional
    gaussian = sitk.DiscreteGaussianImageFilter()
    gaussian.SetVariance((sigma**2).tolist())
    gaussian.SetMaximumKernelWidth(64)
    gaussian.SetMaximumError(0.01)
    gaussian.SetUseImageSpacing(False)
    return _executed(gaussian, _as_float(functional), tick)


def _as_float(image):
    return image if image.GetPixelID() == sitk.sitkFloat32 else sitk.Cast(image, sitk.sitkFloat32)
