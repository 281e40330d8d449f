"""The ctk and qMRML widgets that the `.ui` file names, with the properties, signals and slots of the originals."""

from __future__ import annotations

from PySide6 import QtCore, QtGui, QtWidgets
from PySide6.QtCore import Property, Qt, Signal

_HEADER = 24


class ctkCollapsibleButton(QtWidgets.QAbstractButton):
    """A header that shows or hides what lies below it."""

    contentsCollapsed = Signal(bool)

    def __init__(self, parent=None):
        super().__init__(parent)
        self._collapsed = False
        self.setCheckable(True)
        self.setChecked(True)
        self.setSizePolicy(QtWidgets.QSizePolicy.Policy.Minimum, QtWidgets.QSizePolicy.Policy.Preferred)
        self.setContentsMargins(0, _HEADER, 0, 0)
        self.toggled.connect(lambda checked: self._collapse(not checked))

    def _get_collapsed(self):
        return self._collapsed

    def _set_collapsed(self, collapsed):
        self.setChecked(not collapsed)

    collapsed = Property(bool, _get_collapsed, _set_collapsed)

    def _collapse(self, collapsed):
        self._collapsed = collapsed
        for child in self.children():
            if isinstance(child, QtWidgets.QWidget):
                child.setVisible(not collapsed)
        self.setMaximumHeight(_HEADER if collapsed else 16777215)
        self.contentsCollapsed.emit(collapsed)

    def childEvent(self, event):
        super().childEvent(event)
        if event.added() and self._collapsed and isinstance(event.child(), QtWidgets.QWidget):
            event.child().setVisible(False)

    def hitButton(self, position):
        return position.y() < _HEADER

    def sizeHint(self):
        if self._collapsed or self.layout() is None:
            return QtCore.QSize(120, _HEADER)
        return self.layout().totalSizeHint().expandedTo(QtCore.QSize(120, _HEADER))

    def minimumSizeHint(self):
        if self._collapsed or self.layout() is None:
            return QtCore.QSize(60, _HEADER)
        return self.layout().totalMinimumSize()

    def paintEvent(self, event):
        painter = QtWidgets.QStylePainter(self)
        option = QtWidgets.QStyleOptionButton()
        option.initFrom(self)
        option.rect = QtCore.QRect(0, 0, self.width(), _HEADER)
        option.state |= QtWidgets.QStyle.StateFlag.State_Raised
        painter.drawControl(QtWidgets.QStyle.ControlElement.CE_PushButtonBevel, option)
        arrow = QtWidgets.QStyle.PrimitiveElement
        option.rect = QtCore.QRect(6, 6, 12, 12)
        painter.drawPrimitive(arrow.PE_IndicatorArrowRight if self._collapsed else arrow.PE_IndicatorArrowDown, option)
        painter.setPen(self.palette().color(QtGui.QPalette.ColorRole.ButtonText))
        painter.drawText(QtCore.QRect(24, 0, self.width() - 24, _HEADER), Qt.AlignmentFlag.AlignVCenter, self.text())


class ctkSliderWidget(QtWidgets.QWidget):
    """A slider and a spin box that say the same number."""

    valueChanged = Signal(float)
    valueIsChanging = Signal(float)
    SIGNALS = ("valueChanged(double)", "valueIsChanging(double)")

    def __init__(self, parent=None):
        super().__init__(parent)
        self._slider = QtWidgets.QSlider(Qt.Orientation.Horizontal, self)
        self._box = QtWidgets.QDoubleSpinBox(self)
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._slider, 1)
        layout.addWidget(self._box)
        self._slider.setRange(0, 1000)
        self._box.setRange(0.0, 99.0)
        self._slider.valueChanged.connect(self._from_slider)
        self._box.valueChanged.connect(self._from_box)

    def _from_slider(self, position):
        low, high = self._box.minimum(), self._box.maximum()
        self._box.setValue(low + (high - low) * position / 1000)

    def _from_box(self, value):
        low, high = self._box.minimum(), self._box.maximum()
        self._slider.blockSignals(True)
        self._slider.setValue(round(1000 * (value - low) / ((high - low) or 1.0)))
        self._slider.blockSignals(False)
        self.valueChanged.emit(value)

    def setValue(self, value):
        self._box.setValue(value)

    minimum = Property(float, lambda self: self._box.minimum(), lambda self, v: self._box.setMinimum(v))
    maximum = Property(float, lambda self: self._box.maximum(), lambda self, v: self._box.setMaximum(v))
    value = Property(float, lambda self: self._box.value(), lambda self, v: self._box.setValue(v))
    singleStep = Property(float, lambda self: self._box.singleStep(), lambda self, v: self._box.setSingleStep(v))
    pageStep = Property(float, lambda self: 10.0, lambda self, v: None)
    decimals = Property(int, lambda self: self._box.decimals(), lambda self, v: self._box.setDecimals(v))
    prefix = Property(str, lambda self: self._box.prefix(), lambda self, v: self._box.setPrefix(v))
    suffix = Property(str, lambda self: self._box.suffix(), lambda self, v: self._box.setSuffix(v))
    spinBoxVisible = Property(bool, lambda self: not self._box.isHidden(), lambda self, v: self._box.setVisible(v))


