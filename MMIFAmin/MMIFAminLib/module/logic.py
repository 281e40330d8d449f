"""What the module does, without its panel: fusing, registering, comparing and measuring on nodes and parameters.

The long steps come in two parts: `work(progress)`, which touches no node and may run in any thread, and
`finish(result)` for the main thread, which alone changes the scene.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import slicer
from slicer.i18n import tr as _

from ..errors import InputError
from . import packages, roles, state, suv, units
from .batch_logic import BatchLogic
from .console import ConsoleLogic
from .reading_logic import ReadingLogic
from .source_logic import SourceLogic
from .view_logic import ViewLogic, under

if TYPE_CHECKING:
    from slicer import vtkMRMLNode, vtkMRMLPlotChartNode, vtkMRMLScalarVolumeNode

    from ..engine.fusion import VolumeFuser

_MEASURED = "MMIFAmin.quality"
_UNDEFINED = {
    "MSSSIM": _("Not defined for slices below 176 pixels."),
    "VIF": _("Not defined for slices below 41 pixels."),
    "SSIM": _("Not defined for slices below 7 pixels."),
}
_fusers: dict[tuple[str, str], VolumeFuser] = {}  # loaded networks, shared by every logic of the session


class LastFusion(NamedTuple):
    """What measuring needs of the last fusion: its output nodes (themselves: IDs repeat across scenes), its data, and what
    it recorded on the nodes: a batch or the console may write another fusion into them."""

    nodes: tuple
    source: Any
    fused: Any
    recipe: Any = None

    def is_in(self, node: Any) -> bool:
        """Whether a node holds this fusion."""
        return node in self.nodes and node.GetAttribute("MMIFAmin.recipe") == self.recipe


_NOTHING = LastFusion((), None, None)


class FusionLogic(ConsoleLogic, ViewLogic, SourceLogic, ReadingLogic, BatchLogic):
    """Base of `MMIFAminLogic`; see there."""

    def __init__(self) -> None:
        ViewLogic.__init__(self)
        ReadingLogic.__init__(self)
        BatchLogic.__init__(self)
        self._last = _NOTHING
        self._unusable: dict = {}

    # Fusing --------------------------------------------------------------------------------------------------------

    def ensurePackages(self) -> None:
        """Make PyTorch importable, or raise PackagesError; main thread only."""
        packages.ensure_packages()

    def fuser(self, device: str = "auto", precision: str = "auto") -> VolumeFuser:
        """The network for a device and precision, loaded once."""
        from ..engine.fusion import VolumeFuser

        if (device, precision) not in _fusers:
            _fusers[device, precision] = VolumeFuser.load(device=device, precision=precision)
        return _fusers[device, precision]

    def _fuserFor(self, device: state.Device, precision: state.Precision) -> VolumeFuser:
        """The network for what was chosen, in the panel's words where this computer lacks it: known once PyTorch is there."""
        try:
            return self.fuser(device.value, precision.value)
        except InputError as error:
            raise InputError(state.why_not_compute(device, precision, state.unusable()) or str(error)) from error

    def fusion(self, p: state.MMIFAminParameterNode, insist: bool = False) -> tuple:
        """The parts `work`, `finish` of the fusion that is asked for; `finish` returns the engine's report."""
        from .. import mrml

        self.ensurePackages()
        source = mrml.snapshot(*state.sources(p))
        outputs = [(name, rgb) for name, rgb, wanted in _outputs(p) if wanted]
        for name, rgb in outputs:
            mrml.check_output(source, getattr(p, name), rgb)
        device, precision = p.device, p.precision
        options = state.options(p)
        colors = (p.colorTable, p.functionalWeight)
        table = mrml.resolve_color_table(colors[0], source.table)
        watcher = None
        if p.showWhileFusing:
            sources, painted = (p.anatomical, p.functional), table if p.makeColor else None
            watcher = self.beginAtOnce(sources, under(p), p.opacity, painted, colors[1])

        def work(progress):
            started = time.perf_counter()
            progress(0.0, "Loading the network")
            fuser = self._fuserFor(device, precision)
            loaded = time.perf_counter()
            fused = mrml.fuse_snapshot(source, fuser, progress=progress, insist=insist, watcher=watcher, **options)
            fused.report["seconds"] = {"load": round(loaded - started, 4), **fused.report["seconds"]}
            progress(1.0, "Colouring")
            wanted = any(rgb for name, rgb in outputs)
            return fused, mrml.paint(fused, table, colors[1]) if wanted else None

        def finish(result):
            fused, painting = result
            created = []
            try:
                for name, rgb in outputs:
                    had = getattr(p, name)
                    node = mrml.publish(source, fused, slicer.mrmlScene, had, painting if rgb else None, options)
                    created += [] if had is not None else [node]
                    setattr(p, name, node)
            except Exception:
                for node in created:
                    slicer.mrmlScene.RemoveNode(node)
                raise
            if painting is not None and colors != (p.colorTable, p.functionalWeight):  # chosen meanwhile
                self.recolor(p)
            _show_windows(p, fused)
            made = tuple(getattr(p, name) for name, rgb in outputs)
            self._last = LastFusion(made, source, fused, made[0].GetAttribute("MMIFAmin.recipe"))
            self.showFused(p, new=bool(created))
            return fused.report

        return work, finish

    def preselect(self, p: state.MMIFAminParameterNode) -> None:
        """Choose the sources that are not chosen yet, where the nodes tell which is which."""
        if p.anatomical is None or p.functional is None:
            anatomical, functional = roles.preselect(slicer.mrmlScene, p.anatomical, p.functional)
            with slicer.util.NodeModify(p):
                p.anatomical, p.functional = anatomical, functional

    def adaptToSources(self, p: state.MMIFAminParameterNode, newFunctional: bool) -> None:
        """After another choice of sources: the outputs made of these, else new ones; colours of the functional one."""
        if p.colorTable is None or (newFunctional and not p.preset):  # a preset brings its colours
            p.colorTable = self.defaultColors(p.functional)
        sources = state.sources(p)
        if None in sources:
            return
        from .. import mrml

        for name, rgb, _wanted in _outputs(p):
            node = getattr(p, name)
            if node is None or (node in mrml.own_volumes(slicer.mrmlScene) and mrml.sources_of(node) != sources):
                setattr(p, name, mrml.made_of(slicer.mrmlScene, sources, rgb))

    def outOfDate(self, p: state.MMIFAminParameterNode) -> str:
        """Mark what is out of date in the scene; what has changed since the shown volume was fused, in a sentence."""
        if not roles.own_volumes(slicer.mrmlScene):
            return ""
        from .. import mrml

        # What is not ticked stays as it is when fused again.
        ticked = [getattr(p, name) for name, _rgb, wanted in _outputs(p) if wanted]
        current = [node for node in {*ticked, state.fused_node(p)} if node is not None]
        reason = mrml.refresh(slicer.mrmlScene, current, state.options(p))
        return _("Out of date: {reason} since. Fuse again.").format(reason=reason) if reason else ""

    def noteVoxels(self, sourceNode: vtkMRMLScalarVolumeNode) -> None:
        """After the voxels of a source were changed by any module."""
        from .. import mrml

        mrml.note_voxels(sourceNode)
        self.noteForReading(sourceNode)

    def release(self, p: state.MMIFAminParameterNode, node: vtkMRMLNode) -> None:
        """Before a node leaves the scene: no parameter refers to it any more. A selector would take another by itself."""
        with slicer.util.NodeModify(p):
            for name in (*state.ROLES, "fusedColor", "fusedGrey"):
                if getattr(p, name) is node:
                    setattr(p, name, None)
            if p.colorTable is node:
                p.colorTable = self.defaultColors(p.functional, without=node)

    # Panel and views -----------------------------------------------------------------------------------------------

    def unusable(self) -> dict:
        """The devices and precisions that are not here, with the reason; asked once PyTorch is loaded."""
        self._unusable = self._unusable or state.unusable()
        return self._unusable

    def reasons(self, p: state.MMIFAminParameterNode, busy: bool) -> dict[str, str]:
        """For each widget of the panel that is not always usable, why it is not just now, or ""."""
        fused = state.fused_node(p)
        unfused = "" if fused is not None else _("Fuse two volumes first.")
        unmeasured = unfused or ("" if self.qualityRows(fused) else _("Measure the quality first."))
        side_by_side = _("Side by side shows both sources.") if p.compared else ""
        unmeasurable = unfused or (_("Wait for the fusion.") if busy else "")
        if not unmeasurable and not self._last.is_in(fused):
            unmeasurable = _("Only the last fusion can be measured: fuse again.")
        elif not unmeasurable and self._last.source.second is not None:
            unmeasurable = _("The metrics compare a fused volume with two sources, not with three.")
        unfusable = (
            state.why_not(p) or units.why_not_window(p) or state.why_not_compute(p.device, p.precision, self.unusable())
        )
        reasons = {
            "fuseButton": "" if busy else unfusable,
            "swapButton": state.why_not_swap(p),
            "registerButton": "" if self.registered(p) else state.why_not_pair(p),
            "suvButton": "" if self.isShownAsSuv(p.functional) else suv.why_not(p.functional),
            "colorSelector": "" if p.makeColor else _("Tick Colour first."),
            "greySelector": "" if p.makeGrey else _("Tick Grey first."),
            "compareButton": "" if p.compared else unfused,
            "opacitySlider": unfused,
            "underComboBox": unfused or side_by_side,
            "holdAnatomicalButton": unfused or side_by_side,
            "holdFunctionalButton": unfused or side_by_side,
            "legendCheckBox": "" if p.fusedColor is not None else _("Tick Colour and fuse first."),
            "colorTableSelector": "" if p.fusedColor is not None else _("Tick Colour and fuse first."),
            "measureButton": unmeasurable,
            "metricComboBox": unmeasured,
            "plotButton": "" if p.plotted else unmeasured,
        }
        two = "" if p.second is not None else _("Choose a second anatomical volume (Inputs) first.")
        reasons["secondWindowComboBox"] = two
        for role in state.ROLES:
            fixed = "" if isinstance(state.window(p, role), tuple) else _("Choose Custom to set the window by hand.")
            fixed = two if role == "second" and two else fixed
            reasons[f"{role}LowSpinBox"] = reasons[f"{role}HighSpinBox"] = fixed
        return reasons | self.readingReasons(p, busy) | self.batchReasons(p, busy)

    def texts(self, p: state.MMIFAminParameterNode, busy: bool) -> dict[str, str]:
        """What the panel's buttons and labels say that change."""
        changing = state.texts(p, busy, bool(self.registered(p)), self.isShownAsSuv(p.functional))
        changing["spotsButton"] = self.spotsText(p.functional)
        return {**changing, "unitLabel": units.in_words(units.code_of(p.functional)) or _("not known")}

    # Quality -------------------------------------------------------------------------------------------------------

    def quality(self, p: state.MMIFAminParameterNode) -> tuple:
        """The parts `work`, `finish` of measuring the fused volume; `finish` makes the table and plot nodes."""
        from .. import mrml

        node = state.fused_node(p)
        if node is None or not self._last.is_in(node):
            raise InputError("Only the last fusion can be measured: fuse again.")
        _nodes, source, fused, _recipe = self._last
        if source.second is not None:
            raise InputError("The metrics compare a fused volume with two sources, not with three.")

        def finish(quality):
            return mrml.publish_quality(mrml.still_there(node), quality)

        return lambda progress: mrml.snapshot_quality(source, fused, progress=progress), finish

    def forget(self, fusedNode: vtkMRMLNode) -> list:
        """Before a fused volume is removed: let go of its data; returns its tables, plots and legend, to be removed too."""
        from ..mrml.legend import legend_nodes
        from ..mrml.quality import quality_nodes

        left = tuple(node for node in self._last.nodes if node is not fusedNode)
        self._last = self._last._replace(nodes=left) if left else _NOTHING
        return quality_nodes(fusedNode) + legend_nodes(fusedNode)

    def forgetScene(self) -> None:
        """Before the scene is closed: nothing outlives it."""
        self._mip = self._mipOf = None
        self._last = _NOTHING

    def qualityRows(self, fusedNode: vtkMRMLScalarVolumeNode | None) -> list[tuple[str, str, str, str]]:
        """Metric, value, meaning and the reason for a missing value, for each metric; [] if nothing was measured."""
        if fusedNode is None:
            return []
        from ..mrml.owned import owned_node

        table = owned_node(fusedNode, f"{_MEASURED}.summary")
        if table is None:
            return []
        names, values, meanings = (table.GetTable().GetColumn(index) for index in range(3))
        rows = []
        for row in range(table.GetNumberOfRows()):
            name, value = names.GetValue(row), values.GetValue(row)
            missing = "" if value == value else _UNDEFINED.get(name, _("Not defined for these slices."))
            rows.append((name, "\u2013" if missing else f"{value:.3f}", meanings.GetValue(row), missing))
        return rows

    def chart(self, fusedNode: vtkMRMLScalarVolumeNode | None, metric: str) -> vtkMRMLPlotChartNode | None:
        """The chart node of one metric along the slices, or None where the quality was not measured."""
        if fusedNode is None:
            return None
        from .. import mrml
        from ..mrml.owned import owned_node

        if owned_node(fusedNode, f"{_MEASURED}.slices") is None:
            return None

        return mrml.quality_chart(fusedNode, metric)

    # Sample --------------------------------------------------------------------------------------------------------

    def loadSample(self, name: str = "MMIFAminHead") -> list:
        """Load a sample pair, made in the cache first, and show a lesion; returns the anatomical and functional node."""
        from . import sample

        if name not in sample.SAMPLES:
            raise InputError(f"There is no sample '{name}'; choose one of {', '.join(sample.SAMPLES)}.")
        cache = slicer.mrmlScene.GetCacheManager()
        folder = cache.GetRemoteCacheDirectory() if cache is not None else slicer.app.temporaryPath
        Path(folder).mkdir(parents=True, exist_ok=True)
        nodes = sample.load(sample.SAMPLES[name], folder)
        colors = self.defaultColors(None)
        nodes[1].GetDisplayNode().SetAndObserveColorNodeID(colors.GetID() if colors is not None else None)
        return nodes


def _show_windows(p, fused) -> None:
    """Note the windows that the engine chose, so that they are seen, and a custom window starts from them."""
    for role in state.roles(p):
        chosen = getattr(fused, f"{role}_window")
        if not isinstance(state.window(p, role), tuple) and -state.LARGEST <= chosen.low < chosen.high <= state.LARGEST:
            setattr(p, f"{role}Low", float(chosen.low))
            setattr(p, f"{role}High", float(chosen.high))


def _outputs(p) -> tuple:
    return (("fusedColor", True, p.makeColor), ("fusedGrey", False, p.makeGrey))
