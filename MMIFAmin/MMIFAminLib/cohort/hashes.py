"""What a result depends on, as SHA-256: the content of the inputs, the options, the weights and the version."""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from .. import __version__
from ..errors import InputError

# Where results go changes none of them.
_PLACES = ("anatomical", "functional", "output", "preview", "report", "transform", "run")


def content_hash(path: str | Path) -> str:
    """The SHA-256 of what is read for the volume ``path``: of a file, of a header with its file of data, or of the DICOM
    files of a folder with their names (of the whole folder where ``path`` is one file or one series of it).

    Raises InputError where it cannot be read.
    """
    from ..files.dicom_index import is_dicom
    from ..files.integrity import data_files
    from ..files.volumes import split_series

    place, _ = split_series(path)
    if place.name.upper() == "DICOMDIR":  # stands for its folder, as where it is read
        place = place.parent
    try:
        if place.is_file() and not is_dicom(place):
            files = sorted({place, *data_files(place)})
            return _of_files([(file.name, file) for file in files]) if len(files) > 1 else _of_file(place)
        if not place.exists():
            raise InputError(f"{place}: no such file or folder")
        deep = place.is_dir()
        folder = place if deep else place.parent
        return _of_files([(str(file.relative_to(folder)), file) for file in _files(folder, deep) if is_dicom(file)])
    except OSError as error:
        raise InputError(
            f"{error.filename or place} cannot be read: {(error.strerror or str(error)).lower()}"
        ) from None


def folder_hash(folder: Path) -> str:
    """The SHA-256 of the names and contents of all files in ``folder``."""
    return _of_files([(str(file.relative_to(folder)), file) for file in _files(folder, True)])


def output_hash(path: Path) -> str:
    """The SHA-256 of a file or folder that was written; "" where it is not there."""
    if path.is_dir():
        return folder_hash(path)
    return _of_file(path) if path.is_file() else ""


def result_key(inputs: Mapping[str, str], options: argparse.Namespace, weights: str) -> str:
    """One SHA-256 for all that a result depends on. ``inputs`` and ``weights`` are hashes of content."""
    chosen = {name: value for name, value in sorted(vars(options).items()) if name not in _PLACES and name != "weights"}
    facts = {"inputs": dict(inputs), "options": chosen, "weights": weights, "version": __version__}
    return hashlib.sha256(json.dumps(facts, sort_keys=True, default=_in_full).encode()).hexdigest()


def _in_full(value: object) -> object:
    """What json cannot write, as text; a user's table of colours by all of them, which its text would shorten."""
    from ..display.color import ColorTable

    if isinstance(value, ColorTable):
        return {"name": value.name, "values": value.values.tolist(), "colors": value.colors.tolist()}
    return str(value)


def _files(folder: Path, deep: bool) -> list[Path]:
    from ..files.folders import walk

    found = []
    for root, folders, names in walk(folder):
        folders[:] = sorted(folders) if deep else []
        found += [Path(root, name) for name in sorted(names)]
    return found


def _of_files(files: list[tuple[str, Path]]) -> str:
    digest = hashlib.sha256()
    for name, file in files:
        digest.update(f"{len(name)}:{name}:{_of_file(file)}".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def _of_file(path: Path) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
