"""Presets: the windows, slice plane and colours that a kind of study is read with. The panel offers the same ones."""

import argparse
from copy import copy
from dataclasses import dataclass
from typing import Any

from ..errors import InputError


@dataclass(frozen=True)
class Preset:
    """How a kind of study is read: ``window`` and ``functional_window``, ``plane`` and ``kind`` of the pair as
    `VolumeFuser.fuse` takes them, ``color_table`` and ``functional_weight`` as `FusedVolume.rgb` does.

    ``side_by_side`` is whether 3D Slicer shows the fused volume beside its sources.
    """

    window: str
    functional_window: str
    color_table: str = "pet-heat"
    plane: str = "axial"
    kind: str = "auto"
    functional_weight: float = 1.0
    side_by_side: bool = False

    @property
    def fusion(self) -> dict[str, Any]:
        """What `VolumeFuser.fuse` takes: ``fuser.fuse(mr, pet, **preset.fusion)``."""
        windows = {"anatomical_window": self.window, "functional_window": self.functional_window}
        return {"plane": self.plane, "kind": self.kind, **windows}


PRESETS = {
    "pet-ct-oncology-soft-tissue": Preset("ct-soft-tissue", "suv:0:10"),
    "pet-ct-oncology-lung": Preset("ct-lung", "suv:0:10"),
    "pet-mr-brain": Preset("mr", "uptake"),
    "bone-spect-ct": Preset("ct-bone", "uptake", plane="coronal"),
    "perfusion-spect-mr": Preset("mr", "uptake", "rainbow"),
    "datscan-spect-mr": Preset("mr", "uptake", side_by_side=True),
    "ct-mr-planning": Preset("ct-soft-tissue", "mr", "grey", kind="anatomical", side_by_side=True),
}
"""The presets by their names."""

_WITHOUT = {
    "plane": "axial",
    "window": "auto",
    "functional_window": "auto",
    "kind": "auto",
    "color_table": None,
    "functional_weight": 1.0,
}
"""What holds where neither an option nor a preset says it: the second one's own colours, say."""


def full_name(name: str) -> str:
    """The name of the preset that begins with ``name``, the first of several for one kind of study.

    Raises InputError, with all names, where there is none, or where there are several kinds of study that it may mean.
    """
    found = [known for known in PRESETS if name and known.startswith(name.lower())]
    if not found:
        raise InputError(f"there is no preset '{name}': choose one of {', '.join(PRESETS)}")
    if found[0] != name.lower() and len({(PRESETS[one].functional_window, PRESETS[one].kind) for one in found}) > 1:
        raise InputError(f"'{name}' begins the names of several presets: choose one of {', '.join(found)}")
    return found[0]


def settled(options: argparse.Namespace) -> argparse.Namespace:
    """A copy of ``options`` of `study.options` in which what was not given (None) is that of their ``preset``, if any.

    Raises InputError for a preset that there is not.
    """
    options = copy(options)
    preset = vars(PRESETS[full_name(options.preset)]) if options.preset else {}
    for name, value in _WITHOUT.items():
        if getattr(options, name) is None:
            setattr(options, name, preset.get(name, value))
    return options
