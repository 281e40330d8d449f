"""What the stored values of a DICOM frame mean: modality transform, tables and real world value mappings (PS3.3 C.11.1,
C.7.6.16.2.11), and the functional groups of a frame that tell it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InputError
from .dicom_labels import many
from .suv import kind_in_words

if TYPE_CHECKING:
    from pydicom import Dataset

UNITS = {
    "Bq/ml": "BQML",
    "Bq/mL": "BQML",
    "[hnsf'U]": "HU",
}
"""DICOM's own names (PS3.3 C.8.9.1) of units that a real world value mapping gives in UCUM."""

_NO_UNIT = ("", "1", "US", "UNSPECIFIED", "CNTS", "PROPCNTS", "NONE", "[arb'U]", "{counts}", "{no units}")


@dataclass(frozen=True)
class Mapping:
    """Stored values to real ones: ``slope * stored + intercept``, or a table that begins at stored value ``first``."""

    slope: float = 1.0
    intercept: float = 0.0
    table: np.ndarray | None = field(default=None, compare=False)
    first: int = 0

    @property
    def is_integer(self) -> bool:
        """Whether integers stay integers."""
        return self.table is None and self.slope == 1 and float(self.intercept).is_integer()

    def __call__(self, stored: np.ndarray) -> np.ndarray:
        """float64 values of an array of stored ones."""
        if self.table is not None:
            index = np.clip(stored.astype(np.int64) - self.first, 0, len(self.table) - 1)
            return self.table[index].astype(np.float64)
        return stored.astype(np.float64) * self.slope + self.intercept


def _items(dataset, number, name):
    """The items of the functional group ``name`` of frame ``number``: the frame's own, else the shared ones, else none."""
    for sequence, place in (("PerFrameFunctionalGroupsSequence", number), ("SharedFunctionalGroupsSequence", 0)):
        items = dataset.get(sequence) or []
        if place < len(items) and (found := items[place].get(name)):
            return list(found)
    return []


def groups_of(dataset: Dataset, number: int) -> Callable[[str], Dataset | None]:
    """What looks a functional group of frame ``number`` up by its name: its first item, or None."""
    return lambda name: next(iter(_items(dataset, number, name)), None)


def mapping_of(dataset: Dataset, number: int, path: Path) -> tuple[Mapping, Mapping, str | None]:
    """The :class:`Mapping` of a frame, the one that slope and intercept alone give, and the unit of the first."""
    modality, transform = dataset.get("Modality"), groups_of(dataset, number)("PixelValueTransformationSequence")
    source = dataset if transform is None else transform
    rescaled = source.get("RescaleSlope") not in (None, "")
    unit = dataset.get("Units") or source.get("RescaleType")
    if modality == "CT" and rescaled and not unit:  # RescaleType is needed only where it is not HU (PS3.3 C.8.2.1)
        unit = "HU"
    slope, intercept = number_in(source.get("RescaleSlope")), number_in(source.get("RescaleIntercept"))
    mapping = rescale = Mapping(1.0 if slope is None else slope, intercept or 0.0)
    real = _real_world(dataset, number)
    if real is not None and (not rescaled or (str(unit or "") in _NO_UNIT and real[1] not in _NO_UNIT)):
        mapping, unit = real
    elif dataset.get("ModalityLUTSequence"):
        mapping = _modality_table(dataset.ModalityLUTSequence[0])
    elif rescaled and slope is None:
        raise InputError(f"{path} is damaged: its rescale slope is {source.get('RescaleSlope')}")
    elif rescaled and intercept is None and source.get("RescaleIntercept") not in (None, ""):
        raise InputError(f"{path} is damaged: its rescale intercept is {source.get('RescaleIntercept')}")
    return mapping, rescale, UNITS.get(str(unit), str(unit)) if unit and unit != "US" else None  # US: unspecified


def _real_world(dataset, number):
    """The mapping and the unit of the first real world value mapping, one with a unit before others; or None.

    Several in one unit, each for stored values of its own, are one table.
    """
    name = "RealWorldValueMappingSequence"
    found = _items(dataset, number, name) or dataset.get(name) or []
    options = []
    for item in found:
        codes = item.get("MeasurementUnitsCodeSequence") or []
        unit = _unit(codes[0]) if codes else ""
        if item.get("RealWorldValueLUTData") is not None:
            table = np.asarray(many(item.RealWorldValueLUTData), float)
            options.append((Mapping(table=table, first=int(_mapped(item, "First") or 0)), unit, item))
        elif (slope := number_in(item.get("RealWorldValueSlope"))) is not None:
            options.append((Mapping(slope, number_in(item.get("RealWorldValueIntercept")) or 0.0), unit, item))
    chosen = min(options, key=lambda option: option[1] in _NO_UNIT, default=None)
    if chosen is None:
        return None
    parts = {}
    for mapping, unit, item in options:
        ends = _mapped(item, "First"), _mapped(item, "Last")
        if unit == chosen[1] and None not in ends:
            parts.setdefault(ends, mapping)
    return _joined(parts) if len(parts) > 1 and _apart(parts) else chosen[0], chosen[1]


def _mapped(item, end):
    """The "First" or "Last" stored value that a real world value mapping is for, or None where it does not tell."""
    name = f"RealWorldValue{end}ValueMapped"
    return number_in(item.get(name, item.get(f"DoubleFloat{name}")))


def _apart(parts):
    """Whether the (first, last) of ``parts`` are ranges of 16 bits that do not overlap."""
    ends = sorted(parts)
    return all(-(1 << 15) <= low <= high < 1 << 16 for low, high in ends) and all(
        one[1] < next_[0] for one, next_ in zip(ends, ends[1:])
    )


def _joined(parts):
    """One table of mappings by the (first, last) stored value that each is for; those between go with the lower one."""
    ends = sorted(parts)
    first, last = int(ends[0][0]), int(ends[-1][1])
    stored = np.arange(first, last + 1)
    table = np.empty(len(stored))
    for low, high in ends:
        table[stored >= low] = parts[low, high](stored[stored >= low])
    return Mapping(table=table, first=first)


def _unit(code):
    """The UCUM code, with its meaning where only that tells of which kind an SUV is ("g/ml")."""
    value, meaning = str(code.get("CodeValue") or ""), str(code.get("CodeMeaning") or "")
    return f"{value} {meaning}" if kind_in_words(meaning) and not kind_in_words(value) else value


def _modality_table(item):
    count, first, bits = (int(number) for number in item.LUTDescriptor)
    data = item.LUTData
    if isinstance(data, bytes):
        data = np.frombuffer(data, np.uint8 if bits <= 8 else "<u2")
    return Mapping(table=np.asarray(data, float)[: count or 1 << 16], first=first)


def number_in(value: Any) -> float | None:
    """``value`` as a finite number, or None."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if np.isfinite(number) else None


def numbers_in(value: Any, length: int) -> np.ndarray | None:
    """``value`` as an array of ``length`` finite numbers, or None."""
    numbers = [number_in(part) for part in many(value)]
    return np.array(numbers, float) if len(numbers) == length and None not in numbers else None
