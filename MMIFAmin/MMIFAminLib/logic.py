"""What the module does, without its panel: fusing, registering, comparing and measuring on nodes and parameters.

The long steps come in two parts: `work(progress)`, which touches no node and may run in any thread, and `finish(result)`
for the main thread, which alone changes the scene.
"""

from __future__ import annotations

from pathlib import Path

import slicer
from slicer.i18n import tr as _

from . import packages, sample, state
from .errors import InputError

RESOURCES = Path(__file__).resolve().parents[1] / "Resources"
_MEASURED = "MMIFAmin.quality"
_DEFAULT_COLORS = "vtkMRMLPETProceduralColorNodePET-Heat"
_fusers: dict[tuple[str, str], object] = {}  # loaded networks, shared by every logic of the session


class FusionLogic:
    """Base of `MMIFAminLogic`; see there."""

    def __init__(self):
        self._fused = {}  # fused node ID: (snapshot, FusedVolume), for measuring

    # Fusing --------------------------------------------------------------------------------------------------------

    def fuse(
        self,
        anatomicalNode,
        functionalNode,
        outputNode=None,
        *,
        rgb=False,
        plane="axial",
        anatomicalWindow="auto",
        functionalWindow="auto",
        colorTable=None,
        functionalWeight=1.0,
        device="auto",
        precision="auto",
        progress=None,
    ):
        """Fuse two volume nodes and return the fused one: scalar (values 0 to 1), or colour (RGB) if `rgb`.

        Blocks until done; installs PyTorch and MONAI first if they are missing. `plane` is "axial", "coronal",
        "sagittal" or "acquisition"; windows are "auto", "mr", "uptake", "ct-brain", "ct-bone", "ct-soft-tissue",
        "LOW:HIGH" or (low, high); `colorTable` is a colour node or the name of a built-in table; `functionalWeight`
        (0 to 1) scales the colours; `device` is "auto", "cpu" or "cuda"; `progress(fraction, text)` may return False
        to cancel. Raises MMIFAminError with one sentence for the user; the scene is then as it was.
        """
        from . import mrml

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

    def ensurePackages(self) -> None:
        """Make PyTorch and MONAI importable, or raise PackagesError; main thread only."""
        packages.ensure_packages(RESOURCES / "requirements.txt")

    def fuser(self, device="auto", precision="auto"):
        """The network for a device and precision, loaded once."""
        from .fusion import VolumeFuser

        if (device, precision) not in _fusers:
            _fusers[device, precision] = VolumeFuser.load(device=device, precision=precision)
        return _fusers[device, precision]

    def fusion(self, p) -> tuple:
        """The parts `work`, `finish` of the fusion that the parameters describe. `finish` returns the engine's report."""
        from . import mrml

        self.ensurePackages()
        source = mrml.snapshot(p.anatomical, p.functional)
        outputs = [(name, rgb) for name, rgb, wanted in _outputs(p) if wanted]
        for name, rgb in outputs:
            mrml.check_output(source, getattr(p, name), rgb)
        device, precision, plane = p.device.value, p.precision.value, p.plane.value
        windows = {f"{role}_window": state.window(p, role) for role in ("anatomical", "functional")}

        def work(progress):
            progress(0.0, "Loading the network")
            return mrml.fuse_snapshot(
                source, self.fuser(device, precision), plane=plane, progress=progress, **windows
            )

        def finish(fused):
            created = []
            try:
                for name, rgb in outputs:
                    had = getattr(p, name)
                    node = mrml.publish(
                        source,
                        fused,
                        slicer.mrmlScene,
                        had,
                        rgb=rgb,
                        colorTable=p.colorTable,
                        functionalWeight=p.functionalWeight,
                    )
                    created += [] if had is not None else [node]
                    setattr(p, name, node)
                    self._fused[node.GetID()] = (source, fused)
            except Exception:
                for node in created:
                    slicer.mrmlScene.RemoveNode(node)
                raise
            self.showFused(p, fit=bool(created))
            return fused.report

        return work, finish

    def adaptToSources(self, p, newFunctional: bool) -> None:
        """After another choice of sources: new outputs unless they were made of these, colours of the new functional."""
        if newFunctional or p.colorTable is None:
            p.colorTable = self.defaultColors(p.functional)
        pair = (p.anatomical, p.functional)
        for name, *rest in _outputs(p):
            node = getattr(p, name)
            if None not in pair and node is not None and node.GetAttribute("MMIFAmin.version") is not None:
                if (node.GetNodeReference("MMIFAmin.anatomical"), node.GetNodeReference("MMIFAmin.functional")) != pair:
                    setattr(p, name, None)

    # Registration --------------------------------------------------------------------------------------------------

    def alignment(self, p):
        """`work` that returns the Alignment of the chosen volumes."""
        from . import mrml, registration

        source = mrml.snapshot(p.anatomical, p.functional)
        images, names = _images(source)
        return lambda progress: registration.alignment_check(*(scalar() for scalar in images), names=names)

    def registration(self, p) -> tuple:
        """The parts `work`, `finish` of *Register first*; `finish` returns the transform node."""
        from . import mrml, registration

        source = mrml.snapshot(p.anatomical, p.functional)
        images, names = _images(source)

        def work(progress):
            return registration.register_rigid(*(scalar() for scalar in images), progress, names=names)

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
        from . import mrml

        mrml.undo_registration(functionalNode)

    # Views ---------------------------------------------------------------------------------------------------------

    def defaultColors(self, functionalNode):
        """The colour node to begin with: the functional volume's own unless that is grey, else Slicer's PET-Heat."""
        from . import mrml

        if functionalNode is not None and functionalNode.GetImageData() is not None:
            if mrml.node_color_table(functionalNode) is not None:
                return functionalNode.GetDisplayNode().GetColorNode()
        return slicer.mrmlScene.GetNodeByID(_DEFAULT_COLORS)

    def recolor(self, p) -> None:
        """Paint the colour volume with the chosen table and weight."""
        from . import mrml

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

    def followLayout(self, p) -> None:
        """Note that the user has left the comparison or the chart by choosing another layout."""
        from . import views

        if p.compared and not views.is_comparing():
            p.compared, p.opacity, p.layoutBefore = False, 1.0, 0
        if p.plotted and not views.is_plotting():
            p.plotted, p.layoutBefore = False, 0

    @staticmethod
    def _remember(p, previous: int) -> None:
        from .mrml.compare import LAYOUT_ID

        if not p.layoutBefore and previous != LAYOUT_ID:
            p.layoutBefore = previous

    # Quality -------------------------------------------------------------------------------------------------------

    def whyNotMeasured(self, fusedNode) -> str:
        """Why the quality of a fused volume cannot be measured, or ""."""
        if fusedNode is None or fusedNode.GetID() in self._fused:
            return ""
        return _("Fuse again first: what is measured is not kept in files.")

    def quality(self, p) -> tuple:
        """The parts `work`, `finish` of measuring the fused volume; `finish` makes the table and plot nodes."""
        from . import mrml

        node = state.fused_node(p)
        made = self._fused[node.GetID()]
        return (
            lambda progress: mrml.snapshot_quality(*made, progress=progress),
            lambda quality: mrml.publish_quality(node, quality),
        )

    def qualityNodes(self, fusedNode) -> list:
        """The tables and plots of a fused volume."""
        from .mrml.quality import quality_nodes

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
        cache = slicer.mrmlScene.GetCacheManager()
        folder = cache.GetRemoteCacheDirectory() if cache is not None else slicer.app.temporaryPath
        Path(folder).mkdir(parents=True, exist_ok=True)
        paths = sample.write_sample(folder)
        nodes = [slicer.util.loadVolume(str(path), {"name": name}) for path, name in zip(paths, sample.FILES.values())]
        nodes[1].GetDisplayNode().SetAndObserveColorNodeID(_DEFAULT_COLORS)
        return nodes


