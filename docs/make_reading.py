"""Render the pictures of docs/reading.md: Slicer's own slice views, the panel, and Slicer's own volume rendering.

python docs/make_reading.py        # writes Resources/reading/*.png
"""

import sys
from pathlib import Path

import numpy as np
import slicer
from PIL import Image, ImageDraw, ImageFont

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "Testing"))

from make_tutorial import BAR, STANDARD, Session, beside, inferno
from MMIFAminLib import VolumeFuser, mrml
from MMIFAminLib.module.sample import SAMPLES
from MMIFAminLib.mrml import mip, swipe
from MMIFAminLib.mrml.nodes import node_to_image
from support.three_d import View3D

FOLDER = Path(__file__).resolve().parents[1] / "Resources" / "reading"


def with_mip(session):
    """The MIP from the front, from the left and from behind, and the three planes through a lesion."""
    application, image = session.application, node_to_image(session.functional)
    made = mip.turn(image, session.made.functional_window)
    node = mip.publish_mip(session.functional, made)
    mip.show_mip(application.layout, node)
    application.add_views(mip.VIEW)
    mip.show_mip(application.layout, node)
    mip.fit_mip(application.logic, node)
    tiles = []
    for words in ("from the front", "from the left", "from behind"):
        tiles.append(framed(application.picture(mip.VIEW), f"MIP   {words}", (201, 178, 124)))
        mip.turn_view(session.scene, 9)
    return Image.fromarray(np.vstack([np.asarray(beside(tiles)), np.asarray(session.show(session.fused))]))


def with_divider(session):
    """The views with the anatomical volume left of the divider, and with the functional one."""
    rows = []
    for source in (session.anatomical, session.functional):
        session.show(source, session.fused, 1.0)
        swipe.divide(session.application.logic, session.fused, 0.5)
        rows.append(np.asarray(session.side_by_side(STANDARD)))
        swipe.divide(session.application.logic, None, 0.0)
    return Image.fromarray(np.vstack(rows))


def rendered(session):
    """The grey fused volume as Slicer's own volume rendering shows it, from the front, the left and obliquely."""
    node = mrml.publish(session.source, session.made, session.scene)
    view = View3D(session.application)
    view.render(node)
    sides = {"from the front": (0, 1, 0), "from the left": (-1, 0, 0), "half left": (-0.7, 0.7, 0)}
    return beside([framed(view.picture(side), words) for words, side in sides.items()])


def framed(picture, words, color=(90, 90, 90)):
    """A picture under a bar with words."""
    height, width, _ = picture.shape
    image = Image.new("RGB", (width, height + BAR), color)
    image.paste(Image.fromarray(picture), (0, BAR))
    ImageDraw.Draw(image).text((6, 3), words, fill="white", font=ImageFont.load_default(13))
    return image


def panel(path):
    """The section *Read* after a fusion, with the hottest spots found."""
    from bench.application import Bench

    bench = Bench()
    slicer.util.loadVolume = bench.load_volume
    widget, case = bench.open(), bench.module.MMIFAminTest()
    widget.ui.greyCheckBox.checked = True
    anatomical, functional = bench.module.MMIFAminLogic().loadSample()
    functional.GetDisplayNode().SetAndObserveColorNodeID(inferno(bench.scene))
    widget.ui.anatomicalSelector.setCurrentNode(anatomical)
    widget.ui.functionalSelector.setCurrentNode(functional)
    case.until(lambda: "overlap" in widget.ui.alignmentLabel.text)
    case.fuse(widget)
    widget.ui.spotsButton.click()
    case.until(lambda: not widget._job.busy)
    bench.scene.GetFirstNodeByClass("vtkMRMLCrosshairNode").SetCursorPositionRAS([-44.0, 12.0, 22.0])
    for section in ("inputs", "output", "compare"):
        getattr(widget.ui, f"{section}CollapsibleButton").collapsed = True
    for _ in range(5):  # the layout takes its time to close the gaps
        bench.app.processEvents()
    bench.screenshot(path, width=440)
    bench.close()


def main():
    FOLDER.mkdir(parents=True, exist_ok=True)
    trunk = Session(SAMPLES["MMIFAminTrunk"], VolumeFuser.load(), size=(300, 272))
    for name, picture in {"mip": with_mip(trunk), "divider": with_divider(trunk), "rendered": rendered(trunk)}.items():
        picture.save(FOLDER / f"{name}.png", optimize=True)  # every colour as it is: no palette
        print(f"{name}.png", *picture.size)
    panel(FOLDER / "panel.png")


if __name__ == "__main__":
    main()
