"""Standardized uptake values from the headers of a PET series.

After the vendor-neutral procedure of QIBA's FDG-PET/CT profile (version 1.13, appendices G and H): SUV = value x factor,
where the value is rescaled as DICOM says. What is missing or contradicts itself gives no SUV, with the reason.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from math import exp, isfinite, log
from typing import TYPE_CHECKING

from ..errors import InputError
from .dicom_labels import many

if TYPE_CHECKING:
    from pydicom import Dataset

KINDS = ("suv", "suv-lbm", "suv-lbm-james", "suv-lbm-james-120", "suv-bsa", "suv-ibw")
"""Body weight; lean body mass after Janmahasatian (2005), after James (1976), or after James with 120 in place of 128 for
men, which is what DICOM means by LBM alone (PS3.3 C.8.9.1); body surface; ideal body weight."""

_OF_TYPE = {"": "suv", "BW": "suv", "LBM": "suv-lbm-james-120", "LBMJANMA": "suv-lbm", "LBMJAMES128": "suv-lbm-james"}
_OF_TYPE |= {"BSA": "suv-bsa", "IBW": "suv-ibw"}
_WORDS = (  # of UCUM codes and of their meanings (PS3.16 CID 85), the narrower kind first
    ("suv-lbm-james", r"james\W*128"),
    ("suv-lbm", "janma"),
    ("suv-lbm-james-120", "lbm|lean|james"),
    ("suv-bsa", "bsa|surface"),
    ("suv-ibw", "ibw|ideal"),
    ("suv", "suv|uptake"),
)
_ALIKE = ("PatientWeight", "PatientSize", "PatientSex", "Units", "DecayCorrection", "SUVType")
_ALIKE_INJECTED = (
    "RadionuclideTotalDose",
    "RadionuclideHalfLife",
    "RadiopharmaceuticalStartTime",
    "RadiopharmaceuticalStartDateTime",
)
_LEAST_SHARE = (
    0.25  # of the weight that stands for the body: formulas give less, or less than nothing, beyond their range
)
_OVER_MIDNIGHT = timedelta(hours=6)  # a start without a date counts as of the day before if no longer ago than this
_SAME_TIME_S = 2.0


@dataclass(frozen=True)
class Suv:
    """``factor`` takes values to SUV of ``kind``; ``weight`` (kg), ``dose`` (Bq), ``half_life`` (s) and the times it comes
    from are None where the scanner's own factor was used. ``injection`` and ``scan`` are the scanner's clock;
    ``uptake_time`` is from one to the other, in seconds, whatever time the values are corrected to."""

    kind: str
    factor: float
    origin: str
    weight: float | None = None
    dose: float | None = None
    half_life: float | None = None
    uptake_time: float | None = None
    injection: datetime | None = None
    scan: datetime | None = None


def suv_factor(datasets: Sequence[Dataset], unit: str | None = None, kind: str = "suv") -> Suv:
    """The :class:`Suv` of a series whose instances have the headers ``datasets``.

    ``unit`` is that of the rescaled values (default: Units, 0054,1001). Raises :class:`InputError` with what is missing or
    contradictory, and for a ``kind`` that is not of :data:`KINDS`.
    """
    if kind not in KINDS:
        raise InputError(f"there is no unit '{kind}': choose one of {', '.join(KINDS)}")
    if not datasets:
        raise InputError("SUV needs the DICOM headers of the PET series")
    _check_alike(datasets)
    first = datasets[0]
    unit = unit or str(first.get("Units") or "")
    if held := stored_kind(first, unit):
        stored = Suv(held, 1.0, "stored as SUV")
        return stored if held == kind else _other_kind(stored, first, kind)
    if str(first.get("Modality") or "PT") != "PT":
        raise InputError(f"SUV cannot be given: it is defined for PET, not for {first.Modality}")
    corrected = corrections_of(first) or ()
    if first.get("DecayCorrection") == "NONE" and "DECY" in corrected:
        raise InputError(
            "SUV cannot be given: the header contradicts itself: decay corrected (DECY in CorrectedImage), and not "
            "(DecayCorrection NONE)"
        )
    needed = ("ATTN",) if first.get("DecayCorrection") == "NONE" else ("ATTN", "DECY")
    if missing := [item for item in needed if item not in corrected]:
        raise InputError(f"SUV cannot be given: the PET is not corrected for {' and '.join(missing)} (CorrectedImage)")
    if unit == "BQML":
        found = _from_activity(datasets)
    elif unit == "CNTS":
        found = _from_counts(datasets)
    else:
        raise InputError(f"SUV cannot be given: it needs values in BQML, CNTS or GML, not {unit or 'of unknown unit'}")
    return found if kind == "suv" else _other_kind(found, first, kind)


def _check_alike(datasets):
    """Raise InputError unless all slices tell the same of patient, injection and units."""
    of_all = [(name, [ds.get(name) for ds in datasets]) for name in _ALIKE]
    injections = [(ds.get("RadiopharmaceuticalInformationSequence") or [{}])[0] for ds in datasets]
    of_all += [(name, [item.get(name) for item in injections]) for name in _ALIKE_INJECTED]
    for name, told in of_all:
        values = {str(value or "") for value in told}
        if len(values) > 1:
            raise InputError(
                f"SUV cannot be given: the slices contradict each other in {name} ({', '.join(sorted(values))})"
            )


def kind_in_words(text: str) -> str | None:
    """Of which of :data:`KINDS` a UCUM code such as ``g/ml{SUVlbm}``, or the meaning of one, speaks; None of another unit."""
    text = text.lower()
    if not re.search("suv|standardi[sz]ed uptake", text):
        return None
    return next(kind for kind, words in _WORDS if re.search(words, text))


def stored_kind(header: Dataset, unit: str) -> str | None:
    """Of which of :data:`KINDS` values in ``unit`` are already; None where they are no SUV.

    Raises :class:`InputError` for an SUV of unknown kind.
    """
    if kind := kind_in_words(unit):
        return kind
    if unit not in ("GML", "CM2ML"):
        return None
    type_ = str(header.get("SUVType") or ("BSA" if unit == "CM2ML" else ""))
    if type_ not in _OF_TYPE or (unit == "CM2ML" and type_ != "BSA"):
        raise InputError(f"SUV cannot be given: the values are of an unknown kind of SUV ({type_} in {unit})")
    return _OF_TYPE[type_]


def _from_counts(datasets):
    own = {_number(_private(ds, 0x7053, "Philips PET Private Group", 0x00)) for ds in datasets}
    if len(own) == 1 and (factor := own.pop() or 0) > 0:
        return Suv("suv", factor, "Philips' SUV factor (7053,1000)", weight=_number(datasets[0].get("PatientWeight")))
    activity = {_number(_private(ds, 0x7053, "Philips PET Private Group", 0x09)) for ds in datasets}
    scale = activity.pop() or 0 if len(activity) == 1 else 0
    if scale <= 0:
        raise InputError(
            "SUV cannot be given: the PET is in counts, without one factor of Philips (7053,1000 or 7053,1009)"
        )
    found = _from_activity(datasets)
    return replace(found, factor=found.factor * scale, origin="Philips' activity factor (7053,1009)")


def _from_activity(datasets):
    first = datasets[0]
    weight = _positive(first.get("PatientWeight"), "the patient's weight", 0.3, 500, "kg")
    items = first.get("RadiopharmaceuticalInformationSequence") or []
    if len(items) != 1:
        raise InputError(f"SUV cannot be given: the header describes {len(items)} radiopharmaceuticals, not one")
    dose = _positive(items[0].get("RadionuclideTotalDose"), "the injected dose", 1e6, 1e11, "Bq (is it in kBq or MBq?)")
    half_life = _positive(items[0].get("RadionuclideHalfLife"), "the half-life", 10, 1e8, "s")
    decay = "START" if _corrected_to(first) else str(first.get("DecayCorrection") or "")
    if decay not in ("START", "ADMIN", "NONE"):
        raise InputError(f"SUV cannot be given: decay correction is {decay or 'not told'}, not START, ADMIN or NONE")
    injection, scan = _times(datasets, items[0], decay, half_life)
    elapsed = (scan - injection).total_seconds() if scan and injection else 0.0
    if elapsed < 0:
        raise InputError("SUV cannot be given: the injection is after the scan")
    if elapsed > 12 * half_life:
        raise InputError(
            f"SUV cannot be given: the scan is {elapsed / 3600:.0f} h after the injection, over 12 half-lives"
        )
    if decay == "ADMIN":
        factor, origin = weight * 1000 / dose, "corrected to the injection"
    else:
        factor, origin = weight * 1000 / (dose * 2 ** (-elapsed / half_life)), "weight, dose and decay"
    uptake_time = elapsed if scan and injection else None  # ADMIN alone does without times
    return Suv("suv", factor, origin, weight, dose, half_life, uptake_time, injection, scan)


def _times(datasets, item, decay, half_life):
    """Injection and the time that the values are those of; None, None where ADMIN makes them needless and one is missing."""
    try:
        scan = _undecayed_time(datasets, half_life) if decay == "NONE" else _scan_time(datasets, half_life)
        return _injection(item, scan, datasets[0]), scan
    except InputError:
        if decay != "ADMIN":
            raise
        return None, None


def _scan_time(datasets, half_life):
    """The time that the values are decay corrected to: the series', unless that is of a later processing."""
    first = datasets[0]
    if time := _corrected_to(first):
        return time
    series = _time(first.get("SeriesDate"), first.get("SeriesTime"))
    acquired = [_acquisition(ds) for ds in datasets]
    earliest = min((time for time in acquired if time), default=None)
    if series and earliest and series <= earliest:
        return series
    own = _private(first, 0x0009, "GEMS_PETD_01", 0x0D) or ""
    if time := _time(own[:8], own[8:]):
        return time
    if earliest is None:
        raise InputError("SUV cannot be given: date and time of the acquisition are missing")
    computed = []
    for ds, time in zip(datasets, acquired):
        offset, duration = _number(ds.get("FrameReferenceTime")), _number(ds.get("ActualFrameDuration"))
        if not time or not offset or not duration or offset < 0 or duration < 0:
            return earliest
        computed.append(time + timedelta(seconds=_mean_time(duration / 1000, half_life) - offset / 1000))
    if (max(computed) - min(computed)).total_seconds() > 60:
        raise InputError("SUV cannot be given: the times of the bed positions contradict each other")
    return min(computed)


