"""The MMIFAmin module of 3D Slicer: choose two volumes, fuse, see, compare, measure. The engine is `MMIFAminLib`."""

import os
import sys

import qt
import slicer
import vtk
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.ScriptedLoadableModule import *
from slicer.util import VTKObservationMixin

from MMIFAminLib import state
from MMIFAminLib.background import Runner
from MMIFAminLib.errors import FusionCancelled, MMIFAminError
from MMIFAminLib.logic import FusionLogic, describe, describe_alignment
from MMIFAminLib.roles import preselect
from MMIFAminLib.selftest import SelfTestCases

RESOURCES = os.path.join(os.path.dirname(__file__), "Resources")


class MMIFAmin(ScriptedLoadableModule):
    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        self.parent.title = _("MMIFAmin Image Fusion")
        self.parent.categories = [translate("qSlicerAbstractCoreModule", "Filtering")]
        self.parent.dependencies = []
        self.parent.contributors = ["MMIFAmin contributors"]
        self.parent.helpText = _(
            "Fuses an anatomical volume (MR, CT) and a functional or second anatomical one (PET, SPECT, CT) into one "
            "volume with the MMIF-AMIN network: choose the two, click Fuse. Research use only. "
            '<a href="https://github.com/MMIFAmin/MMIFAmin#readme">Documentation</a>.'
        )
        self.parent.acknowledgementText = _(
            "The method follows MMIF-AMIN (Luo and Xu, 2025). Built on 3D Slicer, PyTorch, MONAI and SimpleITK."
        )
        slicer.app.connect("startupCompleted()", registerSampleData)


def registerSampleData():
    from MMIFAminLib import sample

    sample.register(lambda source: MMIFAminLogic().loadSample(), os.path.join(RESOURCES, "Icons"))


class MMIFAminWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """The panel. Jobs run in a worker thread; a timer polls them, so that Slicer stays alive and no slot blocks."""

    def __init__(self, parent=None):
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.logic = self._parameterNode = self._guiTag = None
        self._job, self._check = Runner(), Runner()  # what the user asked for; the alignment check
        self._pair = self._shown = self._rows = None  # the sources, display and scores that the panel reflects
        self._problem = self._report = ""  # the last error and the last fusion in words, for the status line
        self._tips, self._updating, self._switching = {}, False, False

    # Set-up and scene --------------------------------------------------------------------------------------------

    def setup(self):
        ScriptedLoadableModuleWidget.setup(self)
        uiWidget = slicer.util.loadUI(self.resourcePath("UI/MMIFAmin.ui"))
        self.layout.addWidget(uiWidget)
        self.ui = slicer.util.childWidgetVariables(uiWidget)
        uiWidget.setMRMLScene(slicer.mrmlScene)
        self.logic = MMIFAminLogic()

        self._pollTimer = self._timer(20, self._poll, single=False)
        self._checkTimer = self._timer(400, self._startCheck)
        self._recolorTimer = self._timer(150, self._recolor)
        self._preselectTimer = self._timer(300, self._preselect)

        scene = slicer.mrmlScene
        self.addObserver(scene, scene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(scene, scene.EndCloseEvent, self.onSceneEndClose)
        self.addObserver(scene, scene.EndImportEvent, self.onSceneEndImport)
        self.addObserver(scene, scene.NodeAddedEvent, self.onNodeAdded)
        self.addObserver(scene, scene.NodeAboutToBeRemovedEvent, self.onNodeAboutToBeRemoved)
        if slicer.app.layoutManager() is not None:
            layoutNode = slicer.app.layoutManager().layoutLogic().GetLayoutNode()
            self.addObserver(layoutNode, vtk.vtkCommand.ModifiedEvent, self.onLayoutModified)

        for button, handler in (
            (self.ui.fuseButton, self.onFuse),
            (self.ui.registerButton, self.onRegister),
            (self.ui.compareButton, self.onCompare),
            (self.ui.measureButton, self.onMeasure),
            (self.ui.plotButton, self.onPlot),
        ):
            button.connect("clicked(bool)", handler)
        self.ui.metricComboBox.connect("activated(int)", self.onMetric)
        self.ui.colorTableSelector.connect("currentNodeChanged(vtkMRMLNode*)", self.onColorTable)
        self.initializeParameterNode()

    @staticmethod
    def _timer(milliseconds, handler, single=True):
        timer = qt.QTimer()
        timer.setInterval(milliseconds)
        timer.setSingleShot(single)
        timer.connect("timeout()", handler)
        return timer

    def cleanup(self):
        for timer in (self._pollTimer, self._checkTimer, self._recolorTimer, self._preselectTimer):
            timer.stop()
        self._job.drop(2.0)
        self._check.drop(2.0)
        self.setParameterNode(None)
        self.removeObservers()

    def enter(self):
        self.initializeParameterNode()
        self._preselect()

    def exit(self):
        """Nothing to let go of: a running fusion goes on, and the parameter node stays bound to the hidden panel."""

    def onReload(self):
        for name in [name for name in sys.modules if name.split(".")[0] == "MMIFAminLib"]:
            del sys.modules[name]  # so that an edit anywhere in the engine takes effect
        ScriptedLoadableModuleWidget.onReload(self)

    def onSceneStartClose(self, caller=None, event=None):
        self._job.drop()
        self._check.drop()
        self.setParameterNode(None)

    def onSceneEndClose(self, caller=None, event=None):
        if self.parent.isEntered:
            self.initializeParameterNode()

    def onSceneEndImport(self, caller=None, event=None):
        if self.parent.isEntered:
            self.initializeParameterNode()
            self._restoreLayout()

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def onNodeAdded(self, caller, event, node):
        if node.IsA("vtkMRMLVolumeNode") and self.parent.isEntered and not caller.IsBatchProcessing():
            self._preselectTimer.start()  # a little later: its display and colours are set after it is added

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def onNodeAboutToBeRemoved(self, caller, event, node):
        """The tables and plots of a fused volume go with it: deleting that one node undoes all."""
        if node.GetAttribute("MMIFAmin.version") is not None and not caller.IsClosing():
            owned, p = self.logic.qualityNodes(node), self._parameterNode
            qt.QTimer.singleShot(0, lambda: [caller.RemoveNode(n) for n in owned if n.GetScene() is caller])
            if p is not None and (p.compared or p.plotted) and node is state.fused_node(p):
                self._switch(self.logic.leaveLayout)

    # Parameter node ----------------------------------------------------------------------------------------------

    def initializeParameterNode(self):
        self.setParameterNode(self.logic.getParameterNode())

    def setParameterNode(self, parameterNode):
        """Bind the panel to a parameter node (None: to none). Bound once for each node: what `connectParametersToGui`
        observes is never let go of by Slicer, so binding anew on every entry would pile up observers."""
        if parameterNode is self._parameterNode:
            return
        if self._parameterNode is not None:
            self._parameterNode.disconnectGui(self._guiTag)
            self.removeObserver(self._parameterNode, vtk.vtkCommand.ModifiedEvent, self.updateGUI)
            self._watch(self._pair, ())
        self._parameterNode = parameterNode
        self._pair = self._shown = self._rows = None
        if parameterNode is not None:
            named = {w.property("SlicerParameterName"): w for w in vars(self.ui).values()}
            self._guiTag = parameterNode.connectParametersToGui({name: w for name, w in named.items() if name})
            self.addObserver(parameterNode, vtk.vtkCommand.ModifiedEvent, self.updateGUI)
            self.updateGUI()

    def _preselect(self):
        """Choose what is not chosen yet, where the nodes tell which is which."""
        p = self._parameterNode
        if p is not None and not self._job.busy and (p.anatomical is None or p.functional is None):
            anatomical, functional = preselect(slicer.mrmlScene, p.anatomical, p.functional)
            with slicer.util.NodeModify(p):
                p.anatomical, p.functional = anatomical, functional

    def updateGUI(self, caller=None, event=None):
        """Show what the choices and the running job allow, and follow changed choices; called on every change."""
        p, ui = self._parameterNode, self.ui
        if p is None or self._updating:
            return
        self._updating = True
        try:
            self._followSources()
            self._followDisplay()
        finally:
            self._updating = False
        busy, reason, fused = self._job.busy, state.why_not(p), state.fused_node(p)
        self._report = self._report if fused is not None else ""
        for section in (ui.inputsCollapsibleButton, ui.outputCollapsibleButton, ui.advancedCollapsibleButton):
            section.enabled = not busy
        for role in ("anatomical", "functional"):
            for end in ("Low", "High"):
                getattr(ui, f"{role}{end}SpinBox").enabled = isinstance(state.window(p, role), tuple)
        ui.colorSelector.enabled, ui.greySelector.enabled = p.makeColor, p.makeGrey

        ui.fuseButton.text = _("Cancel") if busy else _("Fuse")
        self._allow(ui.fuseButton, _("Stopping...") if busy and self._job.job.cancelled else "" if busy else reason)
        ui.progressBar.visible = busy
        ui.statusLabel.text = "\n".join(filter(None, (self._problem or reason, self._report))) or _("Ready.")
        registered = self.logic.isRegistered(p.functional)
        ui.registerButton.text = _("Undo registration") if registered else _("Register first")
        self._allow(ui.registerButton, "" if registered else state.why_not_pair(p))

        unfused = "" if fused is not None else _("Fuse two volumes first.")
        self._allow(ui.compareButton, unfused)
        self._allow(ui.opacitySlider, unfused)
        self._allow(ui.underComboBox, unfused or (_("Side by side shows both sources.") if p.compared else ""))
        self._allow(ui.colorTableSelector, "" if p.fusedColor is not None else _("Tick Colour and fuse first."))
        self._allow(ui.measureButton, unfused or (_("Wait for the fusion.") if busy else self.logic.whyNotMeasured(fused)))
        self._showQuality(fused)

    def _allow(self, widget, reason):
        """Enable a widget unless there is a reason not to, which its tooltip then gives."""
        self._tips.setdefault(widget.name, widget.toolTip)
        widget.enabled = not reason
        widget.toolTip = reason or self._tips[widget.name]

    def _followSources(self):
        """After another choice of sources: colours and outputs that fit them, and a fresh alignment check."""
        p = self._parameterNode
        pair = (p.anatomical, p.functional)
        if pair == self._pair:
            return
        self._watch(self._pair, pair)
        self.logic.adaptToSources(p, newFunctional=self._pair is not None and pair[1] is not self._pair[1])
        self._pair, self._problem, self._report = pair, "", ""
        self._scheduleCheck()

    def _watch(self, before, after):
        """Have the alignment checked again when a source is moved, by any module."""
        moved = slicer.vtkMRMLTransformableNode.TransformModifiedEvent
        for node in {*(before or ())} - {None}:
            self.removeObserver(node, moved, self._scheduleCheck)
        for node in {*after} - {None}:
            self.addObserver(node, moved, self._scheduleCheck)

    def _followDisplay(self):
        p = self._parameterNode
        if p.colorTable is not self.ui.colorTableSelector.currentNode():
            self.ui.colorTableSelector.setCurrentNode(p.colorTable)
        colors, blend = (p.fusedColor, p.colorTable, p.functionalWeight), (p.under, p.opacity)
        before_colors, before_blend = self._shown or (colors, blend)
        if colors[0] is not None and colors[0] is before_colors[0] and colors != before_colors:
            self._recolorTimer.start()  # a little later, so that a slider can be dragged
        if blend != before_blend:
            self.logic.blend(p)
        self._shown = (colors, blend)

    # Jobs ----------------------------------------------------------------------------------------------------------

    def _start(self, failure, prepare, done=None):
        """Prepare a job of the logic (`work`, `finish`) and run it; `failure` heads the message of an error."""
        with slicer.util.tryWithErrorDisplay(failure):
            try:
                self._problem = ""
                work, finish = prepare(self._parameterNode)
                self._job.start(work, lambda job: self._end(job, failure, finish, done))
                self._pollTimer.start()
            except MMIFAminError as error:
                self._problem = str(error)
                raise
            finally:
                self.updateGUI()

    def _end(self, job, failure, finish, done):
        with slicer.util.tryWithErrorDisplay(failure):
            try:
                result = finish(job.result())
                if done is not None:
                    done(result)
            except FusionCancelled:
                self._problem = _("Cancelled; nothing was changed.")
            except Exception as error:
                self._problem = str(error)
                raise
            finally:
                self.updateGUI()

    def _poll(self):
        """Called by the timer while a job runs: lets the workers run, shows how far they are."""
        self._job.poll()
        self._check.poll(0.0 if self._job.busy else 0.03)
        job = self._job.job
        if job is not None:
            left = job.seconds_left
            text = job.text if left is None or "left" in job.text else _("{text}, about {seconds:.0f} s left").format(
                text=job.text, seconds=left
            )
            self.ui.progressBar.value = int(1000 * job.fraction)
            self.ui.progressBar.format = text.replace("%", "")
        elif not self._check.busy:
            self._pollTimer.stop()

    def onFuse(self, checked=False):
        if self._job.busy:
            self._job.cancel()
            self.updateGUI()
            return
        self._check.drop()
        self._start(_("The volumes were not fused."), self.logic.fusion, self._onFused)

    def _onFused(self, report):
        self.ui.compareCollapsibleButton.collapsed = False
        self._report = describe(report)

    def onRegister(self, checked=False):
        p = self._parameterNode
        if self.logic.isRegistered(p.functional):
            with slicer.util.tryWithErrorDisplay(_("The registration was not undone.")):
                self.logic.undoRegistration(p.functional)
            self.updateGUI()
        else:
            self._start(_("The volumes were not registered."), self.logic.registration)

    def onMeasure(self, checked=False):
        self._start(_("The quality was not measured."), self.logic.quality)

    # Alignment -----------------------------------------------------------------------------------------------------

    def _scheduleCheck(self, caller=None, event=None):
        self._check.drop()
        self._sayAlignment(_("Checked when both are chosen"), "")
        self._checkTimer.start()

    def _startCheck(self):
        p = self._parameterNode
        if p is None or self._job.busy or state.why_not_pair(p):
            return
        try:
            work = self.logic.alignment(p)
        except MMIFAminError as error:
            self._sayAlignment(_("Not known"), str(error))
            return
        self._sayAlignment(_("Checking..."), "")
        self._check.start(work, self._onChecked)
        self._pollTimer.start()

    def _onChecked(self, job):
        try:
            alignment = job.result()
            color = "#2e9e4f" if alignment.aligned else "#d98200"
            self._sayAlignment(f"<font color='{color}'>\u25cf</font> {describe_alignment(alignment)}", alignment.message)
        except MMIFAminError as error:
            self._sayAlignment(_("Not known"), str(error))

    def _sayAlignment(self, text, detail):
        self.ui.alignmentLabel.text = text
        self.ui.alignmentLabel.toolTip = detail

    # Views and quality ---------------------------------------------------------------------------------------------

    def _recolor(self):
        with slicer.util.tryWithErrorDisplay(_("The fused volume was not recoloured.")):
            self.logic.recolor(self._parameterNode)

    def onColorTable(self, node):
        if self._parameterNode is not None and node is not None:
            self._parameterNode.colorTable = node

    def onCompare(self, checked):
        self._switch(self.logic.compare if checked else self.logic.leaveLayout)

    def onPlot(self, checked):
        self._switch(self.logic.plot if checked else self.logic.leaveLayout)

    def onMetric(self, index):
        self._parameterNode.metric = self.ui.metricComboBox.currentText
        if self._parameterNode.plotted:
            self._switch(self.logic.plot)

    def _switch(self, layout):
        with slicer.util.tryWithErrorDisplay(_("The layout was not changed.")):
            self._switching = True
            try:
                layout(self._parameterNode)
            except MMIFAminError:
                self._parameterNode.compared = self._parameterNode.plotted = False
                raise
            finally:
                self._switching = False

    def onLayoutModified(self, caller=None, event=None):
        """The user may leave the comparison or chart by choosing another layout, too."""
        if self._parameterNode is not None and not self._switching:
            self.logic.followLayout(self._parameterNode)

    def _restoreLayout(self):
        """After loading a scene: the comparison or chart that was shown when it was saved."""
        p = self._parameterNode
        if p.compared and state.fused_node(p) is not None:
            self._switch(self.logic.compare)
        elif p.plotted and self.logic.chart(state.fused_node(p), p.metric) is not None:
            self._switch(self.logic.plot)

    def _showQuality(self, fused):
        rows, ui = self.logic.qualityRows(fused), self.ui
        for widget in (ui.metricComboBox, ui.plotButton):
            self._allow(widget, "" if rows else _("Measure the quality first."))
        if rows == self._rows:
            return
        self._rows = rows
        names, wanted = [row[0] for row in rows], self._parameterNode.metric
        ui.qualityTable.setRowCount(len(rows))
        for index, (name, value, meaning) in enumerate(rows):
            for column, text in enumerate((name, value, meaning)):
                item = qt.QTableWidgetItem(text)
                item.setToolTip(meaning)
                ui.qualityTable.setItem(index, column, item)
        ui.qualityTable.visible = bool(rows)
        ui.qualityTable.resizeColumnToContents(0)
        ui.qualityTable.resizeColumnToContents(1)
        ui.qualityTable.resizeRowsToContents()
        height = sum(ui.qualityTable.rowHeight(index) for index in range(len(rows)))
        ui.qualityTable.setFixedHeight(height + ui.qualityTable.horizontalHeader().height + 4)
        ui.metricComboBox.clear()
        ui.metricComboBox.addItems(names)
        ui.metricComboBox.currentIndex = names.index(wanted) if wanted in names else 0 if names else -1


class MMIFAminLogic(FusionLogic, ScriptedLoadableModuleLogic):
    """Everything the module does, for scripts too: `MMIFAminLogic().fuse(anatomicalNode, functionalNode)`."""

    def __init__(self):
        ScriptedLoadableModuleLogic.__init__(self)
        FusionLogic.__init__(self)
        self._parameters = None

    def getParameterNode(self):
        """The module's parameter node, wrapped once: each wrapping would observe it anew."""
        node = super().getParameterNode()
        if self._parameters is None or self._parameters.parameterNode is not node:
            self._parameters = state.MMIFAminParameterNode(node)
        return self._parameters


class MMIFAminTest(SelfTestCases, ScriptedLoadableModuleTest):
    """The module's self-test; its cases are in `MMIFAminLib/selftest.py`."""
