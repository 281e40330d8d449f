"""Is a volume file what its header says? Checks before and after ITK's readers and writers, which do not ask.

ITK returns a truncated NIfTI, TIFF or MetaImage file as if nothing were missing, reports success for a NIfTI that did
not fit on the disk, and crashes on a MetaImage header of many dimensions. So sizes are compared here with what the
header declares, and what the format libraries print on stderr is caught and judged instead of shown.
"""

import gzip
import os
import re
import struct
import sys
import tempfile
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from math import prod
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from ..errors import InputError

MAX_VOXELS = 2**30
"""Largest volume that is read (1024 x 1024 x 1024 voxels): a header that declares more is taken for damaged."""

_MAX_DEFLATE_RATIO = 1032  # zlib's own bound: a compressed file cannot hold more than this times its size
_stderr_lock = threading.Lock()


def check_dimensions(path: str | Path) -> None:
    """Refuse a MetaImage header whose number of dimensions would crash ITK's parser."""
    with open(path, "rb") as file:
        text = file.read(4096).decode("latin-1")
    if text.startswith(("ObjectType", "NDims")):
        dimensions = re.findall(r"^[ \t]*NDims[ \t]*=[ \t]*(.*?)[ \t\r]*$", text, re.MULTILINE)
        if not all(re.fullmatch("[1-9]", number) for number in dimensions):
            raise InputError(f"{path} has a damaged header: NDims = {dimensions[0]}")


_NO_VOLUME = (
    (b"PK\x03\x04", "is a ZIP archive: unpack it first"),
    (b"\x1f\x8b", "is compressed with gzip and damaged, or holds no NIfTI, Analyze or MGH volume: unpack it first"),
    (b"%PDF", "is a PDF document"),
    (b"version https://git-lfs", "is a pointer of Git LFS, not the file that it points to"),
    (b"<!DOCTYPE", "is a web page, not the file that was to be downloaded"),
    (b"<html", "is a web page, not the file that was to be downloaded"),
)


def check_content(path: Path) -> None:
    """Say what ``path`` holds where its first bytes tell that it is no volume: nothing, an archive, a web page."""
    head = head_of(path, unpacked=False)
    if not head:
        raise InputError(f"{path} is empty: copy it again")
    for start, reason in _NO_VOLUME:
        if head[: len(start)].lower() == start.lower():
            raise InputError(f"{path} {reason}")


def head_of(path: Path, unpacked: bool = True) -> bytes:
    """The first 64 KB of ``path``, decompressed where it is gzip, under whatever name, unless not ``unpacked``."""
    with open(path, "rb") as file:
        head = file.read(1 << 16)
    if unpacked and head[:2] == b"\x1f\x8b":
        try:
            return zlib.decompressobj(31).decompress(head, 1 << 16)
        except zlib.error:
            return b""
    return head


def is_sequence(path: Path) -> bool:
    """Whether the values that an NRRD file has at each voxel are a list of volumes, as in 3D Slicer's .seq.nrrd."""
    head = head_of(path).split(b"\n\n")[0]
    return head.startswith(b"NRRD") and re.search(rb"^kinds:.*\blist\b", head, re.MULTILINE) is not None


def pair_of(path: Path) -> tuple[Path, Path] | None:
    """Header and data file of the pair (.hdr and .img, each perhaps .gz) that ``path`` is one of; None for other names."""
    stem = path.name[:-3] if path.suffix.lower() == ".gz" else path.name
    if not stem.lower().endswith((".hdr", ".img")):
        return None

    def one(ending: str) -> Path:
        if stem.lower().endswith(ending):
            return path
        names = [stem[:-4] + part + packed for packed in ("", ".gz") for part in (ending, ending.upper())]
        return next(
            (path.with_name(name) for name in names if path.with_name(name).is_file()), path.with_name(names[0])
        )

    return one(".hdr"), one(".img")


def check_complete(path: Path, declared: int) -> None:
    """Raise :class:`InputError` when file ``path``, of a format known here, cannot hold its ``declared`` bytes."""
    pair = pair_of(path)
    header, data = pair or (path, path)
    if not (header.is_file() and data.is_file()):
        return
    head, ratio = head_of(header), 1
    needed = _nifti_bytes(head)
    if head_of(data, unpacked=False)[:2] == b"\x1f\x8b":
        _check_gzip(data, needed or declared)
        return
    if needed is None:
        needed = declared
        if (place := _text_header_data(path, head)) is None:
            return
        data, ratio = place
    length = data.stat().st_size
    if needed > length * ratio:
        raise InputError(f"{data} is truncated: {length:,} bytes are there, its header declares {needed:,}")


def data_files(path: Path) -> list[Path]:
    """The files that the volume ``path`` is read from: itself, or a header (.hdr, .mhd, .nhdr) and those of the voxels.

    Where a header names many (a list or a pattern), every file of its folder.
    """
    if pair := pair_of(path):
        return [part for part in pair if part.is_file()]
    head = head_of(path, unpacked=False)
    if place := _text_header_data(path, head):
        return [path, place[0]]
    fields = text_fields(head)
    if "datafile" in fields or "ElementDataFile" in fields:
        return [part for part in path.parent.iterdir() if part.is_file()]
    return [path]


