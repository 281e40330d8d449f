"""``mmifamin series``: what DICOM series a folder holds."""

import argparse

from .terminal import print_table, say


def series(options: argparse.Namespace) -> None:
    """List the DICOM series in a folder and its subfolders, with the numbers by which other commands choose one.

    FOLDER::#2, FOLDER::SeriesInstanceUID or FOLDER::part of a description stands for a series wherever a volume is asked
    for. What is set aside (localizers, secondary captures, projections, PET without attenuation correction) is never
    chosen by itself.
    """
    from ..files.dicom_index import check_images
    from ..files.volumes import list_series

    contents = list_series(options.folder)
    check_images(contents)
    lines = [
        (
            f"#{number}",
            one.patient_id,
            one.study,
            one.modality,
            one.description,
            str(one.images),
            f"{one.columns} x {one.rows}",
            one.unit,
            one.aside,
        )
        for number, one in enumerate(contents.series, 1)
    ]
    columns = ("", "patient", "study", "modality", "description", "images", "size", "unit", "set aside")
    print_table(f"DICOM series in {contents.folder}", columns, lines)
    if contents.others:
        print(f"Besides: {', '.join(contents.others)}.")
    for path, fault in contents.damaged.items():
        say("warning", f"{path} {fault}")
