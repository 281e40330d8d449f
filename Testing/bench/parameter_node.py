"""`slicer.parameterNodeWrapper` in small: typed parameters in a scripted module node, bound to widgets.

As in the original: values are validated, written as strings or node references, cached and read again when the node
changes; a widget is bound by its exact class; a node selector gets its node types from the annotation; nothing
removes the observer that a binding leaves on the node; `connectGui` returns no tag.
"""

from __future__ import annotations

import enum
import sys
import types
import typing
import weakref

import slicer
import vtk


class WithinRange:
    def __init__(self, minimum, maximum):
        self.minimum, self.maximum = minimum, maximum

    def validate(self, value):
        if not self.minimum <= value <= self.maximum:
            raise ValueError(f"Value must be within range [{self.minimum}, {self.maximum}], is {value}")


class Choice:
    def __init__(self, choices):
        self.choices = choices

    def validate(self, value):
        if value not in self.choices:
            raise ValueError(f"Value is {value}, but must be in one of the following: {self.choices}")


class _Parameter:
    """How one annotated member is written to and read from the node."""

    def __init__(self, name, annotation, owner):
        self.name = name
        self.kind, *extras = typing.get_args(typing.Annotated[annotation, None])[:-1]
        self.validators = [extra for extra in extras if hasattr(extra, "validate")]
        unused = [extra for extra in extras if not hasattr(extra, "validate")]
        if unused:
            raise TypeError(f"{name}: the original only warns about the annotations {unused}, which it does not use")
        self.is_node = isinstance(self.kind, type) and issubclass(self.kind, slicer.vtkMRMLNode)
        self.is_enum = isinstance(self.kind, type) and issubclass(self.kind, enum.Enum)
        if not (self.is_node or self.is_enum or self.kind in (bool, int, float, str)):
            raise TypeError(f"{name}: no serializer for {self.kind}")
        defaults = {bool: False, int: 0, float: 0, str: ""}
        self.default = owner.__dict__.get(name, next(iter(self.kind)) if self.is_enum else defaults.get(self.kind))

    def write(self, node, value):
        accepted = (int, float) if self.kind is float else self.kind
        if value is None and not self.is_node:
            raise ValueError(f"{self.name}: Value must not be None")
        if value is not None and not isinstance(value, accepted):
            raise TypeError(f"{self.name}: Value must be of type {self.kind}, is {value!r}")
        for validator in self.validators:
            validator.validate(value)
        if self.is_node:
            node.SetParameter(self.name, "")
            node.SetNodeReferenceID(self.name, value.GetID() if value is not None else None)
        else:
            node.SetParameter(self.name, value.name if self.is_enum else str(value))

    def read(self, node):
        if not node.HasParameter(self.name):
            self.write(node, self.default)
        if self.is_node:
            return node.GetNodeReference(self.name)
        text = node.GetParameter(self.name)
        if self.is_enum:
            return self.kind[text]
        return text == "True" if self.kind is bool else self.kind(text)


class _Cached:
    """A parameter of one node, read again whenever the node changes."""

    def __init__(self, parameter, node):
        self.parameter, self.node = parameter, node
        self.value, self.writing = parameter.read(node), False
        me = weakref.ref(self)
        node.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda caller, event: me() and me().refresh())

    def refresh(self):
        if not self.writing:
            self.value = self.parameter.read(self.node)

    def write(self, value):
        self.writing = True
        try:
            with slicer.util.NodeModify(self.node):
                self.parameter.write(self.node, value)
                self.value = self.parameter.read(self.node)
        finally:
            self.writing = False


def parameterNodeWrapper(cls):
    hints = typing.get_type_hints(cls, include_extras=True)
    parameters = {name: _Parameter(name, annotation, cls) for name, annotation in hints.items()}

    def accessor(name):
        return property(
            lambda self: self._cached[name].value,
            lambda self, value: self._cached[name].write(value),
        )

    body = {
        "__init__": _init,
        "parameters": parameters,
        "connectGui": _connect_gui,
        "connectParametersToGui": _connect,
        "disconnectGui": _disconnect,
        "StartModify": lambda self: self.parameterNode.StartModify(),
        "EndModify": lambda self, modified: self.parameterNode.EndModify(modified),
        "AddObserver": lambda self, event, f, priority=0.0: self.parameterNode.AddObserver(event, f, priority),
        "RemoveObserver": lambda self, tag: self.parameterNode.RemoveObserver(tag),
        "Modified": lambda self: self.parameterNode.Modified(),
        **{name: accessor(name) for name in parameters},
    }
    for name, value in body.items():
        setattr(cls, name, value)
    return cls


