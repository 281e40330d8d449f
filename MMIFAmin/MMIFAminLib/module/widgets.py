"""What the panel's widgets show beyond one text or number."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from . import state
from .presets import OWN

_ROOM = 4  # pixels between the lines of two rows
BATCH_HEIGHT = 360
"""Pixels of the table of a batch, which scrolls beyond."""


def show_quality(
    ui: Any, rows: Sequence[tuple[str, str, str, str]], wanted: str, new_item: Callable[[str], Any]
) -> None:
    """Fill the table with `rows` (metric, value, meaning, reason for a missing value) and the combo with the metrics.

    `new_item(text)` makes an item of a table.
    """
    table, names = ui.qualityTable, [row[0] for row in rows]
    table.setRowCount(len(rows))
    for index, (name, value, meaning, missing) in enumerate(rows):
        for column, text in enumerate((name, value, missing or meaning)):
            item = new_item(text)
            item.setToolTip(f"{meaning}\n{missing}".strip())
            table.setItem(index, column, item)
    table.visible = bool(rows)
    table.resizeColumnToContents(0)
    table.resizeColumnToContents(1)
    fit_rows(table)
    ui.metricComboBox.clear()
    ui.metricComboBox.addItems(names)
    ui.metricComboBox.currentIndex = names.index(wanted) if wanted in names else 0 if names else -1


def show_spots(table: Any, headings: list[str], rows: list[list[str]], new_item: Callable[[str], Any]) -> None:
    """Fill the table of the hottest spots, which is hidden while there are none."""
    table.setColumnCount(len(headings))
    table.setRowCount(len(rows))
    for column, heading in enumerate(headings):
        title = new_item(heading.partition(" (")[0])  # units in the tooltip: the panel is narrow
        title.setToolTip(heading)
        table.setHorizontalHeaderItem(column, title)
        for row, texts in enumerate(rows):
            table.setItem(row, column, new_item(texts[column]))
    table.visible = bool(rows)
    table.resizeColumnsToContents()
    fit_rows(table)


def show_batch(table: Any, headings: list[str], rows: list[list[str]], new_item: Callable[[str], Any]) -> None:
    """Fill the table of a batch, which is hidden while there is none; long words are broken in its last column."""
    table.setColumnCount(len(headings))
    table.setRowCount(len(rows))
    table.setHorizontalHeaderLabels(headings)
    for row, texts in enumerate(rows):
        for column, text in enumerate(texts):
            item = new_item(text)
            item.setToolTip(text)
            table.setItem(row, column, item)
    table.visible = bool(rows)
    table.resizeColumnToContents(1)
    fit_rows(table, BATCH_HEIGHT)


def show_presets(combo: Any, names: list[str], shown: str, reasons: dict[str, str]) -> None:
    """Offer the presets by their names, after what stands for settings of no preset; leaves alone what is being typed.

    Those in `reasons` are disabled, each with its reason as tooltip.
    """
    present = [combo.itemText(index) for index in range(combo.count)]
    wanted = [OWN, *names]
    if present != wanted:
        combo.clear()
        combo.addItems(wanted)
    for row, name in enumerate(wanted):
        _allow(combo.model().item(row), reasons.get(name, ""))
    index = wanted.index(shown) if shown in names else 0
    if combo.currentIndex != index or present != wanted:
        combo.setCurrentIndex(index)


def fit_rows(table: Any, most: int = 10_000) -> None:
    """Give every row the height of its words at the present width, and the table that of its rows, up to `most` pixels."""
    table.resizeRowsToContents()
    height = 0
    for index in range(table.rowCount):
        table.setRowHeight(index, table.rowHeight(index) + _ROOM)
        height += table.rowHeight(index)
    table.setFixedHeight(min(height + table.horizontalHeader().height + _ROOM, most))


def show_unusable(ui: Any, reasons: dict) -> None:
    """Disable the devices, precisions and windows in `reasons`, each with its reason as tooltip."""
    for combo, option in (
        (ui.deviceComboBox, state.Device),
        (ui.precisionComboBox, state.Precision),
        (ui.functionalWindowComboBox, state.FunctionalWindow),
    ):
        for index, choice in enumerate(option):
            _allow(combo.model().item(index), reasons.get(choice, ""))


def _allow(item, reason: str) -> None:
    """Enable an entry of a combo box, or disable it with the reason as tooltip; an entry that is so is left alone."""
    if item is not None and item.toolTip() != reason:
        item.setEnabled(not reason)
        item.setToolTip(reason)
