"""What the module does, without its panel: fusing, registering, comparing and measuring on nodes and parameters.

The long steps come in two parts: `work(progress)`, which touches no node and may run in any thread, and
`finish(result)` for the main thread, which alone changes the scene.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import slicer
from slicer.i18n import tr as _

from ..errors import InputError, MMIFAminError
from . import packages, roles, state

_MEASURED = "MMIFAmin.quality"
_DEFAULT_COLORS = "vtkMRMLPETProceduralColorNodePET-Heat"
_fusers: dict[tuple[str, str], object] = {}  # loaded networks, shared by every logic of the session


class FusionLogic:
    """Base of `MMIFAminLogic`; see there."""

    def __init__(self):
        # IDs of the outputs, snapshot and FusedVolume of the last fusion, for measuring.
        self._last: tuple[tuple[str, ...], Any, Any] = ((), None, None)

    # Fusing --------------------------------------------------------------------------------------------------------

    def fuse(
        self,
        anatomicalNode,
        functionalNode,
        outputNode=None,
        *,
        rgb=False,
        plane="axial",
        anatomicalWindow: str | tuple[float, float] = "auto",
        functionalWindow: str | tuple[float, float] = "auto",
        colorTable=None,
        functionalWeight=1.0,
        device="auto",
        precision="auto",
        progress=None,
    ):
        """Fuse two volume nodes and return the fused one: scalar (values 0 to 1), or colour (RGB) if `rgb`.

        Blocks until done; installs PyTorch and MONAI first if they are missing. `plane` is "axial", "coronal",
        "sagittal" or "acquisition"; windows are "auto", "mr", "uptake", "ct-brain", "ct-bone", "ct-soft-tissue",
        "ct-lung", "LOW:HIGH" or (low, high); `colorTable` is a colour node or the name of a built-in table; `functionalWeight`
        (0 to 1) scales the colours; `device` is "auto", "cpu" or "cuda"; `progress(fraction, text)` may return False
        to cancel. Raises MMIFAminError with one sentence for the user; the scene is then as it was.
        """
        from .. import mrml

        self.ensurePackages()
        return mrml.fuse_nodes(
            anatomicalNode,
            functionalNode,
            outputNode,
            rgb=rgb,
            plane=plane,
            anatomicalWindow=anatomicalWindow,
            functionalWindow=functionalWindow,
            colorTable=colorTable,
            functionalWeight=functionalWeight,
            fuser=self.fuser(device, precision),
            progress=progress,
        )

    def findPair(self) -> tuple:
        """The anatomical and the functional node of the scene, where the nodes tell them. Raises InputError."""
        pair = roles.preselect(slicer.mrmlScene)
        if None in pair:
            missing = "anatomical" if pair[0] is None else "functional"
            raise InputError(f"The scene has no volume that is plainly the {missing} one: name the two nodes yourself.")
        return pair

    def ensurePackages(self) -> None:
        """Make PyTorch and MONAI importable, or raise PackagesError; main thread only."""
        packages.ensure_packages()

    def fuser(self, device="auto", precision="auto"):
        """The network for a device and precision, loaded once."""
        from ..engine.fusion import VolumeFuser

        if (device, precision) not in _fusers:
            _fusers[device, precision] = VolumeFuser.load(device=device, precision=precision)
        return _fusers[device, precision]

    def fusion(self, p) -> tuple:
        """The parts `work`, `finish` of the fusion that is asked for; `finish` returns the engine's report."""
        from .. import mrml

        self.ensurePackages()
        source = mrml.snapshot(p.anatomical, p.functional)
        outputs = [(name, rgb) for name, rgb, wanted in _outputs(p) if wanted]
        for name, rgb in outputs:
            mrml.check_output(source, getattr(p, name), rgb)
        device, precision, plane = p.device.value, p.precision.value, p.plane.value
        windows = {f"{role}_window": state.window(p, role) for role in ("anatomical", "functional")}
        colors = (p.colorTable, p.functionalWeight)
        table = mrml.resolve_color_table(colors[0], source.table)

        def work(progress):
            progress(0.0, "Loading the network")
            fused = mrml.fuse_snapshot(source, self.fuser(device, precision), plane=plane, progress=progress, **windows)
            progress(1.0, "Colouring")
            wanted = any(rgb for name, rgb in outputs)
            return fused, mrml.paint(fused, table, colors[1]) if wanted else None

        def finish(result):
            fused, painting = result
            created = []
            try:
                for name, rgb in outputs:
                    had = getattr(p, name)
                    node = mrml.publish(source, fused, slicer.mrmlScene, had, painting if rgb else None)
                    created += [] if had is not None else [node]
                    setattr(p, name, node)
            except Exception:
                for node in created:
                    slicer.mrmlScene.RemoveNode(node)
                raise
            if painting is not None and colors != (p.colorTable, p.functionalWeight):  # chosen meanwhile
                self.recolor(p)
            _show_windows(p, fused)
            self._last = (tuple(getattr(p, name).GetID() for name, rgb in outputs), source, fused)
            self.showFused(p, fit=bool(created))
            return fused.report

        return work, finish

    def preselect(self, p) -> None:
        """Choose the sources that are not chosen yet, where the nodes tell which is which."""
        if p.anatomical is None or p.functional is None:
            anatomical, functional = roles.preselect(slicer.mrmlScene, p.anatomical, p.functional)
            with slicer.util.NodeModify(p):
                p.anatomical, p.functional = anatomical, functional

    def adaptToSources(self, p, newFunctional: bool) -> None:
        """After another choice of sources: new outputs unless made of these, colours of the new functional one."""
        if newFunctional or p.colorTable is None:
            p.colorTable = self.defaultColors(p.functional)
        pair = (p.anatomical, p.functional)
        for name, _rgb, _wanted in _outputs(p):
            node = getattr(p, name)
            if None in pair or node is None or node.GetAttribute("MMIFAmin.version") is None:
                continue
            if (node.GetNodeReference("MMIFAmin.anatomical"), node.GetNodeReference("MMIFAmin.functional")) != pair:
                setattr(p, name, None)

    # Registration --------------------------------------------------------------------------------------------------

    def alignment(self, p):
        """`work` that returns the Alignment of the chosen volumes, or raises why it cannot be known."""
        from .. import mrml
        from ..volume import registration

        try:
            source = mrml.snapshot(p.anatomical, p.functional)
        except MMIFAminError as error:
            reason = error

            def refuse(progress):
                raise reason

            return refuse
        images, names = _images(source)
        return lambda progress: registration.alignment_check(*(scalar() for scalar in images), names=names)

    def registration(self, p) -> tuple:
        """The parts `work`, `finish` of *Register first*; `finish` returns the transform node."""
        from .. import mrml
        from ..volume import registration

        source = mrml.snapshot(p.anatomical, p.functional)
        images, names = _images(source)

        def work(progress):
            anatomical, functional = (scalar() for scalar in images)
            return registration.register_rigid(anatomical, functional, progress, names=names)

        def finish(transform):
            node = slicer.mrmlScene.GetNodeByID(source.functional.id)
            if node is None:
                raise InputError(f"'{source.functional.name}' is no longer in the scene; nothing was moved.")
            return mrml.apply_registration(node, transform)

        return work, finish

    def isRegistered(self, functionalNode) -> bool:
        """Whether the volume is under a registration of this module that can be undone."""
        parent = functionalNode.GetParentTransformNode() if functionalNode is not None else None
        return parent is not None and parent.GetAttribute("MMIFAmin.registration") is not None

    def undoRegistration(self, functionalNode) -> None:
        from .. import mrml

        mrml.undo_registration(functionalNode)

    # Panel and views -----------------------------------------------------------------------------------------------

    def reasons(self, p, busy: bool) -> dict[str, str]:
        """For each widget of the panel that is not always usable, why it is not just now, or ""."""
        fused = state.fused_node(p)
        unfused = "" if fused is not None else _("Fuse two volumes first.")
        unmeasured = unfused or ("" if self.qualityRows(fused) else _("Measure the quality first."))
        unmeasurable = unfused or (_("Wait for the fusion.") if busy else "")
        if fused is not None and not unmeasurable and fused.GetID() not in self._last[0]:
            unmeasurable = _("Only the last fusion can be measured: fuse again.")
        reasons = {
            "fuseButton": "" if busy else state.why_not(p),
            "registerButton": "" if self.isRegistered(p.functional) else state.why_not_pair(p),
            "colorSelector": "" if p.makeColor else _("Tick Colour first."),
            "greySelector": "" if p.makeGrey else _("Tick Grey first."),
            "compareButton": unfused,
            "opacitySlider": unfused,
            "underComboBox": unfused or (_("Side by side shows both sources.") if p.compared else ""),
            "colorTableSelector": "" if p.fusedColor is not None else _("Tick Colour and fuse first."),
            "measureButton": unmeasurable,
            "metricComboBox": unmeasured,
            "plotButton": unmeasured,
        }
        for role in ("anatomical", "functional"):
            fixed = "" if isinstance(state.window(p, role), tuple) else _("Choose Custom to set the window by hand.")
            reasons[f"{role}LowSpinBox"] = reasons[f"{role}HighSpinBox"] = fixed
        return reasons

    def defaultColors(self, functionalNode):
        """The colour node to begin with: the functional volume's own unless that is grey, else Slicer's PET-Heat."""
        if functionalNode is not None and functionalNode.GetImageData() is not None:
            from .. import mrml

            if mrml.node_color_table(functionalNode) is not None:
                return functionalNode.GetDisplayNode().GetColorNode()
        return slicer.mrmlScene.GetNodeByID(_DEFAULT_COLORS)

    def recolor(self, p) -> None:
        """Paint the colour volume with the chosen table and weight."""
        from .. import mrml

        if p.fusedColor is not None:
            mrml.recolor(p.fusedColor, p.colorTable, p.functionalWeight)

    def showFused(self, p, fit=False) -> None:
        """Show the fused volume in the slice views, or in the comparison if that is on."""
        from . import views

        if p.compared and views.is_comparing():
            self.compare(p)
        else:
            views.show_over(_under(p), state.fused_node(p), p.opacity, fit=fit)

    def blend(self, p) -> None:
        """Bring the views that show the fused volume to the chosen source and opacity."""
        from . import views

        if state.fused_node(p) is not None:
            views.blend(_under(p), state.fused_node(p), p.opacity)

    def compare(self, p) -> None:
        """Show the three volumes side by side, the sources pure at first."""
        from . import views

        previous = views.compare(p.anatomical, p.functional, state.fused_node(p), p.plane.value)
        with slicer.util.NodeModify(p):
            self._remember(p, previous)
            p.compared, p.plotted, p.opacity = True, False, 0.0

    def plot(self, p) -> None:
        """Show the chart of the chosen metric."""
        from . import views

        previous = views.show_chart(self.chart(state.fused_node(p), p.metric))
        with slicer.util.NodeModify(p):
            self._remember(p, previous)
            p.compared, p.plotted = False, True

    def leaveLayout(self, p) -> None:
        """Go back to the layout from before the comparison or the chart, the fused volume opaque again."""
        from . import views

        views.leave(p.layoutBefore)
        with slicer.util.NodeModify(p):
            p.compared, p.plotted, p.opacity, p.layoutBefore = False, False, 1.0, 0
        if state.fused_node(p) is not None:
            self.showFused(p)

    def layoutToRestore(self, p):
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

    def followLayout(self, p) -> None:
        """Note that the user has left the comparison or the chart by choosing another layout."""
        if not (p.compared or p.plotted):
            return
        from . import views

        if p.compared and not views.is_comparing():
            p.compared, p.opacity, p.layoutBefore = False, 1.0, 0
        if p.plotted and not views.is_plotting():
            p.plotted, p.layoutBefore = False, 0

    @staticmethod
    def _remember(p, previous: int) -> None:
        from ..mrml.compare import LAYOUT_ID

        if not p.layoutBefore and previous != LAYOUT_ID:
            p.layoutBefore = previous

    # Quality -------------------------------------------------------------------------------------------------------

    def quality(self, p) -> tuple:
        """The parts `work`, `finish` of measuring the fused volume; `finish` makes the table and plot nodes."""
        from .. import mrml

        node = state.fused_node(p)
        _ids, source, fused = self._last
        return (
            lambda progress: mrml.snapshot_quality(source, fused, progress=progress),
            lambda quality: mrml.publish_quality(node, quality),
        )

    def forget(self, fusedNode) -> list:
        """Before a fused volume is removed: let go of its data; returns its tables and plots, to be removed too."""
        from ..mrml.quality import quality_nodes

        if fusedNode.GetID() in self._last[0]:
            self._last = ((), None, None)
        return quality_nodes(fusedNode)

    def qualityRows(self, fusedNode) -> list[tuple[str, str, str]]:
        """Metric, value and meaning of every row of the fused volume's quality table; [] if it was not measured."""
        table = fusedNode.GetNodeReference(f"{_MEASURED}.summary") if fusedNode is not None else None
        if table is None:
            return []
        names, values, meanings = (table.GetTable().GetColumn(index) for index in range(3))
        return [
            (names.GetValue(row), f"{values.GetValue(row):.3f}".replace("nan", "\u2013"), meanings.GetValue(row))
            for row in range(table.GetNumberOfRows())
        ]

    def chart(self, fusedNode, metric: str):
        """The chart node of one metric along the slices, or None."""
        return fusedNode.GetNodeReference(f"{_MEASURED}.chart.{metric}") if fusedNode is not None else None

    # Sample --------------------------------------------------------------------------------------------------------

    def loadSample(self) -> list:
        """Load the sample pair (written into the cache first if needed); returns the anatomical and functional node."""
        from . import sample

        cache = slicer.mrmlScene.GetCacheManager()
        folder = cache.GetRemoteCacheDirectory() if cache is not None else slicer.app.temporaryPath
        Path(folder).mkdir(parents=True, exist_ok=True)
        paths = sample.write_sample(folder)
        nodes = [slicer.util.loadVolume(str(path), {"name": name}) for path, name in zip(paths, sample.FILES.values())]
        nodes[1].GetDisplayNode().SetAndObserveColorNodeID(_DEFAULT_COLORS)
        return nodes


def _show_windows(p, fused) -> None:
    """Note the windows that the engine chose, so that they are seen, and a custom window starts from them."""
    for role, chosen in (("anatomical", fused.anatomical_window), ("functional", fused.functional_window)):
        if not isinstance(state.window(p, role), tuple) and -1e7 <= chosen.low < chosen.high <= 1e7:
            setattr(p, f"{role}Low", float(chosen.low))
            setattr(p, f"{role}High", float(chosen.high))


def _under(p):
    return p.functional if p.under is state.Source.FUNCTIONAL else p.anatomical


def _outputs(p) -> tuple:
    return (("fusedColor", True, p.makeColor), ("fusedGrey", False, p.makeGrey))


def _images(source) -> tuple:
    """Functions that give the two volumes of a snapshot as scalar images (of colours, the magnitude); their names."""
    import SimpleITK as sitk

    def scalar(image):
        if image.GetNumberOfComponentsPerPixel() == 1:
            return image
        return sitk.VectorMagnitude(sitk.Cast(image, sitk.sitkVectorFloat32))

    volumes = (source.anatomical, source.functional)
    return [lambda volume=volume: scalar(volume.image) for volume in volumes], tuple(v.name for v in volumes)
