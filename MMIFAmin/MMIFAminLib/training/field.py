"""The competitors: what other methods score on given pairs, as published, or estimated where only some pairs are known.

The published methods were scored on the pairs of ``val`` alone. Ranks on other patients need their scores there too. What one
method scores varies from patient to patient mostly as what every method scores does: so its scores on known pairs of the same
task are carried over by how the classical fusions, which can be computed anywhere, differ between the two sets of pairs.
"""

import csv
from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path

import numpy as np

from ..evaluation import metrics
from ..evaluation.baselines import BASELINES
from .data import Case

_SCALES = {"average": "average", "maximum": "maximum", "laplacian_pyramid": "lappyr", "guided_filter": "gff"}
"""The classical fusions that carry scores over, by their names here and in the published tables."""

_DIFFERENCES = {"SCD"}  # metrics that may be negative are carried over by differences, all others by ratios

Scores = dict[str, float]


PUBLISHED = Path(__file__).resolve().parent / "peers.csv"
"""The published methods' mean scores on the pairs of ``val``, each in a row whose id is ``MEAN``."""

MEAN = "mean"


def read_peers(data: str | Path) -> list[dict]:
    """Scores of the published methods: those of every pair, from ``reference/peers_val.csv`` beside the data folder, or where
    that is absent their means, which are all that estimates on other pairs rest on.
    """
    path = Path(data).resolve().parent / "reference" / "peers_val.csv"
    if not path.is_file():
        path = PUBLISHED
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


class Field:
    """The competitors of a network on any pairs."""

    def __init__(self, peers: Iterable[dict]) -> None:
        """``peers`` are rows of method, task, id and the metrics (see ``read_peers``)."""
        known: dict[str, dict[str, dict[str, Scores]]] = defaultdict(lambda: defaultdict(dict))
        for row in peers:
            scores = {name: float(row[name]) for name in metrics.RANKED}
            known[row["task"]][row["method"]][row["id"]] = scores
        self._known = known

    def on(self, cases: Sequence[Case]) -> dict[str, Scores]:
        """The mean scores ``{method: {metric: score}}`` of every competitor on ``cases``, pairs of one task.

        Published methods as they were scored where all of ``cases`` are known, else as estimated, and the classical fusions;
        these alone where nothing is known of the task.
        """
        task, names = cases[0].task, [case.name for case in cases]
        published = self._known.get(task, {})
        if published and all(set(names) <= set(scores) for scores in published.values()):
            return {method: mean_scores([scores[name] for name in names]) for method, scores in published.items()}
        here = {name: mean_scores([_classical(case)[name] for case in cases]) for name in BASELINES}
        there = {method: mean_scores(list(scores.values())) for method, scores in published.items()}
        if not all(name in there for name in _SCALES.values()):
            return here
        estimated = {method: scores for method, scores in there.items() if method not in _SCALES.values()}
        computed = {_SCALES[name]: here[name] for name in _SCALES}
        return {method: _carried(scores, there, computed) for method, scores in estimated.items()} | computed


def mean_scores(rows: Sequence[Scores], names: Iterable[str] = metrics.RANKED) -> Scores:
    """The mean of each metric over ``rows``."""
    return {name: float(np.mean([float(row[name]) for row in rows])) for name in names}


def _carried(scores: Scores, there: dict[str, Scores], here: dict[str, Scores]) -> Scores:
    """``scores`` of a method ``there``, as they would be ``here`` if it changed as the classical fusions do on the mean."""
    carried = {}
    for metric, score in scores.items():
        old, new = (np.array([table[name][metric] for name in here]) for table in (there, here))
        if metric in _DIFFERENCES:
            carried[metric] = score + float(np.mean(new - old))
        else:
            carried[metric] = score * float(np.exp(np.mean(np.log(np.maximum(new, 1e-3) / np.maximum(old, 1e-3)))))
    return carried


@cache
def _classical(case: Case) -> dict[str, Scores]:
    """The scores of the classical fusions of ``case``."""
    sources = [image.astype(np.float32) / np.float32(255) for image in (case.anatomical, case.functional)]
    found = {}
    for name, fuse in BASELINES.items():
        fused = np.rint(fuse(*sources) * 255).astype(np.uint8)
        found[name] = metrics.score(case.anatomical, case.functional, fused)
    return found
