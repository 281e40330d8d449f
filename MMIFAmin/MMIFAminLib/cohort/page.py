"""The page of a cohort, cohort.html: one file without others, refused rows first, a click on a heading sorts."""

from __future__ import annotations

from html import escape
from pathlib import Path
from urllib.parse import quote

from .. import __version__
from .manifest import Row
from .table import WAITING, Table
from .work import FAILED, FUSED, KEPT, REFUSED, Result

_ORDER = (REFUSED, FAILED, WAITING, FUSED, KEPT)
_SHOWN = ("VIF", "Qabf", "SSIM")
_HEADINGS = ("picture", "id", "status", "seconds", *_SHOWN, "what there is to say")

_STYLE = """
body { font: 15px/1.4 system-ui, sans-serif; margin: 2em; color: #1c1c1e; background: #fff }
h1 { font-size: 1.3em; margin: 0 } p { margin: .3em 0 1em; color: #555 }
table { border-collapse: collapse } th, td { padding: .35em .7em; text-align: left; vertical-align: middle }
thead th { position: sticky; top: 0; background: #f2f2f5; border-bottom: 2px solid #ccc }
th button { font: inherit; font-weight: 600; border: 0; background: none; cursor: pointer; padding: 0 }
th[aria-sort=ascending] button::after { content: " \\2191" } th[aria-sort=descending] button::after { content: " \\2193" }
tbody tr { border-bottom: 1px solid #e4e4e8 } td.number { text-align: right; font-variant-numeric: tabular-nums }
td img { display: block; background: #000; max-width: 128px } td.said { max-width: 46em }
tr.failed td, tr.refused td { background: #fdf0ee } tr.waiting td { color: #888 }
"""

_SCRIPT = """
const body = document.querySelector("tbody");
document.querySelectorAll("th button").forEach((button) => button.addEventListener("click", () => {
  const head = button.parentElement, column = head.cellIndex;
  const down = head.getAttribute("aria-sort") === "ascending";
  document.querySelectorAll("th").forEach((other) => other.removeAttribute("aria-sort"));
  head.setAttribute("aria-sort", down ? "descending" : "ascending");
  const value = (row) => row.cells[column].dataset.sort ?? row.cells[column].textContent;
  const compare = (a, b) => {
    const [x, y] = [value(a), value(b)];
    if (x === "" || y === "") return (x === "") - (y === "");  // what is not known comes last either way
    const order = isNaN(x) || isNaN(y) ? x.localeCompare(y, undefined, {numeric: true}) : x - y;
    return down ? -order : order;
  };
  body.append(...[...body.rows].sort(compare));
}));
"""


def write_page(table: Table, path: Path) -> None:
    """Write the page of ``table``: whole, or not at all."""
    from ..files import atomic_path

    told = [(row, table.results.get(row.id) or Result(row.id, WAITING)) for row in table.rows]
    told.sort(key=lambda pair: _ORDER.index(pair[1].status))
    counts = ", ".join(f"{count} {status}" for status in _ORDER if (count := table.counts[status]))
    heads = "".join(f'<th scope="col"><button>{escape(name)}</button></th>' for name in _HEADINGS)
    with atomic_path(path) as part, open(part, "w", encoding="utf-8", errors="surrogateescape") as file:
        file.write(
            '<!DOCTYPE html>\n<html lang="en">\n<meta charset="utf-8">\n<title>MMIFAmin cohort</title>\n'
            f"<style>{_STYLE}</style>\n<h1>{len(told)} studies: {escape(counts)}</h1>\n"
            f"<p>MMIFAmin {__version__}. Research use only: not a medical device, not for diagnosis or treatment. "
            "A click on a heading sorts; a click on a picture shows it larger.</p>\n"
            f"<table>\n<thead><tr>{heads}</tr></thead>\n<tbody>\n"
        )
        for row, result in told:
            file.write(_line(row, result))
        file.write(f"</tbody>\n</table>\n<script>{_SCRIPT}</script>\n</html>\n")


def _line(row: Row, result: Result) -> str:
    picture = ""
    if result.thumbnail:
        shown = f'<img src="data:image/jpeg;base64,{result.thumbnail}" alt="{escape(row.id)}, fused" loading="lazy">'
        picture = f'<a href="{quote(result.preview)}">{shown}</a>'
    name = escape(row.id)
    if result.output:
        name = f'<a href="{quote(result.output)}">{name}</a>'
    said = "<br>".join(escape(text) for text in (result.reason, *result.warnings) if text)
    numbers = "".join(_number(value) for value in (result.seconds or None, *map(result.metrics.get, _SHOWN)))
    return (
        f'<tr class="{result.status}"><td data-sort="{escape(row.id)}">{picture}</td>'
        f'<td data-sort="{escape(row.id)}">{name}</td><td data-sort="{_ORDER.index(result.status)}">{result.status}</td>'
        f'{numbers}<td class="said">{said}</td></tr>\n'
    )


def _number(value: float | None) -> str:
    text, exact = (f"{value:.3g}", f"{value:.6g}") if value is not None else ("", "")
    return f'<td class="number" data-sort="{exact}">{text}</td>'
