"""How a test drives the panel: pairs to choose, fusions to wait for, an engine that takes its time."""

import threading
import time


class SlowFuser:
    """The engine's interface without a result: goes through its steps, or into one that lasts until it is released."""

    def __init__(self, steps=2000, error=None, stuck=False):
        self.steps, self.error = steps, error
        self.threads, self.calls = set(), 0
        self.release = threading.Event()
        if not stuck:
            self.release.set()

    def fuse(self, anatomical, functional, *, progress, **choices):
        from MMIFAminLib.errors import FusionCancelled

        self.calls += 1
        self.threads.add(threading.current_thread())
        for step in range(self.steps):
            if progress(step / self.steps, f"Fusing slice {step + 1} of {self.steps}") is False:
                raise FusionCancelled("Fusion was cancelled; nothing was changed.")
            time.sleep(0.01)
            self.release.wait()
            if self.error is not None and step == 2:
                raise self.error
        raise AssertionError("a test let the slow fuser finish")


def case(bench):
    """The self-test's helpers."""
    return bench.module.MMIFAminTest()


def chosen(bench, panel):
    """The panel with a pair chosen and its alignment checked."""
    nodes = case(bench).choose(panel)
    bench.wait(lambda: "overlap" in panel.ui.alignmentLabel.text or "off" in panel.ui.alignmentLabel.text)
    return nodes


def fused(bench, panel):
    chosen(bench, panel)
    case(bench).fuse(panel)
    assert panel.ui.colorSelector.currentNode() is not None, panel.ui.statusLabel.text
    return panel.ui.colorSelector.currentNode()


def slow(**options):
    from MMIFAminLib.module import logic

    logic._fusers["auto", "auto"] = SlowFuser(**options)
    return logic._fusers["auto", "auto"]


def names(scene, kind):
    nodes = scene.GetNodesByClass(kind)
    nodes.UnRegister(None)
    return [nodes.GetItemAsObject(index).GetName() for index in range(nodes.GetNumberOfItems())]


def done(bench, panel):
    """Wait for the panel's job to end."""
    bench.wait(lambda: not panel._job.busy)


def composites():
    """What each slice view shows, by the view's name."""
    import slicer

    return {c.GetLayoutName(): c for c in slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode")}
