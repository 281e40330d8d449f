"""Which studies an input holds: a table, a BIDS dataset, or a tree of DICOM studies and volume files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..errors import InputError
from .manifest import Studies, checked, read_manifest


def find_studies(source: str | Path, filters: Sequence[str] = ()) -> Studies:
    """The studies of ``source``: a table (.csv, .tsv), a BIDS dataset (a folder with dataset_description.json) or a folder
    of DICOM studies and of volume files whose names tell their modality.

    ``filters`` ("subject=01,02", "anatomical:suffix=T2w") choose among the files of a BIDS dataset. Raises InputError where
    there is nothing to fuse or a filter cannot be used.
    """
    source = Path(source).expanduser()
    if not source.exists():
        raise InputError(f"{source}: no such file or folder")
    bids = (source / "dataset_description.json").is_file()
    if filters and not bids:
        raise InputError(f"--filter is for BIDS datasets, and {source} is none (it has no dataset_description.json)")
    if bids:
        from .bids import bids_studies

        return bids_studies(source, filters)
    if source.is_dir():
        return _in_folder(source)
    if source.suffix.lower() in (".csv", ".tsv"):
        return read_manifest(source)
    raise InputError(f"{source} is no cohort: give a table (.csv, .tsv), a BIDS dataset or a folder of studies")


def check_places(source: str | Path, output: str | Path) -> None:
    """Raise InputError where the results would lie in the very folder of the sources: nothing would tell them apart."""
    if Path(source).expanduser().resolve() == Path(output).expanduser().resolve():
        raise InputError(f"{output} is the folder of the sources: choose another one for the results")


def _in_folder(root: Path) -> Studies:
    from .dicom_tree import dicom_studies
    from .volume_tree import volume_studies

    dicom, volumes = dicom_studies(root), volume_studies(root)
    left_out = dicom.left_out + volumes.left_out
    if not (dicom.rows or volumes.rows):
        why = f": {left_out[0].what}: {left_out[0].why}" if left_out else " (no DICOM images and no volume files)"
        raise InputError(f"{root} holds no study to fuse{why}")
    return Studies(checked(dicom.rows + volumes.rows, str(root)), left_out)