class qMRMLWidget(QtWidgets.QWidget):
    """A widget that hands the scene on to the widgets that its `.ui` file links."""

    mrmlSceneChanged = Signal(object)
    SIGNALS = ("mrmlSceneChanged(vtkMRMLScene*)",)
    SLOTS = ("setMRMLScene(vtkMRMLScene*)",)

    def __init__(self, parent=None):
        super().__init__(parent)
        self._scene = None

    def mrmlScene(self):
        return self._scene

    def setMRMLScene(self, scene):
        if scene is not self._scene:
            self._scene = scene
            self.mrmlSceneChanged.emit(scene)


class qSlicerModuleWidget(qMRMLWidget):
    """The frame in which the application shows a module's widget."""

    def __init__(self, parent=None):
        super().__init__(parent)
        self._entered = False
        self.setLayout(QtWidgets.QVBoxLayout())

    isEntered = Property(bool, lambda self: self._entered, lambda self, entered: setattr(self, "_entered", entered))


class qMRMLSortFilterProxyModel(QtCore.QObject):
    """What of a selector's nodes is shown."""

    def __init__(self, selector):
        super().__init__(selector)
        self._hidden, self._refill = [], selector._refill

    def _set_hidden(self, ids):
        self._hidden = list(ids)
        self._refill()

    hiddenNodeIDs = Property("QStringList", lambda self: self._hidden, _set_hidden)


