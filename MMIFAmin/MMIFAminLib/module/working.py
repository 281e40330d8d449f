"""How the panel works: jobs in the background, their progress and errors, and the check of the alignment."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import contextmanager
from typing import Any

import slicer
from slicer.i18n import tr as _

from ..errors import FusionCancelled, MMIFAminError
from . import preload, state, units
from .background import Runner


class Working:
    """Base of the panel, which owns `ui`, `logic`, `_parameterNode`, the timers and `updateGUI`.

    Jobs run in a worker thread; a timer polls them, so that Slicer stays alive and no slot blocks.
    """

    ui: Any
    logic: Any
    updateGUI: Callable
    _parameterNode: Any
    _pollTimer: Any
    _checkTimer: Any
    _takingTimer: Any

    def __init__(self) -> None:
        self._job = Runner()  # what the user asked for
        self._check = Runner()  # of the alignment
        self._taking = Runner()  # the look at what the volumes would be taken for
        self._labels: list = []  # the names of sources that look like label maps
        self._patients: tuple = ()  # the sources of different patients that are meant to be fused
        self._taken: Any = None  # the sources and options of that look
        self._unfit = ""  # why these cannot be fused, as that look found
        self._loading = Runner()  # of the libraries, once the panel is entered
        self._alignment: Any = None  # what the last check found, of the volumes as they lie now
        self._warned = False  # that these volumes, as they lie now, do not fit
        self._problem = self._report = ""  # the last error and the last fusion in words, for the status line
        self._preparing = False

    @contextmanager
    def _telling(self, failure):
        """Show an error in the status line and in a dialog: what the user can mend in plain words, the rest as a fault."""
        try:
            self._problem = ""
            yield
        except FusionCancelled:
            self._problem = _("Cancelled; nothing was changed.")
        except MMIFAminError as error:
            self._problem = str(error)
            self.updateGUI()
            slicer.util.warningDisplay(f"{failure}\n\n{error}", windowTitle=_("MMIFAmin Image Fusion"))
        except Exception as error:
            self._problem = str(error)
            with slicer.util.tryWithErrorDisplay(failure):
                raise
        finally:
            self.updateGUI()

    def _start(self, failure, prepare, done=lambda result: None, estimate=True):
        """Prepare a job of the logic, run its `work` in the worker thread and then its `finish` in this one."""
        if self._preparing or self._parameterNode is None:
            return  # a second click while packages are being installed, or one while the scene is being closed

        def end(job):
            with self._telling(failure):
                try:
                    done(finish(job.result()))
                finally:
                    self.logic.endAtOnce()

        self._preparing = True
        try:
            with self._telling(failure):
                self._showProgress(0.0, _("Preparing"))
                work, finish = prepare(self._parameterNode)
                self._job.start(work, end, estimate=estimate)
                self._pollTimer.start()
        finally:
            self._preparing = False

    def _cancel(self):
        self._job.cancel()
        self.logic.endAtOnce()
        self._showJob()
        self.updateGUI()
        self.ui.progressBar.repaint()  # at once: a library that is being loaded may hold up everything for a while

    def _poll(self):
        """Called by the timer while a job runs: lets the workers run, shows how far they are."""
        self._job.poll()
        self._check.poll(0.0 if self._job.busy else 0.03)
        self._taking.poll(0.0 if self._job.busy else 0.01)
        self._loading.poll(0.0 if self._job.busy or self._check.busy else 0.02)
        if self._job.busy:
            self.logic.follow()
            self._showJob()
        elif not any(runner.busy for runner in (self._check, self._taking, self._loading)):
            self._pollTimer.stop()

    def _showJob(self):
        if (job := self._job.job) is not None:
            self._showProgress(job.fraction, job.describe())

    def _showProgress(self, fraction, text):
        self.ui.progressBar.value = int(1000 * fraction)
        self.ui.progressBar.format = text.replace("%", "")

    def _drop(self, seconds=0.0):
        """Let go of all that works on the scene."""
        self._job.drop(seconds)
        self.logic.endAtOnce()
        self.logic.dropBatch()
        self._check.drop(seconds)
        self._taking.drop(seconds)
        self._patients = ()  # no node outlives its scene

    def _preload(self):
        """Load what a fusion needs in the background, unless that was done or something is missing."""
        if not self._loading.busy and not self._job.busy and preload.wanted():
            self._loading.start(lambda progress: preload.load(progress, self.logic.fuser), self._onLoaded)
            self._pollTimer.start()

    def _onLoaded(self, job):
        try:
            job.result()
        except Exception:  # the fusion will meet it again and say it where it can be read
            preload.give_up()
        self.updateGUI()

    # Alignment -------------------------------------------------------------------------------------------------------

    def _scheduleCheck(self, caller=None, event=None):
        p = self._parameterNode
        self._check.drop()
        self._alignment, self._warned = None, False
        self._sayAlignment(_before_look(p, _("Checking..."), _("Checked when both are chosen")), "")
        self._checkTimer.start()

    def _startCheck(self):
        p = self._parameterNode
        if self._job.busy:
            self._checkTimer.start()
        elif p is not None and not state.why_not_pair(p):
            self._check.start(self.logic.alignment(p), self._onChecked)
            self._pollTimer.start()

    def _onChecked(self, job):
        try:
            self._alignment, second = job.result()
            self._sayAlignment(*state.describe_alignment(self._alignment, second))
        except MMIFAminError as error:
            self._sayAlignment(_("Not known: {reason}").format(reason=error), str(error))

    def _sayAlignment(self, text, detail):
        self.ui.alignmentLabel.text = text
        self.ui.alignmentLabel.toolTip = detail

    # What the volumes are taken for --------------------------------------------------------------------------------------

    def _followTaken(self):
        """After another choice of sources or options: look again at what they are taken for."""
        p = self._parameterNode
        both = not state.why_not_pair(p)
        wanted = (*state.sources(p), state.options(p)) if both else ()
        if wanted != self._taken:
            self._taken, self._labels, self._unfit = wanted, [], ""
            self._taking.drop()
            self._sayTaken(_before_look(p, _("Looking..."), _("Told when both are chosen")), "")
            self._takingTimer.start()

    def _startTaking(self):
        if self._job.busy:
            self._takingTimer.start()
        elif self._parameterNode is not None and self._taken:
            self._taking.start(self.logic.taken(self._parameterNode), self._onTaken)
            self._pollTimer.start()

    def _onTaken(self, job):
        try:
            taken, self._labels = job.result()
            self._sayTaken(*units.describe_taken(taken, self._labels))
        except MMIFAminError as error:
            self._unfit = str(error)
            self._sayTaken(_("Not known"), self._unfit)
        self.updateGUI()

    def _sayTaken(self, text, detail):
        self.ui.takenLabel.text = text
        self.ui.takenLabel.toolTip = detail

    # SUV -------------------------------------------------------------------------------------------------------------

    def onSuv(self, checked: bool = False) -> None:
        p = self._parameterNode
        if p is not None and self.logic.isShownAsSuv(p.functional):
            with self._telling(_("The values were not changed back.")):
                self.logic.undoSuv(p)
        else:
            self._start(_("The volume is not shown as SUV."), self.logic.suv)

    def _labelsAccepted(self) -> bool:
        """Whether to fuse: asks about volumes that look like label maps, which the engine refuses by itself."""
        if not self._labels:
            return True
        question = _("{names}: numbers of regions rather than intensities, it seems. Fuse as images all the same?")
        names = _(" and ").join(f"'{name}'" for name in self._labels)
        return slicer.util.confirmOkCancelDisplay(question.format(names=names), _("MMIFAmin Image Fusion"))

    def _patientsAccepted(self) -> bool:
        """Whether to fuse: asks once about volumes that the data tree has under different patients."""
        from .. import mrml

        p = self._parameterNode
        if p is None or state.why_not_pair(p):
            return True  # what is missing is told where the fusion is prepared
        sources = state.sources(p)
        message = mrml.other_patient(*sources)
        if not message or sources == self._patients:
            return True
        question = _("{message}. Fuse all the same?").format(message=message)
        accepted = slicer.util.confirmOkCancelDisplay(question, _("MMIFAmin Image Fusion"))
        self._patients = sources if accepted else ()
        return accepted

    def _misalignmentAccepted(self) -> bool:
        """Whether to fuse: asks once about volumes that are known not to lie on each other."""
        if self._alignment is None or self._alignment.aligned or self._warned:
            return True
        question = _("{message}\n\nFused like this, uptake appears in the wrong place. Fuse all the same?")
        text = question.format(message=self._alignment.message)
        self._warned = slicer.util.confirmOkCancelDisplay(text, _("MMIFAmin Image Fusion"))
        return self._warned


def _before_look(p, doing: str, when: str) -> str:
    """What is said of two volumes before anybody has looked at them: `doing` it, or `when` it will be done."""
    if p is None or None in state.sources(p):
        return when
    return _("Not known") if state.why_not_pair(p) else doing
