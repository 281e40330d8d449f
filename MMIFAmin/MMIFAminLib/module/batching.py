"""The part of the panel for batches: all pairs of the scene, or all studies of a folder."""

from __future__ import annotations

from functools import partial
from typing import Any

import slicer
from slicer.i18n import tr as _

from ..errors import FusionCancelled
from . import state
from .widgets import show_batch


class Batching:
    """A part of the panel, which owns `ui`, `logic`, `_parameterNode`, `_start`, `_telling`, `_cancel` and the timers."""

    ui: Any
    logic: Any
    updateGUI: Any
    _parameterNode: Any
    _job: Any
    _pollTimer: Any
    _start: Any
    _telling: Any
    _cancel: Any
    _preselect: Any
    onTableResized: Any
    _problem: str

    def __init__(self) -> None:
        self._batchRows: Any = None  # what the panel lists

    def setupBatch(self, qt: Any) -> None:
        """Connect the section's widgets; `qt` is the module: the panel alone imports it."""
        ui, self._qt = self.ui, qt
        ui.findAllButton.connect("clicked(bool)", self.onFindAll)
        ui.fuseAllButton.connect("clicked(bool)", self.onFuseAll)
        ui.batchTable.horizontalHeader().connect("sectionResized(int,int,int)", self.onTableResized)
        ui.batchTable.connect("cellClicked(int,int)", self.onBatchRow)
        ui.batchFolderButton.connect("clicked(bool)", lambda: self._askBatch("batchFolder", _("Folder of studies")))
        ui.batchResultsButton.connect("clicked(bool)", lambda: self._askBatch("batchResults", _("Folder for results")))

    def _askBatch(self, name: str, title: str) -> None:
        chosen = self.askFolder(title, getattr(self._parameterNode, name))
        if chosen:
            setattr(self._parameterNode, name, chosen)

    def askFolder(self, title: str, before: str) -> str:
        """Ask for a folder: "" for none."""
        return self._qt.QFileDialog.getExistingDirectory(slicer.util.mainWindow(), title, before)

    def onFindAll(self, checked: bool = False) -> None:
        self._start(_("Nothing was found."), self.logic.findBatch, self._found)

    def _found(self, batch: Any) -> None:
        self._preselect()  # what was added while the job kept it from that
        self._problem = self._told(batch, _("Found: {counts}."))

    def onFuseAll(self, checked: bool = False) -> None:
        if self._job.busy:
            self._cancel()
        else:
            self._start(_("Nothing was fused."), self.logic.findBatch, self._startBatch)

    def _startBatch(self, batch: Any) -> None:
        batch.open()
        self._startStep(batch, 0)

    def _startStep(self, batch: Any, number: int) -> None:
        """Have the worker thread do one step, and when it ends the next."""
        if number == len(batch.steps):
            self._endBatch(batch, _("Done: {counts}."))
            return
        work, finish = self.logic.beginStep(batch, number)
        self._job.start(
            lambda progress: work(batch.progress(number, progress)), partial(self._onStep, batch, number, finish)
        )
        self._pollTimer.start()

    def _onStep(self, batch: Any, number: int, finish: Any, job: Any) -> None:
        try:
            self.logic.noteStep(batch, number, lambda: finish(job.result()))
        except FusionCancelled:
            self._endBatch(batch, _("Cancelled; what is done is kept: {counts}."))
        else:
            self._startStep(batch, number + 1)
        self.updateGUI()

    def _endBatch(self, batch: Any, words: str) -> None:
        with self._telling(_("The table of the results was not written.")):
            batch.close()
        unwritten = self._problem
        p = self._parameterNode
        if p is not None:
            self._preselect()
            self.logic.adaptToSources(p, newFunctional=False)
            self.logic.showFused(p)
        self._problem = "\n".join(filter(None, (unwritten, self._told(batch, words))))

    def _told(self, batch: Any, words: str) -> str:
        """`words` with the counts of a batch and, where a second volume is chosen, that it has no part in it."""
        told = words.format(counts=batch.counts())
        if self._parameterNode is None or self._parameterNode.second is None:
            return told
        return told + " " + _("The second volume that is chosen (Inputs) does not count for a batch.")

    def onBatchRow(self, row: int, column: int) -> None:
        """A click on a row: that pair is chosen, and what came of it shown."""
        sources, p = self.logic.batchSources(row), self._parameterNode
        if not sources or self._job.busy:
            return
        with slicer.util.NodeModify(p):
            p.anatomical, p.functional = sources
            p.second = None
        if state.fused_node(p) is not None:
            self.logic.showFused(p, new=True)

    def showBatch(self) -> None:
        """Show the table of the last batch; called on every change."""
        headings, rows = self.logic.batchRows()
        if (headings, rows) != self._batchRows:
            self._batchRows = (headings, rows)
            show_batch(self.ui.batchTable, headings, rows, self._qt.QTableWidgetItem)
