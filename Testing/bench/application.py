"""The application around the module: `slicer.app`, its views, the module classes, and a way to install them."""

from __future__ import annotations

import importlib
import os
import shutil
import sys
import tempfile
import time
import types
import unittest
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import slicer
import vtk
from PySide6 import QtCore, QtWidgets

from . import parameter_node, pythonqt, widgets

MODULE_FOLDER = Path(__file__).resolve().parents[2] / "MMIFAmin"


VIEW_SIZE = (180, 400)
"""Pixels of a slice view, once Qt has laid it out."""


class SliceView:
    """The mouse and the renderer of a slice view; nothing is drawn."""

    def __init__(self):
        self._mouse = vtk.vtkGenericRenderWindowInteractor()
        self._renderers = vtk.vtkRendererCollection()
        self._renderers.AddItem(vtk.vtkRenderer())

    def interactor(self):
        return self._mouse

    def renderWindow(self):
        return types.SimpleNamespace(GetRenderers=lambda: self._renderers)

    def scheduleRender(self):
        pass


class LayoutManager:
    """The views of the application as MRML nodes and logics: those that the layout shows exist, nothing is drawn.

    As in the application a new view has no size of its own until events were processed.
    """

    def __init__(self, scene, application_logic):
        self._application_logic = application_logic
        self._slices, self._unsized, self._views = vtk.vtkCollection(), [], {}
        application_logic.SetSliceLogics(self._slices)
        slicer.vtkMRMLSliceNode.AddDefaultSliceOrientationPresets(scene)
        self._tag = scene.AddObserver(scene.NodeAddedEvent, self._added)
        self._scene = scene
        self._logic = slicer.vtkMRMLLayoutLogic()
        self._logic.SetMRMLScene(scene)
        layout = self._logic.GetLayoutNode()
        self._layout_tag = layout.AddObserver(vtk.vtkCommand.ModifiedEvent, self._map)
        layout.SetViewArrangement(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)

    def layoutLogic(self):
        return self._logic

    threeDViewCount = 0

    def sliceWidget(self, name):
        """A view's widget as far as its mouse and its renderer go, once the layout has made it."""
        if not any(logic.GetSliceNode().GetLayoutName() == name for logic in self._slices):
            return None
        if name not in self._views:
            self._views[name] = SliceView()
        return types.SimpleNamespace(sliceView=lambda: self._views[name])

    def mrmlSliceLogics(self):
        return self._slices

    def close(self):
        self._scene.RemoveObserver(self._tag)
        self._logic.GetLayoutNode().RemoveObserver(self._layout_tag)
        self._logic.SetMRMLScene(None)

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def _added(self, caller, event, node):
        if node.IsA("vtkMRMLSliceNode"):
            logic = slicer.vtkMRMLSliceLogic()
            logic.SetMRMLApplicationLogic(self._application_logic)
            logic.SetMRMLScene(caller)
            logic.SetSliceNode(node)
            self._slices.AddItem(logic)
            self._unsized.append(logic)

    def _map(self, caller=None, event=None):
        """Tell the slice views whether the layout shows them."""
        shown = self._logic.GetViewNodes()
        for node in slicer.util.getNodesByClass("vtkMRMLSliceNode"):
            node.SetMappedInLayout(shown.IsItemPresent(node) > 0)

    def lay_out(self):
        while self._unsized:
            self._unsized.pop().ResizeSliceNode(*VIEW_SIZE)


