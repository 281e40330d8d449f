"""The data of the tables and of the training, laid out from clones of the public repositories that hold them.

A clone is searched by content: each file's hash says what it is, wherever it lies and whatever it is called. The lists
in ``splits/`` have one line a file, ``SHA-256  place``, as ``sha256sum`` writes them. What is hashed is what counts: of
PNG images the pixels (rows from the top, one or three bytes each), so that another compression changes nothing; of JPEG
images the bytes of the file, since decoders differ; of volumes the rank of every voxel among the values that occur,
little-endian 32 bit in the order k, j, i of LPS axes, which no change of type or scale factor alters.
"""

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from PIL import Image

from ..display import color
from ..errors import InputError
from .volumes import read_volume, write_volume
from .writing import atomic_path, make_folder

Progress = Callable[[float, str], "bool | None"]
_NAMED = 3  # missing files that a message names


@dataclass(frozen=True)
class Dataset:
    """A public repository and what is made of it: ``endings`` of the files looked at, ``folder`` that is filled."""

    name: str
    url: str
    folder: str
    endings: tuple[str, ...]


DATASETS = {
    dataset.name: dataset
    for dataset in (
        Dataset("harvard", "https://github.com/xianming-gu/Havard-Medical-Image-Fusion-Datasets", "harvard", (".png",)),
        Dataset(
            "roadscene",
            "https://github.com/StaRainJ/road-scene-infrared-visible-images",
            "roadscene",
            (".jpg", ".jpeg"),
        ),
        Dataset("templates", "https://github.com/spm/spm12", "templates", (".nii", ".nii.gz")),
        Dataset("body", "https://github.com/wasserth/TotalSegmentator", "body", (".nii", ".nii.gz")),
    )
}
"""The data sets by the name that the command knows them by."""

# Stacks of consecutive slices: name, folder of the pairs, functional kind, case, first and last slice, mm between them.
_STACKS = (
    ("ct21", "train/CT-MRI", "CT", 21, 4, 20, 6.0),
    ("ct34", "val/CT-MRI", "CT", 34, 2, 22, 6.0),
    ("pet25", "train/PET-MRI", "PET", 25, 37, 110, 2.0),
    ("pet41", "val/PET-MRI", "PET", 41, 22, 89, 2.0),
    ("spect3", "train/SPECT-MRI", "SPECT", 3, 8, 43, 4.0),
    ("spect10", "val/SPECT-MRI", "SPECT", 10, 7, 43, 4.0),
    ("spect21", "train/SPECT-MRI", "SPECT", 21, 5, 21, 6.0),
)
_CORONAL = {"pet25"}
_UPTAKE_SCALE = 1000  # steps of the uptake volumes, int16
_SIMULATED = ("fdg.nrrd", "lesions.csv")
_NO_CLONE = (
    "no clone holds it, for the uptake was simulated once on this CT, by a random draw that cannot be repeated from the "
    "images"
)


def how_to_get(name: str, data: str | Path = "../shared/data") -> str:
    """One line that tells how the data set ``name`` comes to lie in the folder ``data``."""
    return f"clone {DATASETS[name].url} and run: mmifamin data {name} CLONE --output {data}"


def require(place: str | Path, name: str, data: str | Path = "../shared/data") -> Path:
    """``place`` as a path if there is something, else :class:`InputError` with the line of :func:`how_to_get`, or with
    why no clone holds it.
    """
    place = Path(place)
    if not place.exists():
        lone = place.parent.is_dir() and place.name in _SIMULATED
        raise InputError(f"{place} is not there: {_NO_CLONE if lone else how_to_get(name, data)}")
    return place


def split(name: str) -> dict[str, str]:
    """The list of a data set: SHA-256 by place below the folder of the data set."""
    lines = (Path(__file__).parent / "splits" / f"{name}.sha256").read_text(encoding="utf-8").splitlines()
    return {place: digest for digest, place in (line.split("  ", 1) for line in lines)}


def lay_out(name: str, clone: str | Path, data: str | Path, progress: Progress | None = None) -> list[str]:
    """Fill the folder of the data set ``name`` below ``data`` from ``clone``; returns sentences on what was done.

    ``progress(fraction, text)`` is called all along. Files that are there are made anew. Raises :class:`InputError` for
    another name, a clone that is no folder, and, once everything else is laid out, for files that were not found.
    """
    if name not in DATASETS:
        raise InputError(f"there is no data set {name!r}: choose one of {', '.join(DATASETS)}")
    dataset, clone, data = DATASETS[name], Path(clone).expanduser(), Path(data).expanduser()
    if not clone.is_dir():
        raise InputError(f"{clone} is not a folder: {how_to_get(name, data)}")
    wanted = split(name)
    found = _found(clone, dataset, set(wanted.values()), progress)
    if not found:
        raise InputError(f"{clone} holds no file of {name}: {how_to_get(name, data)}")
    folder = data / dataset.folder
    missing = []
    for place, digest in wanted.items():
        if digest in found:
            _put(found[digest], folder / place)
        else:
            missing.append(place)
    if missing:
        names = ", ".join(missing[:_NAMED]) + (", ..." if len(missing) > _NAMED else "")
        raise InputError(
            f"{len(missing)} of {len(wanted)} files of {name} are not in {clone} ({names}): the rest was laid out in "
            f"{folder}; is the clone whole, with its large files?"
        )
    told = [f"{folder}: {len(wanted)} files, each with the SHA-256 of its content"]
    return told + (_derived(folder, data / "volumes") if name == "harvard" else _left_out(name, folder))


