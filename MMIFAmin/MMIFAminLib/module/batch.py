"""Batches: the pairs of the scene, or the studies of a folder, to be fused one after the other, and a table of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import slicer

from ..cohort import Result
from ..cohort.pairing import pair_up
from ..cohort.results import OneByOne
from ..cohort.table import WAITING
from ..cohort.work import FUSED, KEPT
from ..errors import InputError
from . import roles, units

if TYPE_CHECKING:
    from slicer import vtkMRMLScene, vtkMRMLTableNode

    from ..cohort import Studies
    from ..engine.fusion import VolumeFuser
    from ..engine.progress import Progress
    from . import state

LEFT_OUT = "left out"
TABLE = "MMIFAmin batch"
"""The name of the table node."""

_MARK = "MMIFAmin.batch"
_HEADINGS = ("Study", "Status", "Told", "Seconds", "Result")


class Step(NamedTuple):
    """One fusion of a batch: `begin()` in the main thread gives `work(progress)` for any thread and `finish(result)` for
    the main one, which returns the Result. `sources` are its nodes, where it is of the scene.
    """

    name: str
    begin: Callable[[], tuple[Callable[[Progress], Any], Callable[[Any], Result]]]
    sources: tuple = ()


class Batch:
    """The `steps` of a batch, what was `left_out` (what, why) of it, and what has come of each step so far.

    `open` before the first step, `close` in the end; without steps, nothing is written.
    """

    def __init__(
        self,
        steps: Sequence[Step],
        left_out: Sequence[tuple[str, str]],
        open: Callable[[], None] = lambda: None,
        close: Callable[[], None] = lambda: None,
    ) -> None:
        self.steps, self.left_out = tuple(steps), tuple(left_out)
        self.open, self.close = open, close
        self.results = [Result(step.name, WAITING) for step in self.steps]

    def progress(self, number: int, progress: Progress) -> Progress:
        """`progress` for the step of that number: how far the whole batch is."""

        def tell(fraction: float, text: str) -> bool | None:
            words = f"{number + 1} of {len(self.steps)}, {self.steps[number].name}: {text}"
            return progress((number + fraction) / len(self.steps), words)

        return tell

    def counts(self) -> str:
        """How many have which status, in words: "2 fused, 1 refused"."""
        every = [result.status for result in self.results] + [LEFT_OUT] * len(self.left_out)
        return ", ".join(f"{every.count(status)} {status}" for status in dict.fromkeys(every))

    def publish(self, scene: vtkMRMLScene) -> vtkMRMLTableNode:
        """Write all that was found, and what has come of it, into the scene's table of batches; returns the node."""
        from ..mrml.owned import fill_table

        rows = [*self.results, *(Result(what, LEFT_OUT, why) for what, why in self.left_out)]
        node = table_node(scene)
        if node is None:
            node = scene.AddNewNodeByClass("vtkMRMLTableNode", TABLE)
            node.SetAttribute(_MARK, "1")
        columns = (
            [row.id for row in rows],
            [row.status for row in rows],
            ["; ".join(filter(None, (row.reason, *row.warnings))) for row in rows],
            np.array([row.seconds for row in rows], float),
            [row.output for row in rows],
        )
        fill_table(node, dict(zip(_HEADINGS, columns)))
        return node


def table_node(scene: vtkMRMLScene) -> vtkMRMLTableNode | None:
    """The scene's table of the last batch, or None."""
    nodes = slicer.util.getNodesByClass("vtkMRMLTableNode", scene)
    return next((node for node in nodes if node.GetAttribute(_MARK)), None)


def shown_rows(scene: vtkMRMLScene) -> tuple[list[str], list[list[str]]]:
    """Headings and rows of the table of the last batch as the panel shows them, ([], []) where there was none."""
    node = table_node(scene)
    if node is None or node.GetNumberOfColumns() < 3:
        return [], []
    columns = [node.GetTable().GetColumn(index) for index in range(3)]
    rows = [[column.GetValue(row) for column in columns] for row in range(node.GetNumberOfRows())]
    return list(_HEADINGS[:3]), rows