def _undecayed_time(datasets, half_life):
    """Without decay correction the values are those of the acquisition itself; one factor holds for one time only."""
    times = {_acquisition(ds) for ds in datasets}
    time = times.pop()
    if times or time is None:
        raise InputError("SUV cannot be given: without decay correction it needs one acquisition time for all slices")
    return time + timedelta(
        seconds=_mean_time((_number(datasets[0].get("ActualFrameDuration")) or 0) / 1000, half_life)
    )


def _mean_time(duration, half_life):
    """When in a frame of ``duration`` seconds the activity is that of its mean count rate."""
    constant = log(2) / half_life
    return log(constant * duration / (1 - exp(-constant * duration))) / constant if duration > 0 else 0.0


def _injection(item, scan, ds):
    clock = _time(scan.strftime("%Y%m%d"), item.get("RadiopharmaceuticalStartTime"))
    if full := _moment(item.get("RadiopharmaceuticalStartDateTime"), ds):
        if clock and min((off := abs((full - clock).total_seconds()) % 86400), 86400 - off) > _SAME_TIME_S:
            raise InputError("SUV cannot be given: two times of the injection contradict each other")
        return full
    if clock is None:
        raise InputError("SUV cannot be given: the time of the injection is missing")
    if clock > scan and scan - (clock - timedelta(days=1)) <= _OVER_MIDNIGHT:
        return clock - timedelta(days=1)
    return clock


