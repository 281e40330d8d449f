"""What the scripts that make documentation from measurements share.

A page is written by hand but for its tables, each between ``<!-- NAME -->`` and ``<!-- end -->``.
"""

import argparse
import csv
import re
import sys
from collections.abc import Callable
from pathlib import Path

from MMIFAminLib.files.writing import atomic_path

DOCS = Path(__file__).resolve().parent
RESULTS = DOCS.parent / "Testing" / "benchmarks" / "results"
OURS = "MMIF-AMIN"
FUNCTIONAL = {"CT-MRI": "CT", "PET-MRI": "PET", "SPECT-MRI": "SPECT"}  # the second image of each task of the atlas


def read(name: str) -> list[dict]:
    """Rows of a CSV of the results folder; none where it is missing."""
    path = RESULTS / name
    if not path.is_file():
        return []
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def table(header: list[str], rows: list[list]) -> str:
    """A markdown table."""
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in (header, ["---"] * len(header), *rows))


def fill_in(page: Path, make_tables: Callable[[], dict[str, str]]) -> None:
    """Bring what ``make_tables`` makes, ``{name: table}``, into ``page``; with ``--check`` on the command line only
    fail where that would change it.
    """
    parser = argparse.ArgumentParser(description=f"Brings measured numbers into the tables of docs/{page.name}.")
    parser.add_argument("--check", action="store_true", help="change nothing; fail if a table is not that of the CSVs")
    check = parser.parse_args().check
    old = text = page.read_text(encoding="utf-8")
    for name, content in make_tables().items():
        text, count = re.subn(
            rf"(<!-- {name} -->\n).*?(<!-- end -->)",
            lambda m, content=content: f"{m[1]}{content}\n{m[2]}",
            text,
            flags=re.DOTALL,
        )
        if count != 1:
            sys.exit(f"docs/{page.name} has {count} places for the table {name!r}; it needs one.")
    if check:
        if text != old:
            sys.exit(
                f"docs/{page.name} does not show the numbers of the CSVs: run python docs/{Path(sys.argv[0]).name}"
            )
        return
    with atomic_path(page) as temporary:
        temporary.write_text(text, encoding="utf-8")
