"""The panel's alignment check and registration on the command line."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

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
) -> tuple[sitk.Image, dict | None]:
    """The second of ``files``, the ``name`` volume, where ``options.register`` asks for it moved onto the anatomical one,
    and what the report says of their alignment (None where it cannot be told).

    Adds to ``warnings`` where the two do not seem aligned. Only the place of the volume changes, no voxel does. Raises
    InputError where a transform is asked for without a registration or cannot be written, GeometryError where the two
    cannot be registered.
    """
    from ..volume.registration import alignment_check, register_rigid

    if options.transform and not options.register:
        raise InputError("--transform writes what --register finds: say --register too")
    if options.transform and options.transform.suffix.lower() not in _TRANSFORMS:
        raise InputError(
            f"{options.transform}: transforms are written as {', '.join(_TRANSFORMS)}; choose one of these"
        )
    names = ("anatomical", name)
    anatomical, moving = (_scalar(file.image) for file in files)
    moved = files[1].image
    if options.register:
        import SimpleITK as sitk

        transform = register_rigid(anatomical, moving, progress, names=names)
        moved, moving = (sitk.TransformGeometry(image, transform) for image in (moved, moving))
        if options.transform:
            _write(transform, options.transform if name == "functional" else transform_of_second(options.transform))
    try:
        found = alignment_check(anatomical, moving, names=names)
    except InputError:
        return moved, None  # too thin to tell; what else is wrong the fusion says
    if not found.aligned:
        cure = "the registration did not help: look at the two" if options.register else "--register aligns the two"
        warnings.append(f"{found.message} ({cure})")
    told = {"aligned": found.aligned, "overlap": round(found.overlap, 4), "registered": options.register}
    return moved, told | ({"displacement_mm": round(found.displacement_mm, 1)} if found.overlap else {})


def transform_of_second(path: Path) -> Path:
    """Where the transform of the second anatomical volume goes, beside that of the functional one at ``path``."""
    return path.with_stem(f"{path.stem}-second")


def _scalar(image):
    """``image``, or of colours the magnitude, as the panel takes it."""
    import SimpleITK as sitk

    if image.GetNumberOfComponentsPerPixel() == 1:
        return image
    return sitk.VectorMagnitude(sitk.Cast(image, sitk.sitkVectorFloat32))


def _write(transform, path):
    import SimpleITK as sitk

    from ..files.writing import atomic_path

    with atomic_path(path) as part:
        try:
            sitk.WriteTransform(transform, str(part))
        except RuntimeError:
            raise InputError(f"{path} cannot be written; choose another folder") from None
