"""What the Python console does in one call."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import slicer

from ..errors import InputError
from . import presets, roles, units

if TYPE_CHECKING:
    from slicer import vtkMRMLScalarVolumeNode

    from ..engine.progress import Progress
    from ..mrml.colors import ColorChoice


_DEFAULTS: dict[str, Any] = {
    "plane": "axial",
    "anatomicalWindow": "auto",
    "functionalWindow": "auto",
    "secondWindow": "auto",
    "kind": "auto",
    "colorTable": None,
    "functionalWeight": 1.0,
}


class ConsoleLogic:
    """The part of `FusionLogic` for scripts."""

    ensurePackages: Callable  # these are of `FusionLogic`
    fuser: Callable
    beginAtOnce: Callable
    follow: Callable
    endAtOnce: Callable
    settleViews: Callable
    getParameterNode: Callable
    followPreset: Callable

    def fuse(
        self,
        anatomicalNode: vtkMRMLScalarVolumeNode,
        functionalNode: vtkMRMLScalarVolumeNode,
        outputNode: vtkMRMLScalarVolumeNode | None = None,
        *,
        secondNode: vtkMRMLScalarVolumeNode | None = None,
        rgb: bool = False,
        preset: str | None = None,
        plane: str | None = None,
        anatomicalWindow: str | tuple[float, float] | None = None,
        functionalWindow: str | tuple[float, float] | None = None,
        secondWindow: str | tuple[float, float] | None = None,
        kind: str | None = None,
        insist: bool = False,
        colorTable: ColorChoice = None,
        functionalWeight: float | None = None,
        device: str = "auto",
        precision: str = "auto",
        progress: Progress | None = None,
        show: bool = False,
    ) -> vtkMRMLScalarVolumeNode:
        """Fuse two volume nodes and return the fused one: scalar (values 0 to 1), or colour (RGB) if `rgb`.

        Blocks until done; installs PyTorch first if it is missing. `preset` is one of `presetNames`, or the beginning
        of one in small letters with hyphens ("pet-ct-oncology", "pet-mr-brain"); what is given besides goes before it.
        `plane` is "axial" (if left out), "coronal", "sagittal" or "acquisition"; windows are "auto" (if left out),
        "mr", "uptake", "ct-brain", "ct-bone", "ct-soft-tissue", "ct-lung", "LOW:HIGH" or (low, high); `kind` of the
        pair is "auto" (if left out), "uptake" or "anatomical" (two MR or CT); `insist` fuses label maps and two patients too;
        `colorTable` is a colour node or the name of a built-in table; `functionalWeight` (0 to 1) scales the colours;
        `device` is "auto", "cpu", "cuda" (or "cuda:1") or "mps"; `progress(fraction, text)` may return False to cancel.
        With `show` the slice views show what is fused as it comes, the slices that they are at first, and then the fused
        volume. Raises MMIFAminError with one sentence for the user; the scene is then as it was.

        With `secondNode` three are fused at once: MR and CT, and the uptake of `functionalNode` on them; `secondWindow`
        is that of the second.
        """
        from .. import mrml
        from . import views

        options = _DEFAULTS | (presets.options(presets.find(slicer.app.userSettings(), preset)[1]) if preset else {})
        given = {
            "plane": plane,
            "anatomicalWindow": anatomicalWindow,
            "functionalWindow": functionalWindow,
            "secondWindow": secondWindow,
            "kind": kind,
            "colorTable": colorTable,
            "functionalWeight": functionalWeight,
        }
        options |= {name: value for name, value in given.items() if value is not None}
        mrml.check_pair(anatomicalNode, functionalNode, secondNode)
        in_suv = options["functionalWindow"] in [choice.value for choice in units.SUV_WINDOWS]
        if preset and functionalWindow is None and in_suv and (reason := units.why_not_suv_windows(functionalNode)):
            raise InputError(reason)
        self.ensurePackages()
        fuser, watcher = self.fuser(device, precision), None
        if show:
            own = mrml.node_color_table(functionalNode)
            table = mrml.resolve_color_table(options["colorTable"], own) if rgb else None
            sources, weight = (anatomicalNode, functionalNode), options["functionalWeight"]
            watcher = self.beginAtOnce(sources, anatomicalNode, 1.0, table, weight)
        try:
            node = mrml.fuse_nodes(
                anatomicalNode,
                functionalNode,
                outputNode,
                secondNode=secondNode,
                rgb=rgb,
                insist=insist,
                fuser=fuser,
                progress=self._showing(progress) if watcher is not None else progress,
                watcher=watcher,
                **options,
            )
            if show:
                views.show_over(anatomicalNode, node, 1.0)
        finally:
            self.endAtOnce()
        return node

    def presetNames(self) -> list[str]:
        """The presets of the panel, the user's own last: for `fuse` and `usePreset`."""
        return list(presets.every(slicer.app.userSettings()))

    def usePreset(self, name: str) -> None:
        """Set the choices of the panel, and the layout of what is fused, to those of a preset, named as in `fuse`.

        Raises InputError for another name.
        """
        presets.apply(*presets.find(slicer.app.userSettings(), name), self.getParameterNode())
        self.followPreset(self.getParameterNode())

    def savePreset(self, name: str) -> None:
        """Keep the present choices of the panel under a name. Raises InputError for a name that is taken."""
        presets.save(slicer.app.userSettings(), name, self.getParameterNode())

    def _showing(self, progress: Progress | None) -> Progress:
        """`progress` that also has the views show what there is."""

        def follow(fraction: float, text: str) -> bool | None:
            self.follow()
            self.settleViews()
            return progress(fraction, text) if progress is not None else None

        return follow

    def findPair(self) -> tuple:
        """The anatomical and the functional node of the scene, where the nodes tell them. Raises InputError."""
        pair = roles.preselect(slicer.mrmlScene)
        if None in pair:
            missing = "anatomical" if pair[0] is None else "functional"
            raise InputError(f"The scene has no volume that is plainly the {missing} one: name the two nodes yourself.")
        return pair
