"""What a fusion tells of itself: plain values for JSON."""

from typing import Any

import numpy as np
import SimpleITK as sitk
import torch

from .. import __version__
from ..volume.choices import Choices
from ..volume.resampling import Overlap
from .execution import peak_memory_mb
from .weights import WeightsInfo

NOTICE = "Research use only: not a medical device, not for diagnosis or treatment."


def report_of(
    computing: dict[str, Any],
    weights: WeightsInfo,
    choices: Choices,
    plane: str,
    overlap: Overlap,
    slices: int,
    steadied: tuple[float, float],
    seconds: dict[str, float],
    warnings: list[str],
) -> dict[str, Any]:
    """The report of one fusion with ``weights``: ``computing`` is on what, ``steadied`` the through-plane ratio and damping."""
    return {
        "notice": NOTICE,
        "versions": {
            "mmifamin": __version__,
            "torch": torch.__version__,
            "simpleitk": sitk.Version.VersionString(),
        },
        "weights": {"name": weights.name, "sha256": weights.sha256},
        **computing,
        "plane": plane,
        "windows": {
            role: {"low": window.low, "high": window.high, "origin": window.origin}
            for role, window in zip(("anatomical", "functional"), choices.windows)
        },
        "taken_for": choices.taken_for,
        "overlap": overlap.fraction,
        "slices": slices,
        "through_plane": through_plane(*steadied),
        "seconds": {stage: round(value, 4) for stage, value in seconds.items()},
        "slices_per_second": round(slices / max(seconds["network"], 1e-9), 2),
        "peak_memory_mb": peak_memory_mb(),
        "warnings": warnings,
    }


def through_plane(ratio: float, damping: float) -> dict[str, float | None]:
    """How much a fused volume varies across its slices, and by how much a voxel was moved for it at most."""
    return {"ratio": round(ratio, 4) if np.isfinite(ratio) else None, "damping": round(damping, 4)}
