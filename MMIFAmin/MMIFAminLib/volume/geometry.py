"""Grids in space: can one be used, are two the same, and how are slices laid out.

SimpleITK's convention throughout: LPS millimetres, index order (i, j, k), arrays in (k, j, i). Messages for people give
positions in RAS, as 3D Slicer shows them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations

import numpy as np
import SimpleITK as sitk

from ..errors import GeometryError, InputError
from .intensity import clean
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


def scalar_pixels(image: sitk.Image) -> sitk.Image:
    """``image`` itself, or as scalar where each pixel is a vector of one component, as some formats and filters make it."""
    if image.GetNumberOfComponentsPerPixel() == 1 and "vector" in image.GetPixelIDTypeAsString():
        return sitk.VectorIndexSelectionCast(image, 0)
    return image


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
            "insist",
            typed="--insist; VolumeFuser.fuse(..., insist=True)",
        )


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


def check_plane(plane: str) -> None:
    """Raise InputError unless ``plane`` is one of :data:`PLANES`."""
    if plane not in PLANES:
        raise InputError(f"plane {plane!r} is not one of {', '.join(PLANES)}")


def slice_view(image: sitk.Image, plane: str = "axial") -> SliceView:
    """The :class:`SliceView` of 3D ``image`` for ``plane`` (one of :data:`PLANES`), in radiological orientation.

    "acquisition" takes the slices as stored (along the last index). For an oblique volume each index axis stands for
    the patient axis nearest to it. Raises :class:`InputError` for an unknown plane and :class:`GeometryError` for a
    plane in which a single-slice volume has only one row or column.
    """
    check_plane(plane)
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
