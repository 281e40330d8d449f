"""Hold to see a source: by a key in a slice view, and by the space bar on the button."""

import pytest

from bench.driving import fused
from bench.fixtures import bench  # noqa: F401

slicer = pytest.importorskip("slicer", reason="the widget bench needs slicer-core")
pytestmark = pytest.mark.filterwarnings("error:(already has|does not have) observer")


@pytest.fixture
def panel(bench):  # noqa: F811
    return bench.open()


def test_a_key_in_a_view_does_what_its_button_does(bench, panel):  # noqa: F811
    output = fused(bench, panel)
    composite = bench.scene.GetNodeByID("vtkMRMLSliceCompositeNodeGreen")
    keys = bench.app.layoutManager().sliceWidget("Red").sliceView().interactor()

    def press(key, event="KeyPressEvent"):
        keys.SetKeyEventInformation(0, 0, key, 1, key)
        keys.InvokeEvent(event)
        return bench.scene.GetNodeByID(composite.GetBackgroundVolumeID()), composite.GetForegroundOpacity()

    p = panel._parameterNode
    for key, source in (("1", p.anatomical), ("2", p.functional)):
        assert press(key) == (source, 0.0)
        for _ in range(3):  # held, it comes as many
            press(key, "KeyReleaseEvent")
            assert press(key) == (source, 0.0)
        bench.app.processEvents()
        assert composite.GetForegroundOpacity() == 0.0
        press(key, "KeyReleaseEvent")
        bench.wait(lambda: composite.GetForegroundOpacity() == 1.0, 30)
        assert composite.GetForegroundVolumeID() == output.GetID()
        assert composite.GetBackgroundVolumeID() == p.anatomical.GetID()
    assert press("x")[1] == 1.0
    panel.ui.compareButton.click()
    assert press("2")[0] is p.anatomical, "side by side shows both"
    panel.ui.compareButton.click()
    bench.exit()
    assert press("2")[1] == 1.0, "in another module the key is that module's"


def test_a_button_is_held_by_the_space_bar_too(bench, panel):  # noqa: F811
    from PySide6 import QtCore, QtTest

    fused(bench, panel)
    composite = bench.scene.GetNodeByID("vtkMRMLSliceCompositeNodeRed")
    QtTest.QTest.keyPress(panel.ui.holdFunctionalButton._q, QtCore.Qt.Key.Key_Space)
    assert composite.GetForegroundOpacity() == 0.0
    QtTest.QTest.keyRelease(panel.ui.holdFunctionalButton._q, QtCore.Qt.Key.Key_Space)
    assert composite.GetForegroundOpacity() == 1.0
