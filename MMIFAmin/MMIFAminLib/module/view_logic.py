"""What the module's logic does with views and colours."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import slicer
from slicer.i18n import tr as _

from . import roles, state, units

if TYPE_CHECKING:
    from slicer import vtkMRMLColorNode, vtkMRMLNode, vtkMRMLScalarVolumeNode

    from ..display.color import ColorTable
    from ..mrml import GrowingVolume
    from .at_once import AtOnce

DEFAULT_COLORS = "vtkMRMLPETProceduralColorNodePET-Heat"
_INFERNO = "vtkMRMLColorTableNodeFileInferno.txt"  # comes with the application, not with its core
_GREYS = "vtkMRMLColorTableNodeGrey"


class ViewLogic:
    """The part of `FusionLogic` that shows volumes."""

    chart: Callable  # of `FusionLogic`, as the next
    dropMip: Callable
    divide: Callable
    orient: Callable

    def __init__(self) -> None:
        self._at_once: AtOnce | None = None  # the running fusion in the views

    def settleViews(self) -> None:
        """Have the application lay out the views of a new layout; what has none has nothing to do."""

    def defaultColors(
        self, functionalNode: vtkMRMLScalarVolumeNode | None, without: vtkMRMLNode | None = None
    ) -> vtkMRMLColorNode | None:
        """The colour node to begin with: the functional volume's own unless that is grey, else Inferno, or PET-Heat
        where the application has none; greys for a second anatomical volume, which has no uptake to colour. Never
        `without`, which is leaving the scene."""
        if functionalNode is not None and functionalNode.GetImageData() is not None:
            from .. import mrml

            own = mrml.node_color_table(functionalNode) and functionalNode.GetDisplayNode().GetColorNode()
            if own is not None and own is not without:
                return own
            if roles.guess_role(functionalNode) == "anatomical":
                return slicer.mrmlScene.GetNodeByID(_GREYS)
        return slicer.mrmlScene.GetNodeByID(_INFERNO) or slicer.mrmlScene.GetNodeByID(DEFAULT_COLORS)

    def recolor(self, p: state.MMIFAminParameterNode) -> None:
        """Paint the colour volume with the chosen table and weight."""
        from .. import mrml

        if p.fusedColor is not None:
            mrml.recolor(p.fusedColor, p.colorTable, p.functionalWeight)
            self.showLegend(p)
            if p.compared:
                from . import views

                views.lend_colors(p.functional, p.colorTable)

    def isPaintedOtherwise(self, p: state.MMIFAminParameterNode) -> bool:
        """Whether the colour volume has other colours than those that are chosen."""
        from .. import mrml

        node = p.fusedColor
        if node is None or node not in mrml.own_volumes(slicer.mrmlScene):
            return False
        return not mrml.is_painted(node, p.colorTable, p.functionalWeight)

    def showFused(self, p: state.MMIFAminParameterNode, new: bool = False) -> None:
        """Show the fused volume in the slice views, or in the comparison if that is on, or asked for where it is `new`.

        The views are fitted to a new one, but for those in which it was seen growing.
        """
        from . import views

        if p.plotted and self.chart(state.fused_node(p), p.metric) is None:  # it was of what was fused before
            self.leaveLayout(p)
        if p.compared and views.is_comparing() or new and p.sideBySide and slicer.app.layoutManager() is not None:
            self.compare(p)
        elif (fused := state.fused_node(p)) is not None:
            views.show_over(under(p), fused, p.opacity, fit=new and self._at_once is None)
            self.divide(p)
        self.showLegend(p)

    def beginAtOnce(
        self,
        sources: tuple,
        underNode: vtkMRMLScalarVolumeNode | None,
        opacity: float,
        table: ColorTable | None,
        weight: float,
    ) -> GrowingVolume | None:
        """Have the views show a fusion that is about to start; returns what watches it, None where there are no views.

        `table` is None for a grey picture.
        """
        self.endAtOnce()
        if slicer.app.layoutManager() is None:
            return None
        from .at_once import AtOnce

        self._at_once = AtOnce(sources, underNode, opacity, _("Being fused"), table, weight)
        return self._at_once.growing

    def follow(self) -> None:
        """Called all along while volumes are fused: shows the slices that are there."""
        if self._at_once is not None:
            self._at_once.follow()

    def endAtOnce(self) -> None:
        """Once the fused volume is shown, or will not be: away with what stood in for it."""
        if self._at_once is not None:
            self._at_once.end()
            self._at_once = None

    def showLegend(self, p: state.MMIFAminParameterNode) -> None:
        """Show Slicer's colour legend of the colour volume if it is wanted, else hide it."""
        from .. import mrml

        node = p.fusedColor
        if node is None or p.colorTable is None or node not in mrml.own_volumes(slicer.mrmlScene):
            return
        if p.legend and mrml.is_painted(node, p.colorTable, p.functionalWeight):
            mrml.show_legend(node, p.colorTable, units.unit_of_fused(node))
        else:
            mrml.hide_legend(node)

    def blend(self, p: state.MMIFAminParameterNode) -> None:
        """Bring the views that show the fused volume to the chosen source and opacity."""
        from . import views

        if (fused := state.fused_node(p)) is not None:
            views.blend(under(p), fused, p.opacity)
            self.divide(p)
            self.showLegend(p)

    def compare(self, p: state.MMIFAminParameterNode) -> None:
        """Show the three volumes side by side, the sources pure at first."""
        from .. import mrml
        from . import views

        previous = views.compare(p.anatomical, p.functional, state.fused_node(p), p.plane.value, self.settleViews)
        views.lend_colors(p.functional, p.colorTable)
        mrml.show_crosshair(slicer.mrmlScene)
        self.divide(p)
        if p.alongVolume:
            self.orient(p)
        with slicer.util.NodeModify(p):
            self._remember(p, previous)
            p.compared, p.plotted, p.mip, p.opacity = True, False, False, 0.0
        self.dropMip()

    def plot(self, p: state.MMIFAminParameterNode) -> None:
        """Show the chart of the chosen metric."""
        from .. import mrml
        from . import views

        previous = views.show_chart(self.chart(state.fused_node(p), p.metric))
        with slicer.util.NodeModify(p):
            self._remember(p, previous)
            if p.compared:
                views.return_colors(slicer.mrmlScene)
                mrml.return_crosshair(slicer.mrmlScene)
                p.opacity = 1.0
            p.compared, p.plotted, p.mip = False, True, False
        self.dropMip()

    def leaveLayout(self, p: state.MMIFAminParameterNode) -> None:
        """Go back to the layout from before the comparison, chart or MIP, the fused volume opaque again."""
        from .. import mrml
        from . import views

        views.leave(p.layoutBefore)
        views.return_colors(slicer.mrmlScene)
        mrml.return_crosshair(slicer.mrmlScene)
        self.dropMip()
        with slicer.util.NodeModify(p):
            p.compared, p.plotted, p.mip, p.opacity, p.layoutBefore = False, False, False, 1.0, 0
        self.showFused(p)

    def followPreset(self, p: state.MMIFAminParameterNode) -> None:
        """After a preset was chosen: show what is fused already in its layout, as what is fused next will be."""
        if p.sideBySide == p.compared or state.fused_node(p) is None or slicer.app.layoutManager() is None:
            return
        (self.compare if p.sideBySide else self.leaveLayout)(p)

    def leaveEmptyLayout(self, before: int | None) -> None:
        """After a scene was closed side by side, or with a chart: back to the layout from `before` it (None: neither)."""
        if before is None or slicer.app.layoutManager() is None:
            return
        from . import views

        views.leave(before)

    def takeFromViews(self, p: state.MMIFAminParameterNode | None, node: vtkMRMLNode) -> None:
        """Before a fused volume leaves the scene: what was under it is left alone in the views."""
        from . import views

        views.take_away(node, p.anatomical if p is not None else None)

    def swap(self, p: state.MMIFAminParameterNode) -> None:
        """Make the anatomical volume the functional one, and the other way round."""
        with slicer.util.NodeModify(p):
            p.anatomical, p.functional = p.functional, p.anatomical

    def layoutToRestore(self, p: state.MMIFAminParameterNode) -> Callable[[state.MMIFAminParameterNode], None] | None:
        """`compare` or `plot` if the parameters say that it is shown and it is not; else None."""
        fused = state.fused_node(p)
        if slicer.app.layoutManager() is None or fused is None or fused.GetImageData() is None:
            return None
        from . import views

        if p.compared:
            return None if views.is_comparing() else self.compare
        if p.plotted and self.chart(fused, p.metric) is not None:
            return None if views.is_plotting() else self.plot
        return None

    def followLayout(self, p: state.MMIFAminParameterNode) -> None:
        """Note that the user has left the comparison, chart or MIP by choosing another layout."""
        if not state.in_own_layout(p):
            return
        from .. import mrml
        from . import views

        if p.compared and not views.is_comparing():
            views.return_colors(slicer.mrmlScene)
            mrml.return_crosshair(slicer.mrmlScene)
            p.compared, p.opacity, p.layoutBefore = False, 1.0, 0
        if p.plotted and not views.is_plotting():
            p.plotted, p.layoutBefore = False, 0
        if p.mip and not views.is_showing_mip():
            self.dropMip()
            p.mip, p.layoutBefore = False, 0

    @staticmethod
    def _remember(p, previous: int) -> None:
        from ..mrml import compare, mip

        if not p.layoutBefore and previous not in (compare.LAYOUT_ID, mip.LAYOUT_ID):
            p.layoutBefore = previous


def under(p: state.MMIFAminParameterNode) -> vtkMRMLScalarVolumeNode | None:
    """The source that is chosen to lie under the fused volume."""
    return p.functional if p.under is state.Source.FUNCTIONAL else p.anatomical
