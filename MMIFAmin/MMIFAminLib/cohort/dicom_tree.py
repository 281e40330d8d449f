"""The studies in a tree of DICOM files, by the rules of ``fuse FOLDER``: one CT or MR and one PET or SPECT of a study."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from ..errors import InputError
from ..files.dicom_index import Contents, Series, index_folder, plain_pair
from .manifest import LeftOut, Row, Studies, folder_ids


def dicom_studies(root: Path) -> Studies:
    """The studies below ``root`` whose two series are plain, and the others with the reason why they are left out.

    Folders are read one after the other and only what tells series apart is kept of them. Ids are the studies' folders.
    Without DICOM images there are neither.
    """
    studies: dict[tuple[str, str], list[Series]] = {}
    damaged: dict[Path, str] = {}
    for contents in _parts(root):
        damaged |= contents.damaged
        for series in contents.series:
            # One file a folder says where the series lies: a cohort has too many to keep them all.
            places = {path.parent: path for path in series.files}
            slim = replace(series, files=tuple(places.values()), headers=series.headers[:1])
            studies.setdefault((series.patient_id, series.study_uid), []).append(slim)
    rows, left_out = [], []
    for series in studies.values():
        folder = _common([path for one in series for path in one.files])
        try:
            # What is damaged beside a chosen series may be one of its slices: told as it is for one study.
            anatomical, functional = plain_pair(Contents(folder, tuple(series), (), damaged))
        except InputError as error:
            left_out.append(LeftOut(str(folder), str(error).removeprefix(f"{folder} ").split(": name both")[0]))
            continue
        rows.append((folder, _place(anatomical, studies), _place(functional, studies)))
    ids = folder_ids(root, [folder for folder, _, _ in rows])
    return Studies(tuple(Row(id_, *pair) for id_, (_, *pair) in zip(ids, rows)), tuple(left_out))


def _parts(root: Path) -> Iterator[Contents]:
    """The contents of the files in ``root`` itself and of each of its folders."""
    yield index_folder(root, deep=False)
    for folder in sorted(path for path in root.iterdir() if path.is_dir()):
        yield index_folder(folder)


def _place(series: Series, studies: dict[tuple[str, str], list[Series]]) -> Path:
    """How a series is named for ``fuse``: its folder, with its UID where others lie in or below that."""
    folder = _common(list(series.files))
    others = (one for group in studies.values() for one in group if one.uid != series.uid)
    shared = any(folder == path.parent or folder in path.parents for one in others for path in one.files)
    return Path(f"{folder}::{series.uid}") if shared else folder


def _common(files: list[Path]) -> Path:
    return Path(os.path.commonpath([path.parent for path in files]))
