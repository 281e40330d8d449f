"""What the module's logic does for a reader: values at a place, MIP and its film, hottest spots, swipe, hold, rendering."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import slicer
from slicer.i18n import tr as _

from ..errors import FusionCancelled, GeometryError, InputError
from . import state, units

if TYPE_CHECKING:
    from slicer import vtkMRMLScalarVolumeNode, vtkMRMLVolumeRenderingDisplayNode

    from ..mrml.mip import Mip
    from ..mrml.places import SpotNodes
    from ..volume.intensity import Window

Job = tuple[Callable[[Callable], Any], Callable[[Any], Any]]
"""`work(progress)` for any thread and `finish(result)` for the main one."""


class ReadingLogic:
    """The part of `FusionLogic` that a reader uses."""

    settleViews: Callable
    _remember: Callable

    def __init__(self) -> None:
        self._mip: Any = None  # the Mip that is shown: a place in it leads back into the body
        self._mipOf: Any = None  # its volume, and where that lay

    # Values and places -----------------------------------------------------------------------------------------------

    def valuesAt(self, p: state.MMIFAminParameterNode, place: Sequence[float]) -> str:
        """The values of the sources and the fused volume at a place (world RAS, mm), each with its name and unit."""
        from ..mrml.places import value_at

        found = []
        for node, fused in (*((source, False) for source in state.sources(p)), (state.fused_node(p), True)):
            value = value_at(node, place)
            if node is not None and value is not None:
                name, unit = (_("fused"), "") if fused else (node.GetName(), _unit(node))
                number = f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"
                found.append(f"{name} {number} {unit}".strip())
        return ", ".join(found)

    def jumpTo(self, place: Sequence[float]) -> None:
        """Take the slice views and the crosshair to a place (world RAS, mm)."""
        from ..mrml.mip import VIEW
        from ..mrml.places import jump

        jump(slicer.mrmlScene, place, except_view=VIEW)

    def readingReasons(self, p: state.MMIFAminParameterNode, busy: bool) -> dict[str, str]:
        """For each widget of *Read* that is not always usable, why it is not just now, or ""."""
        unread = _("Wait until it is done.") if busy else _why_not_read(p.functional)
        unfused = "" if state.fused_node(p) is not None else _("Fuse two volumes first.")
        return {
            "mipButton": "" if p.mip else unread,
            "turningCheckBox": "" if p.mip else _("Show the MIP first."),
            "filmButton": unread,
            "spotsButton": unread,
            "dividerSlider": unfused,
            "alongVolumeCheckBox": "" if p.anatomical is not None else _("Choose an anatomical volume (MR or CT)."),
            "renderButton": "" if p.fusedGrey is not None else _("Tick Grey (Output) and fuse first."),
        }

    # Hottest spots ---------------------------------------------------------------------------------------------------

    def hottestSpots(self, functionalNode: vtkMRMLScalarVolumeNode | None, count: int = 10) -> SpotNodes:
        """The `count` hottest spots of a volume as a table and a list of points. Raises InputError."""
        work, finish = self.spots(functionalNode, count)
        return finish(work(lambda fraction, text: True))

    def spots(self, functionalNode: vtkMRMLScalarVolumeNode | None, count: int = 10) -> Job:
        """The two parts of `hottestSpots`."""
        from ..mrml.nodes import node_to_image, still_there
        from ..mrml.places import publish_spots
        from ..volume.hottest import hottest_spots

        node = _uptake(functionalNode)
        image, name = node_to_image(node), f"'{node.GetName()}'"

        def finish(spots):
            return publish_spots(still_there(node), spots, _unit(node))

        return lambda progress: hottest_spots(image, count, name=name, progress=_asking(progress)), finish

    def spotRows(self, functionalNode: vtkMRMLScalarVolumeNode | None) -> tuple[list[str], list[list[str]]]:
        """Headings and rows of the table of the hottest spots, ([], []) where none was made."""
        if functionalNode is None:
            return [], []
        from ..mrml.places import spots_table  # with all that works on volumes: not before one is chosen

        node = spots_table(functionalNode)
        if node is None:
            return [], []
        columns = [node.GetTable().GetColumn(index) for index in range(node.GetNumberOfColumns())]
        rows = [[_number(column.GetValue(row)) for column in columns] for row in range(node.GetNumberOfRows())]
        return [column.GetName() for column in columns], rows

    def spotsText(self, functionalNode: vtkMRMLScalarVolumeNode | None) -> str:
        """What the button says that finds the spots."""
        if functionalNode is None:
            return _("Find")
        from ..mrml.places import spots_outdated

        return _("Find again: out of date") if spots_outdated(functionalNode) else _("Find")

    def jumpToSpot(self, functionalNode: vtkMRMLScalarVolumeNode | None, row: int) -> None:
        """Jump to the spot in a row of the table; where the list of points was changed meanwhile, to where it is now."""
        from ..mrml.owned import owned_node
        from ..mrml.places import SPOTS

        points = owned_node(functionalNode, f"{SPOTS}.points") if functionalNode is not None else None
        if points is not None and 0 <= row < points.GetNumberOfControlPoints():
            place = [0.0, 0.0, 0.0]
            points.GetNthControlPointPositionWorld(row, place)
            self.jumpTo(place)

    # MIP -------------------------------------------------------------------------------------------------------------

    def showMip(self, p: state.MMIFAminParameterNode) -> None:
        """Show the rotating MIP of the functional volume beside the three planes. Raises InputError."""
        work, finish = self.mip(p)
        finish(work(lambda fraction, text: True))

    def mip(self, p: state.MMIFAminParameterNode) -> Job:
        """The two parts of `showMip`."""
        from ..mrml.mip import fit_mip, publish_mip, show_mip, turn
        from ..mrml.nodes import still_there
        from ..volume.projection import mip_window
        from . import views

        node = _uptake(p.functional)
        layout = views.layout_node()
        self._mip, self._mipOf = None, _lies(node)
        image, hints, name = _seen(node)

        def work(progress) -> Mip:
            return turn(image, mip_window(image, hints, name), name, progress=_asking(progress))

        def finish(mip: Mip) -> None:
            mipNode = publish_mip(still_there(node), mip)
            self._mip = mip
            previous = show_mip(layout, mipNode)
            self.settleViews()
            fit_mip(slicer.app.applicationLogic(), mipNode)
            with slicer.util.NodeModify(p):
                self._remember(p, previous)
                p.compared, p.plotted, p.mip, p.opacity = False, False, True, 1.0

        return work, finish

    def renewedMip(self, p: state.MMIFAminParameterNode) -> Job:
        """`mip`, but for who has left it meanwhile."""
        work, finish = self.mip(p)
        return work, lambda made: finish(made) if p.mip else None

    def mipNeeds(self, p: state.MMIFAminParameterNode) -> str:
        """ "renewal" where the MIP is shown and the functional volume is another, or was moved or changed; "leaving" where
        none can be made of it; else "".
        """
        if not p.mip or slicer.app.layoutManager() is None:
            return ""
        if self._mipOf == _lies(p.functional):
            return "" if self._mip is not None else "leaving"
        return "leaving" if _why_not_read(p.functional) else "renewal"

    def noteForReading(self, node: vtkMRMLScalarVolumeNode) -> None:
        """After the voxels of a source were changed: what was read from it is out of date."""
        from ..mrml.places import note_spots

        note_spots(node)
        if self._mipOf is not None and self._mipOf[0] is node:
            self._mipOf = None

    def dropMip(self) -> None:
        """Let go of the MIP and its node."""
        from ..mrml.mip import mip_nodes

        self._mip = self._mipOf = None
        for node in mip_nodes(slicer.mrmlScene):
            slicer.mrmlScene.RemoveNode(node)

    def mipToRestore(self, p: state.MMIFAminParameterNode) -> bool:
        """Whether the parameters say that the MIP is shown, and it is not: after a scene was loaded."""
        shown = self._mip is not None or not p.mip or slicer.app.layoutManager() is None
        return not shown and not _why_not_read(p.functional)

    def turnMip(self, steps: int = 1) -> None:
        """Show the MIP from `steps` views further on."""
        from ..mrml.mip import turn_view

        turn_view(slicer.mrmlScene, steps)

    def bodyPlace(self, viewName: str, place: Sequence[float]) -> Sequence[float] | None:
        """The place in the body of a place in the view of that layout name: another one in the MIP's, None beside it."""
        from ..mrml.mip import VIEW

        if viewName != VIEW:
            return place
        return self._mip.body_place(place) if self._mip is not None else None

    def mipWindow(self) -> Window | None:
        """The window in which the MIP is shown, which the user may have changed; None where none is shown."""
        from ..mrml.mip import mip_nodes
        from ..volume.intensity import Window

        displays = [node.GetDisplayNode() for node in mip_nodes(slicer.mrmlScene)]
        shown = next(iter(displays), None) if self._mip is not None else None
        return Window(shown.GetWindowLevelMin(), shown.GetWindowLevelMax()) if shown is not None else None

    def saveFilm(
        self, functionalNode: vtkMRMLScalarVolumeNode, path: str | Path, angles: int = 36, high: float | None = None
    ) -> None:
        """Save the turning MIP as a GIF, or in a new folder as a series of PNG; black is `high`, else as for a fusion."""
        work, finish = self.film(functionalNode, path, angles, high)
        finish(work(lambda fraction, text: True))

    def film(
        self,
        functionalNode: vtkMRMLScalarVolumeNode | None,
        path: str | Path,
        angles: int = 36,
        high: float | None = None,
        seen_in: Window | None = None,
    ) -> Job:
        """The two parts of `saveFilm`; `finish` returns the path. `seen_in` is the whole window, where it is known."""
        from ..display.film import film
        from ..files.writing import check_film, write_film
        from ..volume.projection import Turntable, angles_around, mip_window, wished_window

        check_film(path)
        angles_around(angles)
        node = _uptake(functionalNode)
        (image, hints, name), unit = _seen(node), _unit(node)

        def work(progress) -> str:
            wished = None if high is None else wished_window(image, high, hints, name)
            window = seen_in or wished or mip_window(image, hints, name)
            frames = film(Turntable(image, name), window, count=angles, unit=unit, progress=_asking(progress))
            write_film(frames, path)
            return str(path)

        return work, lambda written: written

    # Comparing -------------------------------------------------------------------------------------------------------

    def divide(self, p: state.MMIFAminParameterNode) -> None:
        """Bring the divider of the slice views to where it is chosen."""
        from ..mrml.swipe import divide

        divide(slicer.app.applicationLogic(), state.fused_node(p), p.divider)

    def undivide(self) -> None:
        """Take the divider out of all views."""
        if slicer.app.layoutManager() is not None:
            from ..mrml.swipe import divide

            divide(slicer.app.applicationLogic(), None, 0.0)

    def hold(self, p: state.MMIFAminParameterNode, source: vtkMRMLScalarVolumeNode | None) -> None:
        """Show a source alone where the fused volume is shown, until `blend`."""
        from . import views

        fused = state.fused_node(p)
        if fused is not None and source is not None:
            views.blend(source, fused, 0.0)

    def orient(self, p: state.MMIFAminParameterNode) -> None:
        """Turn the slice views into the planes of the anatomical volume, or back into those of the patient."""
        from . import views

        views.orient(p.anatomical if p.alongVolume else None)

    def render(self, p: state.MMIFAminParameterNode) -> vtkMRMLVolumeRenderingDisplayNode:
        """Volume-render the grey fused volume, anatomy translucent and uptake lit. Raises InputError without one."""
        from . import views

        if p.fusedGrey is None:
            raise InputError("There is no grey fused volume to render: tick Grey (Output) and fuse.")
        display = views.render(p.fusedGrey)
        p.rendered = True
        return display

    def unrender(self, p: state.MMIFAminParameterNode) -> None:
        """Hide what `render` shows."""
        from . import views

        if p.fusedGrey is not None:
            views.unrender(p.fusedGrey)
        p.rendered = False

    def isRendered(self, p: state.MMIFAminParameterNode) -> bool:
        """Whether the grey fused volume that is chosen is rendered, by `render` or by hand."""
        if p.fusedGrey is None:
            return False
        from . import views

        return views.is_rendered(p.fusedGrey)