class Application:
    """`slicer.app` as far as a module uses it."""

    applicationName = "Slicer"
    applicationVersion = "5.13.0"

    def __init__(self, scene, views=True):
        self.qt = QtWidgets.QApplication.instance() or QtWidgets.QApplication(["bench"])
        self.qt.setStyle("Fusion")
        self.testing = False
        self.startup = []
        self._logic = slicer.vtkSlicerApplicationLogic()
        self._logic.SetMRMLScene(scene)
        self._logic.GetColorLogic().SetMRMLScene(scene)
        self._logic.GetColorLogic().AddDefaultColorNodes()
        crosshair = slicer.vtkMRMLCrosshairNode()
        crosshair.SetCrosshairName("default")
        scene.AddNode(crosshair)
        self._views = LayoutManager(scene, self._logic) if views else None
        self.temporaryPath = tempfile.mkdtemp(prefix="bench-")
        self._settings = QtCore.QSettings(f"{self.temporaryPath}/Slicer.ini", QtCore.QSettings.Format.IniFormat)

    def connect(self, signal, handler):
        if signal != "startupCompleted()":
            raise ValueError(f"qSlicerApplication has no signal {signal}")
        self.startup.append(handler)

    def processEvents(self, *arguments):
        self.qt.processEvents()
        self.qt.sendPostedEvents(None, QtCore.QEvent.Type.DeferredDelete)
        if self._views is not None:
            self._views.lay_out()

    def testingEnabled(self):
        return self.testing

    def userSettings(self):
        return pythonqt.wrap(self._settings)

    def translate(self, context, text):
        return text

    def moduleManager(self):
        return types.SimpleNamespace(connect=lambda *a: True, disconnect=lambda *a: True)

    def applicationLogic(self):
        return self._logic

    def layoutManager(self):
        return self._views  # None under --no-main-window

    def close(self):
        if self._views is not None:
            self._views.close()
        shutil.rmtree(self.temporaryPath, ignore_errors=True)

    def topLevelWidgets(self):
        return ()  # no main window: messages are logged instead of shown

    def setOverrideCursor(self, cursor):
        pass

    def restoreOverrideCursor(self):
        pass


class ModuleRecord:
    """The C++ side of a scripted module: only these properties exist."""

    __slots__ = (
        "acknowledgementText",
        "associatedNodeTypes",
        "categories",
        "contributors",
        "dependencies",
        "helpText",
        "hidden",
        "icon",
        "index",
        "name",
        "path",
        "title",
        "widgetInstance",
    )  # fmt: skip

    def __init__(self, path):
        self.path = str(path)

    def widgetRepresentation(self):
        return types.SimpleNamespace(self=lambda: self.widgetInstance)


class ScriptedLoadableModule:
    def __init__(self, parent):
        self.parent = parent
        self.moduleName = type(self).__name__
        parent.title, parent.categories, parent.dependencies, parent.contributors = "", [], [], []
        parent.helpText = parent.acknowledgementText = ""

    def resourcePath(self, name):
        return os.path.join(os.path.dirname(self.parent.path), "Resources", name)

    def getDefaultModuleDocumentationLink(self, page=None):
        return "<p>For more information see the online documentation.</p>"


class ScriptedLoadableModuleWidget:
    def __init__(self, parent=None):
        super().__init__()
        self.moduleName = type(self).__name__.removesuffix("Widget")
        self.developerMode = False
        self.parent = parent
        self.layout = parent.layout()

    def resourcePath(self, name):
        return os.path.join(os.path.dirname(slicer.util.modulePath(self.moduleName)), "Resources", name)

    def setup(self):
        pass

    def cleanup(self):
        pass


class ScriptedLoadableModuleLogic:
    def __init__(self, parent=None):
        super().__init__()
        self.moduleName = type(self).__name__.removesuffix("Logic")
        self.isSingletonParameterNode = True

    def getParameterNode(self):
        found = slicer.mrmlScene.GetSingletonNode(self.moduleName, "vtkMRMLScriptedModuleNode")
        if found is not None:
            found.SetAttribute("ModuleName", self.moduleName)
            return found
        node = slicer.mrmlScene.CreateNodeByClass("vtkMRMLScriptedModuleNode")
        node.UnRegister(None)
        node.SetSingletonTag(self.moduleName)
        node.SetAttribute("ModuleName", self.moduleName)
        node.SetName(slicer.mrmlScene.GenerateUniqueName(self.moduleName))
        return slicer.mrmlScene.AddNode(node)


class ScriptedLoadableModuleTest(unittest.TestCase):
    def delayDisplay(self, message, requestedDelay=None, msec=None):
        print(message)


