"""What a fusion of volume nodes would take them for, before it is made; PyTorch is not needed."""

from __future__ import annotations

import SimpleITK as sitk

from ..display.color import values_of
from ..errors import InputError
from ..volume import geometry
from ..volume.choices import choose, window_in_suv
from ..volume.recognition import Hints
from ..volume.resampling import overlap_of
from ..volume.three import check_three, choose_second
from .nodes import Snapshot, SourceVolume, naming


def taken_for(source: Snapshot, options: dict) -> dict:
    """`report["taken_for"]` of the fusion of a snapshot with `options` as `fuse_snapshot` takes them, and of three that of
    the "second"; any thread.

    The kind of the pair, and for each role what it shows, who told it, the region, the unit, and the share of voxels at
    or above the upper end of the window. Raises InputError for volumes and windows that cannot be fused, GeometryError for
    volumes that lie apart.
    """
    with naming(source):
        return _taken_for(source, options)


def _taken_for(source: Snapshot, options: dict) -> dict:
    anatomical, _ = _scalar(source.anatomical)
    functional, luma = _scalar(source.functional)
    overlap_of(functional, anatomical, ("anatomical", "functional"))
    told = (_hints(source.anatomical), _hints(source.functional))
    second = None
    if source.second is not None:
        image, _ = _scalar(source.second)
        overlap_of(image, anatomical, ("anatomical", "second anatomical"))
        values, spacing = sitk.GetArrayViewFromImage(image), image.GetSpacing()[::-1]
        second = choose_second(values, spacing, options["second_window"], _hints(source.second))
    choices = choose(
        sitk.GetArrayViewFromImage(anatomical),
        sitk.GetArrayViewFromImage(functional),
        (anatomical.GetSpacing()[::-1], functional.GetSpacing()[::-1]),
        (options["anatomical_window"], window_in_suv(options["functional_window"], told[1])),
        told,
        options["kind"],
        luma,
        second.region if second is not None else None,
    )
    if second is None:
        return choices.taken_for
    check_three(choices)
    return choices.taken_for | {"second": second.taken_for}


def label_maps(source: Snapshot) -> list[str]:
    """The names of the volumes of a snapshot that look like label maps, which a fusion refuses unless told to insist."""
    names = []
    for volume in source.sources:
        try:
            geometry.check_not_labels(_voxels(volume))
        except InputError:
            names.append(volume.name)
    return names


def _voxels(volume: SourceVolume) -> sitk.Image:
    assert volume.image is not None  # a snapshot lets go of its voxels only once it was fused
    return volume.image


def _hints(volume: SourceVolume) -> Hints:
    return Hints(volume.modality, volume.unit, volume.name)


def _scalar(volume: SourceVolume) -> tuple[sitk.Image, bool]:
    """The values of a volume, all of them numbers, and whether they are but the luma of colours."""
    image, luma = _voxels(volume), False
    if image.GetNumberOfComponentsPerPixel() > 1:
        values, palette = values_of(sitk.GetArrayViewFromImage(image)[..., :3])
        image, luma = geometry.image_like(image, values), palette is None
    return geometry.finite(image, f"'{volume.name}'")[0], luma
