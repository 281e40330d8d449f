"""Volumes in files: DICOM, NIfTI and its kin, and anything else that SimpleITK reads, checked before it is believed;
written whole or not at all.

See :mod:`integrity` for why ITK's word is not enough.
"""

import shutil
from contextlib import contextmanager
from math import prod
from pathlib import Path

import SimpleITK as sitk

from ..errors import InputError, SeveralVolumes
from ..volume.geometry import check_volume, scalar_pixels
from .about import About, VolumeFile
from .dicom_frames import quiet
from .dicom_index import Contents, Series, check_undamaged, index_file, index_folder, is_dicom, select
from .dicom_volume import read_series
from .integrity import (
    MAX_VOXELS,
    captured_stderr,
    check_complete,
    check_content,
    check_dimensions,
    is_sequence,
    itk_reason,
)
from .nifti import kind_of, read_nifti, write_rgb_nifti
from .placement import in_lps, in_mm, rescaled, untold
from .units import check_unit, in_unit
from .writing import atomic_path, os_reason

WRITABLE = (".nrrd", ".nii.gz", ".nii", ".mha")
"""Formats that are one file each, so that they can appear by one atomic rename."""


def read_volume(path: str | Path, unit: str | None = None) -> sitk.Image:
    """Read a 3D volume into a ``SimpleITK.Image``: the image of :func:`read_volume_file`."""
    return read_volume_file(path, unit=unit).image


def read_volume_file(
    path: str | Path, series: str | Series | None = None, frame: int | None = None, unit: str | None = None
) -> VolumeFile:
    """Read a volume from a file, or from a folder of DICOM files, with what is known of it and what was corrected.

    One file of a DICOM series stands for its series. ``series`` (or ``path::series``) chooses where a folder holds
    several: ``#2``, a SeriesInstanceUID or a part of the description; ``frame`` chooses a time point, echo, phase or
    stack, counted from 1. A PET comes in SUV where its headers give it, unless ``unit`` (of ``units.UNITS``: "bqml",
    "suv-lbm", ...) asks for another. A 4D file of one time point comes back as 3D. Raises :class:`InputError` with one clear line
    for a missing, damaged, truncated or oversized file, for what is not a 3D scalar or RGB volume, for folders that hold
    no DICOM images or several series, for series that are not one volume, and for a ``unit`` that cannot be given.
    """
    check_unit(unit)
    if isinstance(series, Series):
        path = series.files[0].parent
    else:
        path, series = split_series(path, series)
    with _reading(path):
        if isinstance(series, Series):
            found = read_series(series, frame)
        elif path.is_dir():
            found = _read_folder(path, series, frame)
        elif path.name.upper() == "DICOMDIR":
            found = _read_folder(path.parent, series, frame)
        elif series is not None:
            raise InputError(f"{path} is a file: '::{series}' chooses among the series of a folder; leave it out")
        elif is_dicom(path):
            found = read_series(index_file(path), frame)
        else:
            found = _read_file(path, frame)
    image = scalar_pixels(found.image)
    check_volume(image, str(path))
    try:
        return in_unit(VolumeFile(image, found.about, found.warnings), unit)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def list_series(path: str | Path) -> Contents:
    """The DICOM series in folder ``path`` and its subfolders. Raises :class:`InputError` where it is no folder."""
    path = Path(path).expanduser()
    if path.name.upper() == "DICOMDIR":
        path = path.parent
    with _reading(path):
        if not path.is_dir():
            raise InputError(f"{path} is not a folder; give the folder that holds the DICOM files")
        return index_folder(path)


def split_series(path: str | Path, series: str | None = None) -> tuple[Path, str | None]:
    """``FOLDER::which`` as folder and series; a path without ``::``, or one that exists so, stays whole."""
    path = Path(path).expanduser()
    if series is None and "::" in str(path) and not path.exists():
        folder, _, series = str(path).rpartition("::")
        return Path(folder), series
    return path, series


