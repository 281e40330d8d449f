"""The scores of a fused volume in the panel."""

from __future__ import annotations


def show_quality(ui, rows, wanted: str, new_item) -> None:
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
    table.resizeRowsToContents()
    height = sum(table.rowHeight(index) for index in range(len(rows)))
    table.setFixedHeight(height + table.horizontalHeader().height + 4)
    ui.metricComboBox.clear()
    ui.metricComboBox.addItems(names)
    ui.metricComboBox.currentIndex = names.index(wanted) if wanted in names else 0 if names else -1