def _other_kind(found, ds, kind):
    weight = _positive(ds.get("PatientWeight"), "the patient's weight", 0.3, 500, "kg")
    missing = [] if _number(ds.get("PatientSize")) else ["height"]
    if {kind, found.kind} - {"suv", "suv-bsa"} and ds.get("PatientSex") not in ("M", "F"):
        missing.append("sex (M or F)")
    if missing:
        reason = " and ".join(f"the patient's {what} is missing" for what in missing)
        raise InputError(
            f"{kind if kind != 'suv' else 'SUV'} cannot be given: {reason}; add it to the DICOM headers or ask for "
            f"{found.kind}"
        )
    return replace(found, kind=kind, factor=found.factor * _norm(kind, ds, weight) / _norm(found.kind, ds, weight))


def _norm(kind, ds, weight):
    """What stands for the body in SUV of ``kind``: kg, or for the surface tens of cm2 (so that all share the factor 1000)."""
    if kind == "suv":
        return weight
    height = 100 * _positive(ds.get("PatientSize"), "the patient's height", 0.2, 2.6, "m")
    if kind == "suv-bsa":  # Du Bois and Du Bois, 1916
        return 0.007184 * weight**0.425 * height**0.725 * 10
    sex = ds.PatientSex
    if kind == "suv-lbm":
        bmi = weight / (height / 100) ** 2
        return 9270 * weight / ((6680 + 216 * bmi) if sex == "M" else (8780 + 244 * bmi))
    if kind in ("suv-lbm-james", "suv-lbm-james-120"):
        a, b = (1.10, 120 if kind.endswith("120") else 128) if sex == "M" else (1.07, 148)
        mass = a * weight - b * (weight / height) ** 2
    else:
        mass = min(weight, (48.0 + 1.06 * (height - 152)) if sex == "M" else (45.5 + 0.91 * (height - 152)))
    if mass < _LEAST_SHARE * weight:
        other = ": ask for suv-lbm (Janmahasatian)" if kind.startswith("suv-lbm-james") else ""
        raise InputError(
            f"{kind} cannot be given: its formula does not hold for {weight:g} kg and {height:g} cm "
            f"(it gives {mass:.1f} kg){other}"
        )
    return mass


