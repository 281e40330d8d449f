"""Fusing in the views: what is shown when, and what is left of it."""

import threading

import numpy as np
import pytest

from bench.driving import case, chosen, slow
from bench.fixtures import bench  # noqa: F401

slicer = pytest.importorskip("slicer", reason="the widget bench needs slicer-core")


@pytest.fixture
def panel(bench):  # noqa: F811
    return bench.open()


@pytest.fixture(autouse=True)
def released():
    """No engine is held up beyond its test: the next one would wait for it."""
    yield
    while Held.every:
        Held.every.pop().release.set()


class Held:
    """The real engine, held up after `slices` fused slices until it is released; notes how each slice was shown."""

    every = []

    def __init__(self, slices):
        from MMIFAminLib.module import logic

        self.every.append(self)

        self.engine = logic._fusers["auto", "auto"]
        self.engine.threads = 1
        self.slices, self.shown, self.release = slices, [], threading.Event()
        logic._fusers["auto", "auto"] = self

    def fuse(self, *sources, watcher, **options):
        self.watcher = watcher
        return self.engine.fuse(*sources, watcher=self if watcher is not None else None, **options)

    def looked_at(self):
        return self.watcher.looked_at()

    def show(self, view, index, fused, uptake, final):
        if sum(final for *_, final in self.shown) == self.slices:
            self.release.wait(60)
        self.watcher.show(view, index, fused, uptake, final)
        self.shown.append((view.plane, index, final))