def describe_alignment(alignment) -> str:
    """An Alignment in a few words."""
    if alignment.aligned:
        return _("Aligned, overlap {overlap:.0%}").format(overlap=alignment.overlap)
    if alignment.overlap == 0.0:
        return _("No overlap: register first")
    return _("About {distance:.0f} mm off: register first").format(distance=alignment.displacement_mm)


def describe(report: dict) -> str:
    """The report of a fusion in a line: device, precision, speed, time; and below it what there is to know."""
    seconds = sum(report["seconds"].values())
    line = f"{report['device'].upper()}, {report['precision']}, {report['slices_per_second']:.3g} slices/s, {seconds:.1f} s in all"
    return "\n".join([line, *report["warnings"]])


def _under(p):
    return p.functional if p.under is state.Source.FUNCTIONAL else p.anatomical


def _outputs(p) -> tuple:
    return (("fusedColor", True, p.makeColor), ("fusedGrey", False, p.makeGrey))


def _images(source) -> tuple:
    """The two volumes of a snapshot as functions that give scalar images (colours become their magnitude), and names."""
    import SimpleITK as sitk

    def scalar(image):
        if image.GetNumberOfComponentsPerPixel() == 1:
            return image
        return sitk.VectorMagnitude(sitk.Cast(image, sitk.sitkVectorFloat32))

    volumes = (source.anatomical, source.functional)
    return [lambda volume=volume: scalar(volume.image) for volume in volumes], tuple(v.name for v in volumes)
