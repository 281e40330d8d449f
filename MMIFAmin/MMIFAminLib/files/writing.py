"""Writing that readers of a folder never see half done: whole under the final name, or not at all."""

import csv
import errno
import glob
import json
import math
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ..errors import InputError


def check_output(path: str | Path) -> Path:
    """The absolute path that writing to ``path`` will fill (links resolved), or :class:`InputError` if it cannot be.

    Call it before long work whose result goes there.
    """
    try:
        path = Path(os.path.realpath(Path(path).expanduser()))
        in_folder, exists, plain = path.parent.is_dir(), path.exists(), path.is_file()
    except (OSError, ValueError) as error:  # a name too long, or with a null character
        raise InputError(f"{str(path)!r} cannot be written: {getattr(error, 'strerror', None) or error}") from None
    if not in_folder:
        raise InputError(f"{path} cannot be written: there is no folder {path.parent}; create it first")
    if exists and not plain:
        raise InputError(f"{path} cannot be written: it exists and is not a plain file; choose another name")
    if not os.access(path if exists else path.parent, os.W_OK):
        raise InputError(f"{path} cannot be written: no permission; choose another folder")
    return path


def make_folder(path: str | Path) -> Path:
    """Make the folder ``path``, and those above it, if it is not there; :class:`InputError` where that cannot be."""
    path = Path(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{path} cannot be made a folder ({os_reason(error)}); choose another one") from None
    return path


def check_new_folder(path: str | Path) -> Path:
    """The absolute path of the folder ``path`` that is to be written; :class:`InputError` unless it is new or empty."""
    path = Path(os.path.realpath(Path(path).expanduser()))
    try:
        if not path.parent.is_dir():
            raise InputError(f"{path} cannot be written: there is no folder {path.parent}; create it first")
        if path.exists() and not path.is_dir():
            raise InputError(f"{path} cannot be written: it exists and is not a folder; choose another name")
        if path.exists() and any(path.iterdir()):
            raise InputError(f"{path} holds files already: name a new or an empty folder")
    except OSError as error:
        raise InputError(f"{path} cannot be written: {os_reason(error)}") from None
    if not os.access(path.parent, os.W_OK):
        raise InputError(f"{path} cannot be written: no permission in {path.parent}; choose another folder")
    return path


@contextmanager
def atomic_folder(path: str | Path) -> Iterator[Path]:
    """Give a temporary folder beside ``path``, which is new or empty; it takes that name when the block ends well.

    On an exception nothing is left behind. Operating-system errors become one :class:`InputError`.
    """
    path = check_new_folder(path)
    part = _part(path)
    try:
        part.mkdir()
        yield part
        if path.is_dir():
            path.rmdir()  # fails where files have come in meanwhile
        os.replace(part, path)
    except OSError as error:
        raise InputError(f"{path} cannot be written: {os_reason(error)}") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Give a temporary path beside ``path`` to write to; when the block ends well it takes the final name in one step.

    Readers see the old file or the whole new one, also when two processes write the same output or one is killed. On an
    exception nothing is left behind. Operating-system errors (no folder, no permission, disk full) become one
    :class:`InputError`. The temporary name keeps the endings of ``path``, by which writers choose the format.
    """
    path = check_output(path)
    part = _part(path, "".join(path.suffixes[-2:]))
    try:
        yield part
        with open(part, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(part, path)
    except OSError as error:
        raise InputError(f"{path} cannot be written: {os_reason(error)}") from error
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def _part(path: Path, ending: str = "") -> Path:
    return path.with_name(f".{path.name[:40]}.{os.getpid()}-{secrets.token_hex(4)}{ending}")


def remove_parts(path: str | Path) -> None:
    """Remove what writers of ``path`` that were killed have left beside it. Call it where nobody else writes ``path``."""
    path = Path(path)
    for part in path.parent.glob(f".{glob.escape(path.name[:40])}.*-????????*"):
        if part.is_dir():
            shutil.rmtree(part, ignore_errors=True)
        else:
            part.unlink(missing_ok=True)


def check_picture(path: str | Path) -> None:
    """Raise :class:`InputError` unless ``path`` ends in .png, as every picture does that is written here."""
    if Path(path).suffix.lower() != ".png":
        raise InputError(f"{path}: pictures are written as PNG; choose a name that ends in .png")


def write_png(image: Image.Image, path: str | Path) -> None:
    """Write a picture as PNG; :class:`InputError` for a name that says otherwise."""
    check_picture(path)
    with atomic_path(path) as temporary:
        image.save(temporary, format="PNG")


def check_film(path: str | Path) -> Path:
    """The absolute path that a film is written to: a .gif, or the new or empty folder of a PNG series.

    Raises :class:`InputError` for another ending and for a place that cannot be written.
    """
    path = Path(path)
    if path.suffix.lower() not in ("", ".gif") and not path.is_dir():
        raise InputError(f"{path}: a film is a name that ends in .gif, or a new folder for a series of PNG")
    return check_output(path) if path.suffix.lower() == ".gif" else check_new_folder(path)


def write_film(frames: Sequence[Image.Image], path: str | Path, seconds: float = 4.0) -> None:
    """Write pictures of one size as a GIF that takes `seconds` (longer for more than 200) and repeats, or as 000.png,
    001.png, ... in a folder.
    """
    path = check_film(path)
    if path.suffix.lower() == ".gif":
        with atomic_path(path) as part:
            each = max(20, round(1000 * seconds / len(frames)))  # ms: viewers show what is shorter for 100
            frames[0].save(part, format="GIF", save_all=True, append_images=frames[1:], duration=each, loop=0)
    else:
        with atomic_folder(path) as folder:
            for number, frame in enumerate(frames):
                frame.save(folder / f"{number:03d}.png", format="PNG", optimize=True)


def write_json(content: Mapping[str, Any], path: str | Path) -> None:
    """Write plain values, numpy numbers and paths as JSON; NaN and infinities, which JSON lacks, become null."""
    text = json.dumps(_plain(content), indent=2, allow_nan=False)
    with atomic_path(path) as temporary:
        Path(temporary).write_text(text + "\n", encoding="utf-8")


def write_csv(rows: Sequence[Mapping[str, Any]], path: str | Path) -> None:
    """Write rows of equal keys as CSV with a header line; floats with six significant digits."""
    # Names of files that are no UTF-8 keep their bytes.
    with (
        atomic_path(path) as temporary,
        open(temporary, "w", newline="", encoding="utf-8", errors="surrogateescape") as file,
    ):
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        for row in rows:
            writer.writerow({key: f"{value:.6g}" if isinstance(value, float) else value for key, value in row.items()})


def _plain(value):
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, np.ndarray)):
        return [_plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if isinstance(value, (str, int, float, type(None))) else str(value)


def os_reason(error: OSError) -> str:
    """Why the operating system refused, in words."""
    if error.errno in (errno.ENOSPC, getattr(errno, "EDQUOT", None)):
        return "the disk is full"
    return (error.strerror or str(error)).lower()
