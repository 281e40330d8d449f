"""The two volumes that a fusion is asked for: which they are, whose they are, and whether they belong together."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InputError, SeveralVolumes

if TYPE_CHECKING:
    from ..files import VolumeFile


def read_sources(options: argparse.Namespace) -> tuple[tuple[Path, Path], tuple[VolumeFile, VolumeFile], list[str]]:
    """The names of the anatomical and the functional volume that ``options`` ask for, both as read, and what to warn of.

    One folder alone stands for both where their roles are plain. Raises InputError for what cannot be read, for one
    volume given twice and, unless ``options.different_patients``, for two patients.
    """
    names, series = _names(options.anatomical, options.functional)
    several: list[bool] = []
    volumes = [_read(name, one, options.frame, several) for name, one in zip(names, series)]
    if options.frame is not None and not any(several):
        raise InputError(f"neither {names[0]} nor {names[1]} holds several volumes: leave out --frame")
    warnings = [warning for volume in volumes for warning in volume.warnings]
    if message := other_patient(*volumes):
        if not options.different_patients:
            raise InputError(f"{names[0]} and {names[1]} {message}; if you mean it, say --different-patients")
        warnings.append(f"{names[0]} and {names[1]} {message}")
    if message := other_frame_of_reference(*volumes):
        warnings.append(f"{names[0]} and {names[1]} {message}")
    return names, (volumes[0], volumes[1]), warnings


def other_patient(anatomical: VolumeFile, functional: VolumeFile) -> str:
    """In words, that both volumes name a patient and not the same one; else ""."""
    ids = [(volume.about.patient_id or "").strip() for volume in (anatomical, functional)]
    return "are of different patients (their patient ids differ)" if all(ids) and ids[0] != ids[1] else ""


def other_frame_of_reference(anatomical: VolumeFile, functional: VolumeFile) -> str:
    """In words, that both volumes name a frame of reference and not the same one, and whether they seem aligned."""
    uids = [volume.about.frame_of_reference_uid for volume in (anatomical, functional)]
    if not all(uids) or uids[0] == uids[1]:
        return ""
    said = "have different frames of reference: nothing in them says that they are aligned"
    if any(volume.image.GetNumberOfComponentsPerPixel() > 1 for volume in (anatomical, functional)):
        return said
    from ..volume.registration import alignment_check

    try:
        answer = alignment_check(anatomical.image, functional.image).message
    except InputError as error:
        answer = f"the alignment check cannot tell ({error})"
    return f"{said}; {answer}"


def _names(anatomical, functional):
    """The two names and, where one folder stands for both, its two series."""
    from ..files.dicom_index import plain_pair
    from ..files.volumes import list_series

    if functional is None:
        contents = list_series(anatomical)
        pair = plain_pair(contents)
        numbers = [contents.series.index(one) + 1 for one in pair]
        return (Path(f"{contents.folder}::#{numbers[0]}"), Path(f"{contents.folder}::#{numbers[1]}")), pair
    if anatomical.resolve() == functional.resolve():
        raise InputError(
            f"{anatomical} is both the anatomical and the functional volume; give two volumes (a folder that holds both "
            "is given once, or as FOLDER::#1 FOLDER::#2)"
        )
    return (anatomical, functional), (None, None)


def _read(name, series, frame, several):
    """The volume ``name``; ``frame`` counts only where it holds several, which is noted in ``several``."""
    from ..files import read_volume_file

    try:
        found = read_volume_file(name, series)
    except SeveralVolumes:
        if frame is None:
            raise
        found = read_volume_file(name, series, frame)
        several.append(True)
    return found
