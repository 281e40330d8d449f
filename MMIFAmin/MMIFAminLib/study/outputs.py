"""The files that a study is fused into, and what they name: what the options ask for, looked at before the work."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from .alignment import check_transform, transform_of_second, write_transform

if TYPE_CHECKING:
    import SimpleITK as sitk

    from ..files import About, VolumeFile


def check_fuse_outputs(options: argparse.Namespace) -> None:
    """Settle whether the output is DICOM (``options.dicom``) and tell what cannot be written before the work."""
    from ..files import WRITABLE
    from ..files.writing import check_new_folder

    options.dicom = options.dicom or options.output.is_dir()
    if not options.dicom and not options.output.name.lower().endswith(WRITABLE):
        raise InputError(
            f"{options.output}: volumes are written as {', '.join(WRITABLE)}; choose one of these endings, or FOLDER/ for "
            "DICOM"
        )
    if options.uid_root is not None and not options.dicom:
        raise InputError("--uid-root is for DICOM: give it with --dicom or -o FOLDER/")
    check_transform(options)
    if options.second is None and options.second_window != "auto":
        raise InputError("--second-window is for three at once: give the volume with --second")
    given = list(filter(None, (options.anatomical, options.functional, options.second)))
    transforms = [options.transform]
    if options.transform and options.second:
        transforms.append(transform_of_second(options.transform))
    check_outputs([None if options.dicom else options.output, options.preview, options.report, *transforms], given)
    if options.dicom:
        check_new_folder(options.output)


def check_fuse_sources(options: argparse.Namespace, files: tuple[VolumeFile, ...]) -> None:
    """Tell before the work what cannot be one DICOM series, or shown in the picture."""
    if options.preview and options.preview_at:
        from ..display.figure import voxel_at

        voxel_at(files[0].image, options.preview_at)
    if options.dicom:
        from ..files.dicom_out import check_series

        check_series([file.about for file in files], options.anonymous, options.uid_root)


def write_transforms(transforms: Iterable[sitk.Transform | None], options: argparse.Namespace) -> None:
    """Write what registered the functional volume, and the second one where there is one, where ``options`` ask for it."""
    if options.transform:
        for transform, path in zip(transforms, (options.transform, transform_of_second(options.transform))):
            if transform is not None:
                write_transform(transform, path)


def write_fused(image: sitk.Image, options: argparse.Namespace, files: tuple[VolumeFile, ...]) -> list[str]:
    """Write ``image`` as ``options`` ask for; returns what to warn of."""
    from ..files import write_volume

    if not options.dicom:
        write_volume(image, options.output)
        return []
    from ..files.dicom_out import study_notice, write_dicom

    anatomical, functional, *others = (file.about for file in files)
    write_dicom(
        image,
        options.output,
        anatomical=anatomical,
        functional=functional,
        others=others,
        anonymous=options.anonymous,
        root=options.uid_root,
        registered=options.register,
    )
    return list(filter(None, [study_notice(anatomical, functional, options.anonymous, options.register)]))


_ANONYMOUS = ("anatomical", "functional", "second anatomical")


def names(sources: tuple[Path, ...], options: argparse.Namespace) -> tuple[str, ...]:
    """What warnings call the sources."""
    return _ANONYMOUS if options.anonymous else tuple(source.name for source in sources)


def titles(sources: tuple[Path, ...], options: argparse.Namespace) -> tuple[str, ...]:
    """What the picture calls the sources."""
    return _ANONYMOUS if options.anonymous else tuple(short_name(source) for source in sources)


def told(sources: tuple[Path, ...], functional: About, options: argparse.Namespace) -> dict[str, Any]:
    """What the report says of sources and output; of an anonymous one only unit and factor, no names, weight or times."""
    from ..files.units import unit_facts

    facts = unit_facts(functional)
    if options.anonymous:
        return {"functional": {key: facts[key] for key in ("unit", "suv_factor") if key in facts}}
    return {"anatomical": sources[0], "functional": {"file": sources[1]} | facts, "output": options.output}


def check_outputs(outputs: Iterable[Path | None], sources: Iterable[Path]) -> None:
    """Tell of a place that cannot be written, or that would overwrite a source, before the work rather than after."""
    from ..files.writing import check_output

    sources, seen = {source.resolve() for source in sources}, set()
    for path in filter(None, outputs):
        place = check_output(path)
        if place in sources:
            raise InputError(f"{path} is one of the sources; choose another name for the output")
        if place in seen:
            raise InputError(f"{path} is the name of two outputs; choose another name for one of them")
        seen.add(place)


def short_name(path: Path) -> str:
    """The file's name without its endings."""
    return path.name.split(".")[0] or path.name