def corrections_of(header: Dataset) -> tuple[str, ...] | None:
    """What a PET or SPECT was corrected for, as Corrected Image (0028,0051) names it; None where the header does not say.

    Enhanced PET has an attribute for each instead (PS3.3 C.8.22.5).
    """
    if told := many(header.get("CorrectedImage")):
        return tuple(map(str, told))
    flags = {"ATTN": header.get("AttenuationCorrected"), "DECY": header.get("DecayCorrected")}
    return tuple(name for name, flag in flags.items() if flag == "YES") if any(flags.values()) else None


def _corrected_to(ds):
    """When the values are decay corrected to, where enhanced PET tells it outright."""
    return _moment(ds.get("DecayCorrectionDateTime"), ds)


def _acquisition(ds):
    """When a slice was acquired; without a date of its own that of the series, or the day after where it was past midnight."""
    own, series = ds.get("AcquisitionDate"), _time(ds.get("SeriesDate"), ds.get("SeriesTime"))
    time = _time(own or ds.get("SeriesDate"), ds.get("AcquisitionTime"))
    if time is None:  # of enhanced PET
        return _moment(ds.get("AcquisitionDateTime"), ds)
    if series and not own and series - time > timedelta(days=1) - _OVER_MIDNIGHT:
        return time + timedelta(days=1)
    return time


def _moment(value, ds):
    """A date with time on the clock of ``ds``: it may tell another offset from UTC than that (0008,0201)."""
    text = str(value or "").strip()
    time, there, here = _time(text[:8], text[8:]), _offset(text), _offset(str(ds.get("TimezoneOffsetFromUTC") or ""))
    return time if time is None or there is None or here is None else time - there + here


def _offset(text):
    match = re.search(r"([+-])(\d\d)(\d\d)$", text.strip())
    return None if not match else int(f"{match[1]}1") * timedelta(hours=int(match[2]), minutes=int(match[3]))


def _time(date, time):
    date, time = str(date or "").strip().replace(".", ""), str(time or "").strip().replace(":", "")
    time = time.split("+")[0].split("-")[0]
    whole, _, part = time.partition(".")
    try:
        seconds = timedelta(seconds=float(f"0.{part or 0}"))
        return datetime.strptime(date + whole.ljust(6, "0"), "%Y%m%d%H%M%S") + seconds if whole else None
    except ValueError:
        return None


def _positive(value, what, low, high, unit):
    number = _number(value)
    if not number:
        raise InputError(f"SUV cannot be given: {what} is missing")
    if not low <= number <= high:
        raise InputError(f"SUV cannot be given: {what} is {number:g}, not plausible in {unit}")
    return number


def _number(value):
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if isfinite(number) else None


def _private(ds: Dataset, group: int, creator: str, element: int) -> str | None:
    """The text of a private element, whichever block ``creator`` reserved, also where its VR is unknown."""
    try:
        value = ds.private_block(group, creator)[element].value
    except KeyError:
        return None
    return (value.decode("ascii", "ignore") if isinstance(value, bytes) else str(value)).strip(" \0")
