"""The volumes that a fusion is asked for: which they are, whose they are, and whether they belong together."""

from __future__ import annotations

import argparse
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InputError, SeveralVolumes

if TYPE_CHECKING:
    from ..files import VolumeFile


def read_sources(options: argparse.Namespace) -> tuple[tuple[Path, ...], tuple[VolumeFile, ...], list[str]]:
    """The names of the volumes that ``options`` ask for, these as read, and what to warn of.

    First the anatomical volume, then the functional one, then the ``second`` anatomical one where there is one. One folder
    alone stands for the first two where their roles are plain. Raises InputError for what cannot be read, for one volume
    given twice and, unless ``options.different_patients``, for two patients.
    """
    from ..files.belonging import one_series, other_frame_of_reference, other_patient

    names, series = _names(options.anatomical, options.functional, options.second)
    several: list[bool] = []
    units = (None, options.unit, None)
    volumes = [_read(name, one, options.frame, unit, several) for name, one, unit in zip(names, series, units)]
    if options.frame is not None and not any(several):
        raise InputError(f"neither {' nor '.join(map(str, names))} holds several volumes: leave out --frame")
    warnings = [warning for volume in volumes for warning in volume.warnings]
    for (one, first), (other, volume) in combinations(zip(names, volumes), 2):
        if message := one_series(first, volume):
            raise InputError(f"{one} and {other} {message}; give two volumes")
        if message := other_patient(first, volume):
            if not options.different_patients:
                raise InputError(f"{one} and {other} {message}; if you mean it, say --different-patients")
            warnings.append(f"{one} and {other} {message}")
    for name, volume in zip(names[1:], volumes[1:]):
        if message := other_frame_of_reference(volumes[0], volume, (names[0].name, name.name)):
            warnings.append(f"{names[0]} and {name} {message}")
    return names, tuple(volumes), warnings


def _names(anatomical, functional, second):
    """The names and, where one folder stands for the first two, their series."""
    from ..files.dicom_index import plain_pair
    from ..files.volumes import list_series

    if functional is None:
        contents = list_series(anatomical)
        series = plain_pair(contents)
        names = tuple(Path(f"{contents.folder}::#{contents.series.index(one) + 1}") for one in series)
    else:
        if anatomical.resolve() == functional.resolve():
            raise InputError(
                f"{anatomical} is both the anatomical and the functional volume; give two volumes (a folder that holds "
                "both is given once, or as FOLDER::#1 FOLDER::#2)"
            )
        names, series = (anatomical, functional), (None, None)
    if second is None:
        return names, series
    if second.resolve() in (name.resolve() for name in names):
        raise InputError(f"{second} is the second anatomical volume and one of the other two; give three volumes")
    return (*names, second), (*series, None)


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


def told(anatomical: VolumeFile, functional: VolumeFile, second: VolumeFile | None = None) -> dict[str, Any]:
    """What the files tell of themselves, as ``VolumeFuser.fuse`` takes it beside their images."""
    return {
        "anatomical_modality": anatomical.about.modality,
        "functional_modality": functional.about.modality,
        "second_modality": second.about.modality if second else None,
        "functional_unit": functional.about.unit,
    }
