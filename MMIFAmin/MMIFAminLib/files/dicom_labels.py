"""What tells DICOM frames at one place apart: time point, echo, phase, b-value (PS3.3 C.7.6.16, C.8.4.8)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pydicom import Dataset

_LABELS = {
    "time point": ("TemporalPositionIdentifier", "TemporalPositionIndex"),
    "echo": ("EffectiveEchoTime", "EchoTime", "EchoNumbers"),
    "cardiac phase": ("NominalPercentageOfCardiacPhase", "NominalCardiacTriggerDelayTime", "TriggerTime"),
    "respiratory phase": ("NominalPercentageOfRespiratoryPhase",),
    "b-value": ("DiffusionBValue",),
    "inversion time": ("InversionTimes", "InversionTime"),
    "flip angle": ("FlipAngle",),
    "image component": ("ComplexImageComponent",),
    "kind of image": ("FrameType", "ImageType"),
    "stack": ("StackID",),
    "frame time": ("FrameReferenceTime", "FrameReferenceDateTime"),
    "reconstruction kernel": ("ConvolutionKernel",),
    "acquisition": ("AcquisitionNumber", "FrameAcquisitionNumber"),
    "acquisition time": ("FrameAcquisitionDateTime", "AcquisitionDateTime", "AcquisitionTime"),
}
_FRAME_TYPES = ("MRImageFrameTypeSequence", "CTImageFrameTypeSequence", "PETFrameTypeSequence")
_GROUPS = {
    "TemporalPositionIndex": "FrameContentSequence",
    "EffectiveEchoTime": "MREchoSequence",
    "NominalPercentageOfCardiacPhase": "CardiacSynchronizationSequence",
    "NominalCardiacTriggerDelayTime": "CardiacSynchronizationSequence",
    "NominalPercentageOfRespiratoryPhase": "RespiratorySynchronizationSequence",
    "DiffusionBValue": "MRDiffusionSequence",
    "InversionTimes": "MRModifierSequence",
    "FlipAngle": "MRTimingAndRelatedParametersSequence",
    "StackID": "FrameContentSequence",
    "FrameReferenceDateTime": "FrameContentSequence",
    "FrameAcquisitionNumber": "FrameContentSequence",
    "FrameAcquisitionDateTime": "FrameContentSequence",
    "FrameType": _FRAME_TYPES,
    "ComplexImageComponent": _FRAME_TYPES,
    "ConvolutionKernel": "CTReconstructionSequence",
}


def labels(value: Callable[..., Any]) -> dict[str, str]:
    """What tells frames at one place apart, in the order in which it is tried."""
    found = {}
    for label, names in _LABELS.items():
        for name in names:
            groups = _GROUPS.get(name, ())
            if (got := value(name, *[groups] if isinstance(groups, str) else groups)) is not None:
                found[label] = "\\".join(f"{part:g}" if isinstance(part, float) else str(part) for part in many(got))
                break
    indices = value("DimensionIndexValues", "FrameContentSequence")  # what else the object is sorted by
    return found | {f"dimension {number}": str(index) for number, index in enumerate(many(indices), 1)}


_NM_VECTORS = {
    "slice": "SliceVector",
    "energy window": "EnergyWindowVector",
    "detector": "DetectorVector",
    "time point": "TimeSlotVector",
    "phase": "PhaseVector",
    "cardiac cycle": "RRIntervalVector",
    "rotation": "RotationVector",
}


def vectors(dataset: Dataset, number: int) -> dict[str, int]:
    """The place of an NM frame in each of its object's vectors, counted from 1 (C.8.4.8)."""
    places = {name: many(dataset.get(keyword)) for name, keyword in _NM_VECTORS.items()}
    return {name: int(vector[number]) for name, vector in places.items() if len(vector) > number}


def many(value: Any) -> list[Any]:
    """The values of an element, none, one or several, as a list."""
    if value is None or value == "":
        return []
    return list(value) if not isinstance(value, (str, bytes)) and hasattr(value, "__iter__") else [value]


def whole(value: Any) -> int | None:
    """The one whole number that an element holds, or None where it holds none, several, or something else."""
    try:
        return int(value)
    except (TypeError, ValueError):
        return None
