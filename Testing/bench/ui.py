"""Loads a `.ui` file by Qt's own loader, after checking it as Qt Designer would; links its widgets."""

from __future__ import annotations

from functools import cache
from xml.etree import ElementTree

from PySide6 import QtCore, QtUiTools, QtWidgets

from . import widgets
from .pythonqt import unwrap, wrap

_CUSTOM = {cls.__name__: cls for cls in widgets.CTK + widgets.QMRML}


class UiLoader:
    """`qt.QUiLoader`: `load(file)` gives the top widget, wrapped."""

    def load(self, file):
        path = unwrap(file).fileName()
        tree = ElementTree.parse(path)
        _check(tree, path)
        loader = QtUiTools.QUiLoader()
        for custom in _CUSTOM.values():
            loader.registerCustomWidget(custom)
        links = tree.getroot().find("connections")
        if links is not None:
            tree.getroot().remove(links)  # Qt cannot make links between MRML types: `_link` makes them all
        stream = QtCore.QBuffer()
        stream.setData(ElementTree.tostring(tree.getroot()))
        stream.open(QtCore.QIODevice.OpenModeFlag.ReadOnly)
        widget = loader.load(stream)
        if widget is None:
            raise RuntimeError(f"{path}: {loader.errorString()}")
        _link(links, widget, path)
        return wrap(widget)


def _class(name: str) -> type:
    found = _CUSTOM.get(name) or getattr(QtWidgets, name, None)
    if found is None:
        raise ValueError(f"the class {name} is not known to the bench")
    return found


@cache
def _properties(kind: str) -> frozenset[str]:
    meta = _class(kind).staticMetaObject
    return frozenset(meta.property(index).name() for index in range(meta.propertyCount()))


def _check(tree, path) -> None:
    """Every class known and declared, every name unique, every property one of its class, every cell with one widget."""
    declared = {element.findtext("class") for element in tree.iter("customwidget")}
    names = set()
    for element in tree.iter("widget"):
        kind, name = element.get("class"), element.get("name")
        if kind in _CUSTOM and kind not in declared:
            raise ValueError(f"{path}: {kind} is not among the custom widgets")
        if name in names:
            raise ValueError(f"{path}: two widgets are called {name}")
        names.add(name)
        for declaration in element.findall("property"):
            if declaration.get("name") not in _properties(kind) and declaration.get("stdset") != "0":
                raise ValueError(f"{path}: {kind} {name} has no property {declaration.get('name')}")
    for layout in tree.iter("layout"):
        cells = [(item.get("row"), item.get("column")) for item in layout.findall("item") if item.get("row")]
        if len(set(cells)) < len(cells):
            raise ValueError(f"{path}: two items of {layout.get('name')} are in one cell")


def _link(links, top, path) -> None:
    for element in [] if links is None else links.iter("connection"):
        sender, signal, receiver, slot = (element.findtext(tag) for tag in ("sender", "signal", "receiver", "slot"))
        source, target = _find(top, sender, path), _find(top, receiver, path)
        if signal not in getattr(type(source), "SIGNALS", ()) and source.metaObject().indexOfSignal(signal) < 0:
            raise ValueError(f"{path}: {sender} has no signal {signal}")
        if slot not in getattr(type(target), "SLOTS", ()) and target.metaObject().indexOfSlot(slot) < 0:
            raise ValueError(f"{path}: {receiver} has no slot {slot}")
        getattr(source, signal.split("(")[0]).connect(getattr(target, slot.split("(")[0]))


def _find(top, name, path):
    found = top if top.objectName() == name else top.findChild(QtCore.QObject, name)
    if found is None:
        raise ValueError(f"{path}: no widget is called {name}")
    return found
