"""Render the pictures of the tutorial and the README: Slicer's own slice views, with no display and no OpenGL.

    python docs/make_tutorial.py        # writes Resources/tutorial/*.png

Every picture comes out of the MRML nodes that the module makes, drawn by the slice logics that Slicer's views use.
"""

import sys
from pathlib import Path

import matplotlib
import numpy as np
import SimpleITK as sitk
import slicer
from PIL import Image, ImageDraw, ImageFont
from vtk.util.numpy_support import vtk_to_numpy

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "Testing"))

from MMIFAminLib import VolumeFuser, mrml
from MMIFAminLib.display import legend
from MMIFAminLib.display.color import ColorTable
from MMIFAminLib.module import views
from MMIFAminLib.module.sample import SAMPLES, build_pair
from MMIFAminLib.mrml.compare import VIEWS
from MMIFAminLib.volume import registration
from MMIFAminLib.volume.simulation import LESIONS
from support.scenes import FOUR_UP, Application, add_volume

matplotlib.use("Agg")
FOLDER = Path(__file__).resolve().parents[1] / "Resources" / "tutorial"
WINDOWS = {"head": "auto", "trunk": "0:10"}  # SUV
BAR, GAP = 20, 4  # pixels
STANDARD = ("Red", "Green", "Yellow")


