"""The volumes that the engine takes in: images or paths, made scalar and finite, their voxels shared with threads."""

import threading
from collections.abc import Iterable, Sequence
from ctypes import c_byte
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
import torch

from ..display import color
from ..errors import InputError
from ..files import VolumeFile, read_volume_file
from ..files.belonging import one_series, other_frame_of_reference, other_patient
from ..volume import geometry
from ..volume.recognition import Hints
from ..volume.slices import stretched

LUMA_FUSED = "is in colours of no known palette: its luma was fused."

ROLES = ("anatomical", "functional", "second anatomical")

images_lock = threading.RLock()
"""Held while views of images are taken and filters run on them: a view that is taken of an image while a filter runs on
it in another thread makes SimpleITK give the image a new buffer, and the older views then point to freed memory.
Reentrant, because ``progress`` is asked while a filter runs and may lead anywhere."""


def given_file(given: "sitk.Image | str | Path", role: str) -> VolumeFile:
    """A volume as it was given, or read from where it was said to be, with what its file says of it."""
    if isinstance(given, sitk.Image):
        return VolumeFile(geometry.scalar_pixels(given))
    if isinstance(given, (str, Path)):
        return read_volume_file(given)
    raise InputError(
        f"The {role} volume is a {type(given).__name__}: give a SimpleITK image, or the path of a file or DICOM folder."
    )


def given_volumes(
    given: "Sequence[sitk.Image | str | Path]", told: Sequence[Hints], insist: bool, warnings: list[str]
) -> tuple[list[sitk.Image], list[Hints]]:
    """The anatomical, the functional and, where three are given, the second anatomical volume, and what their callers or
    files tell of them; adds to ``warnings`` what the files warn of.

    Raises InputError for one volume given twice and, unless ``insist``, for files of two patients.
    """
    _check_twice(given)
    files = [given_file(one, role) for one, role in zip(given, ROLES)]
    for file in files:
        warnings += file.warnings
    for (role, first), (other_role, other) in combinations(zip(ROLES, files), 2):
        which = "two" if len(files) == 2 else f"{role} and the {other_role}"
        if message := one_series(first, other):
            raise InputError(f"The {which} volumes {message}: choose others.")
        if message := other_patient(first, other):
            if not insist:
                raise InputError(f"The {which} volumes {message}: if you mean it, say insist=True.")
            warnings.append(f"The {which} volumes {message}.")
        if first is files[0] and (message := other_frame_of_reference(first, other, (role, other_role))):
            warnings.append(f"The {which} volumes {message}")
    return [file.image for file in files], [_hints(*each) for each in zip(given, files, told)]


def _check_twice(given):
    for (role, one), (other_role, other) in combinations(zip(ROLES, given), 2):
        if one is other or (
            isinstance(one, (str, Path)) and isinstance(other, (str, Path)) and _place(one) == _place(other)
        ):
            number = "two" if len(given) == 2 else "three"
            raise InputError(f"The {role} and the {other_role} volume are one and the same: choose {number} volumes.")


def _place(path: "str | Path") -> Path:
    return Path(path).expanduser().resolve()


def _hints(given, file, told):
    name = Path(given).name if isinstance(given, (str, Path)) else None
    return Hints(file.about.modality or told.modality, file.about.unit or told.unit, told.name or name)


def voxels(image: sitk.Image) -> np.ndarray:
    """The voxels of ``image`` (K, J, I), to be read and written in place.

    Unlike SimpleITK's views the array keeps the image alive: a thread may still work on it when a fusion was cancelled.
    """
    view = sitk.GetArrayViewFromImage(image)
    memory: Any = (c_byte * view.nbytes).from_address(view.ctypes.data)
    memory.image = image
    return np.frombuffer(memory, view.dtype).reshape(view.shape)


def scalar(image: sitk.Image, name: str, warnings: list[str]) -> sitk.Image:
    """``image`` itself, or the uptake (known palette) or luma of a colour image."""
    if image.GetNumberOfComponentsPerPixel() == 1:
        return image
    rgb = sitk.GetArrayViewFromImage(image)[..., :3]
    values, table = color.values_of(rgb)
    if table is not None:
        warnings.append(f"The {name} volume is in colours: its values were recovered through the {table} palette.")
    else:
        warnings.append(f"The {name} volume {LUMA_FUSED}")
    return geometry.image_like(image, values)


def finite(image: sitk.Image, name: str, warnings: list[str]) -> sitk.Image:
    """``image`` itself, or a copy in which what is no number is background."""
    image, invalid = geometry.finite(image, f"{name} volume")
    if invalid:
        warnings.append(f"The {name} volume has {invalid} voxels that are not numbers: taken as background.")
    return image


def images_of(
    sources: Iterable[tuple[np.ndarray, Any]], indices: list[int], box: Any, factors: tuple[int, int]
) -> tuple[torch.Tensor, torch.Tensor]:
    """What the network sees of some slices of two ``(D, H, W)`` ``sources`` with their windows: ``(N, 1, h, w)`` in [0, 1].

    ``box`` is the part of a slice, ``factors`` how many times as many rows and columns.
    """
    units = (np.stack([window.to_unit(source[i][box]) for i in indices]) for source, window in sources)
    first, second = (torch.from_numpy(stretched(unit, factors)).unsqueeze(1) for unit in units)
    return first, second
