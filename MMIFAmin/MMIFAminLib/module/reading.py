"""The part of the panel for reading: cursor values, MIP, hottest spots, divider, hold, planes, rendering."""

from __future__ import annotations

from typing import Any

import slicer
import vtk
from slicer.i18n import tr as _

from . import state
from .widgets import show_spots

_KEYS = {"1": "anatomical", "2": "functional"}  # of a slice view; Slicer has no use for them there


class Reading:
    """A part of the panel, which owns `ui`, `logic`, `_parameterNode`, `_start`, `_switch`, `_telling` and `_timer`."""

    ui: Any
    logic: Any
    _parameterNode: Any
    _start: Any
    _switch: Any
    _telling: Any
    _timer: Any
    _job: Any
    addObserver: Any
    hasObserver: Any
    updateGUI: Any
    _problem: str
    parent: Any

    def __init__(self) -> None:
        self._read: Any = None  # the divider and the planes that the views follow
        self._spotRows: Any = None  # the spots that the panel lists
        self._handles: Any = None  # the divider's lines, once there was one
        self._held: str | None = None  # the key that is held in a slice view

    def setupReading(self, qt: Any) -> None:
        """Connect the section's widgets and follow the mouse; what is observed goes with the panel's other observers.

        `qt` is the module: the panel alone imports it.
        """
        ui, self._qt = self.ui, qt
        self._turnTimer = self._timer(120, self.logic.turnMip, single=False)
        self._renewTimer = self._timer(300, self._renewMip)
        self._releaseTimer = self._timer(60, self._onKeyGone)  # a key that is held may come as many, up and down
        ui.mipButton.connect("clicked(bool)", self.onMip)
        ui.filmButton.connect("clicked(bool)", self.onFilm)
        ui.spotsButton.connect("clicked(bool)", self.onSpots)
        ui.spotsTable.connect("cellClicked(int,int)", self.onSpot)
        ui.renderButton.connect("clicked(bool)", self.onRender)
        for button, role in ((ui.holdAnatomicalButton, "anatomical"), (ui.holdFunctionalButton, "functional")):
            button.connect("pressed()", lambda role=role: self.onHold(role))
            button.connect("released()", self.onRelease)
        self.followCursor()

    def followCursor(self) -> None:
        """Observe the crosshair node, which follows the mouse in every view."""
        crosshair = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLCrosshairNode")
        if crosshair is not None:
            self._observeOnce(crosshair, crosshair.CursorPositionModifiedEvent, self.onCursor)

    def _observeOnce(self, item: Any, event: Any, handler: Any) -> None:
        if not self.hasObserver(item, event, handler):
            self.addObserver(item, event, handler)

    def onCursor(self, caller: Any, event: Any = None) -> None:
        place, inside = [0.0, 0.0, 0.0], caller.GetCursorPositionRAS
        shown, p = None, self._parameterNode
        if inside(place) and p is not None:
            view = caller.GetCursorPositionXYZ([0.0, 0.0, 0.0])
            shown = self.logic.bodyPlace(view.GetLayoutName() if view is not None else "", place)
        text = ""
        if shown is not None:
            where = "  ".join(f"{axis} {value:.1f}" for axis, value in zip("RAS", shown))
            text = "\n".join(filter(None, (f"{where} mm", self.logic.valuesAt(p, shown))))
        self.ui.cursorLabel.text = text
        if shown is not None and p is not None and p.compared:
            caller.SetCrosshairRAS(list(shown))  # the mouse in one view is seen in the others

    def onMip(self, checked: bool) -> None:
        if checked:
            self._start(_("The MIP was not made."), self.logic.mip)
        else:
            self._switch(self.logic.leaveLayout)
        self.updateGUI()

    def _followMip(self) -> None:
        """While the MIP is shown: clicks lead into the body, and it turns if that is chosen."""
        p = self._parameterNode
        if not p.mip:
            self._turnTimer.stop()
            return
        from . import views  # with all that works on volumes: not before a MIP is wanted

        if (interactor := views.interactor(views.MIP_VIEW)) is not None:
            self._observeOnce(interactor, vtk.vtkCommand.LeftButtonPressEvent, self.onMipClicked)
        if not p.turning:
            self._turnTimer.stop()
        elif not self._turnTimer.active:
            self._turnTimer.start()
        if self.logic.mipNeeds(p):
            self._renewTimer.start()  # a little later, so that a volume can be moved by a slider

    def _renewMip(self) -> None:
        """Have the MIP be that of the functional volume as it is now, or leave it where there is none."""
        p = self._parameterNode
        needed = self.logic.mipNeeds(p) if p is not None else ""
        if needed and self._job.busy:
            self._renewTimer.start()
        elif needed == "renewal":
            self._start(_("The MIP was not made."), self.logic.renewedMip)
        elif needed:
            problem = self._problem
            self._switch(self.logic.leaveLayout)
            self._problem = problem  # why there is none
            self.updateGUI()

    def restoreMip(self) -> None:
        """Show the MIP again that was shown when the scene was saved."""
        p = self._parameterNode
        if p is not None and not self._job.busy and self.logic.mipToRestore(p):
            self.onMip(True)

    def onMipClicked(self, caller: Any, event: Any = None) -> None:
        """A click in the MIP: to where the darkest point under it comes from."""
        from . import views

        place = self.logic.bodyPlace(views.MIP_VIEW, views.place_in_view(views.MIP_VIEW, caller.GetEventPosition()))
        if place is not None:
            self.logic.jumpTo(place)

    def onFilm(self, checked: bool = False) -> None:
        path = self.askFilm()
        if path:
            window = self.logic.mipWindow()
            self._start(
                _("The film was not saved."),
                lambda p: self.logic.film(p.functional, path, seen_in=window),
                self._onFilm,
            )

    def askFilm(self) -> str:
        """Ask for the name of the film: "" for none."""
        kinds = _("GIF (*.gif);;Series of PNG in a new folder (*)")
        return self._qt.QFileDialog.getSaveFileName(slicer.util.mainWindow(), _("Save film"), "mip.gif", kinds)

    def _onFilm(self, path: str) -> None:
        self._problem = _("Film saved: {path}").format(path=path)

    def onSpots(self, checked: bool = False) -> None:
        self._start(_("The hottest spots were not found."), lambda p: self.logic.spots(p.functional, p.spotCount))

    def onSpot(self, row: int, column: int) -> None:
        self.logic.jumpToSpot(self._parameterNode.functional, row)

    def onHold(self, role: str) -> None:
        self.logic.hold(self._parameterNode, getattr(self._parameterNode, role))

    def onRelease(self) -> None:
        if self._parameterNode is not None:
            self.logic.blend(self._parameterNode)

    def _followKeys(self) -> None:
        """Observe the keys in every slice view."""
        from . import views

        for node in slicer.util.getNodesByClass("vtkMRMLSliceNode"):
            if (interactor := views.interactor(node.GetLayoutName())) is not None:
                self._observeOnce(interactor, vtk.vtkCommand.KeyPressEvent, self.onKey)
                self._observeOnce(interactor, vtk.vtkCommand.KeyReleaseEvent, self.onKeyUp)

    def onKey(self, caller: Any, event: Any = None) -> None:
        """A key is pressed in a slice view: what its button does, while that can be clicked."""
        key = caller.GetKeySym()
        if key not in _KEYS or not self.ui.holdAnatomicalButton.enabled or not self.parent.isEntered:
            return
        self._releaseTimer.stop()
        if key != self._held:
            self._held = key
            self.onHold(_KEYS[key])

    def onKeyUp(self, caller: Any, event: Any = None) -> None:
        if caller.GetKeySym() == self._held:
            self._releaseTimer.start()

    def _onKeyGone(self) -> None:
        self._held = None
        self.onRelease()

    def _showDivider(self, p: Any) -> None:
        if self._handles is None and p.divider > 0:
            from .divider import DividerHandles

            self._handles = DividerHandles(self.onDivide)
        if self._handles is not None:
            self._handles.show(p.divider, state.fused_node(p))

    def _followViews(self) -> None:
        """Observe what the slice views show, and how large they are."""
        for kind in ("vtkMRMLSliceNode", "vtkMRMLSliceCompositeNode"):
            for node in slicer.util.getNodesByClass(kind):
                self._observeOnce(node, vtk.vtkCommand.ModifiedEvent, self.onView)

    def onView(self, caller: Any = None, event: Any = None) -> None:
        """A view has another size, or shows another volume: the divider goes with it."""
        p = self._parameterNode
        if p is not None and p.divider > 0:
            self.logic.divide(p)
            self._showDivider(p)

    def onDivide(self, divider: float) -> None:
        """The mouse has dragged the divider's line."""
        if self._parameterNode is not None:
            self._parameterNode.divider = divider

    def dropReading(self) -> None:
        """Before the scene or the panel goes: tell of no place, and take the divider out of the views, which stay."""
        self.ui.cursorLabel.text = ""
        if self._handles is not None:
            self._handles.show(0.0, None)
        self.logic.undivide()
        if self._read is not None:
            self._read = (0.0, self._read[1])

    def onRender(self, checked: bool) -> None:
        with self._telling(_("The fused volume was not rendered.")):
            (self.logic.render if checked else self.logic.unrender)(self._parameterNode)

    def showReading(self) -> None:
        """Show what the choices say; called on every change of them."""
        p, ui = self._parameterNode, self.ui
        if p.rendered != (rendered := self.logic.isRendered(p)):
            p.rendered = rendered
        ui.mipButton.checked, ui.renderButton.checked = p.mip, p.rendered
        headings, rows = self.logic.spotRows(p.functional)
        if (headings, rows) != self._spotRows:
            self._spotRows = (headings, rows)
            show_spots(ui.spotsTable, headings, rows, self._qt.QTableWidgetItem)
        self._followMip()
        wanted = (p.divider, p.alongVolume and p.anatomical)
        before, self._read = self._read or (0.0, False), wanted
        if slicer.app.layoutManager() is None:
            return
        if wanted[0] != before[0] or wanted[0] > 0:
            self.logic.divide(p)
        self._showDivider(p)
        if p.divider > 0:
            self._followViews()
        if state.fused_node(p) is not None:
            self._followKeys()
        if wanted[1] != before[1]:
            self.logic.orient(p)