class Session:
    """An application with a sample pair, fused as a user would, in views that go through its first lesion."""

    def __init__(self, sample, fuser, size=(300, 340)):
        self.application = Application(*size)
        self.scene = self.application.scene
        pair, (x, y, z) = build_pair(sample), LESIONS[sample.part][0].center
        self.place = (-x, -y, z)
        self.anatomical = add_volume(self.scene, pair[0], sample.nodes[0])
        self.functional = add_volume(self.scene, pair[1], sample.nodes[1], color_node=inferno(self.scene))
        self.source = mrml.snapshot(self.anatomical, self.functional)
        self.made = mrml.fuse_snapshot(self.source, fuser, functional_window=WINDOWS[sample.part])
        windows = (self.made.anatomical_window, self.made.functional_window)
        for node, window in zip((self.anatomical, self.functional), windows):
            node.GetDisplayNode().AutoWindowLevelOff()
            node.GetDisplayNode().SetWindowLevelMinMax(window.low, window.high)
        self.fused = mrml.publish(self.source, self.made, self.scene, painting=mrml.paint(self.made, self.source.table))

    def show(self, background, foreground=None, opacity=0.0, tags=STANDARD):
        """The standard views with these layers, side by side."""
        self.application.layout.SetViewArrangement(FOUR_UP)
        for tag in tags:
            logic = self.application.slices[tag]
            composite = logic.GetSliceCompositeNode()
            composite.SetBackgroundVolumeID(background.GetID())
            composite.SetForegroundVolumeID(foreground.GetID() if foreground is not None else None)
            composite.SetForegroundOpacity(opacity)
            logic.FitSliceToVolume(self.anatomical, *self.application.size)
        return self.side_by_side(tags)

    def compare(self, plane="axial", opacity=0.0):
        """The three linked views of the comparison."""
        mrml.show_compare(self.application.layout, self.anatomical, self.functional, self.fused, plane)
        mrml.fit_views(self.application.logic)
        views.blend(None, self.fused, opacity)
        return self.side_by_side(VIEWS)

    def side_by_side(self, tags):
        slicer.vtkMRMLSliceNode.JumpAllSlices(self.scene, *self.place, slicer.vtkMRMLSliceNode.OffsetJumpSlice)
        return beside([self.framed(tag, *self.label(tag)) for tag in tags])

    def label(self, tag):
        node = self.scene.GetNodeByID(f"vtkMRMLSliceNode{tag}")
        background = self.application.slices[tag].GetSliceCompositeNode().GetBackgroundVolumeID()
        text = f"{node.GetLayoutLabel()}   {self.scene.GetNodeByID(background).GetName()}"
        return text, tuple(round(255 * c) for c in node.GetLayoutColor())

    def framed(self, tag, text, color=(90, 90, 90)):
        """A view under a bar with its label, as Slicer's view controllers have it, and with the patient's sides."""
        picture = self.application.picture(tag)
        height, width, _ = picture.shape
        image = Image.new("RGB", (width, height + BAR), color)
        image.paste(Image.fromarray(picture), (0, BAR))
        draw = ImageDraw.Draw(image)
        draw.text((6, 3), text, fill="white", font=ImageFont.load_default(13))
        matrix = self.scene.GetNodeByID(f"vtkMRMLSliceNode{tag}").GetSliceToRAS()
        across = [matrix.GetElement(row, 0) for row in range(3)]
        axis = int(np.argmax(np.abs(across)))
        sides = ("LR", "PA", "IS")[axis][:: 1 if across[axis] > 0 else -1]
        for side, x, anchor in zip(sides, (6, width - 6), ("lm", "rm")):
            draw.text(
                (x, BAR + height // 2), side, fill=(170, 170, 170), font=ImageFont.load_default(15), anchor=anchor
            )
        return image

    def explained(self, picture, table="inferno", weight=1.0):
        """`picture` of the fused volume above the legend of its colours."""
        window = self.made.functional_window
        square = legend.ColorSquare(ColorTable.named(table), window.low, window.high, "SUV", weight)
        image = Image.new("RGB", (picture.width, picture.height + legend.HEIGHT))
        image.paste(picture, (0, 0))
        legend.draw_legend(image, square, picture.width // 2, picture.height, min(220, picture.width - 180))
        return image


def inferno(scene):
    """Slicer's Inferno, which comes with the application and not with its core."""
    node = scene.AddNewNodeByClass("vtkMRMLColorTableNode", "Inferno")
    node.SetTypeToUser()
    node.SetNumberOfColors(256)
    for index, color in enumerate(ColorTable.named("inferno")(np.linspace(0, 1, 256)).tolist()):
        node.SetColor(index, str(index), *color)
    return node.GetID()


def beside(images):
    width = sum(image.width for image in images) + GAP * (len(images) - 1)
    row = Image.new("RGB", (width, max(image.height for image in images)), "white")
    x = 0
    for image in images:
        row.paste(image, (x, 0))
        x += image.width + GAP
    return row


def colors(session):
    """One view of the same fusion in several colours and weights."""
    tiles = []
    for table, weight in (("inferno", 1.0), ("inferno", 0.4), ("pet-heat", 1.0), ("rainbow", 1.0)):
        mrml.recolor(session.fused, table, weight)
        session.show(session.fused, tags=("Red",))
        tile = session.framed("Red", f"{table}, weight {weight:g}")
        tiles.append(session.explained(tile, table, weight))
    mrml.recolor(session.fused)
    return beside(tiles)


def register(session):
    """PET over MR: displaced, and after Register first."""
    motion = sitk.Euler3DTransform()
    motion.SetRotation(*np.radians((4, -3, 12)))
    motion.SetTranslation((14, -10, 6))
    displaced = mrml.apply_registration(session.functional, motion)
    pair = mrml.snapshot(session.anatomical, session.functional)
    images, names = (pair.anatomical.image, pair.functional.image), (pair.anatomical.name, pair.functional.name)
    check = registration.alignment_check(*images, names=names)
    print(check.message)
    tiles = []
    for title in ("before", "after Register first"):
        session.show(session.anatomical, session.functional, 0.5, tags=("Red", "Green"))
        tiles += [session.framed(tag, title) for tag in ("Red", "Green")]
        if title == "before":
            mrml.apply_registration(session.functional, registration.register_rigid(*images))
    mrml.undo_registration(session.functional)
    mrml.undo_registration(session.functional)
    assert session.scene.GetNodeByID(displaced.GetID()) is None
    return beside(tiles)


def quality(session, metrics=("Qabf", "VIF", "SSIM")):
    """The charts of a few metrics along the slices, from the nodes' own tables."""
    from matplotlib import pyplot

    mrml.publish_quality(session.fused, mrml.snapshot_quality(session.source, session.made))
    figure, axes = pyplot.subplots(1, len(metrics), figsize=(9.2, 2.6), dpi=100, layout="constrained")
    for axis, metric in zip(axes, metrics):
        chart = mrml.quality_chart(session.fused, metric)
        series = chart.GetNthPlotSeriesNode(0)
        table = series.GetTableNode().GetTable()
        x, y = (vtk_to_numpy(table.GetColumnByName(n)) for n in (series.GetXColumnName(), series.GetYColumnName()))
        axis.plot(x, y, marker="o", markersize=3, color=series.GetColor())
        axis.set(title=metric, xlabel=chart.GetXAxisTitle())
        axis.grid(alpha=0.3)
    figure.canvas.draw()
    picture = Image.fromarray(np.asarray(figure.canvas.buffer_rgba())[..., :3].copy())
    pyplot.close(figure)
    return picture


def panel(path):
    """The module's panel after a fusion, as the widget bench has it: the real code and layout, in Qt's own style."""
    from bench.application import Bench

    bench = Bench()
    slicer.util.loadVolume = bench.load_volume
    widget, case = bench.open(), bench.module.MMIFAminTest()
    anatomical, functional = bench.module.MMIFAminLogic().loadSample()
    functional.GetDisplayNode().SetAndObserveColorNodeID(inferno(bench.scene))
    widget.ui.anatomicalSelector.setCurrentNode(anatomical)
    widget.ui.functionalSelector.setCurrentNode(functional)
    case.until(lambda: "overlap" in widget.ui.alignmentLabel.text)
    case.fuse(widget)
    bench.screenshot(path, width=440)
    bench.close()


def batch(path):
    """The section *Batch* after a scene of two pairs that can be fused, one that lies apart, and a scout."""
    from bench.application import Bench

    bench = Bench()
    widget, case = bench.open(), bench.module.MMIFAminTest()
    from MMIFAminLib.module.selftest_base import add_volume, small_pair

    images = small_pair(SAMPLES["MMIFAminHead"])
    for names in (("Anna MR", "Anna PET"), ("Bert MR", "Bert PET"), ("Carla MR", "Carla PET"), ("Scout",)):
        for image, name in zip(images, names):
            add_volume(image, name)
    nodes = [node for node in slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode") if node.GetName() == "Bert PET"]
    nodes[0].SetOrigin(500.0, 0.0, 0.0)
    for section in ("inputs", "output", "compare", "read"):
        getattr(widget.ui, f"{section}CollapsibleButton").collapsed = True
    widget.ui.batchCollapsibleButton.collapsed = False
    widget.ui.fuseAllButton.click()
    case.until(lambda: not widget._job.busy)
    bench.screenshot(path, width=440)
    bench.close()


def main():
    FOLDER.mkdir(parents=True, exist_ok=True)
    fuser = VolumeFuser.load()
    trunk = Session(SAMPLES["MMIFAminTrunk"], fuser, size=(300, 272))
    pictures = {"compare": lambda: trunk.explained(trunk.compare("coronal"))}
    head = Session(SAMPLES["MMIFAminHead"], fuser)
    pictures |= {
        "inputs": lambda: beside(
            [head.show(node, tags=("Red", "Green")) for node in (head.anatomical, head.functional)]
        ),
        "fused": lambda: head.explained(head.show(head.fused)),
        "side_by_side": lambda: head.compare("coronal"),
        "blend": lambda: head.compare("coronal", 0.5),
        "colors": lambda: colors(head),
        "register": lambda: register(head),
        "quality": lambda: quality(head),
    }
    for name, draw in pictures.items():
        picture = draw()
        picture.save(FOLDER / f"{name}.png", optimize=True)  # every colour as it is: no palette
        print(f"{name}.png", *picture.size)
    panel(FOLDER / "panel.png")
    batch(FOLDER / "batch.png")


if __name__ == "__main__":
    main()
