"""How the panel follows its sources: which volumes it offers and chooses, and what another choice or place entails."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import slicer
import vtk
from slicer.i18n import tr as _

from . import roles, state

if TYPE_CHECKING:
    from slicer import vtkMRMLScalarVolumeNode


class Following:
    """A part of the panel, which owns `ui`, `logic`, `_parameterNode`, `_start`, `_telling` and the timers."""

    ui: Any
    logic: Any
    updateGUI: Any
    addObserver: Any
    removeObserver: Any
    _parameterNode: Any
    _job: Any
    _start: Any
    _telling: Any
    _scheduleCheck: Any
    _preselectTimer: Any
    _pair: Any
    _problem: str
    _report: str
    _taken: Any
    _stamps: dict[Any, int]
    _places: dict[Any, list]
    _others: set

    def _preselect(self):
        if self._parameterNode is not None and not self._job.busy:
            self._hideOwn()
            self.logic.preselect(self._parameterNode)

    def _hideOwn(self):
        """What the module made is in no list of sources."""
        own = [node.GetID() for node in roles.own_volumes(slicer.mrmlScene)]
        for selector in (self.ui.anatomicalSelector, self.ui.functionalSelector, self.ui.secondSelector):
            model = selector.sortFilterProxyModel()
            if list(model.hiddenNodeIDs) != own:
                model.hiddenNodeIDs = own

    def _followSources(self):
        """After another choice of sources: colours and outputs that fit them, and a fresh alignment check."""
        p = self._parameterNode
        pair = state.sources(p)
        if pair == self._pair:
            return
        before = self._pair or pair
        self._watch(self._pair, pair)
        self._pair, self._problem, self._report = pair, "", ""
        self.logic.adaptToSources(p, newFunctional=pair[1] is not before[1])
        if None in pair and any(new is not None and new is not old for new, old in zip(pair, before)):
            self._preselectTimer.start()  # after one is chosen by hand, the only other one fits
        self._scheduleCheck()

    def _watch(self, before, after):
        """Notice when a source is moved or its voxels are changed, by any module."""
        moved, changed = (
            slicer.vtkMRMLTransformableNode.TransformModifiedEvent,
            slicer.vtkMRMLVolumeNode.ImageDataModifiedEvent,
        )
        for node in {*(before or ())} - {None}:
            self.removeObserver(node, moved, self.onSourceMoved)
            self.removeObserver(node, changed, self.onSourceVoxels)
            self.removeObserver(node, vtk.vtkCommand.ModifiedEvent, self.onSourceModified)
        watched = {*after} - {None}
        self._stamps = {node: stamp for node, stamp in self._stamps.items() if node.GetScene() is not None}
        self._places = {node: place for node, place in self._places.items() if node.GetScene() is not None}
        for node in watched:
            self._places[node] = _place(node)
            if self._stamps.setdefault(node, _stamp(node)) != _stamp(node):  # changed while another was chosen
                self._stamps[node] = _stamp(node)
                self.logic.noteVoxels(node)
            self.addObserver(node, vtk.vtkCommand.ModifiedEvent, self.onSourceModified)
            self.addObserver(node, moved, self.onSourceMoved)
            self.addObserver(node, changed, self.onSourceVoxels)

    def _watchOthers(self, fused):
        """Notice when what any of the `fused` volumes was made of is moved or changed, chosen or not: their names say so."""
        others = set()
        if fused:
            from ..mrml import sources_of

            others = {source for node in fused for source in sources_of(node)} - {None, *self._pair}
        events = (
            (slicer.vtkMRMLTransformableNode.TransformModifiedEvent, self.updateGUI),
            (slicer.vtkMRMLVolumeNode.ImageDataModifiedEvent, self.onOtherModified),
            (vtk.vtkCommand.ModifiedEvent, self.onOtherModified),
        )
        for node in self._others - others:
            for event, handler in events:
                self.removeObserver(node, event, handler)
        for node in others - self._others:
            self._stamps.setdefault(node, _stamp(node))
            self._places[node] = _place(node)
            for event, handler in events:
                self.addObserver(node, event, handler)
        self._others = others

    def onOtherModified(self, caller: vtkMRMLScalarVolumeNode, event: str) -> None:
        if self._stamps.get(caller) != _stamp(caller):
            self._stamps[caller] = _stamp(caller)
            self.logic.noteVoxels(caller)
            self.updateGUI()
        elif self._hasNewPlace(caller):
            self.updateGUI()

    def _hasNewPlace(self, node):
        before, self._places[node] = self._places.get(node), _place(node)
        return self._places[node] != before

    def onSourceMoved(self, caller: vtk.vtkObject | None = None, event: str | None = None) -> None:
        self._taken = None
        self._scheduleCheck()
        self.updateGUI()

    def onSourceModified(self, caller: vtkMRMLScalarVolumeNode, event: str) -> None:
        """`slicer.util.arrayFromVolumeModified` tells of other voxels by this event alone, and a volume of another origin."""
        if self._stamps.get(caller) != _stamp(caller):
            self.onSourceVoxels(caller, event)
        elif self._hasNewPlace(caller):
            self.onSourceMoved()

    def onSourceVoxels(self, caller: vtkMRMLScalarVolumeNode, event: str) -> None:
        self._stamps[caller] = _stamp(caller)
        self.logic.noteVoxels(caller)
        self.onSourceMoved()

    def onRegister(self, checked: bool = False) -> None:
        registered = self.logic.registered(self._parameterNode)
        if registered:
            with self._telling(_("The registration was not undone.")):
                for node in registered:
                    self.logic.undoRegistration(node)
        else:
            self._start(_("The volumes were not registered."), self.logic.registration, self._onRegistered)

    def _onRegistered(self, registered):
        _transforms, self._problem = registered

    def onSwap(self, checked: bool = False) -> None:
        self.logic.swap(self._parameterNode)


def _stamp(node) -> int:
    """What changes with the voxels of a volume node; the panel is entered without `mrml`, which imports SimpleITK."""
    data = node.GetImageData()
    return data.GetMTime() if data is not None else 0


def _place(node) -> list:
    """Where a volume node itself has its voxels, parent transforms apart: these tell by an event of their own."""
    matrix = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    return [matrix.GetElement(row, column) for row in range(3) for column in range(4)]
