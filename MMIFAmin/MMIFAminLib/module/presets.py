"""Presets: the windows, slice plane, colours and layout that a kind of study is read with, and the user's own.

A preset is a plain dictionary of the parameters in `_SAVED`, choices by their names, and the ID of the colour table.
The user's own are kept in the application's settings, as JSON under one key.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import slicer
from slicer.i18n import tr as _

from ..errors import InputError
from . import state

if TYPE_CHECKING:
    from slicer import vtkMRMLColorNode

OWN = _("Own settings")
"""What the panel shows for settings of no preset."""

KEY = "MMIFAmin/presets"
"""Where the application's settings hold the user's own presets."""

_SAVED = (
    "plane",
    "kind",
    "anatomicalWindow",
    "anatomicalLow",
    "anatomicalHigh",
    "functionalWindow",
    "functionalLow",
    "functionalHigh",
    "functionalWeight",
    "sideBySide",
)
_OPTIONS = {
    "plane": state.Plane,
    "kind": state.Kind,
    "anatomicalWindow": state.AnatomicalWindow,
    "functionalWindow": state.FunctionalWindow,
}
_HEAT = "vtkMRMLPETProceduralColorNodePET-Heat"
_RAINBOW = "vtkMRMLPETProceduralColorNodePET-Rainbow2"
_GREYS = "vtkMRMLColorTableNodeGrey"


def _preset(anatomical: str, functional: str, table: str, plane: str = "AXIAL", side_by_side: bool = False) -> dict:
    return {
        "plane": plane,
        "kind": "ANATOMICAL" if functional == "MR" else "AUTO",
        "anatomicalWindow": anatomical,
        "functionalWindow": functional,
        "functionalWeight": 1.0,
        "sideBySide": side_by_side,
        "table": table,
    }


BUILT_IN = {
    _("PET/CT oncology, soft tissue"): _preset("CT_SOFT", "SUV_10", _HEAT),
    _("PET/CT oncology, lung"): _preset("CT_LUNG", "SUV_10", _HEAT),
    _("PET/MR brain"): _preset("MR", "UPTAKE", _HEAT),
    _("Bone SPECT/CT"): _preset("CT_BONE", "UPTAKE", _HEAT, plane="CORONAL"),
    _("Perfusion SPECT/MR"): _preset("MR", "UPTAKE", _RAINBOW),
    _("DaTSCAN SPECT/MR"): _preset("MR", "UPTAKE", _HEAT, side_by_side=True),
    _("CT/MR planning"): _preset("CT_SOFT", "MR", _GREYS, side_by_side=True),
}
"""The presets that come with the module, by their names."""


def own(settings: Any) -> dict[str, dict]:
    """The user's own presets; those that this version cannot read are left out."""
    try:
        found = json.loads(settings.value(KEY, "{}") or "{}")
    except (TypeError, ValueError):
        return {}
    return {name: preset for name, preset in found.items() if _valid(preset)} if isinstance(found, dict) else {}


def every(settings: Any) -> dict[str, dict]:
    """All presets by their names, the user's own last."""
    return {**BUILT_IN, **own(settings)}


def unusable(presets: dict[str, dict], windows: dict) -> dict[str, str]:
    """Of `presets` those whose functional window is among the unusable `windows`, each with that window's reason."""
    chosen = {name: _read(preset).get("functionalWindow") for name, preset in presets.items()}
    return {name: windows[window] for name, window in chosen.items() if window in windows}


def find(settings: Any, name: str) -> tuple[str, dict]:
    """The preset, with its name as it is shown, that has this name, or whose name in small letters and hyphens
    ("pet-mr-brain") begins with it.

    Raises InputError, with the names that there are, where there is none.
    """
    presets = every(settings)
    if name in presets:
        return name, presets[name]
    wanted = _hyphened(name)
    for known, preset in presets.items():
        if wanted and _hyphened(known).startswith(wanted):
            return known, preset
    known = ", ".join(_hyphened(known) or known for known in presets)
    raise InputError(f"There is no preset '{name}'; choose one of {known}.")


def options(preset: dict) -> dict:
    """A preset as `fuse` of the logic takes it: all of it but the layout."""
    read = _read(preset)
    taken = {name: read[name].value for name in ("plane", "kind") if name in read}
    for role in ("anatomical", "functional"):
        choice = read.get(f"{role}Window")
        if choice is not None:
            limits = (read.get(f"{role}Low"), read.get(f"{role}High"))
            taken[f"{role}Window"] = limits if choice.value == "custom" else choice.value
    if "functionalWeight" in read:
        taken["functionalWeight"] = read["functionalWeight"]
    return taken | {"colorTable": color_table(preset)}


def why_not_save(name: str) -> str:
    """Why the present settings cannot be saved under a name, or ""."""
    if not name.strip():
        return _("Type a name for your settings first.")
    taken = name.strip() in BUILT_IN or name.strip() == OWN
    return _("Type another name: '{name}' comes with the module.").format(name=name) if taken else ""


def save(settings: Any, name: str, parameters: state.MMIFAminParameterNode) -> None:
    """Keep the present choices under a name, in place of what had it. Raises InputError for a name that is taken."""
    reason = why_not_save(name)
    if reason:
        raise InputError(reason)
    preset = {key: _written(getattr(parameters, key)) for key in _SAVED}
    preset["table"] = parameters.colorTable.GetID() if parameters.colorTable is not None else ""
    settings.setValue(KEY, json.dumps({**own(settings), name.strip(): preset}))
    parameters.preset = name.strip()


def delete(settings: Any, name: str) -> None:
    """Forget one of the user's own presets."""
    settings.setValue(KEY, json.dumps({key: preset for key, preset in own(settings).items() if key != name}))


def apply(name: str, preset: dict, parameters: state.MMIFAminParameterNode) -> None:
    """Set every choice of a preset in one step."""
    with slicer.util.NodeModify(parameters):
        for key, value in _read(preset).items():
            setattr(parameters, key, value)
        table = color_table(preset)
        if table is not None:
            parameters.colorTable = table
        parameters.preset = name


def shown(parameters: state.MMIFAminParameterNode, settings: Any) -> str:
    """The name of the chosen preset as long as the choices are those of it, else ""."""
    preset = every(settings).get(parameters.preset)
    if preset is None:
        return ""
    limits = {
        f"{role}{end}"
        for role in ("anatomical", "functional")
        for end in ("Low", "High")
        if not isinstance(state.window(parameters, role), tuple)
    }
    same = all(getattr(parameters, key) == value for key, value in _read(preset).items() if key not in limits)
    return parameters.preset if same and parameters.colorTable in (None, color_table(preset)) else ""


def color_table(preset: dict | None) -> vtkMRMLColorNode | None:
    """The colour node of a preset, or None."""
    return slicer.mrmlScene.GetNodeByID(preset["table"]) if preset and preset.get("table") else None


def _hyphened(name: str) -> str:
    return re.sub(r"\W+", "-", name.lower()).strip("-")


def _written(value):
    return value.name if isinstance(value, state.Option) else value


def _read(preset: dict) -> dict:
    return {key: _OPTIONS[key][value] if key in _OPTIONS else value for key, value in preset.items() if key in _SAVED}


def _valid(preset) -> bool:
    try:
        read = _read(preset)
    except (AttributeError, KeyError, TypeError):
        return False
    numbers = [value for key, value in read.items() if key.endswith(("Low", "High", "Weight"))]
    return isinstance(read.get("sideBySide", False), bool) and all(isinstance(v, (int, float)) for v in numbers)
