"""The unit in which a functional volume is fused: SUV where the headers give it, and what the report says of it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ..errors import InputError

if TYPE_CHECKING:
    from .about import VolumeFile

UNITS = ("suv", "suv-lbm", "suv-lbm-james", "suv-bsa", "suv-ibw", "bqml", "counts")


def in_unit(file: VolumeFile, wanted: str | None = None) -> tuple[VolumeFile, dict[str, object], list[str]]:
    """``file`` in the unit ``wanted`` (of :data:`UNITS`; None: SUV where a PET's headers give it, else as it is).

    Returns it with its facts for the report (``unit``, and of an SUV the factor and what it comes from; nothing that names
    the patient) and warnings. Raises InputError where ``wanted`` cannot be had, with the reason.
    """
    from .suv import suv_factor

    about = file.about
    if wanted is not None and wanted not in UNITS:
        raise InputError(f"there is no unit '{wanted}': choose one of {', '.join(UNITS)}")
    if wanted in ("bqml", "counts"):
        held = {"BQML": "bqml", "CNTS": "counts", "PROPCNTS": "counts"}.get(about.unit or "")
        if held != wanted:
            raise InputError(f"--unit {wanted}: the functional volume is in {about.unit or 'an unknown unit'}")
        return file, {"unit": about.unit}, []
    is_pet = about.modality == "PT" and bool(about.datasets)
    if not is_pet and wanted is None:
        return file, {"unit": about.unit}, []
    if not is_pet:
        raise InputError(f"--unit {wanted}: SUV needs a PET with its DICOM headers")
    try:
        suv = suv_factor(about.datasets, about.unit, wanted or "suv")
    except InputError as error:
        if wanted is not None:
            raise
        return file, {"unit": about.unit}, [f"{error}; fused in {about.unit or 'an unknown unit'}"]
    image = file.image
    if suv.factor != 1:
        import SimpleITK as sitk

        image = sitk.Cast(sitk.Cast(image, sitk.sitkFloat64) * suv.factor, sitk.sitkFloat32)
        for key in file.image.GetMetaDataKeys():
            image.SetMetaData(key, file.image.GetMetaData(key))
    name = "SUV" if suv.kind == "suv" else suv.kind.replace("suv", "SUV", 1)
    facts = {
        "unit": name,
        "suv_factor": suv.factor,
        "suv_from": suv.origin,
        "weight_kg": suv.weight,
        "dose_bq": suv.dose,
    }
    facts |= {"half_life_s": suv.half_life, "uptake_time_s": suv.uptake_time}
    return replace(file, image=image, about=replace(about, unit=name)), facts, []


def window_in_unit(spec: str, unit: str | None) -> str:
    """A window SPEC without its ``suv:``; raises InputError where it names SUV and ``unit`` is another."""
    text = spec.strip()
    if not text.lower().startswith("suv:"):
        return spec
    if not (unit or "").startswith("SUV"):
        raise InputError(f"the window {text} is in SUV, the functional volume in {unit or 'an unknown unit'}")
    return text[4:]
