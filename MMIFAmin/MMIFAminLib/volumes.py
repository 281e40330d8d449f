"""Volumes in files: anything SimpleITK reads, checked before it is believed; written whole or not at all."""

import errno
import os
import secrets
from contextlib import contextmanager
from pathlib import Path

import SimpleITK as sitk

from .errors import InputError

MAX_VOXELS = 2**30
"""Largest volume that is read (1024 x 1024 x 1024 voxels): beyond it a header is taken for damaged."""

WRITABLE = (".nrrd", ".nii.gz", ".nii", ".mha")
"""Formats that are one file each, so that they can appear by one atomic rename."""


def read_volume(path):
    """Read a volume file or a folder that holds one DICOM series into a ``SimpleITK.Image``.

    Raises :class:`InputError` with one clear line for a missing, damaged or oversized file, and for a folder without
    exactly one image series.
    """
    path = Path(path).expanduser()
    if not path.exists():
        raise InputError(f"{path}: no such file or folder")
    try:
        if path.is_dir():
            return _read_series(path)
        reader = sitk.ImageFileReader()
        reader.SetFileName(str(path))
        reader.ReadImageInformation()
        _check_size(reader.GetSize(), path)
        return reader.Execute()
    except RuntimeError as error:
        raise InputError(f"{path} cannot be read: {_reason(error)}") from None


def _read_series(folder):
    reader = sitk.ImageSeriesReader()
    series = reader.GetGDCMSeriesIDs(str(folder))
    if not series:
        raise InputError(f"{folder} holds no DICOM image series; choose the folder that holds the .dcm files")
    if len(series) > 1:
        raise InputError(f"{folder} holds {len(series)} DICOM series; put the wanted one in a folder of its own")
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder), series[0]))
    return reader.Execute()


def _check_size(size, path):
    voxels = 1
    for n in size:
        voxels *= int(n)
    if voxels > MAX_VOXELS:
        shape = " x ".join(map(str, size))
        raise InputError(f"{path} declares {shape} voxels, more than the {MAX_VOXELS:,} that are read: damaged header?")


def _reason(error):
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else "unknown reason"


def write_volume(image, path):
    """Write ``image`` to ``path`` (.nrrd, .nii.gz, .nii or .mha), atomically.

    Raises :class:`InputError` for other formats and for a place that cannot be written.
    """
    path = Path(path)
    if not path.name.lower().endswith(WRITABLE):
        raise InputError(f"{path}: volumes are written as {', '.join(WRITABLE)}; choose one of these endings")
    with atomic_path(path) as part:
        try:
            sitk.WriteImage(image, str(part), useCompression=True)
        except RuntimeError as error:
            raise InputError(f"{path} cannot be written: {_reason(error)}") from None


@contextmanager
def atomic_path(path):
    """Give a temporary path beside ``path`` to write to; on success it takes the final name in one step.

    On an exception nothing is left behind. Operating-system errors (no such folder, no permission, disk full) become
    one :class:`InputError`.
    """
    path = Path(os.path.realpath(Path(path).expanduser()))
    suffix = "".join(path.suffixes[-2:]) or ".part"
    part = path.with_name(f".{path.name[:40]}.{os.getpid()}-{secrets.token_hex(4)}{suffix}")
    try:
        if path.exists() and not path.is_file():
            raise InputError(f"{path} is not a plain file; choose another name for the output")
        yield part
        os.replace(part, path)
    except OSError as error:
        raise InputError(f"{path} cannot be written: {_os_reason(error)}") from error
    finally:
        part.unlink(missing_ok=True)


def _os_reason(error):
    return "the disk is full" if error.errno == errno.ENOSPC else (error.strerror or str(error)).lower()
