"""Qt as PythonQt shows it to Slicer's Python: properties are attributes, enums are integers, tuples for lists.

Every QObject is met through one `Wrapped` object. Differences from PythonQt are refusals: where it would convert
silently (a string to True, a string list out of a string) or only print (an unknown signal), this raises.
"""

from __future__ import annotations

import enum
import inspect
import re
import types

import shiboken6
from PySide6 import QtCore, QtGui, QtWidgets

_classes: dict[type, type] = {}
_wrapped: dict[int, Wrapped] = {}


class WrappedType(type):
    """The class of classes such as `qt.QPushButton`: enums as integers, static methods, construction."""

    def __getattr__(cls, name):
        if name.startswith("_"):
            raise AttributeError(name)
        member = getattr(cls._native, name)
        if isinstance(member, enum.Enum):
            return to_int(member)
        if isinstance(member, type) and issubclass(member, enum.Enum):
            return types.SimpleNamespace(**{item.name: to_int(item) for item in member})
        return _Method(member, f"{cls.__name__}.{name}")


class Wrapped(metaclass=WrappedType):
    """One QObject (or QIcon and the like) as PythonQt shows it."""

    _native: type = object
    __slots__ = ("__weakref__", "_handlers", "_q")

    def __new__(cls, *arguments, **keywords):
        if keywords:
            raise TypeError(f"PythonQt constructors take no keyword arguments: {cls.__name__}({', '.join(keywords)}=)")
        native = cls._native(*(unwrap(argument) for argument in arguments))
        return wrap(native) if isinstance(native, QtCore.QObject) else _made(native)

    def __getattr__(self, name):
        if name.startswith("_"):
            raise AttributeError(name)
        q = self._q
        if isinstance(q, QtCore.QObject):
            _alive(q)
            if name == "name":
                name = "objectName"
            meta = q.metaObject()
            if meta.indexOfProperty(name) >= 0:
                return wrap(q.property(name))
            if name in signals_of(q):
                return _Signal(self, name)
            if name == "connect":
                return lambda signal, handler: _Signal(self, *_split(q, signal)).connect(handler)
            if name == "disconnect":
                return lambda signal, handler: _Signal(self, *_split(q, signal)).disconnect(handler)
        member = getattr(q, name, None)
        if member is None or not callable(member):
            raise AttributeError(f"{type(self).__name__} object has no attribute '{name}'")
        return _Method(member, f"{type(self).__name__}.{name}")

    def __setattr__(self, name, value):
        q = self._q
        _alive(q)
        name = "objectName" if name == "name" else name
        index = q.metaObject().indexOfProperty(name) if isinstance(q, QtCore.QObject) else -1
        if index < 0:
            raise AttributeError(f"{type(self).__name__} object has no attribute '{name}'")
        declared = q.metaObject().property(index)
        if not declared.isWritable():
            raise AttributeError(f"{type(self).__name__}.{name} can only be read")
        if not q.setProperty(name, _checked(declared, value, f"{type(self).__name__}.{name}")):
            raise TypeError(f"{type(self).__name__}.{name} cannot be {value!r}")

    def __eq__(self, other):
        return isinstance(other, Wrapped) and other._q is self._q

    def __hash__(self):
        return id(self._q)

    def __bool__(self):
        return True

    def __repr__(self):
        return f"<{type(self).__name__} {self._q!r}>"


class _Method:
    """A method or slot: positional arguments only, converted both ways."""

    def __init__(self, member, label):
        self._member = member
        self._label = label

    def __call__(self, *arguments, **keywords):
        if keywords:
            raise TypeError(f"PythonQt takes no keyword arguments: {self._label}({', '.join(keywords)}=)")
        converted = [_handler(argument) if _is_function(argument) else unwrap(argument) for argument in arguments]
        return wrap(self._member(*converted))


class _Signal:
    """A signal of one object; handlers may take fewer arguments than the signal has."""

    def __init__(self, owner: Wrapped, name: str, signature: str | None = None):
        self._owner = owner
        self._name = name
        self._signature = signature

    def connect(self, handler) -> bool:
        native = _handler(handler)
        object.__getattribute__(self._owner, "_handlers").setdefault((self._name, handler), []).append(native)
        self._bound().connect(native)
        return True

    def disconnect(self, handler) -> bool:
        handlers = object.__getattribute__(self._owner, "_handlers")
        if not handlers.get((self._name, handler)):
            raise RuntimeError(f"{self._name} is not connected to {handler}")
        self._bound().disconnect(handlers[self._name, handler].pop())
        return True

    def __call__(self, *arguments):
        self._bound().emit(*(unwrap(argument) for argument in arguments))

    def _bound(self):
        signal = getattr(self._owner._q, self._name)
        if self._signature and not hasattr(type(self._owner._q), "SIGNALS"):
            return signal[self._signature]
        return signal