def scene_pairs(scene: vtkMRMLScene) -> tuple[list[tuple], list[tuple[str, str]]]:
    """The pairs (anatomical, functional) of the scene that are plain, and the other volumes, with the reason.

    What lies in one study or folder of the data tree belongs together; then the names count (`cohort.pairing`).
    """
    pairs, left_out = pair_up(roles.candidates_of(scene))
    return pairs, [(one.name, why) for one, why in left_out]


class Choices(NamedTuple):
    """What all fusions of a batch have in common: the panel's choices when it was begun."""

    options: dict
    outputs: tuple[bool, ...]  # for each wanted volume, whether it is in colours
    functional_window: state.FunctionalWindow
    colors: Any
    weight: float


def scene_steps(scene: vtkMRMLScene, pairs: Sequence[tuple], choices: Choices, load: Callable) -> list[Step]:
    """A step for each pair of nodes; `load()` gives the network."""
    return [
        Step(f"{pair[0].GetName()} + {pair[1].GetName()}", lambda pair=pair: _begin(scene, pair, choices, load), pair)
        for pair in pairs
    ]


def _begin(scene, pair, choices: Choices, load: Callable[[], VolumeFuser]) -> tuple:
    from .. import mrml
    from ..errors import GeometryError
    from ..volume import registration

    name = f"{pair[0].GetName()} + {pair[1].GetName()}"
    for node in pair:
        mrml.still_there(node)
    if reason := units.unusable_windows(pair[1]).get(choices.functional_window):
        raise InputError(reason)
    had = {rgb: mrml.made_of(scene, pair, rgb) for rgb in choices.outputs}
    if all(node is not None and mrml.surely_current(node, choices.options) for node in had.values()):

        def keep(nothing) -> Result:
            painted: Any = had.get(True)
            if painted is not None and not mrml.is_painted(painted, choices.colors, choices.weight):
                mrml.recolor(painted, choices.colors, choices.weight)
            return Result(name, KEPT, output=_names(had.values()))

        return (lambda progress: None), keep
    source = mrml.snapshot(*pair)
    table = mrml.resolve_color_table(choices.colors, source.table)
    started = time.perf_counter()

    def work(progress: Progress) -> tuple:
        fused = mrml.fuse_snapshot(source, load(), progress=progress, **choices.options)
        painting = mrml.paint(fused, table, choices.weight) if True in choices.outputs else None
        try:
            first, second = source.anatomical, source.functional
            names = (first.name, second.name)
            found = registration.alignment_check(first.scalar_image(), second.scalar_image(), names=names)
            off = [] if found.aligned else [found.message]
        except (InputError, GeometryError):
            off = []
        return fused, painting, (*off, *fused.report["warnings"])

    def finish(made: tuple) -> Result:
        fused, painting, warnings = made
        nodes = [
            mrml.publish(source, fused, scene, node, painting if rgb else None, choices.options)
            for rgb, node in had.items()
        ]
        seconds = round(time.perf_counter() - started, 3)
        return Result(name, FUSED, "", seconds, warnings, output=_names(nodes))

    return work, finish


def _names(nodes) -> str:
    return ", ".join(node.GetName() for node in nodes)


def folder_batch(studies: Studies, cohort: OneByOne) -> Batch:
    """The studies of a folder as a batch; results are files."""

    def step(row) -> Step:
        def finish(result: Result) -> Result:
            try:
                cohort.add(result)
            except InputError as error:  # the study itself is done: its table could not be written
                return replace(result, warnings=(*result.warnings, str(error)))
            return result

        return Step(row.id, lambda: (lambda progress: cohort.fuse(row, progress), finish))

    left_out = [(one.what, one.why) for one in studies.left_out]
    return Batch([step(row) for row in cohort.rows], left_out, cohort.open, cohort.close)