def layers(view="Red"):
    composites = {c.GetLayoutName(): c for c in slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode")}
    composite = composites[view]
    ids = (composite.GetBackgroundVolumeID(), composite.GetForegroundVolumeID())
    return (*(slicer.mrmlScene.GetNodeByID(i) if i else None for i in ids), composite.GetForegroundOpacity())


def places():
    matrices = {n.GetLayoutName(): n.GetSliceToRAS() for n in slicer.util.getNodesByClass("vtkMRMLSliceNode")}
    return {name: [m.GetElement(i, j) for i in range(4) for j in range(4)] for name, m in matrices.items()}


def look(nodes, view="Red"):
    """Have the views look at the sources."""
    slicer.util.setSliceViewerLayers(background=nodes[0], fit=True)
    return next(n for n in slicer.util.getNodesByClass("vtkMRMLSliceNode") if n.GetLayoutName() == view)


def count():
    return slicer.mrmlScene.GetNumberOfNodes()


def growing(bench, panel, held):  # noqa: F811
    """The node in the views, once the engine is held up."""
    panel.ui.fuseButton.click()
    bench.wait(lambda: sum(final for *_, final in held.shown) == held.slices and layers()[1] is not None, 60)
    return layers()[1]


def test_slices_are_seen_before_the_volume_is_fused(bench, panel):  # noqa: F811
    nodes = chosen(bench, panel)
    red = look(nodes)
    red.SetSliceOffset(red.GetSliceOffset() + 20.0)  # one slice of the phantom
    held, before = Held(slices=1), count()
    node = growing(bench, panel, held)
    assert layers() == (nodes[0], node, 1.0) and layers("Green") == layers("Yellow") == layers()
    assert {plane for plane, index, final in held.shown if not final} == {"axial", "coronal", "sagittal"}
    assert panel.ui.colorSelector.currentNode() is None and panel.ui.fuseButton.text == "Cancel"
    offset = red.GetSliceOffset()
    bench.wait(lambda: not panel._job.busy or held.release.set())
    output = panel.ui.colorSelector.currentNode()
    assert layers() == (nodes[0], output, 1.0) and node.GetScene() is None
    assert red.GetSliceOffset() == offset  # whoever scrolled meanwhile stays there
    assert slicer.util.getNodesByClass("vtkMRMLVectorVolumeNode") == [output]
    assert count() == before + 4  # the volume, its display, its legend and what that reads


def test_what_is_not_fused_yet_lets_the_anatomy_through(bench, panel):  # noqa: F811
    nodes = chosen(bench, panel)
    look(nodes)
    held = Held(slices=2)
    node = growing(bench, panel, held)
    rgba = slicer.util.arrayFromVolume(node)
    (k,) = {k for _axis, k in [place for place in held.watcher.looked_at() if place[0] == 0]}
    covered = (rgba[..., 3] == 255).all(axis=(1, 2))
    assert covered[k] and 1 <= covered.sum() <= 3 and set(np.unique(rgba[..., 3])) == {0, 255}
    held.release.set()
    bench.wait(lambda: not panel._job.busy)
    final = slicer.util.arrayFromVolume(panel.ui.colorSelector.currentNode())
    difference = np.abs(rgba[k, ..., :3].astype(int) - final[k])  # the volume keeps its values in 16 bits
    assert difference.max() <= 6 and (difference > 0).mean() < 0.02


def test_scrolling_has_the_slice_there_fused_next(bench, panel):  # noqa: F811
    nodes = chosen(bench, panel)
    red = look(nodes)
    held = Held(slices=2)
    growing(bench, panel, held)
    red.SetSliceOffset(red.GetSliceOffset() - 60.0)  # three slices down
    bench.wait(lambda: (0, 1) in held.watcher.looked_at(), 60)
    held.release.set()
    bench.wait(lambda: not panel._job.busy)
    order = [index for plane, index, final in held.shown if final]
    assert order.index(1) <= 2 + 2 * held.engine.threads


@pytest.mark.parametrize("again", [False, True], ids=["first", "again"])
def test_cancel_leaves_views_and_scene_as_they_were(bench, panel, again):  # noqa: F811
    nodes = chosen(bench, panel)
    if again:
        look(nodes)
        case(bench).fuse(panel)
        panel.ui.opacitySlider.value = 0.4
        panel.ui.planeComboBox.setCurrentIndex(0)
    before, there, shown = count(), places(), layers()
    held = Held(slices=1)
    node = growing(bench, panel, held)
    assert node not in nodes and layers() != shown
    panel.ui.fuseButton.click()
    assert (count(), places(), layers()) == (before, there, shown)  # at once, not when the engine answers
    held.release.set()
    bench.wait(lambda: not panel._job.busy)
    assert (count(), places(), layers()) == (before, there, shown)
    assert "Cancelled" in panel.ui.statusLabel.text


def test_an_error_leaves_views_and_scene_as_they_were(bench, panel):  # noqa: F811
    chosen(bench, panel)
    before, there, shown = count(), places(), layers()
    slow(error=ValueError("reached"))
    panel.ui.fuseButton.click()
    assert layers()[0] is panel._parameterNode.anatomical  # what will be beneath
    bench.wait(lambda: not panel._job.busy)
    assert (count(), places(), layers()) == (before, there, shown)


def test_closing_the_scene_meanwhile_leaves_nothing(bench, panel):  # noqa: F811
    chosen(bench, panel)
    held = Held(slices=1)
    growing(bench, panel, held)
    threading.Timer(0.2, held.release.set).start()
    slicer.mrmlScene.Clear(0)
    bench.app.processEvents()
    assert not slicer.util.getNodesByClass("vtkMRMLVolumeNode") and panel.logic._at_once is None


def test_a_saved_scene_does_not_hold_what_is_being_fused(bench, panel, tmp_path):  # noqa: F811
    look(chosen(bench, panel))
    held = Held(slices=1)
    growing(bench, panel, held)
    slicer.mrmlScene.SetURL(str(tmp_path / "scene.mrml"))
    slicer.mrmlScene.Commit(str(tmp_path / "scene.mrml"))
    assert "Being fused" not in (tmp_path / "scene.mrml").read_text()
    held.release.set()


def test_in_the_comparison_only_the_fused_view_changes(bench, panel):  # noqa: F811
    nodes = chosen(bench, panel)
    case(bench).fuse(panel)
    output = panel.ui.colorSelector.currentNode()
    panel.ui.compareButton.click()
    node = growing_in(bench, panel, "MMIFAminFused", Held(slices=1))
    assert layers("MMIFAminFused") == (nodes[0], node, 1.0)
    assert layers("MMIFAminAnatomical")[:2] == (nodes[0], output)
    panel.ui.fuseButton.click()
    assert layers("MMIFAminFused")[:2] == (output, None)


def growing_in(bench, panel, view, held):  # noqa: F811
    panel.ui.fuseButton.click()
    bench.wait(lambda: layers(view)[1] is not None)
    return layers(view)[1]


def test_it_can_be_switched_off(bench, panel):  # noqa: F811
    look(chosen(bench, panel))
    panel.ui.showWhileFusingCheckBox.checked = False
    assert panel._parameterNode.showWhileFusing is False
    held, shown = Held(slices=1), layers()
    panel.ui.fuseButton.click()
    bench.wait(lambda: not panel._job.busy)
    assert held.shown == [] and shown[1] is None and layers()[1] is panel.ui.colorSelector.currentNode()


def test_the_console_shows_slices_as_they_come(bench):  # noqa: F811
    nodes = case(bench).pair()
    look(nodes)
    logic, held, seen = bench.module.MMIFAminLogic(), Held(slices=-1), []
    fused = logic.fuse(*nodes, rgb=True, show=True, progress=lambda fraction, text: seen.append(layers()[1]))
    assert any(node is not None for node in seen) and len(held.shown) > 3
    assert layers() == (nodes[0], fused, 1.0)
    assert slicer.util.getNodesByClass("vtkMRMLVectorVolumeNode") == [fused]
    before = count()
    with pytest.raises(Exception, match="nothing was changed"):
        logic.fuse(*nodes, show=True, progress=lambda fraction, text: fraction < 0.5)
    assert count() == before and layers() == (nodes[0], fused, 1.0)