@contextmanager
def _reading(path):
    """Turn whatever reading ``path`` raises, or the format libraries print, into one clear line."""
    try:
        if not path.exists():
            raise InputError(f"{path}: no such file or folder")
        with captured_stderr() as complaints, quiet():
            yield
    except MemoryError:
        raise InputError(f"{path} does not fit into memory") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {os_reason(error)}") from None
    except RuntimeError as error:
        raise InputError(f"{path} cannot be read: {itk_reason(str(error))}") from None
    if complaints:
        raise InputError(f"{path} is truncated or damaged ({complaints[0]})")


def _read_folder(folder, series, frame):
    contents = index_folder(folder)
    chosen = select(contents, series)
    check_undamaged(contents, chosen)
    return read_series(chosen, frame)


def _read_file(path, frame):
    check_dimensions(path)
    if kind := kind_of(path):
        image, warnings = read_nifti(path, kind, MAX_VOXELS, frame)
        return VolumeFile(image, About(), tuple(warnings))
    check_content(path)
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    reader.ReadImageInformation()
    size = reader.GetSize()
    _check_size(size, path)
    sequence = is_sequence(path)
    steps = reader.GetNumberOfComponents() if sequence else size[3] if len(size) == 4 else 1
    if steps > 1 and frame is None:
        raise SeveralVolumes(
            f"{path} has 4 dimensions ({steps} time points); choose one of them with --frame 1 to {steps}"
        )
    if frame is not None and not 1 <= frame <= steps:
        raise InputError(f"{path} has {steps} time points: there is no frame {frame}")
    check_complete(path, prod(size) * _pixel_bytes(reader))
    image, chosen = reader.Execute(), (frame or 1) - 1
    if sequence and steps > 1:
        image = sitk.VectorIndexSelectionCast(image, chosen)
    image = image[:, :, :, chosen] if len(size) == 4 else image
    image = rescaled(path, in_mm(path, in_lps(path, image)))
    return VolumeFile(image, warnings=tuple(untold(path, image)))


def _check_size(size, path):
    if prod(size) > MAX_VOXELS:
        shape = " x ".join(map(str, size))
        raise InputError(f"{path} declares {shape} voxels, more than the {MAX_VOXELS:,} that are read: damaged header?")


def _pixel_bytes(reader):
    try:
        pixel = sitk.Image([1, 1], reader.GetPixelID(), max(1, reader.GetNumberOfComponents()))
        return pixel.GetSizeOfPixelComponent() * pixel.GetNumberOfComponentsPerPixel()
    except (RuntimeError, TypeError):
        return 1


# --- writing ---


def write_volume(image: sitk.Image, path: str | Path) -> None:
    """Write ``image`` to ``path`` (.nrrd, .nii.gz, .nii or .mha; compressed where the format can), atomically.

    Raises :class:`InputError` for other formats and for a place that cannot be written.
    """
    path = Path(path)
    if not path.name.lower().endswith(WRITABLE):
        raise InputError(f"{path}: volumes are written as {', '.join(WRITABLE)}; choose one of these endings")
    with atomic_path(path) as part:
        try:
            with captured_stderr() as complaints:
                if ".nii" in path.name.lower() and image.GetNumberOfComponentsPerPixel() == 3:
                    write_rgb_nifti(image, part)
                else:
                    sitk.WriteImage(image, str(part), useCompression=True, compressionLevel=1)
                voxels = image.GetNumberOfPixels() * image.GetNumberOfComponentsPerPixel()
                check_complete(part, voxels * image.GetSizeOfPixelComponent())
        except (RuntimeError, OSError, InputError):
            complaints = True
        if complaints:  # ITK does not say why
            reason = (
                "the disk is full" if _is_full(path) else "part of it was refused (disk full, quota or size limit?)"
            )
            raise InputError(f"{path} cannot be written: {reason}; choose another folder")


def _is_full(path):
    try:
        return shutil.disk_usage(path.resolve().parent).free < 1 << 20
    except OSError:
        return False
