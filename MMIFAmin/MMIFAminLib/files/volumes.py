"""Volumes in files: anything SimpleITK reads, checked before it is believed; written whole or not at all.

See :mod:`integrity` for why ITK's word is not enough.
"""

import shutil
from math import prod
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from ..errors import InputError
from ..volume.geometry import check_volume
from .about import About, VolumeFile
from .integrity import captured_stderr, check_complete, check_dimensions, itk_reason
from .writing import atomic_path, os_reason

MAX_VOXELS = 2**30
"""Largest volume that is read (1024 x 1024 x 1024 voxels): a header that declares more is taken for damaged."""

WRITABLE = (".nrrd", ".nii.gz", ".nii", ".mha")
"""Formats that are one file each, so that they can appear by one atomic rename."""

_UNEVEN_SPACING = 0.05


def read_volume(path: str | Path) -> sitk.Image:
    """Read a 3D volume from a file, or from a folder with one DICOM series, into a ``SimpleITK.Image``.

    A 4D file of one time point comes back as 3D. Raises :class:`InputError` with one clear line for a missing, damaged,
    truncated or oversized file, for images that are not 3D scalar or RGB volumes, and for folders that hold no DICOM
    images, several series, or a series with missing slices.
    """
    path = Path(path).expanduser()
    try:
        if not path.exists():
            raise InputError(f"{path}: no such file or folder")
        with captured_stderr() as complaints:
            image = _read_series(path) if path.is_dir() else _read_file(path)
    except MemoryError:
        raise InputError(f"{path} does not fit into memory") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {os_reason(error)}") from None
    except RuntimeError as error:
        raise InputError(f"{path} cannot be read: {itk_reason(str(error))}") from None
    if complaints:
        raise InputError(f"{path} is truncated or damaged ({complaints[0]})")
    if image.GetDimension() == 4 and image.GetSize()[3] == 1:
        image = image[:, :, :, 0]
    if image.GetNumberOfComponentsPerPixel() == 1 and "vector" in image.GetPixelIDTypeAsString():
        image = sitk.VectorIndexSelectionCast(image, 0)
    check_volume(image, str(path))
    return image


def read_volume_file(path: str | Path, series: str | None = None, frame: int | None = None) -> VolumeFile:
    """Read a volume as :func:`read_volume` does, with what its file says of it."""
    return VolumeFile(read_volume(path), About())


def _read_file(path):
    check_dimensions(path)
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    reader.ReadImageInformation()
    size = reader.GetSize()
    _check_size(size, path)
    if len(size) == 4 and size[3] > 1:
        raise InputError(f"{path} has 4 dimensions ({size[3]} time points); extract one of them first")
    check_complete(path, prod(size) * _pixel_bytes(reader))
    return reader.Execute()


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


# --- DICOM series ---


def _read_series(folder):
    names = _series_file_names(folder)
    first = sitk.ImageFileReader()
    first.SetFileName(names[0])
    first.ReadImageInformation()
    _check_size((*first.GetSize(), len(names)), folder)
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(names)
    reader.MetaDataDictionaryArrayUpdateOn()
    image = reader.Execute()
    positions = [_tag(reader, slice_, "0020|0032", 3) for slice_ in range(len(names))]
    orientations = [_tag(reader, slice_, "0020|0037", 6) for slice_ in range(len(names))]
    # Objects without a place in the patient (secondary captures) cannot be checked.
    if len(names) > 1 and all(tag is not None for tag in positions + orientations):
        _check_even_slices(np.array(positions), np.array(orientations), folder)
    return image


def _series_file_names(folder):
    """The sorted files of the only image series in ``folder``."""
    found, in_series = [], set()
    for uid in sitk.ImageSeriesReader.GetGDCMSeriesIDs(str(folder)):
        names = sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder), uid)
        in_series.update(Path(name).name for name in names)
        first = sitk.ImageFileReader()
        first.SetFileName(names[0])
        try:
            first.ReadImageInformation()
        except RuntimeError:
            continue  # a report, a presentation state or another object without pixels
        keys = first.GetMetaDataKeys()
        text = [first.GetMetaData(key).strip() for key in ("0008|0060", "0008|103e") if key in keys]
        found.append((" ".join(filter(None, text)) or uid, names))
    for entry in sorted(folder.iterdir()):
        if entry.name not in in_series and entry.name.upper() != "DICOMDIR" and entry.is_file() and _is_dicom(entry):
            raise InputError(f"{folder}: {entry.name} is a truncated or damaged DICOM file; copy the series again")
    if not found:
        raise InputError(f"{folder} holds no DICOM images; choose a volume file or the folder of one DICOM series")
    if len(found) > 1:
        listed = ", ".join(f"{text} ({len(names)} images)" for text, names in found)
        raise InputError(f"{folder} holds {len(found)} series: {listed}; put the one to use into a folder of its own")
    return found[0][1]


def _is_dicom(path):
    with open(path, "rb") as file:
        return file.read(132)[128:] == b"DICM"


def _tag(reader, slice_, key, length):
    """The ``length`` numbers of a DICOM tag of one slice, or None."""
    try:
        numbers = [float(text) for text in reader.GetMetaData(slice_, key).split("\\")]
    except (RuntimeError, ValueError):
        return None
    return numbers if len(numbers) == length else None


def _check_even_slices(positions, orientations, folder):
    if np.abs(orientations - orientations[0]).max() > 1e-3:
        raise InputError(f"{folder} mixes slices of different orientations; put one stack into a folder of its own")
    normal = np.cross(orientations[0][:3], orientations[0][3:])
    gaps = np.diff(np.sort(np.asarray(positions @ normal, np.float64)))
    usual = float(np.median(gaps))
    if gaps.min() < 1e-3:
        raise InputError(f"{folder} holds several slices at one position (time points or phases?); keep one of each")
    if np.abs(gaps - usual).max() > _UNEVEN_SPACING * usual:
        raise InputError(
            f"{folder}: slices are {gaps.min():.3g} to {gaps.max():.3g} mm apart instead of evenly spaced "
            "(missing slices?); copy the series again or resample it"
        )


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
                sitk.WriteImage(image, str(part), useCompression=True, compressionLevel=1)
                voxels = image.GetNumberOfPixels() * image.GetNumberOfComponentsPerPixel()
                check_complete(part, voxels * image.GetSizeOfPixelComponent())
        except (RuntimeError, InputError):
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
