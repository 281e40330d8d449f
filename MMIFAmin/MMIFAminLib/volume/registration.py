"""Are two volumes aligned, and if not, by which rigid motion would they be: mutual information, multi-resolution.

Mattes mutual information (Mattes et al., IEEE TMI 2003) in SimpleITK. The check is the first, coarse level of the
registration alone: volumes are aligned when the best pose near the present one is the present one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk

from ..errors import FusionCancelled, GeometryError, InputError
from .geometry import check_volume, finite, image_like
from .hounsfield import looks_like_ct
from .intensity import choose_window, clean
from .recognition import recognise
from .resampling import covered_fraction

TOLERANCE_MM = 6.0
"""Mean displacement up to which two volumes count as aligned: about the resolution of a PET scanner."""

_LEVELS_MM = (8.0, 4.0, 2.0)
_THINNEST_MM = 3 * _LEVELS_MM[0]  # a volume of fewer than three samples across has no pose that could be told
_SAMPLES = 20_000
_BINS = 32
_MARGIN_MM = 100.0  # background around the functional volume, so that a pose gains nothing by leaving the picture
_SEED = 20250


@dataclass(frozen=True)
class Alignment:
    """What the check found. `overlap` is the fraction of the anatomical content that the functional volume covers,
    `mutual_information` that of the present pose (nats), `displacement_mm` how far a registration would move it."""

    overlap: float
    mutual_information: float
    displacement_mm: float
    aligned: bool
    message: str


def alignment_check(
    anatomical: sitk.Image, functional: sitk.Image, *, names: tuple[str, str] = ("anatomical", "functional")
) -> Alignment:
    """Tell within about a second whether two scalar volumes, in one physical space, seem aligned.

    Raises InputError for volumes that cannot be used or are too thin to tell; no overlap at all is an answer, not an error.
    """
    _check_thick(anatomical, functional, names)
    swapped = _told_by_ct(anatomical, functional, names)
    images = tuple(zip((anatomical, functional), names))
    (fixed, name), (moving, other) = reversed(images) if swapped else images
    fixed, moving = _level(fixed, "anatomical", _LEVELS_MM[0], name), _level(moving, "functional", _LEVELS_MM[0], other)
    points = _content(fixed)
    overlap = covered_fraction(functional, anatomical) if swapped and len(points) else _coverage(points, moving)
    if overlap == 0.0:
        return Alignment(0.0, 0.0, float("inf"), False, _message(names, overlap, float("inf")))
    present = sitk.Euler3DTransform()
    information = _information(fixed, moving, present)
    best = _optimise(fixed, moving, _start(fixed, moving), lambda fraction: True)
    gained = _information(fixed, moving, best)
    displacement = _displacement(best, points) if gained > information else 0.0
    aligned = displacement <= TOLERANCE_MM
    return Alignment(overlap, information, displacement, aligned, _message(names, overlap, displacement))


def _told_by_ct(anatomical, functional, names) -> bool:
    """Whether the functional volume alone is a CT in HU, on which the poses of the other are then measured: it tells the body,
    where uptake in the place of anatomy tells a bladder and little besides.
    """
    arrays = [sitk.GetArrayViewFromImage(image) for image in (anatomical, functional)]
    other, ct = (looks_like_ct(clean(array, name)[0]) for array, name in zip(arrays, names))
    return ct and not other


def _check_thick(anatomical, functional, names) -> None:
    """Raise InputError for volumes so thin that many places look alike."""
    for image, name in zip((anatomical, functional), names):
        thickness = min(n * s for n, s in zip(image.GetSize(), image.GetSpacing()))
        if (thickness < _THINNEST_MM or 1 in image.GetSize()) and covered_fraction(functional, anatomical) > 0:
            what = "is one slice" if 1 in image.GetSize() else f"is {thickness:.0f} mm thick"
            raise InputError(f"'{name}' {what}: too thin to tell whether the two lie on each other; look at them.")


def register_rigid(
    anatomical: sitk.Image,
    functional: sitk.Image,
    progress: Callable[[float, str], object] | None = None,
    *,
    names: tuple[str, str] = ("anatomical", "functional"),
) -> sitk.Euler3DTransform:
    """The rigid transform that takes anatomical points to functional ones (LPS, mm), as `sitk.Resample` wants it.

    `progress(fraction, text)` may return False to stop, which raises FusionCancelled. Raises GeometryError when the
    volumes have nothing in common that a registration could hold on to, InputError where one is too thin for it.
    """
    _check_thick(anatomical, functional, names)
    if _told_by_ct(anatomical, functional, names):
        found = _registered(functional, anatomical, progress, names[::-1])
        return sitk.Euler3DTransform(found.GetInverse())
    return _registered(anatomical, functional, progress, names)


def leads_astray(
    anatomical: sitk.Image,
    functional: sitk.Image,
    transform: sitk.Transform,
    *,
    names: tuple[str, str] = ("anatomical", "functional"),
) -> bool:
    """Whether two volumes seem aligned as they lie, and no longer once ``transform`` of `register_rigid` has moved the second:
    one that covers a small part of the anatomy may be led away from it.
    """
    try:
        moved = alignment_check(anatomical, sitk.TransformGeometry(functional, transform), names=names)
        return not moved.aligned and alignment_check(anatomical, functional, names=names).aligned
    except InputError:  # too thin to tell
        return False


def _registered(anatomical, functional, progress, names) -> sitk.Euler3DTransform:
    """As `register_rigid`, in these roles."""
    transform = sitk.Euler3DTransform()
    for index, spacing in enumerate(_LEVELS_MM):
        fixed = _level(anatomical, "anatomical", spacing, names[0])
        moving = _level(functional, "functional", spacing, names[1])
        if index == 0:
            transform = _start(fixed, moving)

        def report(fraction, index=index):
            text = f"Registering, level {index + 1} of {len(_LEVELS_MM)}"
            return progress is None or progress((index + fraction) / len(_LEVELS_MM), text) is not False

        try:
            transform = _optimise(fixed, moving, transform, report)
        except RuntimeError as error:
            raise GeometryError(
                f"'{names[1]}' could not be registered to '{names[0]}': they share too little; move them onto each "
                "other by hand in the Transforms module first."
            ) from error
    return transform


def _level(image: sitk.Image, role: str, spacing: float, name: str) -> sitk.Image:
    """The volume in its window, averaged down to voxels of about `spacing` mm."""
    check_volume(image, name)
    image, _ = finite(image, name)
    array = sitk.GetArrayViewFromImage(image)
    shows = recognise(array, image.GetSpacing()[::-1], role)
    window = choose_window(array, "auto", role, name, shows)
    factors = [max(1, min(round(spacing / s), n // 4)) for s, n in zip(image.GetSpacing(), image.GetSize())]
    small = sitk.BinShrink(image, factors)
    return image_like(small, window.to_unit(sitk.GetArrayViewFromImage(small)))


def _content(image: sitk.Image) -> np.ndarray:
    """Physical points (N, 3) of the voxels that are not background."""
    values = sitk.GetArrayViewFromImage(image)
    kji = np.argwhere(values > 0.1)
    to_world = np.array(image.GetDirection()).reshape(3, 3) * np.array(image.GetSpacing())
    return kji[:, ::-1] @ to_world.T + np.array(image.GetOrigin())


def _coverage(points: np.ndarray, image: sitk.Image) -> float:
    """The fraction of the points that lie inside the image."""
    if not len(points):
        return 0.0
    to_world = np.array(image.GetDirection()).reshape(3, 3) * np.array(image.GetSpacing())
    index = np.linalg.solve(to_world, (points - np.array(image.GetOrigin())).T).T
    return float(((index > -0.5) & (index < np.array(image.GetSize()) - 0.5)).all(axis=1).mean())


def _start(fixed: sitk.Image, moving: sitk.Image) -> sitk.Euler3DTransform:
    """The better start of two: as the volumes lie now, or centre of content on centre of content."""
    center = _content(fixed).mean(axis=0)
    present, centered = sitk.Euler3DTransform(), sitk.Euler3DTransform()
    for transform in (present, centered):
        transform.SetCenter(center.tolist())
    centered.SetTranslation((_content(moving).mean(axis=0) - center).tolist())
    return max((present, centered), key=lambda transform: _information(fixed, moving, transform))


def _information(fixed: sitk.Image, moving: sitk.Image, transform: sitk.Transform) -> float:
    """Mutual information (nats) of the two over the fixed grid, outside of the moving volume being background."""
    moved = sitk.Resample(moving, fixed, transform, sitk.sitkLinear, 0.0)
    a, b = (np.clip(sitk.GetArrayViewFromImage(image).ravel(), 0, 1) for image in (fixed, moved))
    joint, _, _ = np.histogram2d(a, b, bins=_BINS, range=((0, 1), (0, 1)))
    joint /= joint.sum()
    outer = joint.sum(axis=1, keepdims=True) * joint.sum(axis=0, keepdims=True)
    seen = joint > 0
    return float(np.sum(joint[seen] * np.log(joint[seen] / outer[seen])))


def _optimise(fixed, moving, start, report, iterations=200) -> sitk.Euler3DTransform:
    """One level of the registration from `start`; raises FusionCancelled when `report(fraction)` is False."""
    method = sitk.ImageRegistrationMethod()
    method.SetNumberOfThreads(1)  # the same result every time, and quick on a busy machine: iterations are short
    method.SetMetricAsMattesMutualInformation(_BINS)
    count = fixed.GetNumberOfPixels()
    if count > _SAMPLES:
        method.SetMetricSamplingStrategy(method.RANDOM)
        method.SetMetricSamplingPercentage(_SAMPLES / count, _SEED)
    method.SetInterpolator(sitk.sitkLinear)
    spacing = min(fixed.GetSpacing())
    # Slow relaxation: from any start the same pose within a tenth of a millimetre; the usual 0.5 stops on the way.
    method.SetOptimizerAsRegularStepGradientDescent(
        learningRate=spacing,
        minStep=spacing / 200,
        numberOfIterations=iterations,
        relaxationFactor=0.8,
        gradientMagnitudeTolerance=1e-8,
    )
    method.SetOptimizerScalesFromPhysicalShift()
    transform = sitk.Euler3DTransform(start)
    margin = [round(_MARGIN_MM / s) for s in moving.GetSpacing()]
    moving = sitk.ConstantPad(moving, margin, margin, 0.0)
    method.SetInitialTransform(transform, inPlace=True)
    stopped = []

    def on_iteration():
        if not stopped and not report(method.GetOptimizerIteration() / iterations):
            stopped.append(True)
            method.StopRegistration()

    method.AddCommand(sitk.sitkIterationEvent, on_iteration)
    method.Execute(fixed, moving)
    if stopped:
        raise FusionCancelled("The registration was cancelled; nothing was moved.")
    return transform


def _displacement(transform: sitk.Euler3DTransform, points: np.ndarray) -> float:
    """Mean distance (mm) by which the transform moves the points."""
    matrix = np.array(transform.GetMatrix()).reshape(3, 3)
    center, translation = np.array(transform.GetCenter()), np.array(transform.GetTranslation())
    moved = (points - center) @ matrix.T + center + translation
    return float(np.linalg.norm(moved - points, axis=1).mean())


def _message(names, overlap: float, displacement: float) -> str:
    if overlap == 0.0:
        return f"'{names[0]}' and '{names[1]}' do not overlap: register first."
    covered = f"'{names[1]}' covers {overlap:.0%} of '{names[0]}'"
    if displacement <= TOLERANCE_MM:
        return f"{covered}; they seem aligned."
    return f"{covered} and seems about {displacement:.0f} mm off: register first."
