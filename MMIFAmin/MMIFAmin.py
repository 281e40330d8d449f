"""The MMIFAmin module of 3D Slicer: choose two volumes, fuse, see, compare, measure. The engine is `MMIFAminLib`."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import qt
import slicer
import vtk
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.ScriptedLoadableModule import *
from slicer.util import VTKObservationMixin

from MMIFAminLib.errors import MMIFAminError
from MMIFAminLib.module import roles, state, units
from MMIFAminLib.module.batching import Batching
from MMIFAminLib.module.following import Following
from MMIFAminLib.module.logic import FusionLogic
from MMIFAminLib.module.preset_choice import PresetChoice
from MMIFAminLib.module.reading import Reading
from MMIFAminLib.module.selftest import SelfTestCases
from MMIFAminLib.module.widgets import BATCH_HEIGHT, fit_rows, show_quality, show_unusable
from MMIFAminLib.module.working import Working

RESOURCES = os.path.join(os.path.dirname(__file__), "Resources")


class MMIFAmin(ScriptedLoadableModule):
    def __init__(self, parent: Any) -> None:
        ScriptedLoadableModule.__init__(self, parent)
        self.parent.title = _("MMIFAmin Image Fusion")
        self.parent.categories = [translate("qSlicerAbstractCoreModule", "Filtering")]
        self.parent.contributors = ["MMIFAmin contributors"]
        self.parent.helpText = _(
            "Fuses an anatomical volume (MR, CT) and a functional or second anatomical one (PET, SPECT, CT) into one "
            "volume with the MMIF-AMIN network: choose the two, click Fuse. Research use only. "
            '<a href="https://github.com/MMIFAmin/MMIFAmin#readme">Documentation</a>.'
        )
        self.parent.acknowledgementText = _("After MMIF-AMIN (Luo and Xu, 2025), on PyTorch, MONAI and SimpleITK.")
        slicer.app.connect("startupCompleted()", registerSampleData)


def registerSampleData() -> None:
    from MMIFAminLib.module import sample

    sample.register(lambda source: MMIFAminLogic().loadSample(source.sampleName), os.path.join(RESOURCES, "Icons"))


class MMIFAminWidget(
    Working, Following, PresetChoice, Reading, Batching, ScriptedLoadableModuleWidget, VTKObservationMixin
):
    """The panel: what it shows and how it follows the scene. How it works is in `Working`."""

    logic: MMIFAminLogic  # from `setup` on

    def __init__(self, parent: Any = None) -> None:
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        Working.__init__(self)
        Reading.__init__(self)
        Batching.__init__(self)
        self._parameterNode: Any = None
        self._guiTag: Any = None
        self._pair = self._shown = self._rows = None  # the sources, display and scores that the panel reflects
        self._fused: Any = None  # the fused volume that it shows
        self._layoutBefore = None  # where a scene was left that is being closed side by side, or with a chart
        self._tips, self._stamps, self._places, self._others = {}, {}, {}, set()
        self._updating = self._switching = False

    def setup(self) -> None:
        ScriptedLoadableModuleWidget.setup(self)
        uiWidget = slicer.util.loadUI(self.resourcePath("UI/MMIFAmin.ui"))
        self.layout.addWidget(uiWidget)
        self.ui, self._panel = slicer.util.childWidgetVariables(uiWidget), uiWidget
        uiWidget.setMRMLScene(slicer.mrmlScene)
        self.logic = MMIFAminLogic()

        self._pollTimer = self._timer(10, self._poll, single=False)
        self._checkTimer = self._timer(400, self._startCheck)
        self._takingTimer = self._timer(400, self._startTaking)
        self._recolorTimer = self._timer(150, self._recolor)
        self._preselectTimer = self._timer(300, self._preselect)
        self._preloadTimer = self._timer(500, self._preload)
        self._fitTimer = self._timer(0, self._fitTables)

        scene = slicer.mrmlScene
        self.addObserver(scene, scene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(scene, scene.EndCloseEvent, self.onSceneEndClose)
        self.addObserver(scene, scene.EndImportEvent, self.onSceneEndImport)
        self.addObserver(scene, scene.NodeAddedEvent, self.onNodeAdded)
        self.addObserver(scene, scene.NodeAboutToBeRemovedEvent, self.onNodeAboutToBeRemoved)
        manager = slicer.app.layoutManager()
        if manager is not None:
            self.addObserver(manager.layoutLogic().GetLayoutNode(), vtk.vtkCommand.ModifiedEvent, self.onLayoutModified)

        for action in ("Fuse", "Register", "Swap", "Suv", "SavePreset", "DeletePreset", "Compare", "Measure", "Plot"):
            getattr(self.ui, f"{action[0].lower()}{action[1:]}Button").connect(
                "clicked(bool)", getattr(self, f"on{action}")
            )
        self.ui.presetComboBox.connect("activated(int)", self.onPreset)
        self.ui.presetComboBox.connect("editTextChanged(QString)", self.onPresetName)
        self.ui.qualityTable.horizontalHeader().connect("sectionResized(int,int,int)", self.onTableResized)
        self.ui.metricComboBox.connect("activated(int)", self.onMetric)
        self.ui.colorTableSelector.connect("currentNodeChanged(vtkMRMLNode*)", self.onColorTable)
        self.setupReading(qt)
        self.setupBatch(qt)
        self.initializeParameterNode()

    @staticmethod
    def _timer(milliseconds: int, handler: Callable[[], None], single: bool = True) -> qt.QTimer:
        timer = qt.QTimer()
        timer.setInterval(milliseconds)
        timer.setSingleShot(single)
        timer.connect("timeout()", handler)
        return timer

    def cleanup(self) -> None:
        for name, timer in vars(self).items():
            if name.endswith("Timer"):
                timer.stop()
        self._drop(2.0)
        self._loading.drop()
        self.setParameterNode(None)
        self.dropReading()
        self.removeObservers()

    def enter(self) -> None:
        self.initializeParameterNode()
        self._restoreLayout()
        self._preselect()
        self._preloadTimer.start()

    def exit(self) -> None:
        """A running fusion goes on, and the parameter node stays bound to the hidden panel."""

    def onReload(self) -> None:
        for name in [name for name in sys.modules if name.split(".")[0] == "MMIFAminLib"]:
            del sys.modules[name]  # so that an edit anywhere in the engine takes effect
        ScriptedLoadableModuleWidget.onReload(self)

    def onSceneStartClose(self, caller: vtk.vtkObject | None = None, event: str | None = None) -> None:
        p = self._parameterNode
        self._layoutBefore = p.layoutBefore if p is not None and state.in_own_layout(p) else None
        self._drop()
        self.setParameterNode(None)
        self.dropReading()
        self.logic.forgetScene()

    def onSceneEndClose(self, caller: vtk.vtkObject | None = None, event: str | None = None) -> None:
        self.logic.leaveEmptyLayout(self._layoutBefore)
        if self.parent.isEntered:
            self.initializeParameterNode()

    def onSceneEndImport(self, caller: vtk.vtkObject | None = None, event: str | None = None) -> None:
        self.logic.rewrapParameters()
        qt.QTimer.singleShot(0, self._onImported)  # by then the references of the loaded nodes are resolved

    def _onImported(self):
        if self.parent.isEntered and not slicer.mrmlScene.IsClosing():
            self.logic.rewrapParameters()
            self.initializeParameterNode()
            self._restoreLayout()

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def onNodeAdded(self, caller: slicer.vtkMRMLScene, event: str, node: slicer.vtkMRMLNode) -> None:
        if node.IsA("vtkMRMLVolumeNode") and self.parent.isEntered and not caller.IsBatchProcessing():
            self._preselectTimer.start()  # a little later: its display and colours are set after it is added

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def onNodeAboutToBeRemoved(self, caller: slicer.vtkMRMLScene, event: str, node: slicer.vtkMRMLNode) -> None:
        """A source, or a colour table, that goes is chosen no more. The tables and plots of a fused volume go with it."""
        p = self._parameterNode
        if caller.IsClosing():
            return
        if p is not None and node is p.colorTable:
            self.logic.release(p, node)
        if not node.IsA("vtkMRMLVolumeNode"):
            return
        if node.GetAttribute("MMIFAmin.version") is not None:
            owned = self.logic.forget(node)
            qt.QTimer.singleShot(0, lambda: [caller.RemoveNode(n) for n in owned if n.GetScene() is caller])
            if p is not None and (p.compared or p.plotted) and node is state.fused_node(p):
                self._switch(self.logic.leaveLayout)
            self.logic.takeFromViews(p, node)
        if p is not None:
            if p.mip and node is p.functional:
                self._switch(self.logic.leaveLayout)
            self.logic.release(p, node)

    def initializeParameterNode(self) -> None:
        self.setParameterNode(self.logic.getParameterNode())

    def setParameterNode(self, parameterNode: state.MMIFAminParameterNode | None) -> None:
        """Bind the panel to a parameter node (None: to none). Not bound anew on every entry of the module: Slicer never
        lets go of what `connectParametersToGui` observes."""
        if parameterNode is self._parameterNode:
            return
        if self._parameterNode is not None:
            self._parameterNode.disconnectGui(self._guiTag)
            self.removeObserver(self._parameterNode, vtk.vtkCommand.ModifiedEvent, self.updateGUI)
            self._watch(self._pair, ())
            self._watchOthers(())
        self._parameterNode = parameterNode
        self._panel.enabled = parameterNode is not None  # there is nothing to click while a scene is being closed
        self._pair = self._shown = self._rows = self._fused = None
        if parameterNode is not None:
            named = {w.property("SlicerParameterName"): w for w in vars(self.ui).values()}
            self._guiTag = parameterNode.connectParametersToGui({name: w for name, w in named.items() if name})
            self.addObserver(parameterNode, vtk.vtkCommand.ModifiedEvent, self.updateGUI)
            self.updateGUI()

    def updateGUI(self, caller: vtk.vtkObject | None = None, event: str | None = None) -> None:
        """Show what the choices and the running job allow, and follow changed choices; called on every change."""
        p, ui = self._parameterNode, self.ui
        if p is None or self._updating:
            return
        self._updating = True
        try:
            self._hideOwn()
            self._followSources()
            self._watchOthers(roles.own_volumes(slicer.mrmlScene))
            self._followTaken()
            self._followDisplay()
        finally:
            self._updating = False
        busy = self._job.busy
        for section in (ui.inputsCollapsibleButton, ui.outputCollapsibleButton, ui.advancedCollapsibleButton):
            section.enabled = not busy
        self._showPresets()
        show_unusable(ui, self.logic.unusable() | units.unusable_windows(p.functional))
        reasons = self.logic.reasons(p, busy) | self._presetReasons(ui.presetComboBox.currentText)
        reasons["fuseButton"] = reasons["fuseButton"] or ("" if busy else self._unfit)
        for name, reason in reasons.items():
            widget = getattr(ui, name)
            ordinary = self._tips.setdefault(name, widget.toolTip)
            widget.enabled, widget.toolTip = not reason, reason or ordinary
        for name, text in self.logic.texts(p, busy).items():
            getattr(ui, name).text = text
        ui.unitLabel.toolTip = units.describe_suv(p.functional)
        ui.progressBar.visible = busy
        self._report = self._report if state.fused_node(p) is not None else ""
        stale = "" if busy else self.logic.outOfDate(p)
        lines = (self._problem or reasons["fuseButton"], stale, self._report)
        ui.statusLabel.text = "\n".join(filter(None, lines)) or ("" if busy else _("Ready."))
        self._showQuality(self.logic.qualityRows(state.fused_node(p)))
        self.showReading()
        self.showBatch()

    def _followDisplay(self):
        p = self._parameterNode
        if p.colorTable is not self.ui.colorTableSelector.currentNode():
            self.ui.colorTableSelector.setCurrentNode(p.colorTable)
        colors, blend = (p.fusedColor, p.colorTable, p.functionalWeight), (p.under, p.opacity, p.legend)
        before_colors, before_blend = self._shown or (colors, blend)
        if colors != before_colors and self.logic.isPaintedOtherwise(p):
            self._recolorTimer.start()  # a little later, so that a slider can be dragged
        if blend != before_blend:
            self.logic.blend(p)
        before_fused, self._fused = self._fused, state.fused_node(p)
        if before_fused not in (None, self._fused) and before_fused in (p.fusedColor, p.fusedGrey):
            self.logic.showFused(p)  # the other output is ticked
        self._shown = (colors, blend)

    def onFuse(self, checked: bool = False) -> None:
        if self._job.busy:
            self._cancel()
        elif self._patientsAccepted() and self._labelsAccepted() and self._misalignmentAccepted():
            self._report = ""
            fusion = partial(self.logic.fusion, insist=bool(self._labels))
            self._start(_("The volumes were not fused."), fusion, self._onFused, estimate=False)

    def _onFused(self, report):
        self.ui.compareCollapsibleButton.collapsed = False
        self._report = state.describe(report)
        self._sayTaken(*units.describe_taken(units.taken_in(report)))

    def onMeasure(self, checked: bool = False) -> None:
        self._start(_("The quality was not measured."), self.logic.quality)

    def _recolor(self):
        with self._telling(_("The fused volume was not recoloured.")):
            self.logic.recolor(self._parameterNode)

    def onColorTable(self, node: slicer.vtkMRMLColorNode | None) -> None:
        if self._parameterNode is not None and node is not None:
            self._parameterNode.colorTable = node

    def onCompare(self, checked: bool) -> None:
        self._switch(self.logic.compare if checked else self.logic.leaveLayout)

    def onPlot(self, checked: bool) -> None:
        self._switch(self.logic.plot if checked else self.logic.leaveLayout)

    def onTableResized(self, column: int, before: int, after: int) -> None:
        self._fitTimer.start()  # Qt tells of a new width before the columns have it

    def _fitTables(self):
        fit_rows(self.ui.qualityTable)
        fit_rows(self.ui.batchTable, BATCH_HEIGHT)

    def onMetric(self, index: int) -> None:
        self._parameterNode.metric = self.ui.metricComboBox.currentText
        if self._parameterNode.plotted:
            self.onPlot(True)

    def _switch(self, layout):
        self._switching = True
        try:
            with self._telling(_("The layout was not changed.")):
                try:
                    layout(self._parameterNode)
                except MMIFAminError:
                    self._parameterNode.compared = self._parameterNode.plotted = self._parameterNode.mip = False
                    raise
        finally:
            self._switching = False

    def onLayoutModified(self, caller: vtk.vtkObject | None = None, event: str | None = None) -> None:
        """The user may leave the comparison or chart by choosing another layout, too."""
        if self._parameterNode is not None and not self._switching:
            self.logic.followLayout(self._parameterNode)

    def _restoreLayout(self):
        """Show the comparison or chart again that was shown when the scene was saved."""
        if (layout := self.logic.layoutToRestore(self._parameterNode)) is not None:
            self._switch(layout)
        self.restoreMip()

    def _showQuality(self, rows):
        if rows == self._rows:
            return
        self._rows = rows
        show_quality(self.ui, rows, self._parameterNode.metric, qt.QTableWidgetItem)


class MMIFAminLogic(FusionLogic, ScriptedLoadableModuleLogic):
    """Everything the module does, for scripts too: `MMIFAminLogic().fuse(anatomicalNode, functionalNode)`."""

    def __init__(self) -> None:
        ScriptedLoadableModuleLogic.__init__(self)
        FusionLogic.__init__(self)
        self._parameters = None

    def getParameterNode(self) -> state.MMIFAminParameterNode:
        """The module's parameter node, wrapped once, because each wrapping observes it anew."""
        node = super().getParameterNode()
        if self._parameters is None or self._parameters.parameterNode is not node:
            self._parameters = state.MMIFAminParameterNode(node)
        return self._parameters

    def settleViews(self) -> None:
        """Let Qt lay out the views of a new layout: until then they have no size to fit a volume to."""
        slicer.app.processEvents(qt.QEventLoop.ExcludeUserInputEvents)

    def rewrapParameters(self) -> None:
        """After a scene was loaded: references that were read before their nodes were there were kept as None."""
        self._parameters = None


class MMIFAminTest(SelfTestCases, ScriptedLoadableModuleTest):
    """The module's self-test; its cases are in `MMIFAminLib/module`."""
