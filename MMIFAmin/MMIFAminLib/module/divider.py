"""The divider's line in the slice views, and the mouse that drags it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import slicer

from ..mrml.swipe import DividerLine, divider_at

_BEFORE_SLICER = 10.0  # priority: the view itself does not hear of a mouse that drags the line


class DividerHandles:
    """A line in every slice view that the fused volume is divided in; `drag(divider)` is called as the mouse moves one."""

    def __init__(self, drag: Callable[[float], None]) -> None:
        self._drag, self._dragged = drag, ""
        self._lines: dict[str, _ViewLine] = {}

    def show(self, divider: float, fusedNode: Any) -> None:
        """Draw the lines at `divider`; none at 0, and none without a fused volume."""
        wanted = _views_of(fusedNode) if divider > 0 and fusedNode is not None else []
        for name in set(self._lines) - set(wanted):
            self._lines.pop(name).remove()
        for name in wanted:
            if name not in self._lines:
                self._lines[name] = _ViewLine(name, partial(self._onMouse, name))
            self._lines[name].put(divider)

    def _onMouse(self, name: str, event: str, column: int, width: int) -> bool:
        """Whether an event of the mouse in a view is the line's."""
        if event == "LeftButtonPressEvent" and self._lines[name].line.is_under(column, width):
            self._dragged = name
        elif self._dragged != name:
            return False
        elif event == "LeftButtonReleaseEvent":
            self._dragged = ""
        elif event == "MouseMoveEvent":
            self._drag(divider_at(column, width))
        return True


class _ViewLine:
    """The line in one view."""

    def __init__(self, name: str, mouse: Callable[[str, int, int], bool]) -> None:
        self.line, self._mouse = DividerLine(), mouse
        self._node = slicer.mrmlScene.GetNodeByID(f"vtkMRMLSliceNode{name}")
        self._view = slicer.app.layoutManager().sliceWidget(name).sliceView()
        self._renderer = self._view.renderWindow().GetRenderers().GetFirstRenderer()
        self._renderer.AddViewProp(self.line.prop)
        self._interactor = self._view.interactor()
        events = ("LeftButtonPressEvent", "MouseMoveEvent", "LeftButtonReleaseEvent")
        self._tags = [self._interactor.AddObserver(event, self._heard, _BEFORE_SLICER) for event in events]

    def put(self, divider: float) -> None:
        if divider != self.line.divider:
            self.line.put(divider)
            self._view.scheduleRender()

    def remove(self) -> None:
        for tag in self._tags:
            self._interactor.RemoveObserver(tag)
        self._renderer.RemoveViewProp(self.line.prop)
        self._view.scheduleRender()

    def _heard(self, caller: Any, event: str) -> None:
        column, width = caller.GetEventPosition()[0], self._node.GetDimensions()[0]
        if self._mouse(event, column, width):
            for tag in self._tags:
                self._interactor.GetCommand(tag).SetAbortFlag(1)


def _views_of(fusedNode: Any) -> list[str]:
    """The slice views of the layout in whose foreground a volume is seen."""
    manager = slicer.app.layoutManager()
    if manager is None:
        return []
    every = slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode")
    shown = [
        one for one in every if one.GetForegroundVolumeID() == fusedNode.GetID() and one.GetForegroundOpacity() > 0
    ]
    names = [one.GetLayoutName() for one in shown]
    return [name for name in names if manager.sliceWidget(name) is not None]