def _check_gzip(path: Path, needed: int) -> None:
    """Decompress ``path`` (.nii.gz) to its end: lengths and checksum must be right."""
    length = 0
    try:
        with gzip.open(path) as file:
            while block := file.read(1 << 20):
                length += len(block)
                if length > needed + (1 << 20):
                    break
    except (EOFError, zlib.error, gzip.BadGzipFile):
        raise InputError(f"{path} is truncated or damaged: it does not decompress to its end") from None
    if length < needed:
        raise InputError(f"{path} is truncated or damaged: it decompresses to {length:,} of {needed:,} bytes")


def _nifti_bytes(head):
    """The size in bytes that an Analyze, NIfTI-1 or NIfTI-2 header demands of the data file; None for others."""
    for order in "<>":
        if len(head) >= 348 and struct.unpack_from(order + "i", head)[0] == 348:
            dims, (bits,) = struct.unpack_from(order + "8h", head, 40), struct.unpack_from(order + "h", head, 72)
            (offset,) = struct.unpack_from(order + "f", head, 108)
        elif len(head) >= 540 and struct.unpack_from(order + "i", head)[0] == 540:
            dims, (bits,) = struct.unpack_from(order + "8q", head, 16), struct.unpack_from(order + "h", head, 14)
            (offset,) = struct.unpack_from(order + "q", head, 168)
        else:
            continue
        voxels = prod(max(1, n) for n in dims[1 : 1 + max(0, min(7, dims[0]))])
        return int(offset if np.isfinite(offset) else 0) + voxels * bits // 8
    return None


def text_fields(head: bytes) -> dict[str, str]:
    """The fields of an NRRD (names in small letters, without blanks) or MetaImage header that ``head`` begins with; none
    for other formats."""
    text = head.decode("latin-1")
    if text.startswith("NRRD"):
        fields = re.findall(r"^([\w ]+): *(.*?)\r?$", text.split("\n\n")[0], re.MULTILINE)
        return {name.lower().replace(" ", ""): value for name, value in fields}
    if re.match(r"(ObjectType|NDims)\s*=", text):
        return dict(re.findall(r"^(\w+)\s*=\s*(.*?)\r?$", text, re.MULTILINE))
    return {}


def _text_header_data(path, head):
    """For NRRD, MetaImage and VTK: the file of the data, and how many times its size they may have; else None."""
    text, fields, name = head.decode("latin-1"), text_fields(head), None
    if text.startswith("NRRD"):
        raw = fields.get("encoding", "raw").lower() == "raw"
        name = fields.get("datafile")
    elif fields:
        raw = fields.get("CompressedData") != "True" and fields.get("BinaryData") != "False"
        name = fields.get("ElementDataFile", "LOCAL")
        name = None if name.upper() == "LOCAL" else name
    elif text.startswith("# vtk DataFile"):
        raw = re.match(r".*\n.*\nBINARY", text) is not None
    else:
        return None
    data = path.parent / name if name else path
    return (data, 1 if raw else _MAX_DEFLATE_RATIO) if data.is_file() else None  # a list of files: ITK checks those


@contextmanager
def captured_stderr() -> Iterator[list[str]]:
    """Catch what C++ libraries print on stderr; yields a list that holds the complaints when the block has ended."""
    complaints: list[str] = []
    warnings_shown = sitk.ProcessObject.GetGlobalWarningDisplay()
    with _stderr_lock, tempfile.TemporaryFile() as caught:
        try:
            kept = os.dup(2)
        except OSError:  # a windowed application without stderr
            kept = None
        try:
            sitk.ProcessObject.SetGlobalWarningDisplay(False)
            if kept is not None:
                if sys.stderr is not None:
                    sys.stderr.flush()
                os.dup2(caught.fileno(), 2)
            yield complaints
        finally:
            sitk.ProcessObject.SetGlobalWarningDisplay(warnings_shown)
            if kept is not None:
                os.dup2(kept, 2)
                os.close(kept)
                caught.seek(0)
                lines = caught.read().decode("utf-8", "replace").splitlines()
                complaints += [line.strip() for line in lines if _COMPLAINT.search(line)]


_COMPLAINT = re.compile(
    r"fail|error|not read completely|can ?not|corrupt|truncat|premature|unexpected end", re.IGNORECASE
)

_REASONS = (
    ("Unable to determine ImageIO", "it is damaged, or of a format that is not known"),
    ("No such file", "its header is damaged, or the data file beside it is missing"),
    ("PixelType", "its voxels are of a type that is not known"),
    ("orthonormal", "its axes are not at right angles; resample it to a regular grid first"),
    ("spacing is not supported", "its voxel spacing is not above 0; correct its header"),
    ("Bad direction", "its direction matrix is singular; correct its header"),
    ("allocat", "it does not fit into memory"),
    ("number of domain axes", "it has a fourth axis that is no list of volumes; save one time point as a volume"),
    ("xpected", "it is truncated or damaged"),
    ("data read error", "it is truncated or damaged"),
)


def itk_reason(text: str) -> str:
    """One line for people from an ITK exception."""
    for sign, reason in _REASONS:
        if sign in text:
            return reason
    last = (text.strip().splitlines() or ["no reason given"])[-1].strip()
    return (
        "its header is damaged ("
        + re.sub(r"^(\[nrrd\] \w+: |\w+::ERROR: |ITK ERROR: |\w+\(0x\w+\): )+", "", last)
        + ")"
    )
