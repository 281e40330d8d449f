"""Fuse one study as its options ask for it, and write what they name."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .. import __version__
from ..errors import InputError
from . import outputs
from .options import check_options
from .presets import settled

if TYPE_CHECKING:
    import SimpleITK as sitk

    from ..display.color import ColorTable
    from ..engine import FusedVolume, VolumeFuser
    from ..engine.progress import Progress


@dataclass(frozen=True)
class FusedStudy:
    """What came of a study: the ``anatomical`` volume as it was read, the ``fused`` one, the colour ``table`` in use, the
    ``report`` (plain values for JSON) and ``warnings`` for a person, which may name files though the report does not.
    """

    anatomical: sitk.Image
    fused: FusedVolume
    table: ColorTable
    report: dict[str, Any]
    warnings: tuple[str, ...]


def fuse_study(options: argparse.Namespace, load: Callable[[], VolumeFuser], progress: Progress) -> FusedStudy:
    """Read the sources of ``options``, fuse them, and write output, picture and report, each whole or not at all.

    ``options`` has the values of ``study.options`` and the paths ``anatomical``, ``functional`` (None where one DICOM
    folder holds both), ``second`` (a second anatomical volume; None where two are fused), ``output``, ``preview``,
    ``report`` and ``transform`` (None where they are not wanted); ``color_table`` may be a ColorTable. The fuser is had by
    ``load`` once the sources are read.

    Raises MMIFAminError with one sentence; nothing is written then, except where a later file could not be.
    """
    from ..display import color, preview
    from ..files import write_json, write_png
    from ..files.writing import check_picture
    from .alignment import aligned
    from .sources import read_sources, told

    options = settled(options)
    check_options(options)
    outputs.check_fuse_outputs(options)
    if options.preview:
        check_picture(options.preview)
    table = options.color_table or None
    if isinstance(table, str):
        table = color.ColorTable.named(table)
    sources, files, warnings = read_sources(options)
    outputs.check_fuse_sources(options, files)
    anatomical = files[0].image
    fuser = load()
    functional, alignment, *transforms = aligned((files[0], files[1]), options, progress, warnings)
    second, second_facts = None, {}
    if options.second:
        second, found, transform = aligned((files[0], files[2]), options, progress, warnings, "second anatomical")
        transforms.append(transform)
        second_facts = {"alignment": found} | ({} if options.anonymous else {"file": sources[2]})
    fused = fuser.fuse(
        anatomical,
        functional,
        second_anatomical=second,
        plane=options.plane,
        anatomical_window=options.window,
        functional_window=options.functional_window,
        second_window=options.second_window,
        kind=options.kind,
        **told(*files),
        names=outputs.names(sources, options),
        insist=options.insist,
        progress=progress,
    )
    table = table or _own_table(functional)
    image = fused.rgb(table, options.functional_weight) if options.rgb else fused.image
    written = outputs.write_fused(image, options, files)
    outputs.write_transforms(transforms, options)
    facts = fused.report | {
        "alignment": alignment,  # the warnings of sources name files and patients' series
        "warnings": ([] if options.anonymous else warnings) + written + fused.report["warnings"],
    }
    if second is not None:
        facts["second"] = second_facts | fused.report["second"]
    if options.preview:
        picture = preview(
            anatomical,
            fused,
            table=table,
            weight=options.functional_weight,
            titles=outputs.titles(sources, options),
            unit=files[1].about.unit,
            position=options.preview_at,
            overlay=options.preview_overlay,
            footer=f"MMIFAmin {__version__}. {facts['notice']}",
        )
        write_png(picture, options.preview)
    used = outputs.told(sources, files[1].about, options)
    report = (
        used
        | {"preset": options.preset, "color_table": table.name, "functional_weight": options.functional_weight}
        | facts
    )
    if options.report:
        write_json(report, options.report)
    heard = (warnings if options.anonymous else []) + facts["warnings"]
    return FusedStudy(anatomical, fused, table, report, tuple(heard))


def _own_table(functional: sitk.Image) -> ColorTable:
    """The palette that an RGB functional volume already uses, else the default table."""
    import SimpleITK as sitk

    from ..display import color

    if functional.GetNumberOfComponentsPerPixel() == 3:
        try:
            return color.ColorTable.named(color.recover_uptake(sitk.GetArrayViewFromImage(functional))[1])
        except InputError:
            pass  # Colours of no known palette: its luma was fused and is coloured anew.
    return color.ColorTable.named(color.DEFAULT)