def _derived(folder: Path, volumes: Path) -> list[str]:
    """What is computed from the atlas' images: the palettes, and volumes of consecutive slices."""
    palettes = {}
    for kind in ("PET", "SPECT"):
        table = color.ColorTable.named(f"harvard-{kind.lower()}")
        colors = np.rint(table.colors * 255).astype(int).tolist()
        palettes[kind] = {"colors": colors, "value": np.round(table.values, 6).tolist()}
    with atomic_path(folder / "palettes.json") as temporary:
        temporary.write_text(json.dumps(palettes), encoding="utf-8")
    make_folder(volumes)
    for name, pair, kind, case, first, last, apart in _STACKS:
        slices = [f"{case}{number:03}.png" for number in range(first, last + 1)]
        anatomical, functional = (
            np.stack([np.asarray(Image.open(folder / pair / part / file)) for file in slices]) for part in ("MRI", kind)
        )
        parts = {"mr": anatomical}
        if kind == "CT":
            parts["ct"] = functional
        else:
            uptake, _ = color.recover_uptake(functional)
            parts[kind.lower()] = np.rint(uptake * _UPTAKE_SCALE).astype(np.int16)
            parts[f"{kind.lower()}_rgb"] = functional
        for part, array in parts.items():
            image = sitk.GetImageFromArray(array, isVector=array.ndim == 4)
            image.SetSpacing((1.0, 1.0, apart))
            if name in _CORONAL:
                image.SetDirection((1, 0, 0, 0, 0, 1, 0, -1, 0))
            write_volume(image, volumes / f"{name}_{part}.nrrd")
    return [
        f"{folder / 'palettes.json'}: the colours of PET and SPECT and the uptake of each, computed",
        f"{volumes}: {len(_STACKS)} volumes of consecutive slices with their uptake, computed; spacings are nominal",
    ]


def _left_out(name: str, folder: Path) -> list[str]:
    if name != "body":
        return []
    return [f"{folder / 'fdg.nrrd'} and lesions.csv are left out: {_NO_CLONE}; what needs them goes without"]


def _found(clone: Path, dataset: Dataset, wanted: set[str], progress: Progress | None) -> dict[str, Path]:
    """By hash, one file of the clone for each of the wanted ones."""
    found: dict[str, Path] = {}
    paths = list(_files(clone, dataset.endings))
    for number, path in enumerate(paths):
        if progress:
            progress(number / len(paths), f"Looking at {path.name}")
        digest = _digest(path)
        if digest in wanted:
            found.setdefault(digest, path)
        if len(found) == len(wanted):
            break
    return found


def _files(folder: Path, endings: Sequence[str]) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder).parts
        if ".git" not in inside and path.name.lower().endswith(tuple(endings)) and path.is_file():
            yield path


def _digest(path: Path) -> str | None:
    """The hash of what counts in a file (see the head of this file), or None where it cannot be read."""
    name = path.name.lower()
    try:
        if name.endswith((".jpg", ".jpeg")):
            return hashlib.sha256(path.read_bytes()).hexdigest()
        if name.endswith(".png"):
            with Image.open(path) as image:
                return hashlib.sha256(image.tobytes()).hexdigest()
        return _volume_digest(sitk.GetArrayFromImage(_oriented(path)))
    except (InputError, OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None  # a pointer to a large file that was not fetched, a 4D volume: none of ours


def _volume_digest(array: np.ndarray) -> str:
    ranks = np.unique(array, return_inverse=True)[1]
    return hashlib.sha256(ranks.astype("<u4").tobytes()).hexdigest()


def _oriented(path: Path) -> sitk.Image:
    return sitk.DICOMOrient(read_volume(path), "LPS")


def _put(source: Path, target: Path) -> None:
    """``source`` in the format that the ending of ``target`` tells; images byte for byte."""
    make_folder(target.parent)
    if target.name.endswith((".png", ".jpg")):
        with atomic_path(target) as temporary:
            shutil.copyfile(source, temporary)
    elif target.name.endswith(".nrrd"):
        write_volume(sitk.Cast(_oriented(source), sitk.sitkInt16), target)  # HU
    else:
        write_volume(read_volume(source), target)  # as it is stored: its axes are part of the test
