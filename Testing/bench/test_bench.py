"""The bench refuses what PythonQt and Slicer would take in silence; the panel's `.ui` file keeps their rules."""

import sys
from xml.etree import ElementTree

import pytest

from bench.fixtures import bench  # noqa: F401

slicer = pytest.importorskip("slicer", reason="the widget bench needs slicer-core")


@pytest.fixture
def qt(bench):  # noqa: F811
    import qt

    return qt


@pytest.fixture
def ui(repository):
    return repository / "MMIFAmin" / "Resources" / "UI" / "MMIFAmin.ui"


class TestPythonQt:
    def test_properties_are_attributes(self, qt):
        label = qt.QLabel("words")
        assert label.text == "words"
        with pytest.raises(TypeError):
            label.text()
        label.text = "others"
        assert label.text == "others"

    @pytest.mark.parametrize(
        "name, value, error",
        [
            ("captoin", "x", AttributeError),
            ("enabled", "no", TypeError),
            ("text", 5, TypeError),
            ("width", 5, AttributeError),
        ],
    )
    def test_wrong_names_and_kinds_are_refused(self, qt, name, value, error):
        with pytest.raises(error):
            setattr(qt.QPushButton("Go"), name, value)

    def test_signals_are_checked(self, qt):
        button, heard = qt.QPushButton("Go"), []
        with pytest.raises(ValueError, match="no signal"):
            button.connect("clickd(bool)", heard.append)
        button.connect("clicked(bool)", heard.append)
        button.clicked.connect(lambda: heard.append("bare"))
        button.click()
        assert heard == [False, "bare"]

    def test_qt_takes_no_reference_of_none(self, qt):
        """PySide6 6.12.0 does in each call; where None is counted (below Python 3.12) Python aborts in the end."""
        from PySide6 import QtWidgets

        button, before = QtWidgets.QPushButton(), sys.getrefcount(None)
        for _ in range(40):
            button.setEnabled(True)
        assert sys.getrefcount(None) > before - 20

    def test_enums_are_integers_and_lists_tuples(self, bench, qt):  # noqa: F811
        assert isinstance(qt.QMessageBox.Ok, int) and isinstance(qt.Qt.AlignLeft, int)
        selector = slicer.qMRMLNodeComboBox()
        selector.nodeTypes = ["vtkMRMLScalarVolumeNode"]
        assert selector.nodeTypes == ("vtkMRMLScalarVolumeNode",)
        with pytest.raises(TypeError):
            selector.nodeTypes = "vtkMRMLScalarVolumeNode"

    def test_keywords_are_refused(self, qt):
        with pytest.raises(TypeError, match="keyword"):
            qt.QPushButton(text="Go")

    def test_selectors_have_the_defaults_of_the_original(self, bench):  # noqa: F811
        selector = slicer.qMRMLNodeComboBox()
        assert (selector.noneEnabled, selector.addEnabled, selector.removeEnabled) == (False, True, True)
        bench.scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode")
        selector.nodeTypes = ["vtkMRMLScalarVolumeNode"]
        assert selector.nodeCount() == 0 and not selector.enabled
        selector.setMRMLScene(bench.scene)
        assert selector.nodeCount() == 1 and selector.enabled


class TestDesignFile:
    def load(self, text, tmp_path):
        path = tmp_path / "changed.ui"
        path.write_text(text)
        return slicer.util.loadUI(str(path))

    def test_a_selector_without_its_link_stays_empty(self, bench, ui, tmp_path):  # noqa: F811
        bench.scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode")
        tree = ElementTree.parse(ui)
        links = tree.getroot().find("connections")
        for link in links.findall("connection"):
            if link.findtext("receiver") == "functionalSelector":
                links.remove(link)
        widget = self.load(ElementTree.tostring(tree.getroot(), encoding="unicode"), tmp_path)
        widget.setMRMLScene(bench.scene)
        children = slicer.util.childWidgetVariables(widget)
        assert children.functionalSelector.mrmlScene() is None
        assert children.anatomicalSelector.mrmlScene() is bench.scene

    @pytest.mark.parametrize(
        "old, new, message",
        [
            ('name="noneEnabled"', 'name="noneEnable"', "no property noneEnable"),
            ("<receiver>colorSelector<", "<receiver>colourSelector<", "no widget is called colourSelector"),
            ("<slot>setMRMLScene(vtkMRMLScene*)<", "<slot>setScene(vtkMRMLScene*)<", "no slot setScene"),
            ("<signal>mrmlSceneChanged(vtkMRMLScene*)<", "<signal>changed(vtkMRMLScene*)<", "no signal changed"),
            ('class="QProgressBar"', 'class="QProgresBar"', "QProgresBar"),
            ('name="greyCheckBox"', 'name="colorCheckBox"', "two widgets"),
            ('<item row="1" column="0">', '<item row="0" column="0">', "in one cell"),
        ],
    )
    def test_slips_are_found(self, bench, ui, tmp_path, old, new, message):  # noqa: F811
        text = ui.read_text()
        assert old in text
        with pytest.raises(ValueError, match=message):
            self.load(text.replace(old, new), tmp_path)

    def test_every_mrml_widget_is_linked_to_the_scene(self, ui):
        tree = ElementTree.parse(ui)
        top = tree.getroot().find("widget").get("name")
        linked = {
            link.findtext("receiver")
            for link in tree.iter("connection")
            if link.findtext("sender") == top and link.findtext("slot") == "setMRMLScene(vtkMRMLScene*)"
        }
        mrml = {w.get("name") for w in tree.iter("widget") if w.get("class").startswith("qMRML")} - {top}
        assert linked == mrml

    def test_every_choice_is_bound_and_every_control_explains_itself(self, bench, ui):  # noqa: F811
        from MMIFAminLib.module.state import MMIFAminParameterNode

        tree, bound = ElementTree.parse(ui), set()
        for widget in tree.iter("widget"):
            properties = {p.get("name"): p for p in widget.findall("property")}
            if "SlicerParameterName" in properties:
                bound.add("".join(properties["SlicerParameterName"].itertext()).strip())
            silent = ("qMRMLWidget", "QLabel", "ctkCollapsibleButton", "QProgressBar", "QTableWidget")
            if widget.get("class") not in silent:
                tip = properties.get("toolTip")
                assert tip is not None, f"{widget.get('name')} has no tooltip"
        by_hand = {"metric", "colorTable", "layoutBefore", "preset", "sideBySide", "mip", "rendered"}
        assert bound == set(MMIFAminParameterNode.parameters) - by_hand