def _uptake(node) -> Any:
    """A functional node whose own values can be read, or InputError."""
    from ..mrml.nodes import check_source

    check_source(node, "functional")
    if node.GetImageData().GetNumberOfScalarComponents() != 1:
        raise InputError(f"'{node.GetName()}' is in colours: choose a scalar volume, whose uptake can be read.")
    return node


def _why_not_read(node) -> str:
    """Why the uptake of a functional node cannot be read, in the words of the InputError, or ""."""
    if node is None:
        return _("Choose a functional volume (PET, SPECT or a second anatomical one).")
    try:
        _uptake(node)
    except InputError as error:
        return str(error)
    return ""


def _seen(node) -> tuple:
    """A node's image (world LPS), what it tells of itself, and its name for messages."""
    from ..mrml.nodes import hints_of, node_to_image

    return node_to_image(node), hints_of(node), f"'{node.GetName()}'"


def _unit(node) -> str:
    """The unit of a volume node as people write it, or ""."""
    from ..mrml.nodes import hints_of

    told = hints_of(node)
    word = units.in_words(told.unit)
    return "SUV" if word and told.in_suv and "SUV" not in word.upper() else word


def _lies(node) -> tuple:
    """A volume node and where it lies (no matrix under a transform that is not linear)."""
    from ..mrml.nodes import node_to_world

    try:
        return node, None if node is None else tuple(node_to_world(node).ravel())
    except GeometryError:
        return node, None


def _asking(progress) -> Callable[[float, str], None]:
    """`progress` whose answer False ends the work."""

    def tell(fraction: float, text: str) -> None:
        if progress(fraction, text) is False:
            raise FusionCancelled("Cancelled; nothing was changed.")

    return tell


def _number(value) -> str:
    from ..display.legend import plain_number

    return value if isinstance(value, str) else plain_number(value, 4)
