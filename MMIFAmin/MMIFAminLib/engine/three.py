"""Three at once: a second anatomical volume is fused with the first, and uptake is put on what comes of the two.

Data goes one way, so that all that is proven of two pictures and of uptake on anatomy holds one after the other: see
``docs/method.md``.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import SimpleITK as sitk

from ..volume import geometry, intensity
from ..volume.choices import Kind
from ..volume.recognition import Hints
from ..volume.resampling import resample_to
from ..volume.slices import squaring
from ..volume.three import choose_second
from ..volume.through_plane import steady
from .progress import Reporter
from .reporting import through_plane
from .volumes import finite, images_lock, scalar, voxels

ANATOMY = intensity.Window(0.0, 1.0, "two anatomical volumes fused")
"""The window through which uptake's fusion sees the fused anatomy."""


@dataclass(frozen=True)
class Second:
    """The second anatomical volume: float32 ``image`` on the grid of the first, in its own units, and its ``window``.

    ``region`` is "head" or "trunk" where it is a CT that tells, else None; ``facts`` are for the report.
    """

    image: sitk.Image
    window: intensity.Window
    region: str | None
    facts: dict[str, Any]


def taken_in(
    image: sitk.Image,
    anatomical: sitk.Image,
    hints: Hints,
    spec: "intensity.WindowSpec",
    insist: bool,
    tick: Callable[[float], object],
    warnings: list[str],
) -> Second:
    """The second anatomical volume ``image``, brought onto the grid of ``anatomical``; adds to ``warnings``.

    ``hints``, window ``spec`` and ``insist`` are as ``VolumeFuser.fuse`` takes them for the first; ``tick`` is called with
    the fraction done. Raises InputError for what shows uptake or cannot be used, GeometryError where the two do not overlap.
    """
    name = "second anatomical"
    with images_lock:
        geometry.check_volume(image, name)
        image = finite(scalar(image, name, warnings), name, warnings)
        values = voxels(image)
    chosen = choose_second(values, image.GetSpacing()[::-1], spec, hints)
    with images_lock:
        both = ("anatomical", name)
        image, overlap = resample_to(image, anatomical, names=both, tick=tick, insist=insist, hints=hints)
    if overlap.message:
        warnings.append(overlap.message)
    window = chosen.window
    facts = {
        "window": {"low": window.low, "high": window.high, "origin": window.origin},
        "taken_for": chosen.taken_for,
        "overlap": overlap.fraction,
    }
    return Second(image, window, chosen.region, facts)


def anatomy_of_two(
    fuse_slices: Callable[..., int],
    first: tuple[np.ndarray, intensity.Window],
    second: Second,
    view: geometry.SliceView,
    reporter: Reporter,
    warnings: list[str],
) -> tuple[np.ndarray, dict[str, Any]]:
    """The two anatomical volumes fused, float32 ``(D, H, W)`` in [0, 1] as ``view`` lays them out; and its facts.

    ``first`` is the slices of the first with their window; ``fuse_slices`` fills an array from two sources of one kind,
    ``VolumeFuser``'s own. As with two alone, the result may not flicker from slice to slice.
    """
    sources: Sequence[Any] = [first, (view.take(voxels(second.image)), second.window)]
    anatomy = np.zeros(second.image.GetSize()[::-1], np.float32)
    shown = view.take(anatomy)
    slices = fuse_slices(
        sources, squaring(*view.pixel_spacing), Kind.ANATOMICAL, shown, reporter, warnings, volume=True
    )
    return shown, {"slices": slices, "through_plane": through_plane(*steady(shown, sources))}