class Bench:
    """Installs the parts into `sys.modules` and `slicer`, loads the module, makes its widget; `close` undoes it all."""

    def __init__(self, views=True):
        self._modules = dict(sys.modules)
        self._slicer = dict(vars(slicer))
        self.scene = slicer.mrmlScene = slicer.vtkMRMLScene()
        self.app = slicer.app = Application(self.scene, views)
        self._install()
        self.module = importlib.import_module("MMIFAmin")
        self.record = ModuleRecord(MODULE_FOLDER / "MMIFAmin.py")
        slicer.modules.mmifamin = self.record
        self.loaded = self.module.MMIFAmin(self.record)
        self.widget = self.frame = None

    def _install(self):
        self.scene.RegisterNodeClass(slicer.vtkMRMLColorLegendDisplayNode())  # as the Colors module does
        plots = slicer.vtkSlicerPlotsLogic()
        plots.SetMRMLScene(self.scene)
        plots.SetMRMLApplicationLogic(self.app.applicationLogic())
        rendering = slicer.vtkSlicerVolumeRenderingLogic()
        rendering.SetMRMLApplicationLogic(self.app.applicationLogic())
        rendering.SetMRMLScene(self.scene)
        slicer.modules = types.SimpleNamespace(
            plots=types.SimpleNamespace(logic=lambda: plots),
            volumerendering=types.SimpleNamespace(logic=lambda: rendering),
        )
        qt, ctk = pythonqt.QtModule("qt"), types.ModuleType("ctk")
        for native in widgets.CTK:
            setattr(ctk, native.__name__, pythonqt.wrapped_class(native))
        for native in widgets.QMRML:
            setattr(slicer, native.__name__, pythonqt.wrapped_class(native))
        classes = types.ModuleType("slicer.ScriptedLoadableModule")
        classes.__all__ = []
        for item in (
            ScriptedLoadableModule,
            ScriptedLoadableModuleWidget,
            ScriptedLoadableModuleLogic,
            ScriptedLoadableModuleTest,
        ):
            setattr(classes, item.__name__, item)
            classes.__all__.append(item.__name__)
        i18n = types.ModuleType("slicer.i18n")
        i18n.tr = lambda text: text
        i18n.translate = lambda context, text: text
        sys.modules.update({"qt": qt, "ctk": ctk, "slicer.ScriptedLoadableModule": classes, "slicer.i18n": i18n})
        parameter_node.module()
        if str(MODULE_FOLDER) not in sys.path:
            sys.path.insert(0, str(MODULE_FOLDER))

    def open(self):
        """The module's widget, set up and entered, as when the user picks the module."""
        self.frame = pythonqt.wrap(widgets.qSlicerModuleWidget())
        self.frame.setMRMLScene(self.scene)
        self.widget = self.module.MMIFAminWidget(self.frame)
        self.record.widgetInstance = self.widget
        self.widget.setup()
        self.frame._q.show()
        self.enter()
        return self.widget

    def enter(self):
        self.frame.isEntered = True
        self.widget.enter()
        self.app.processEvents()

    def exit(self):
        self.frame.isEntered = False
        self.widget.exit()

    def load_volume(self, path, properties=None):
        """`slicer.util.loadVolume` for one file."""
        node = self.scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", (properties or {}).get("name", ""))
        storage = self.scene.AddNewNodeByClass("vtkMRMLVolumeArchetypeStorageNode")
        storage.SetFileName(str(path))
        if not storage.ReadData(node):
            raise RuntimeError(f"{path} cannot be read")
        node.CreateDefaultDisplayNodes()
        return node

    def wait(self, condition, seconds=300.0):
        """Let the event loop run until the condition holds; raises TimeoutError."""
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                raise TimeoutError(f"waited {seconds} s in vain")
            self.app.processEvents()
            time.sleep(0.005)
        self.app.processEvents()

    def screenshot(self, path, width=460, height=None):
        """Save a picture of the whole panel."""
        native = self.frame._q
        native.resize(width, height or max(native.layout().totalHeightForWidth(width), native.sizeHint().height()))
        for _ in range(5):
            self.app.processEvents()
        native.grab().save(str(path))

    def close(self):
        if self.widget is not None:
            self.widget.cleanup()
            for selector in self.frame._q.findChildren(widgets.qMRMLNodeComboBox):
                selector.setMRMLScene(None)
            self.frame._q.close()
            self.frame._q.deleteLater()
        self.app.processEvents()
        self.app.close()
        for name in [name for name in sys.modules if name not in self._modules]:
            if name.split(".")[0] in ("qt", "ctk", "slicer", "MMIFAmin", "SampleData"):
                del sys.modules[name]
        # The state is made of this bench's parts: neither it nor a module that holds it may outlive them.
        for name in [name for name in sys.modules if name.startswith("MMIFAminLib.module")]:
            del sys.modules[name]
        del sys.modules["MMIFAminLib"].module
        for name in [name for name in vars(slicer) if name not in self._slicer]:
            delattr(slicer, name)
        vars(slicer).update(self._slicer)
        self.scene.Clear(1)
