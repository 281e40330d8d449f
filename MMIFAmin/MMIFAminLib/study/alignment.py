"""The panel's alignment check and registration on the command line."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InputError

if TYPE_CHECKING:
    import SimpleITK as sitk

    from ..engine.progress import Progress
    from ..files import VolumeFile

_TRANSFORMS = (".tfm", ".txt", ".h5", ".hdf5")


def aligned(
    files: tuple[VolumeFile, VolumeFile],
    options: argparse.Namespace,
    progress: Progress,
    warnings: list[str],
    name: str = "functional",
) -> tuple[sitk.Image, dict[str, Any] | None, sitk.Transform | None]:
    """The second of ``files``, the ``name`` volume, where ``options.register`` asks for it moved onto the anatomical one,
    what the report says of their alignment (None where it cannot be told), and the transform that registered them. What seemed
    aligned and does not after the registration is left where it was.

    Adds to ``warnings`` where the two do not seem aligned, or were left so. Only the place of the volume changes,
    no voxel does. Raises GeometryError where the two cannot be registered, InputError where one is too thin for it.
    """
    from ..volume.registration import alignment_check, leads_astray, register_rigid

    names = ("anatomical", name)
    anatomical, moving = (_scalar(file.image) for file in files)
    moved, transform, registered = files[1].image, None, options.register
    if registered:
        import SimpleITK as sitk

        transform = register_rigid(anatomical, moving, progress, names=names)
        if leads_astray(anatomical, moving, transform, names=names):
            transform, registered = sitk.Euler3DTransform(), False
            warnings.append(
                f"the {name} volume seemed aligned, and the registration led away from there: it was not moved"
            )
        else:
            moved = sitk.TransformGeometry(moved, transform)
    try:
        found = alignment_check(anatomical, _scalar(moved), names=names)
    except InputError:
        return moved, None, transform  # too thin to tell; what else is wrong the fusion says
    if not found.aligned:
        cure = "the registration did not help: look at the two" if options.register else "--register aligns the two"
        warnings.append(f"{found.message} ({cure})")
    told = {"aligned": found.aligned, "overlap": round(found.overlap, 4), "registered": registered}
    told |= {"displacement_mm": round(found.displacement_mm, 1)} if found.overlap else {}
    return moved, told, transform


def check_transform(options: argparse.Namespace) -> None:
    """Raise InputError where a transform is asked for without a registration, or in a format that is not known."""
    if options.transform and not options.register:
        raise InputError("--transform writes what --register finds: say --register too")
    if options.transform and options.transform.suffix.lower() not in _TRANSFORMS:
        raise InputError(
            f"{options.transform}: transforms are written as {', '.join(_TRANSFORMS)}; choose one of these"
        )


def transform_of_second(path: Path) -> Path:
    """Where the transform of the second anatomical volume goes, beside that of the functional one at ``path``."""
    return path.with_stem(f"{path.stem}-second")


def _scalar(image):
    """``image``, or of colours the magnitude, as the panel takes it."""
    import SimpleITK as sitk

    if image.GetNumberOfComponentsPerPixel() == 1:
        return image
    return sitk.VectorMagnitude(sitk.Cast(image, sitk.sitkVectorFloat32))


def write_transform(transform: sitk.Transform, path: Path) -> None:
    """Write ``transform`` to ``path``, whole or not at all."""
    import SimpleITK as sitk

    from ..files.writing import atomic_path

    with atomic_path(path) as part:
        try:
            sitk.WriteTransform(transform, str(part))
        except RuntimeError:
            raise InputError(f"{path} cannot be written; choose another folder") from None