def _init(self, node):
    self.parameterNode = node
    self._bindings, self._updating = {}, False
    self._cached = {name: _Cached(parameter, node) for name, parameter in self.parameters.items()}


def _connect_gui(self, gui):
    named = {widget.property("SlicerParameterName"): widget for widget in vars(gui).values()}
    named.pop(None, None)
    self.connectParametersToGui(named)


def _connect(self, mapping):
    unknown = set(mapping) - set(self.parameters)
    if unknown:
        raise ValueError(f"Cannot find a param with the given name: {sorted(unknown)}")
    tag = len(self._bindings)
    self._bindings[tag] = {name: _binding(widget, self.parameters[name]) for name, widget in mapping.items()}
    for name, binding in self._bindings[tag].items():
        binding.write(self._cached[name].value)

        def changed(name=name, binding=binding):
            if not self._updating:
                with slicer.util.NodeModify(self):
                    self._cached[name].write(binding.read())

        binding.connect(changed)
    self.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda caller, event: _update(self))
    return tag


def _disconnect(self, tag):
    for binding in self._bindings.pop(tag, {}).values():
        binding.disconnect()


def _update(self):
    if self._updating:
        return
    self._updating = True
    try:
        with slicer.util.NodeModify(self):
            for bindings in list(self._bindings.values()):
                for name, binding in bindings.items():
                    binding.write(self._cached[name].value)
    finally:
        self._updating = False


class _Binding:
    """One widget bound to one parameter."""

    def __init__(self, widget, signal, read, write):
        self._widget, self._signal, self.read, self.write = widget, getattr(widget, signal), read, write

    def connect(self, changed):
        self._slot = lambda: changed()
        self._signal.connect(self._slot)

    def disconnect(self):
        self._signal.disconnect(self._slot)


def _binding(widget, parameter) -> _Binding:
    kind, name = parameter.kind, type(widget).__name__
    if kind is bool and name == "QCheckBox":
        return _Binding(widget, "stateChanged", lambda: widget.checked, lambda v: _set(widget, "checked", v))
    if kind is bool and name == "QPushButton":
        if not widget.checkable:
            raise TypeError(f"{widget.objectName} is bound to a bool and must be checkable")
        return _Binding(widget, "toggled", lambda: widget.checked, lambda v: _set(widget, "checked", v))
    if kind is float and name in ("QDoubleSpinBox", "ctkSliderWidget"):
        limits = [v for v in parameter.validators if isinstance(v, WithinRange)]
        if not limits and name == "ctkSliderWidget":
            raise RuntimeError("Cannot have a connection to ctkSliderWidget where the float type is unbounded.")
        if limits:
            widget.minimum, widget.maximum = limits[0].minimum, limits[0].maximum
        return _Binding(widget, "valueChanged", lambda: widget.value, lambda v: _set(widget, "value", v))
    if kind is int and name == "QSpinBox":
        for limits in (v for v in parameter.validators if isinstance(v, WithinRange)):
            widget.setRange(limits.minimum, limits.maximum)
        return _Binding(widget, "valueChanged", lambda: widget.value, lambda v: _set(widget, "value", v))
    if parameter.is_enum and name == "QComboBox":
        members = list(kind)
        label = getattr(kind, "label", lambda member: member.name)
        widget.clear()
        for member in members:
            widget.addItem(label(member))
        return _Binding(
            widget,
            "currentIndexChanged",
            lambda: members[widget.currentIndex],
            lambda v: _set(widget, "currentIndex", members.index(v)),
        )
    if kind is str and name == "QLineEdit":
        return _Binding(widget, "textChanged", lambda: widget.text, lambda v: _set(widget, "text", v))
    if parameter.is_node and name == "qMRMLNodeComboBox":
        widget.nodeTypes = (kind().GetClassName(),)
        return _Binding(widget, "currentNodeChanged", widget.currentNode, widget.setCurrentNode)
    raise RuntimeError(f"Unable to create GUI connector from datatype '{kind}' to widget type '{name}'")


def _set(widget, name, value):
    setattr(widget, name, value)


def module() -> types.ModuleType:
    """The module `slicer.parameterNodeWrapper`."""
    made = types.ModuleType("slicer.parameterNodeWrapper")
    for item in (parameterNodeWrapper, WithinRange, Choice):
        setattr(made, item.__name__, item)
    made.__all__ = ["parameterNodeWrapper", "WithinRange", "Choice"]
    sys.modules[made.__name__] = made
    return made
