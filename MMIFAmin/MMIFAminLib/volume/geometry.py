"""Grids in space: are two the same, can one be brought onto the other, and how are slices laid out.

SimpleITK's convention throughout: LPS millimetres, index order (i, j, k), arrays in (k, j, i). Messages for people give
positions in RAS, as 3D Slicer shows them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import permutations

import numpy as np
import SimpleITK as sitk

from ..errors import GeometryError, InputError
from .intensity import background_value, clean
from .labels import looks_like_labels

PLANES = ("axial", "coronal", "sagittal", "acquisition")

_LPS_TO_RAS = np.array([-1.0, -1.0, 1.0])
_SAME_GRID_VOXELS = 1e-3
_MINIMUM_DETERMINANT = 1e-2
_NIFTI_INTENT_LABEL = "1002"

# For each plane the patient directions (LPS) of increasing slice, row and column: axial slices go up, coronal ones
# forward, sagittal ones to the right, as 3D Slicer's offset sliders do; on the screen the patient's right is at the
# left of axial and coronal slices and the front at the left of sagittal ones.
_LAYOUT = {
    "axial": ((0, 0, 1), (0, 1, 0), (1, 0, 0)),
    "coronal": ((0, -1, 0), (0, 0, -1), (1, 0, 0)),
    "sagittal": ((-1, 0, 0), (0, 0, -1), (0, 1, 0)),
}
_EDGES = {"axial": ("R", "L", "A", "P"), "coronal": ("R", "L", "S", "I"), "sagittal": ("A", "P", "S", "I")}


@dataclass(frozen=True)
class Overlap:
    """How much of the anatomical volume the functional one covers: ``fraction`` in (0, 1], ``message`` "" when all."""

    fraction: float
    message: str = ""


def index_to_physical(image: sitk.Image) -> np.ndarray:
    """The 4x4 matrix from index (i, j, k) to LPS millimetres."""
    matrix = np.eye(4)
    matrix[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * np.array(image.GetSpacing())
    matrix[:3, 3] = image.GetOrigin()
    return matrix


def same_grid(a: sitk.Image, b: sitk.Image) -> bool:
    """Whether two 3D images have the same size and their corner voxels coincide within a thousandth of a voxel."""
    if a.GetSize() != b.GetSize():
        return False
    corners = _corners(a.GetSize())
    shift = (index_to_physical(a) - index_to_physical(b)) @ corners
    return bool(np.abs(shift).max() <= _SAME_GRID_VOXELS * min(*a.GetSpacing(), *b.GetSpacing()))


def image_like(image: sitk.Image, array: np.ndarray) -> sitk.Image:
    """``array`` (K, J, I), or (K, J, I, components), copied into an image that lies where ``image`` lies."""
    made = sitk.GetImageFromArray(array, isVector=array.ndim > 3)
    made.CopyInformation(image)
    return made


def finite(image: sitk.Image, name: str = "volume") -> tuple[sitk.Image, int]:
    """``image`` itself, or a copy in which what is no number is background, and how many such voxels there were.

    Raises :class:`InputError`, naming ``name``, where :func:`intensity.clean` does.
    """
    array, invalid = clean(sitk.GetArrayViewFromImage(image), name)
    return (image_like(image, array) if invalid else image), invalid


def check_grid(
    size: Sequence[int],
    spacing: Sequence[float],
    origin: Sequence[float],
    direction: Sequence[float],
    name: str = "volume",
) -> None:
    """Raise :class:`GeometryError`, naming ``name``, unless this is a usable 3D grid (``direction`` row by row)."""
    if len(size) < 3:
        raise GeometryError(f"{name} is a {len(size)}D image, not a volume; fuse 2D images with 'mmifamin pairs'")
    if len(size) > 3:
        raise GeometryError(f"{name} has {len(size)} dimensions, not 3; extract one time point first")
    if min(size) < 1 or sorted(size)[1] == 1:
        raise GeometryError(
            f"{name} has {' x '.join(map(str, size))} voxels: neither a volume nor a slice; choose another"
        )
    if not all(np.isfinite(s) and s > 0 for s in spacing):
        raise GeometryError(f"{name} has voxel spacing {_numbers(spacing)} mm; it must be above 0: correct its header")
    if not np.all(np.isfinite(origin)):
        raise GeometryError(f"{name} has its origin at {_numbers(origin)} mm; correct its header")
    matrix = np.reshape(np.asarray(direction, float), (3, 3))
    if not np.all(np.isfinite(matrix)) or abs(np.linalg.det(matrix)) < _MINIMUM_DETERMINANT:
        raise GeometryError(f"{name} has a singular direction matrix (its axes coincide); correct its header")


def check_volume(image: sitk.Image, name: str = "volume") -> None:
    """Raise :class:`InputError`, naming ``name``, unless ``image`` is a 3D scalar or uint8 RGB volume, well placed."""
    check_grid(image.GetSize(), image.GetSpacing(), image.GetOrigin(), image.GetDirection(), name)
    pixel, components = image.GetPixelIDTypeAsString(), image.GetNumberOfComponentsPerPixel()
    if "complex" in pixel:
        raise InputError(f"{name} holds complex numbers; take the magnitude first")
    if components != 1 and pixel != "vector of 8-bit unsigned integer" or components not in (1, 3):
        raise InputError(f"{name} has {components} components of {pixel}; use a scalar volume or an RGB one of 8 bits")


def check_not_labels(image: sitk.Image, name: str = "volume") -> None:
    """Raise :class:`InputError`, naming ``name``, when ``image`` is a label map: numbers of regions, not intensities.

    Told by ITK's label types, by the marks that NIfTI, DICOM and 3D Slicer leave in the metadata, and by the
    values of the voxels (:func:`labels.looks_like_labels`).
    """
    keys = image.GetMetaDataKeys()
    marked = (
        "label" in image.GetPixelIDTypeAsString()
        or any(key.startswith("Segment0_") for key in keys)
        or ("intent_code" in keys and image.GetMetaData("intent_code") == _NIFTI_INTENT_LABEL)
        or ("0008|0060" in keys and image.GetMetaData("0008|0060").strip() == "SEG")
    )
    if marked or (image.GetNumberOfComponentsPerPixel() == 1 and looks_like_labels(sitk.GetArrayViewFromImage(image))):
        raise InputError(
            f"{name} is a label map, not an image; choose the volume that it was drawn on or, if it is an image after all, "
            "insist (--insist; VolumeFuser.fuse(..., insist=True))"
        )


def resample_to(
    functional: sitk.Image,
    anatomical: sitk.Image,
    *,
    names: tuple[str, str] = ("anatomical", "functional"),
    tick: Callable[[float], object] = lambda fraction: None,
    insist: bool = False,
) -> tuple[sitk.Image, Overlap]:
    """Bring scalar ``functional`` onto the grid of ``anatomical``: ``(float32 image, Overlap)``.

    Linear interpolation; where the functional grid is finer than the anatomical one it is smoothed first, so that small
    structures are averaged rather than missed. Outside the functional volume the result is background: 0, or air for a
    CT. NaN and infinities count as background. An image that is already on the grid keeps its values.

    ``tick`` is called with the fraction done, about every hundredth; what it raises ends the work and comes out here.
    Raises :class:`GeometryError` when the two do not overlap (naming both extents) and :class:`InputError` for RGB
    images (recover their uptake or luma first) and, unless ``insist``, label maps.
    """
    anatomical_name, functional_name = names
    check_volume(anatomical, anatomical_name)
    check_volume(functional, functional_name)
    if not insist:
        check_not_labels(anatomical, anatomical_name)
        check_not_labels(functional, functional_name)
    if functional.GetNumberOfComponentsPerPixel() != 1:
        raise InputError(f"{functional_name} is an RGB volume; recover its uptake or take its luma before resampling")

    functional, _ = finite(functional, functional_name)
    background = float(background_value(sitk.GetArrayViewFromImage(functional)))
    if same_grid(functional, anatomical):
        return _as_float(functional), Overlap(1.0)

    fraction = covered_fraction(functional, anatomical)
    if fraction == 0:
        raise GeometryError(
            f"{anatomical_name} and {functional_name} do not overlap: {anatomical_name} covers {extent(anatomical)}, "
            f"{functional_name} covers {extent(functional)}; register them or choose volumes of one patient"
        )
    resampler = sitk.ResampleImageFilter()
    resampler.SetReferenceImage(anatomical)
    resampler.SetInterpolator(sitk.sitkLinear)
    resampler.SetDefaultPixelValue(background)
    resampler.SetOutputPixelType(sitk.sitkFloat32)
    message = ""
    if fraction < 1:
        percent = min(100 * fraction, 99.9)  # rounded, not all of it would be "100 %"
        message = f"{functional_name} covers {percent:.3g} % of {anatomical_name}; the rest counts as background"
    smooth = _anti_aliased(functional, anatomical, lambda done: tick(0.5 * done))
    return _executed(resampler, smooth, lambda done: tick(0.5 + 0.5 * done)), Overlap(fraction, message)


def on_cubes(image: sitk.Image, spacing: float) -> sitk.Image:
    """``image`` interpolated linearly on voxels of ``spacing`` mm in all directions, from its first voxel on."""
    size = [round(n * s / spacing) for n, s in zip(image.GetSize(), image.GetSpacing())]
    grid = (image.GetOrigin(), [spacing] * image.GetDimension(), image.GetDirection())
    return sitk.Resample(image, size, sitk.Transform(), sitk.sitkLinear, *grid)


def extent(image: sitk.Image) -> str:
    """The box that ``image`` fills, in RAS millimetres, as text: "R -90..90, A -126..90, S -72..108 mm"."""
    corners = (index_to_physical(image) @ _corners(image.GetSize(), margin=0.5))[:3] * _LPS_TO_RAS[:, None]
    ranges = (f"{axis} {low:.0f}..{high:.0f}" for axis, low, high in zip("RAS", corners.min(1), corners.max(1)))
    return ", ".join(ranges) + " mm"


def _numbers(values):
    return " x ".join(f"{value:g}" for value in values)


def _corners(size, margin=0.0):
    """Homogeneous index coordinates (4, 8) of the corners of a grid, ``margin`` voxels outside its corner voxels."""
    ends = [(-margin, n - 1 + margin) for n in size]
    return np.array([(i, j, k, 1.0) for i in ends[0] for j in ends[1] for k in ends[2]]).T


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


@dataclass(frozen=True)
class SliceView:
    """How the slices of a volume are laid out for a plane: an axis permutation and flips, nothing else.

    ``plane`` is axial, coronal or sagittal; ``axes`` the array axes (of k, j, i) that become (slice, row, column);
    ``flips`` which of these run backwards; ``pixel_spacing`` the distance in mm between rows and between columns (where
    they differ, pixels are not square); ``slice_spacing`` that between slices.
    """

    plane: str
    axes: tuple[int, int, int]
    flips: tuple[bool, bool, bool]
    pixel_spacing: tuple[float, float]
    slice_spacing: float

    @property
    def edges(self) -> tuple[str, str, str, str]:
        """The letters of the patient directions at the left, right, top and bottom edge of a slice."""
        return _EDGES[self.plane]

    def take(self, array: np.ndarray) -> np.ndarray:
        """A view of ``array`` (K, J, I), or (K, J, I, components), as slices (D, H, W), or (D, H, W, components).

        What is written into the view is written into ``array``.
        """
        trailing = tuple(range(3, array.ndim))
        steps = tuple(slice(None, None, -1 if flip else 1) for flip in self.flips)
        return np.transpose(array, self.axes + trailing)[steps]


def slice_view(image: sitk.Image, plane: str = "axial") -> SliceView:
    """The :class:`SliceView` of 3D ``image`` for ``plane`` (one of :data:`PLANES`), in radiological orientation.

    "acquisition" takes the slices as stored (along the last index). For an oblique volume each index axis stands for
    the patient axis nearest to it. Raises :class:`InputError` for an unknown plane and :class:`GeometryError` for a
    plane in which a single-slice volume has only one row or column.
    """
    if plane not in PLANES:
        raise InputError(f"plane {plane!r} is not one of {', '.join(PLANES)}")
    direction = np.reshape(image.GetDirection(), (3, 3))
    # patient[i] is the LPS axis that index axis i follows: the one-to-one assignment that fits the directions best.
    patient = max(permutations(range(3)), key=lambda p: sum(abs(direction[p[i], i]) for i in range(3)))
    if plane == "acquisition":
        plane = ("sagittal", "coronal", "axial")[patient[2]]
    axes, flips, spacing = [], [], []
    for wanted in _LAYOUT[plane]:
        target = int(np.flatnonzero(wanted)[0])
        index_axis = patient.index(target)
        axes.append(2 - index_axis)
        flips.append(bool(direction[target, index_axis] * wanted[target] < 0))
        spacing.append(image.GetSpacing()[index_axis])
    if min(image.GetSize()[2 - axis] for axis in axes[1:]) < 2:
        raise GeometryError(
            f"the anatomical volume is one slice thick: it has no {plane} slices; use the plane 'acquisition'"
        )
    return SliceView(plane, tuple(axes), tuple(flips), tuple(spacing[1:]), spacing[0])


def views(image: sitk.Image) -> list[SliceView]:
    """The axial, coronal and sagittal :class:`SliceView` of 3D ``image``; of a single slice, the plane it lies in alone."""
    found = []
    for plane in _LAYOUT:
        try:
            found.append(slice_view(image, plane))
        except GeometryError:
            continue
    return found
