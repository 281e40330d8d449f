"""The unit in which a PET is read: SUV where its headers give it, and what a report says of it."""

from __future__ import annotations

from dataclasses import replace

from ..errors import InputError
from .about import About, VolumeFile
from .suv import KINDS, stored_kind, suv_factor

UNITS = (*KINDS, "bqml", "counts")
"""What can be asked for: kinds of SUV, or the values as they are stored."""

_STORED = {"BQML": "bqml", "CNTS": "counts", "PROPCNTS": "counts"}


def check_unit(unit: str | None) -> None:
    """Raise :class:`InputError` unless ``unit`` is None or one of :data:`UNITS`."""
    if unit is not None and unit not in UNITS:
        raise InputError(f"there is no unit '{unit}': choose one of {', '.join(UNITS)}")


def in_unit(file: VolumeFile, wanted: str | None = None) -> VolumeFile:
    """``file`` in the unit ``wanted`` (of :data:`UNITS`; None: SUV where a PET's headers give it, else as it is).

    Of an SUV, ``about.unit`` is "SUV" (body weight), "SUV-lbm", ... and ``about.suv`` what it comes from. Where nothing was
    ``wanted`` and SUV cannot be had, a warning says why. Raises :class:`InputError`, with the reason, where ``wanted``
    cannot be had.
    """
    about = file.about
    check_unit(wanted)
    if wanted in ("bqml", "counts"):
        if _STORED.get(about.unit or "") != wanted:
            raise InputError(f"{wanted} cannot be given: the values are in {about.unit or 'an unknown unit'}")
        return file
    if about.modality != "PT" or not about.datasets:
        if wanted is not None:
            raise InputError(f"{wanted} cannot be given: SUV needs a PET with its DICOM headers")
        return file
    try:
        return _in_suv(file, wanted or "suv")
    except InputError as error:
        if wanted is not None:
            raise
        return _as_stored(file, str(error))


def _in_suv(file, kind):
    suv = suv_factor(file.about.datasets, file.about.unit, kind)
    image = file.image
    if suv.factor != 1:
        import SimpleITK as sitk

        image = sitk.Cast(sitk.Cast(image, sitk.sitkFloat64) * suv.factor, sitk.sitkFloat32)
        for key in file.image.GetMetaDataKeys():
            image.SetMetaData(key, file.image.GetMetaData(key))
    return replace(file, image=image, about=replace(file.about, unit=suv.kind.replace("suv", "SUV", 1), suv=suv))


def _as_stored(file, reason):
    """``file`` as it is, by the name of the SUV that it may hold, with why it is not SUV by body weight."""
    try:
        held = stored_kind(file.about.datasets[0], file.about.unit or "")
    except InputError:
        held = None
    if held:
        file = _in_suv(file, held)
    return replace(
        file, warnings=(*file.warnings, f"{reason}; the values stay in {file.about.unit or 'an unknown unit'}")
    )


def unit_facts(about: About) -> dict[str, object]:
    """What a report says of the unit of the values, and of an SUV what it comes from; nothing that names the patient."""
    facts: dict[str, object] = {"unit": about.unit}
    if suv := about.suv:
        facts |= {"suv_factor": suv.factor, "suv_from": suv.origin, "weight_kg": suv.weight, "dose_bq": suv.dose}
        facts |= {"half_life_s": suv.half_life, "uptake_time_s": suv.uptake_time}
        facts |= {"injection_time": _clock(suv.injection), "scan_time": _clock(suv.scan)}
    return facts


def _clock(time):
    return f"{time:%H:%M:%S}" if time else None
