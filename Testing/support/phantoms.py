"""Small phantoms for tests: a head without any symmetry, defined in patient space and sampled on any grid.

Because the phantom is a function of the position in the patient, a test knows what every voxel must be after any
resampling, flip or file round trip: sample it again on the new grid and compare.
"""

from dataclasses import dataclass, replace

import numpy as np
import SimpleITK as sitk
from hypothesis import strategies as st

# Balls inside the head: centre in LPS mm, radius in mm, brightness in MR and PET. No one mirrors another.
BALLS = {
    "left anterior superior": ((30.0, -35.0, 25.0), 9.0, 0.9, 0.2),
    "right posterior inferior": ((-25.0, 40.0, -20.0), 12.0, 0.15, 1.0),
    "left": ((45.0, 10.0, -5.0), 7.0, 0.7, 0.6),
}
HEAD_RADII = (70.0, 90.0, 65.0)
EDGE_MM = 6.0  # width of the smooth edges, so that linear interpolation of the sampled phantom is accurate


@dataclass(frozen=True)
class Grid:
    """A grid in LPS: index order (i, j, k), direction row by row, as SimpleITK has it."""

    size: tuple = (48, 56, 44)
    spacing: tuple = (4.0, 4.0, 4.0)
    origin: tuple = (-94.0, -110.0, -86.0)
    direction: tuple = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)

    @property
    def matrix(self):
        return np.reshape(self.direction, (3, 3)) * np.array(self.spacing)

    def points(self):
        """LPS positions (K, J, I, 3) of the voxel centres."""
        k, j, i = np.meshgrid(*(np.arange(n) for n in self.size[::-1]), indexing="ij")
        return np.stack([i, j, k], axis=-1) @ self.matrix.T + np.array(self.origin)

    def centred_at(self, centre=(0.0, 0.0, 0.0)):
        """The same grid, moved so that its middle lies at ``centre`` (LPS mm)."""
        middle = self.matrix @ ((np.array(self.size) - 1) / 2)
        return replace(self, origin=tuple(np.array(centre, float) - middle))

    def image(self, array):
        """``array`` (K, J, I) or (K, J, I, components) as a SimpleITK image on this grid."""
        image = sitk.GetImageFromArray(array, isVector=array.ndim == 4)
        image.SetSpacing(self.spacing)
        image.SetOrigin(self.origin)
        image.SetDirection(self.direction)
        return image


def head_values(points, kind="mr"):
    """Brightness in [0, 1] of the phantom at LPS ``points`` (..., 3); ``kind`` is "mr" or "pet"."""
    brightness = {"mr": 2, "pet": 3}[kind]

    def inside(distance_mm):  # 1 inside, 0 outside, smooth between
        return 1 / (1 + np.exp(np.clip(4 * distance_mm / EDGE_MM, -50, 50)))

    radius = np.linalg.norm(points / np.array(HEAD_RADII), axis=-1)
    head = inside((radius - 1) * min(HEAD_RADII))
    # A slope along each axis: a plain ellipsoid would look the same after a flip.
    values = head * (0.4 + points @ np.array([0.8, 1.1, 0.6]) * 1e-3)
    for ball in BALLS.values():
        share = inside(np.linalg.norm(points - np.array(ball[0]), axis=-1) - ball[1])
        values = values * (1 - share) + ball[brightness] * share
    values[values < 1e-3] = 0
    return values


def head(grid=None, kind="mr", scale=1.0, dtype=np.float32):
    """The phantom head sampled on ``grid``: brightness times ``scale``, as an image of ``dtype``."""
    grid = grid or Grid()
    values = head_values(grid.points(), kind) * scale
    if np.issubdtype(dtype, np.integer):
        values = np.rint(values)
    return grid.image(values.astype(dtype))


def ct_head(grid=None):
    """A CT of the phantom in HU, int16: air -1000, tissue around 40, bone about 1000 in a shell."""
    grid = grid or Grid()
    points = grid.points()
    radius = np.linalg.norm(points / np.array(HEAD_RADII), axis=-1)
    hu = np.where(radius < 1, 20 + 60 * head_values(points), -1000.0)
    hu[(radius > 0.88) & (radius < 0.97)] = 1000
    return grid.image(np.rint(hu).astype(np.int16))


def brightest_point(image):
    """The LPS position (mm) of the centre of the voxels above 95 % of the maximum of a scalar image."""
    array = sitk.GetArrayFromImage(image).astype(float)
    index = np.argwhere(array > 0.95 * array.max())[:, ::-1].mean(axis=0)
    return np.array(image.TransformContinuousIndexToPhysicalPoint(index.tolist()))


def rotation(degrees):
    """A rotation matrix (3, 3) from three angles about the patient axes."""
    x, y, z = np.radians(degrees)
    about_x = np.array([[1, 0, 0], [0, np.cos(x), -np.sin(x)], [0, np.sin(x), np.cos(x)]])
    about_y = np.array([[np.cos(y), 0, np.sin(y)], [0, 1, 0], [-np.sin(y), 0, np.cos(y)]])
    about_z = np.array([[np.cos(z), -np.sin(z), 0], [np.sin(z), np.cos(z), 0], [0, 0, 1]])
    return about_z @ about_y @ about_x


@st.composite
def directions(draw, tilt=30):
    """Any axis order with any flips, tilted by up to ``tilt`` whole degrees: a flat tuple of 9."""
    order = draw(st.permutations(range(3)))
    signs = draw(st.tuples(*[st.sampled_from((-1.0, 1.0))] * 3))
    angles = draw(st.tuples(*[st.integers(-tilt, tilt)] * 3))
    return tuple((rotation(angles) @ (np.eye(3)[:, list(order)] * signs)).ravel())


@st.composite
def grids(draw, sizes=st.integers(2, 12), spacings=st.integers(2, 24).map(lambda n: n / 4), tilt=30):
    """Small grids near the patient origin with any spacing, axis order, flips and tilt."""
    grid = Grid(
        size=draw(st.tuples(sizes, sizes, sizes)),
        spacing=draw(st.tuples(spacings, spacings, spacings)),
        direction=draw(directions(tilt)),
    )
    return grid.centred_at(draw(st.tuples(*[st.integers(-10, 10)] * 3)))


def write_dicom_series(folder, image, uid, *, modality="MR", description="", prefix="slice", skip=()):
    """Write int16 or uint16 ``image`` as one DICOM file per slice, leaving out the slices in ``skip``."""
    folder.mkdir(parents=True, exist_ok=True)
    writer = sitk.ImageFileWriter()
    writer.KeepOriginalImageUIDOn()
    direction = image.GetDirection()
    for k in range(image.GetDepth()):
        if k in skip:
            continue
        piece = image[:, :, k]
        position = image.TransformIndexToPhysicalPoint((0, 0, k))
        tags = {
            "0008|0018": f"{uid}.{k + 1}",
            "0008|0060": modality,
            "0008|103e": description,
            "0010|0010": "Phantom",
            "0018|0050": str(image.GetSpacing()[2]),
            "0020|000d": "1.2.826.0.1",
            "0020|000e": uid,
            "0020|0013": str(k + 1),
            "0020|0032": "\\".join(f"{value:.6f}" for value in position),
            "0020|0037": "\\".join(f"{direction[n]:.6f}" for n in (0, 3, 6, 1, 4, 7)),
        }
        for key, value in tags.items():
            piece.SetMetaData(key, value)
        writer.SetFileName(str(folder / f"{prefix}{k:03d}.dcm"))
        writer.Execute(piece)