def wrap(value):
    """A native value as PythonQt shows it."""
    if isinstance(value, QtCore.QObject):
        address = shiboken6.getCppPointer(value)[0]
        known = _wrapped.get(address)
        if known is not None and known._q is value:
            return known
        made = _made(value)
        _wrapped[address] = made
        return made
    if isinstance(value, enum.Enum):
        return to_int(value)
    if isinstance(value, (list, tuple)):
        return tuple(wrap(item) for item in value)
    if isinstance(value, (QtGui.QIcon, QtGui.QPixmap, QtCore.QFile)):
        return _made(value)
    return value


def unwrap(value):
    """What Qt gets for a value of the Python side."""
    if isinstance(value, Wrapped):
        return value._q
    if isinstance(value, EnumInt):
        return value.native
    if isinstance(value, (list, tuple)):
        return [unwrap(item) for item in value]
    return value


def wrapped_class(native: type) -> type:
    """The class that `qt` or `ctk` shows for a native class; parents are shown too, so that isinstance works."""
    if native not in _classes:
        bases = tuple(wrapped_class(base) for base in native.__bases__ if _is_qt(base)) or (Wrapped,)
        _classes[native] = WrappedType(native.__name__, bases, {"_native": native, "__slots__": ()})
    return _classes[native]


def signals_of(q: QtCore.QObject) -> set[str]:
    meta = q.metaObject()
    methods = (meta.method(index) for index in range(meta.methodCount()))
    return {bytes(m.name()).decode() for m in methods if m.methodType() == QtCore.QMetaMethod.MethodType.Signal}


class EnumInt(int):
    """An enum's value: an integer, as in PythonQt, that PySide's methods still take for the enum."""

    native: enum.Enum

    def __or__(self, other):
        return to_int(self.native | other.native)


def to_int(value) -> int:
    made = EnumInt(value.value if isinstance(value.value, int) else int(value))
    made.native = value
    return made


class QtModule(types.ModuleType):
    """The module `qt`: every public Qt class by its name."""

    def __getattr__(self, name):
        if name == "Qt":
            return _Namespace()
        for module in (QtWidgets, QtGui, QtCore):
            native = getattr(module, name, None)
            if isinstance(native, type):
                return wrapped_class(native)
        if name == "QUiLoader":
            from .ui import UiLoader

            return UiLoader
        raise AttributeError(f"module 'qt' has no attribute '{name}'")


class _Namespace:
    def __getattr__(self, name):
        return to_int(getattr(QtCore.Qt, name))


def _made(value) -> Wrapped:
    made = object.__new__(wrapped_class(_public_class(type(value))))
    object.__setattr__(made, "_q", value)
    object.__setattr__(made, "_handlers", {})
    return made


def _public_class(native: type) -> type:
    return next(base for base in native.__mro__ if _is_qt(base))


def _is_qt(native: type) -> bool:
    return native.__module__.startswith("PySide6.") or native.__name__.startswith(("ctk", "qMRML", "qSlicer"))


def _alive(q) -> None:
    if not shiboken6.isValid(q):
        raise ValueError("Trying to access a deleted C++ object")


def _split(q, signal: str) -> tuple[str, str]:
    """Name and argument types of a signal written as "clicked(bool)"; raises for a signal that the class has not."""
    match = re.fullmatch(r"(\w+)\((.*)\)", signal.replace(" ", ""))
    if match is None:
        raise ValueError(f"'{signal}' is no signal: write it with its argument types, as clicked(bool)")
    declared = getattr(type(q), "SIGNALS", ())
    if signal.replace(" ", "") not in declared and q.metaObject().indexOfSignal(signal.replace(" ", "")) < 0:
        raise ValueError(f"{type(q).__name__} has no signal {signal}")
    return match[1], match[2]


def _is_function(value) -> bool:
    return (
        inspect.isroutine(value)
        or isinstance(value, (types.FunctionType, types.MethodType))
        or (callable(value) and not isinstance(value, (Wrapped, type)) and not hasattr(value, "GetClassName"))
    )


def _handler(function):
    """A slot that passes on as many arguments as the function takes."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        parameters = ()
    variable = any(p.kind == p.VAR_POSITIONAL for p in parameters)
    count = sum(p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) for p in parameters)

    def slot(*arguments):
        function(*(wrap(a) for a in (arguments if variable else arguments[:count])))

    return slot


def _checked(declared: QtCore.QMetaProperty, value, label: str):
    wanted = declared.typeName()
    value = int(value) if isinstance(value, EnumInt) else unwrap(value)
    allowed = {
        "bool": (bool,),
        "QString": (str,),
        "int": (int,),
        "double": (int, float),
        "QStringList": (list,),
    }.get(wanted)
    if declared.isEnumType() or declared.isFlagType():
        allowed = (int,)
    if allowed and (not isinstance(value, allowed) or (bool not in allowed and isinstance(value, bool))):
        raise TypeError(f"{label} takes {wanted}, not {value!r}")
    if wanted == "QStringList" and not all(isinstance(item, str) for item in value):
        raise TypeError(f"{label} takes strings, not {value!r}")
    return float(value) if wanted == "double" else value
