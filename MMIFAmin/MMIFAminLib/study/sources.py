"""The two volumes that a fusion is asked for: which they are, whose they are, and whether they belong together."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InputError, SeveralVolumes

if TYPE_CHECKING:
    from ..files import VolumeFile


def read_sources(options: argparse.Namespace) -> tuple[tuple[Path, Path], tuple[VolumeFile, VolumeFile], list[str]]:
    """The names of the anatomical and the functional volume that ``options`` ask for, both as read, and what to warn of.

    One folder alone stands for both where their roles are plain. Raises InputError for what cannot be read, for one
    volume given twice and, unless ``options.different_patients``, for two patients.
    """
    from ..files.belonging import other_frame_of_reference, other_patient

    names, series = _names(options.anatomical, options.functional)
    several: list[bool] = []
    units = (None, options.unit)
    volumes = [_read(name, one, options.frame, unit, several) for name, one, unit in zip(names, series, units)]
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


def _read(name, series, frame, unit, several):
    """The volume ``name`` in ``unit``; ``frame`` counts only where it holds several, which is noted in ``several``."""
    from ..files import read_volume_file

    try:
        found = read_volume_file(name, series, unit=unit)
    except SeveralVolumes:
        if frame is None:
            raise
        found = read_volume_file(name, series, frame, unit)
        several.append(True)
    return found


def told(anatomical: VolumeFile, functional: VolumeFile) -> dict[str, Any]:
    """What both files tell of themselves, as ``VolumeFuser.fuse`` takes it beside their images."""
    return {
        "anatomical_modality": anatomical.about.modality,
        "functional_modality": functional.about.modality,
        "functional_unit": functional.about.unit,
    }
