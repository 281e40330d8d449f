"""What the module's logic does with many studies: all pairs of the scene, or all of a folder."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import slicer
from slicer.i18n import tr as _

from ..errors import FusionCancelled, InputError
from . import packages, state, units

if TYPE_CHECKING:
    import argparse

    from slicer import vtkMRMLTableNode

    from ..cohort import Result
    from ..engine.progress import Progress
    from .batch import Batch, Choices


class BatchLogic:
    """The part of `FusionLogic` for batches."""

    ensurePackages: Callable  # of `FusionLogic`, as the next
    fuser: Callable
    getParameterNode: Callable

    def __init__(self) -> None:
        self._batch: Batch | None = None  # what was found last

    def fuseAll(
        self, folder: str | Path | None = None, results: str | Path | None = None, *, progress: Progress | None = None
    ) -> vtkMRMLTableNode:
        """Fuse all pairs of the scene or, with `folder`, all its studies into the folder `results`, by the panel's choices
        of outputs, windows, plane and colours; returns the table of what was found, done, refused and why.

        `folder` may also be a table of studies (`cohort.read_manifest`). What is done and unchanged is kept. Blocks until
        done; `progress(fraction, text)` may return False to end it: what is done is kept. Raises MMIFAminError where there
        is nothing to fuse.
        """
        p = self.getParameterNode()
        of = state.BatchOf.SCENE if folder is None else state.BatchOf.FOLDER
        tell = progress or (lambda fraction, text: None)
        work, finish = self._find(p, of, str(folder or ""), str(results or ""))
        batch = finish(work(tell))
        try:
            batch.open()
            for number in range(len(batch.steps)):
                self._doStep(batch, number, tell)
        except FusionCancelled:
            pass
        finally:
            batch.close()
        return batch.publish(slicer.mrmlScene)

    def _doStep(self, batch: Batch, number: int, progress: Progress) -> None:
        work, finish = self.beginStep(batch, number)
        self.noteStep(batch, number, lambda: finish(work(batch.progress(number, progress))))

    def findBatch(self, p: state.MMIFAminParameterNode) -> tuple:
        """The parts `work`, `finish` of finding what there is to fuse; `finish` fills the table and returns the Batch."""
        return self._find(p, p.batchOf, p.batchFolder.strip(), p.batchResults.strip())

    def _find(self, p, of: state.BatchOf, folder: str, results: str) -> tuple:
        from . import batch as batches

        if reason := _why_not_found(of, folder, results):
            raise InputError(reason)
        self.ensurePackages()
        device, precision = p.device.value, p.precision.value

        def load():
            return self.fuser(device, precision)

        def done(found: Batch) -> Batch:
            self._batch = found
            found.publish(slicer.mrmlScene)
            if not found.steps:
                raise InputError(f"There is no pair to fuse: {_why_none(found)}.")
            return found

        if of is state.BatchOf.SCENE:
            pairs, left_out = batches.scene_pairs(slicer.mrmlScene)
            steps = batches.scene_steps(slicer.mrmlScene, pairs, _choices(p), load)
            return (lambda progress: None), lambda nothing: done(batches.Batch(steps, left_out))
        packages.ensure_packages(packages.FOLDERS)
        options = _study_options(p)

        def work(progress):
            from ..cohort import find_studies

            progress(0.0, "Looking for studies")
            return find_studies(folder)

        def finish(studies):
            from ..cohort.results import OneByOne

            return done(batches.folder_batch(studies, OneByOne(studies, results, options, load)))

        return work, finish

    def beginStep(self, batch: Batch, number: int) -> tuple[Callable[[Progress], Any], Callable[[Any], Result]]:
        """The parts `work`, `finish` of a step of a batch; where it cannot begin, `finish` raises why."""
        try:
            return batch.steps[number].begin()
        except Exception as error:
            reason = error

            def refuse(nothing):
                raise reason

            return (lambda progress: None), refuse

    def noteStep(self, batch: Batch, number: int, result: Callable[[], Result]) -> None:
        """Note in the table what has come of a step: what `result()` returns, or why it raises.

        FusionCancelled is raised on; the step waits then.
        """
        from ..cohort.work import told

        batch.results[number] = told(batch.steps[number].name, result)
        batch.publish(slicer.mrmlScene)

    def dropBatch(self) -> None:
        """Let go of the last batch; one that is running ends with what is done."""
        if self._batch is not None:
            batch, self._batch = self._batch, None
            try:
                batch.close()
            except InputError as error:  # the scene is closing: nobody is left to be told
                logging.warning(str(error))

    def batchRows(self) -> tuple[list[str], list[list[str]]]:
        """Headings and rows of the table of the last batch, ([], []) where there was none."""
        if slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLTableNode") is None:
            return [], []
        from .batch import shown_rows

        return shown_rows(slicer.mrmlScene)

    def batchSources(self, row: int) -> tuple:
        """The anatomical and the functional node of a row of the table; () where it has none, or they are gone."""
        steps = self._batch.steps if self._batch is not None else ()
        shown = [texts[0] for texts in self.batchRows()[1]]  # of another logic's batch, or of a loaded scene, maybe
        same = 0 <= row < len(steps) and shown[row : row + 1] == [steps[row].name]
        sources = steps[row].sources if same else ()
        return sources if all(node.GetScene() is slicer.mrmlScene for node in sources) else ()

    def batchReasons(self, p: state.MMIFAminParameterNode, busy: bool) -> dict[str, str]:
        """For each widget of *Batch* that is not always usable, why it is not just now, or ""."""
        wait = _("Wait until it is done.") if busy else ""
        scene = _("Choose 'A folder' first.") if p.batchOf is state.BatchOf.SCENE else ""
        unfound = _why_not_found(p.batchOf, p.batchFolder.strip(), p.batchResults.strip())
        outputs = "" if p.makeColor or p.makeGrey else _("Tick an output: colour, grey or both.")
        unusable = unfound or outputs or state.why_not_windows(p)
        folder = dict.fromkeys(("batchFolderLineEdit", "batchFolderButton"), wait or scene)
        folder |= dict.fromkeys(("batchResultsLineEdit", "batchResultsButton"), wait or scene)
        return {
            "batchOfComboBox": wait,
            "findAllButton": wait or unusable,
            "fuseAllButton": "" if busy else unusable,
        } | folder


def _why_not_found(of: state.BatchOf, folder: str, results: str) -> str:
    """Why a batch cannot begin, as far as its places go, or ""."""
    if of is state.BatchOf.SCENE:
        return ""
    if not folder:
        return _("Choose the folder (or table) of the studies.")
    if not Path(folder).expanduser().exists():
        return _("There is no folder or file {path}.").format(path=folder)
    if not results:
        return _("Choose a folder for the results.")
    return ""


def _why_none(batch: Batch) -> str:
    if not batch.left_out:
        return "the scene has no volume"
    what, why = batch.left_out[0]
    return f"'{what}' is left out: {why}"


def _choices(p) -> Choices:
    from .batch import Choices

    options = {name: value for name, value in state.options(p).items() if name != "second_window"}
    outputs = tuple(rgb for rgb, wanted in ((True, p.makeColor), (False, p.makeGrey)) if wanted)
    return Choices(options, outputs, p.functionalWindow, p.colorTable, p.functionalWeight)


def _study_options(p) -> argparse.Namespace:
    """The panel's choices as a study of files takes them."""
    from ..mrml.colors import color_table
    from ..study import default_options

    functional = state.window(p, "functional")
    return default_options(
        rgb=p.makeColor,
        plane=p.plane.value,
        window=state.window(p, "anatomical"),
        functional_window=f"suv:{functional}" if p.functionalWindow in units.SUV_WINDOWS else functional,
        kind=p.kind.value,
        color_table=color_table(p.colorTable) if p.colorTable is not None else None,
        functional_weight=p.functionalWeight,
    )
