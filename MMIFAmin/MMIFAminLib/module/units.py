"""Units of volume nodes, in words, and what follows from them for the windows that the panel offers."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import TYPE_CHECKING

from slicer.i18n import tr as _

from . import state

if TYPE_CHECKING:
    from slicer import vtkMRMLScalarVolumeNode

SUV_WINDOWS = (state.FunctionalWindow.SUV_5, state.FunctionalWindow.SUV_10, state.FunctionalWindow.SUV_20)
_WORDS = {"[HNSF'U]": "HU", "BQML": "Bq/ml", "BQ/ML": "Bq/ml", "CNTS": "counts", "GML": "SUV"}


def code_of(node: vtkMRMLScalarVolumeNode | None) -> str:
    """The code of the unit that a volume node tells, or ""."""
    units = node.GetVoxelValueUnits() if node is not None else None
    return (units.GetCodeValue() or "").strip() if units is not None else ""


def in_words(code: str | None) -> str:
    """A unit's code as people write it, or ""."""
    text = (code or "").strip()
    if "SUV" in text.upper():  # {SUVbw}g/ml
        kind = text.strip("{").split("}")[0]
        return "SUV" if kind.upper() in ("SUV", "SUVBW") else kind
    return _WORDS.get(text.upper(), text)


def in_suv(node: vtkMRMLScalarVolumeNode) -> bool:
    """Whether the values of a volume node are SUV: its unit says so, or there is none and its name does."""
    from ..volume.recognition import Hints

    return Hints(unit=code_of(node) or None, name=node.GetName()).in_suv


def why_not_suv_windows(node: vtkMRMLScalarVolumeNode | None) -> str:
    """Why windows in SUV cannot be taken for a functional node (None: none is chosen), or ""."""
    if node is None or in_suv(node):
        return ""
    unit = in_words(code_of(node))
    told = _("The unit of '{name}' is not known").format(name=node.GetName())
    if unit:
        told = _("'{name}' is in {unit}, not in SUV").format(name=node.GetName(), unit=unit)
    return _("{told}: click Show as SUV (Inputs), or choose another window or Custom (Advanced).").format(told=told)


def unusable_windows(node: vtkMRMLScalarVolumeNode | None) -> dict:
    """The functional windows that do not fit the unit of a functional node, each with the reason."""
    reason = why_not_suv_windows(node)
    return dict.fromkeys(SUV_WINDOWS, reason) if reason else {}


def why_not_window(parameters: state.MMIFAminParameterNode) -> str:
    """Why the chosen functional window does not fit the unit of the functional volume, or ""."""
    return unusable_windows(parameters.functional).get(parameters.functionalWindow, "")


def unit_of_fused(fusedNode: vtkMRMLScalarVolumeNode) -> str:
    """The unit of the uptake in a fused volume, in words; where it is not known, the name of the functional volume."""
    taken = json.loads(fusedNode.GetAttribute("MMIFAmin.parameters")).get("taken_for")  # not known to version 0.1
    return in_words(taken["functional"]["unit"] if taken else None) or fusedNode.GetAttribute("MMIFAmin.functionalName")


def taken_in(report: dict) -> dict:
    """What the volumes of a fusion were taken for, by its report: `report["taken_for"]`, with the second of three."""
    second = report.get("second")
    return report["taken_for"] | ({"second": second["taken_for"]} if second else {})


def describe_taken(taken: dict, labels: Collection[str] = ()) -> tuple[str, str]:
    """What `taken_in` gives in a few short lines, and at length: who told it, and what the shares are."""
    pairs = {
        "uptake": _("Uptake on anatomy"),
        "anatomical": _("Two anatomical volumes"),
        "luma": _("Anatomy and a picture in colours of no known palette"),
    }
    lines = [pairs[taken["pair"]]]
    lines += [_("'{name}' looks like a label map").format(name=name) for name in labels]
    told = {
        "modality": _("DICOM modality"),
        "unit": _("unit"),
        "name": _("name"),
        "values": _("values"),
        "role": _("role in the panel"),
        "kind": _("chosen kind of pair"),
    }
    sources = []
    titles = {"anatomical": _("Anatomical"), "functional": _("Functional"), "second": _("Second")}
    for role, title in titles.items():
        if role not in taken:
            continue
        lines.append(f"{title}: {_line(taken[role])}")
        sources.append(_("{title}: told by its {source}.").format(title=title, source=told[taken[role]["told_by"]]))
    share = _("At upper end: the share of voxels at or above the upper end of the window, where all look alike.")
    return "\n".join(lines), "\n".join([*sources, share])


def describe_suv(node: vtkMRMLScalarVolumeNode | None) -> str:
    """What the SUV of a node come from that were made here, in a sentence; of others what the unit is."""
    shown = node.GetAttribute("MMIFAmin.suv") if node is not None else None
    if shown is None:
        return _("The unit of the functional volume's values.")
    suv = json.loads(shown)["suv"]
    facts = [_("SUV = value x {factor:.6g}, from {origin}").format(**suv)]
    if suv["weight"] is not None:
        facts.append(_("{weight:g} kg").format(**suv))
    if suv["dose"] is not None:
        facts.append(_("{dose:.4g} MBq").format(dose=suv["dose"] / 1e6))
    if suv["uptake_time"] is not None:
        facts.append(_("{minutes:.0f} min after the injection").format(minutes=suv["uptake_time"] / 60))
    return f"{', '.join(facts)}."


def _line(one: dict) -> str:
    from ..display.legend import plain_number

    shows = {"ct": "CT", "mr": "MR", "uptake": _("uptake")}[one["shows"]]
    region = {"head": _("head"), "trunk": _("trunk")}.get(one["region"])
    unit = in_words(one["unit"]) or ("" if one["shows"] == "mr" else _("unit not known"))  # MR has none
    percent = 100 * one["at_upper_end"]
    share = _("under 0.01") if 0 < percent < 0.01 else plain_number(percent, 2)
    share = _("{share} % at upper end").format(share=share)
    return f"{', '.join(filter(None, (shows, region, unit)))}; {share}"