class qMRMLNodeComboBox(QtWidgets.QWidget):
    """The nodes of the scene that are of some classes. Empty and disabled until it is given a scene.

    As in the original the row after one that vanishes is taken by itself: so does Qt's combo box.
    """

    currentNodeChanged = Signal(object)
    currentNodeIDChanged = Signal(str)
    nodeAddedByUser = Signal(object)
    SIGNALS = (
        "currentNodeChanged(vtkMRMLNode*)",
        "currentNodeChanged(bool)",
        "currentNodeIDChanged(QString)",
        "nodeAddedByUser(vtkMRMLNode*)",
    )
    SLOTS = ("setMRMLScene(vtkMRMLScene*)", "setCurrentNode(vtkMRMLNode*)")

    def __init__(self, parent=None):
        super().__init__(parent)
        self._box = QtWidgets.QComboBox(self)
        self._box.setSizeAdjustPolicy(QtWidgets.QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._box)
        self._scene, self._tags = None, []
        self._settings = {
            "nodeTypes": [],
            "hideChildNodeTypes": [],
            "showChildNodeTypes": True,
            "showHidden": False,
            "noneEnabled": False,
            "noneDisplay": "None",
            "addEnabled": True,
            "removeEnabled": True,
            "editEnabled": False,
            "renameEnabled": False,
            "selectNodeUponCreation": True,
            "baseName": "",
        }
        self._current = None
        self._model = qMRMLSortFilterProxyModel(self)
        self._box.currentIndexChanged.connect(self._picked)
        self.setEnabled(False)

    def _setting(name, kind):
        def read(self):
            return self._settings[name]

        def write(self, value):
            self._settings[name] = list(value) if kind == "QStringList" else value
            self._refill()

        return Property(kind, read, write)

    nodeTypes = _setting("nodeTypes", "QStringList")
    hideChildNodeTypes = _setting("hideChildNodeTypes", "QStringList")
    showChildNodeTypes = _setting("showChildNodeTypes", bool)
    showHidden = _setting("showHidden", bool)
    noneEnabled = _setting("noneEnabled", bool)
    noneDisplay = _setting("noneDisplay", str)
    addEnabled = _setting("addEnabled", bool)
    removeEnabled = _setting("removeEnabled", bool)
    editEnabled = _setting("editEnabled", bool)
    renameEnabled = _setting("renameEnabled", bool)
    selectNodeUponCreation = _setting("selectNodeUponCreation", bool)
    baseName = _setting("baseName", str)
    del _setting

    def _get_id(self):
        return self._current or ""

    currentNodeID = Property(str, _get_id, lambda self, value: self.setCurrentNodeID(value))

    def mrmlScene(self):
        return self._scene

    def sortFilterProxyModel(self):
        return self._model

    def setMRMLScene(self, scene):
        self._forget()
        self._scene = scene
        if scene is not None:
            events = (scene.NodeAddedEvent, scene.NodeRemovedEvent, scene.EndCloseEvent, scene.EndImportEvent)
            self._tags = [scene.AddObserver(event, lambda caller, event: self._refill()) for event in events]
        self.setEnabled(scene is not None)
        self._refill()

    def currentNode(self):
        return self._scene.GetNodeByID(self._current) if self._scene is not None and self._current else None

    def setCurrentNode(self, node):
        self.setCurrentNodeID(node.GetID() if node is not None else "")

    def setCurrentNodeID(self, identifier):
        index = self._box.findData(identifier) if identifier else -1
        if index < 0 and self._settings["noneEnabled"]:
            index = 0
        self._box.setCurrentIndex(index)

    def nodeCount(self):
        return self._box.count() - int(self._settings["noneEnabled"])

    def nodeFromIndex(self, index):
        return self._scene.GetNodeByID(self._box.itemData(index + int(self._settings["noneEnabled"])))

    def _forget(self):
        for tag in self._tags:
            self._scene.RemoveObserver(tag)
        self._tags = []

    def _fits(self, node):
        types, hidden = self._settings["nodeTypes"], self._settings["hideChildNodeTypes"]
        if node.GetHideFromEditors() and not self._settings["showHidden"] or node.GetID() in self._model._hidden:
            return False
        if any(node.IsA(kind) for kind in hidden):
            return False
        if self._settings["showChildNodeTypes"]:
            return any(node.IsA(kind) for kind in types)
        return node.GetClassName() in types

    def _refill(self):
        if self._scene is None:
            return
        nodes = [self._scene.GetNthNode(index) for index in range(self._scene.GetNumberOfNodes())]
        was_empty = self._box.count() == 0
        kept, row = self._current, self._box.currentIndex()
        self._box.blockSignals(True)
        self._box.clear()
        if self._settings["noneEnabled"]:
            self._box.addItem(self._settings["noneDisplay"], "")
        for node in nodes:
            if self._fits(node):
                self._box.addItem(node.GetName() or "", node.GetID())
        index = self._box.findData(kept) if kept else -1
        if index < 0:  # as the original: the first node of an empty list is chosen by itself, unless None is offered
            index = 0 if self._settings["noneEnabled"] or (was_empty and self._box.count()) else -1
            if kept and not self._scene.IsClosing():
                index = min(row, self._box.count() - 1)
        self._box.setCurrentIndex(index)
        self._box.blockSignals(False)
        self._picked(index)

    def _picked(self, index):
        identifier = (self._box.itemData(index) if index >= 0 else None) or None
        if identifier != self._current:
            self._current = identifier
            self.currentNodeChanged.emit(self.currentNode())
            self.currentNodeIDChanged.emit(identifier or "")


class qMRMLColorTableComboBox(qMRMLNodeComboBox):
    """The colour tables of the scene, hidden ones too."""

    def __init__(self, parent=None):
        super().__init__(parent)
        self._settings |= {
            "showHidden": True,
            "nodeTypes": ["vtkMRMLColorTableNode", "vtkMRMLProceduralColorNode"],
            "addEnabled": False,
            "removeEnabled": False,
        }


CTK = (ctkCollapsibleButton, ctkSliderWidget)
QMRML = (qMRMLWidget, qMRMLNodeComboBox, qMRMLColorTableComboBox, qSlicerModuleWidget)
