"""``FusedVolume``: what comes out of a fusion, to be saved, coloured, shown and explained."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
from PIL.Image import Image

from ..display import color, preview
from ..files import write_volume
from ..volume import geometry, intensity
from ..volume.resampling import Overlap
from .volumes import given_file, images_lock, voxels


@dataclass
class FusedVolume:
    """A fused volume and all that is needed to show, recolour and explain it.

    ``image``: float32 in [0, 1] on the anatomical grid. ``functional``: the functional volume on that grid, float32 in
    its own units (uptake in [0, 1] where it came as colours). ``second``: of three at once the second anatomical volume
    there, likewise, and its window. ``report``: plain values for JSON.
    """

    image: sitk.Image
    functional: sitk.Image
    anatomical_window: intensity.Window
    functional_window: intensity.Window
    overlap: Overlap
    report: dict[str, Any] = field(default_factory=dict)
    second: sitk.Image | None = None
    second_window: intensity.Window | None = None

    def rgb(self, table: "str | color.ColorTable" = color.DEFAULT, weight: float = 1.0) -> sitk.Image:
        """The fused volume in colours, 3 x uint8: from the anatomy's grey to the colours of ``table``.

        ``weight`` in [0, 1] scales the chroma; recolouring needs no second fusion.
        """
        if isinstance(table, str):
            table = color.ColorTable.named(table)
        with images_lock:
            fused, functional = voxels(self.image), voxels(self.functional)
        colored = np.empty(fused.shape + (3,), np.uint8)
        for k in range(len(fused)):  # slice by slice: no second volume in memory
            colored[k] = color.colorize(fused[k], self.functional_window.to_unit(functional[k]), table, weight)
        return geometry.image_like(self.image, colored)

    def save(self, path: str | Path, table: "str | color.ColorTable | None" = None, weight: float = 1.0) -> None:
        """Write the fused volume (.nrrd, .nii.gz, .nii, .mha): grey, or in the colours of ``table`` (see ``rgb``).

        Raises InputError where it cannot be written.
        """
        write_volume(self.image if table is None else self.rgb(table, weight), path)

    def preview(self, anatomical: "sitk.Image | str | Path", **options: Any) -> Image:
        """The picture of three planes, beside the ``anatomical`` volume: ``display.preview``, which has the options."""
        return preview(given_file(anatomical, "anatomical").image, self, **options)
