"""Which studies there are to fuse: rows of a table, or what was found in a folder."""

from __future__ import annotations

import argparse
import csv
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import InputError
from ..study import check_options, with_options

COLUMNS = ("id", "anatomical", "functional", "second", "options")


@dataclass(frozen=True)
class Row:
    """One study to fuse: volumes as ``fuse`` takes them, and ``options`` of ``fuse`` for this study alone, as text.

    Without ``functional`` the anatomical one is a DICOM folder that holds both. ``second`` is a second anatomical volume.
    ``derivative`` is where the results of a BIDS dataset go, below the output and without an ending, and ``sources`` are its
    two files relative to the dataset ("" and none for others).
    """

    id: str
    anatomical: Path
    functional: Path | None = None
    second: Path | None = None
    options: str = ""
    derivative: str = ""
    sources: tuple[str, ...] = ()


@dataclass(frozen=True)
class LeftOut:
    """Something that was found and is not fused, and why."""

    what: str
    why: str


@dataclass(frozen=True)
class Studies:
    """The ``rows`` to fuse, what was ``left_out``, and the root of the BIDS dataset that they are of (None for others)."""

    rows: tuple[Row, ...]
    left_out: tuple[LeftOut, ...] = ()
    dataset: Path | None = None


def read_manifest(path: str | Path) -> Studies:
    """The rows of a table (.csv or .tsv with a line of headings): columns id and anatomical, and functional, second and
    options where they are needed; others are passed over.

    Paths are relative to the table's folder. Raises InputError, with the line, for what cannot be a study: a study is not
    left out because of a misprint.
    """
    path = Path(path)
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            first = file.readline()
            file.seek(0)
            lines = csv.reader(file, delimiter="\t" if path.suffix.lower() == ".tsv" else _separator(first))
            headings = [heading.strip().casefold() for heading in next(lines, [])]
            if missing := [name for name in COLUMNS[:2] if name not in headings]:
                raise InputError(f"{path} has no column '{missing[0]}': its first line names the columns")
            rows = [
                _row(dict(zip(headings, map(str.strip, line))), f"{path}, line {lines.line_num}", path.parent)
                for line in lines
                if any(map(str.strip, line))
            ]
    except OSError as error:
        raise InputError(f"{path} cannot be read: {(error.strerror or str(error)).lower()}") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} is no table of text in UTF-8 ({error})") from None
    return Studies(checked(rows, str(path)))


def checked(rows: Iterable[Row], where: str) -> tuple[Row, ...]:
    """``rows``; raises InputError where there is none, where two have one id, or where an id cannot name a folder."""
    rows = tuple(rows)
    if not rows:
        raise InputError(f"{where} holds no study to fuse")
    for row in rows:
        if not re.fullmatch(r"\w(?:[\w. +=@,-]{0,118}[\w+=@-])?", row.id):
            raise InputError(
                f"{where}: the id {row.id!r} cannot name a folder: use up to 120 letters, digits, '-', '_' and '.'"
            )
    id_, times = Counter(row.id.casefold() for row in rows).most_common(1)[0]
    if times > 1:
        raise InputError(f"{where}: the id '{id_}' occurs {times} times: each study needs its own")
    return rows


def folder_ids(root: Path, places: Sequence[Path]) -> list[str]:
    """For each of ``places`` in ``root`` a name that can be a folder's: where it lies, and a number where that is one for
    several.
    """
    names = []
    for place in places:
        inside = "" if place == root else str(place.relative_to(root))
        names.append(re.sub(r"[^\w.+=@-]+", "_", inside or root.resolve().name).strip("._ ")[-100:] or "study")
    folded = [name.casefold() for name in names]
    return [
        name if folded.count(name.casefold()) == 1 else f"{name}-{1 + folded[:number].count(name.casefold())}"
        for number, name in enumerate(names)
    ]


def _separator(line: str) -> str:
    """A comma, or the semicolon or tab that spreadsheets write instead."""
    return max(",;\t", key=line.count)


def _row(cells: dict[str, str], where: str, folder: Path) -> Row:
    def volume(name: str) -> Path | None:
        return folder / Path(cells[name]).expanduser() if cells.get(name) else None

    anatomical = volume("anatomical")
    if anatomical is None:
        raise InputError(f"{where}: there is no anatomical volume")
    if not cells.get("id"):
        raise InputError(f"{where}: there is no id")
    options = cells.get("options", "")
    try:
        if options:
            check_options(with_options(argparse.Namespace(), options))
    except InputError as error:
        raise InputError(f"{where}: {error}") from None
    return Row(cells["id"], anatomical, volume("functional"), volume("second"), options)
