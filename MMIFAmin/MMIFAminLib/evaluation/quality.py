"""The quality of one fusion: the field's metrics on its slices, and their mean."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import SimpleITK as sitk

from ..errors import FusionCancelled, InputError
from ..volume.geometry import slice_view
from ..volume.intensity import Window
from .metrics import METRICS, PEAK, score

MOST_SLICES = 32
"""Slices scored of a volume, evenly spread over its content: the mean needs no more, and it takes seconds."""


@dataclass(frozen=True)
class Quality:
    """Scores of a fusion: `slices` (N,) numbers of the scored slices, `scores` one (N,) float array for each metric."""

    slices: np.ndarray
    scores: dict[str, np.ndarray]

    @property
    def means(self) -> dict[str, float]:
        """The mean of each metric over the slices where it is defined; NaN where it is defined on none."""
        return {
            name: float(np.mean(values[np.isfinite(values)])) if np.isfinite(values).any() else float("nan")
            for name, values in self.scores.items()
        }


class Fused(Protocol):
    """What is scored of a ``FusedVolume``: both images on the anatomical grid, and the windows of the sources."""

    image: sitk.Image
    functional: sitk.Image
    anatomical_window: Window
    functional_window: Window
    report: dict[str, Any]


def fused_quality(
    anatomical: sitk.Image,
    fused: Fused,
    *,
    most: int = MOST_SLICES,
    progress: Callable[[float, str], object] | None = None,
) -> Quality:
    """Score a ``FusedVolume`` along the plane that it was fused in, against both sources as the network saw them.

    ``anatomical`` is the scalar volume that it was fused from. Otherwise as :func:`measure_quality`.
    """
    view = slice_view(anatomical, fused.report["plane"])
    a = fused.anatomical_window.to_unit(sitk.GetArrayViewFromImage(anatomical))
    b = fused.functional_window.to_unit(sitk.GetArrayViewFromImage(fused.functional))
    arrays = (view.take(array) for array in (a, b, sitk.GetArrayViewFromImage(fused.image)))
    return measure_quality(*arrays, most=most, progress=progress)


def measure_quality(
    anatomical: np.ndarray,
    functional: np.ndarray,
    fused: np.ndarray,
    *,
    most: int = MOST_SLICES,
    progress: Callable[[float, str], object] | None = None,
) -> Quality:
    """Score a fused volume slice by slice against its sources, as the network saw them.

    All three are (D, H, W) arrays in [0, 1]. At most `most` slices, evenly spread over those where a source has any
    content, are scored. `progress(fraction, text)` may return False to stop, which raises FusionCancelled. Raises
    InputError for shapes that differ and for sources without content.
    """
    if not anatomical.shape == functional.shape == fused.shape or fused.ndim != 3:
        raise InputError(
            f"Quality needs three (D, H, W) volumes of one shape; these are {anatomical.shape}, {functional.shape} "
            f"and {fused.shape}."
        )
    filled = [d for d in range(len(fused)) if (anatomical[d] > 0).any() or (functional[d] > 0).any()]
    if not filled:
        raise InputError("Both sources are empty in their windows; there is no quality to measure.")
    chosen = np.array(filled)[np.unique(np.linspace(0, len(filled) - 1, min(most, len(filled))).round().astype(int))]
    rows = []
    for count, d in enumerate(chosen):
        if progress is not None and progress(count / len(chosen), f"Scoring slice {d}") is False:
            raise FusionCancelled("Measuring the quality was cancelled; nothing was written.")
        rows.append(score(*(np.clip(volume[d], 0, 1) * PEAK for volume in (anatomical, functional, fused))))
    scores = {metric.name: np.array([row[metric.name] for row in rows]) for metric in METRICS}
    return Quality(chosen, scores)
