"""The fused volume as DICOM, and outputs that do not name the patient: what the options of ``fuse`` ask for."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from .common import check_outputs, short_name

if TYPE_CHECKING:
    import SimpleITK as sitk

    from ..files import VolumeFile


class OutputAction(argparse.Action):
    """The path of the output; one that ends in a slash asks for DICOM (a ``Path`` would forget the slash)."""

    def __call__(self, parser, namespace, values, option_string=None) -> None:
        """Set ``output`` and, by the slash, ``dicom``."""
        text = str(values)
        namespace.output = Path(text)
        if text.endswith(tuple(filter(None, ("/", os.sep, os.altsep)))):
            namespace.dicom = True


def add_options(fuse: argparse.ArgumentParser) -> None:
    """Add the options on the output to the parser of ``fuse``."""
    fuse.add_argument(
        "-o",
        "--output",
        action=OutputAction,
        required=True,
        metavar="OUT",
        help="fused volume: .nrrd, .nii.gz, .nii, .mha, or a new or empty FOLDER/ for a DICOM series",
    )
    fuse.add_argument(
        "--dicom", action="store_true", help="write a DICOM series into the folder OUT, with or without a /"
    )
    fuse.add_argument("--uid-root", metavar="ROOT", help="root of the DICOM series' new UIDs (default: 2.25)")
    fuse.add_argument(
        "--anonymous", action="store_true", help="name neither the patient nor the sources in DICOM, picture and report"
    )


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
    given = list(filter(None, (options.anatomical, options.functional)))
    check_outputs(
        [None if options.dicom else options.output, options.preview, options.report, options.transform], given
    )
    if options.dicom:
        check_new_folder(options.output)


def check_fuse_sources(options: argparse.Namespace, files: tuple[VolumeFile, VolumeFile]) -> None:
    """Tell before the work what cannot be one DICOM series."""
    if options.dicom:
        from ..files.dicom_out import check_series

        check_series(files[0].about, files[1].about, options.anonymous, options.uid_root)


def write_fused(image: sitk.Image, options: argparse.Namespace, files: tuple[VolumeFile, VolumeFile]) -> list[str]:
    """Write ``image`` as ``options`` ask for; returns what to warn of."""
    from ..files import write_volume

    if not options.dicom:
        write_volume(image, options.output)
        return []
    from ..files.dicom_out import study_notice, write_dicom

    anatomical, functional = (file.about for file in files)
    write_dicom(
        image,
        options.output,
        anatomical=anatomical,
        functional=functional,
        anonymous=options.anonymous,
        root=options.uid_root,
    )
    return list(filter(None, [study_notice(anatomical, functional, options.anonymous)]))


def names(sources: tuple[Path, Path], options: argparse.Namespace) -> tuple[str, str]:
    """What warnings call the sources."""
    return ("anatomical", "functional") if options.anonymous else (sources[0].name, sources[1].name)


def titles(sources: tuple[Path, Path], options: argparse.Namespace) -> tuple[str, str]:
    """What the picture calls the sources."""
    return ("anatomical", "functional") if options.anonymous else (short_name(sources[0]), short_name(sources[1]))


def told(sources: tuple[Path, Path], unit_facts: dict[str, Any], options: argparse.Namespace) -> dict[str, Any]:
    """What the report says of sources and output; of an anonymous one only unit and factor, no names, weight or times."""
    if options.anonymous:
        return {"functional": {key: unit_facts[key] for key in ("unit", "suv_factor") if key in unit_facts}}
    return {"anatomical": sources[0], "functional": {"file": sources[1]} | unit_facts, "output": options.output}
