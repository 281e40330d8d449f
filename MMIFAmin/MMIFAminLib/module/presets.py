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
from ..study.presets import PRESETS, Preset
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
    "secondWindow",
    "secondLow",
    "secondHigh",
    "sideBySide",
)
_OPTIONS = {
    "plane": state.Plane,
    "kind": state.Kind,
    "anatomicalWindow": state.AnatomicalWindow,
    "functionalWindow": state.FunctionalWindow,
    "secondWindow": state.AnatomicalWindow,
}
_TABLES = {
    "pet-heat": "vtkMRMLPETProceduralColorNodePET-Heat",
    "rainbow": "vtkMRMLPETProceduralColorNodePET-Rainbow2",
    "grey": "vtkMRMLColorTableNodeGrey",
}
_TITLES = {
    "pet-ct-oncology-soft-tissue": _("PET/CT oncology, soft tissue"),
    "pet-ct-oncology-lung": _("PET/CT oncology, lung"),
    "pet-mr-brain": _("PET/MR brain"),
    "bone-spect-ct": _("Bone SPECT/CT"),
    "perfusion-spect-mr": _("Perfusion SPECT/MR"),
    "datscan-spect-mr": _("DaTSCAN SPECT/MR"),
    "ct-mr-planning": _("CT/MR planning"),
}


def _in_the_panel(preset: Preset) -> dict:
    return {
        "plane": state.Plane(preset.plane).name,
        "kind": state.Kind(preset.kind).name,
        "anatomicalWindow": state.AnatomicalWindow(preset.window).name,
        "functionalWindow": state.FunctionalWindow(preset.functional_window.removeprefix("suv:")).name,
        "functionalWeight": preset.functional_weight,
        "sideBySide": preset.side_by_side,
        "table": _TABLES[preset.color_table],
    }


BUILT_IN = {_TITLES[name]: _in_the_panel(preset) for name, preset in PRESETS.items()}
"""The presets that come with the module, by their names in the panel; `study.presets` has what they are."""


def own(settings: Any) -> dict[str, dict]:
    """The user's own presets; those that this version cannot read are left out."""
    return {name: preset for name, preset in _stored(settings).items() if _valid(preset)}


def every(settings: Any) -> dict[str, dict]:
    """All presets by their names, the user's own last."""
    return {**BUILT_IN, **own(settings)}


def unusable(presets: dict[str, dict], windows: dict) -> dict[str, str]:
    """Of `presets` those whose functional window is among the unusable `windows`, each with that window's reason."""
    chosen = {name: _read(preset).get("functionalWindow") for name, preset in presets.items()}
    return {name: windows[window] for name, window in chosen.items() if window in windows}


def find(settings: Any, name: str) -> tuple[str, dict]:
    """The preset, with its name as it is shown, that has this name, or whose name on the command line ("pet-mr-brain")
    begins with it; that of the user's own is in small letters and hyphens, too.

    Raises InputError, with the names that there are, where there is none.
    """
    presets = every(settings)
    if name in presets:
        return name, presets[name]
    wanted, hyphened = _hyphened(name), {title: short for short, title in _TITLES.items()}
    hyphened |= {known: _hyphened(known) or known for known in presets if known not in hyphened}
    for known, short in hyphened.items():
        if wanted and short.startswith(wanted):
            return known, presets[known]
    raise InputError(f"There is no preset '{name}'; choose one of {', '.join(hyphened.values())}.")


def options(preset: dict) -> dict:
    """A preset as `fuse` of the logic takes it: all of it but the layout."""
    read = _read(preset)
    taken = {name: read[name].value for name in ("plane", "kind") if name in read}
    for role in state.ROLES:
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
    if state.fused_node(parameters) is not None:
        parameters.sideBySide = parameters.compared  # the layout that is seen
    preset = {key: _written(getattr(parameters, key)) for key in _SAVED}
    table = parameters.colorTable
    preset |= {"table": table.GetID(), "tableName": table.GetName()} if table is not None else {"table": ""}
    settings.setValue(KEY, json.dumps({**_stored(settings), name.strip(): preset}))
    parameters.preset = name.strip()


def delete(settings: Any, name: str) -> None:
    """Forget one of the user's own presets."""
    settings.setValue(KEY, json.dumps({key: preset for key, preset in _stored(settings).items() if key != name}))


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
        for role in state.ROLES
        for end in ("Low", "High")
        if not isinstance(state.window(parameters, role), tuple)
    }
    same = all(getattr(parameters, key) == value for key, value in _read(preset).items() if key not in limits)
    return parameters.preset if same and parameters.colorTable in (None, color_table(preset)) else ""


def color_table(preset: dict | None) -> vtkMRMLColorNode | None:
    """The colour node of a preset, or None."""
    if not preset or not preset.get("table"):
        return None
    node = slicer.mrmlScene.GetNodeByID(preset["table"])
    same = node is not None and preset.get("tableName") in (None, node.GetName())  # IDs repeat across scenes
    return node if same else None


def _stored(settings: Any) -> dict:
    """All that is stored, also what another version has written, which stays."""
    try:
        found = json.loads(settings.value(KEY, "{}") or "{}")
    except (TypeError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


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
    if not all(isinstance(value, (int, float)) for value in numbers):
        return False
    return isinstance(read.get("sideBySide", False), bool) and 0 <= read.get("functionalWeight", 1) <= 1
