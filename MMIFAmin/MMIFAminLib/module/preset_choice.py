"""The row of the panel in which a preset is chosen, saved and deleted."""

from __future__ import annotations

from typing import Any

import slicer
from slicer.i18n import tr as _

from . import presets, units
from .widgets import show_presets


class PresetChoice:
    """A part of the panel, which owns `ui`, `_parameterNode`, `logic`, `_telling`, `_switch` and `updateGUI`."""

    ui: Any
    _parameterNode: Any
    logic: Any
    _telling: Any
    _switch: Any
    updateGUI: Any

    def onPreset(self, index: int) -> None:
        name = self.ui.presetComboBox.itemText(index)
        preset = presets.every(self._settings).get(name)
        if preset is None:
            self._parameterNode.preset = ""
        else:
            presets.apply(name, preset, self._parameterNode)
            self._switch(self.logic.followPreset)

    def onPresetName(self, name: str) -> None:
        for button, reason in self._presetReasons(name).items():
            getattr(self.ui, button).enabled = not reason

    def onSavePreset(self, checked: bool = False) -> None:
        with self._telling(_("The settings were not saved.")):
            presets.save(self._settings, self.ui.presetComboBox.currentText, self._parameterNode)

    def onDeletePreset(self, checked: bool = False) -> None:
        presets.delete(self._settings, self.ui.presetComboBox.currentText)
        self.updateGUI()

    def _presetReasons(self, name):
        own = "" if name in presets.own(self._settings) else _("Choose settings that you have saved.")
        return {"savePresetButton": presets.why_not_save(name), "deletePresetButton": own}

    @property
    def _settings(self):
        return slicer.app.userSettings()

    def _showPresets(self):
        every, p = presets.every(self._settings), self._parameterNode
        reasons = presets.unusable(every, units.unusable_windows(p.functional))
        show_presets(self.ui.presetComboBox, list(every), presets.shown(p, self._settings), reasons)
