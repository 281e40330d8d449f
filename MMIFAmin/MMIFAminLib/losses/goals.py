"""The adaptive loss that ends with goals: find what the terms are worth, then widen the narrowest lead.

Where a network stands close to the best compromise, a step in one metric costs steps in others, and the rule of
``AdaptiveLoss`` stops pulling at a competitor that is some way ahead. So in the last part of a run competitors become
constraints: each metric has one to beat that does not change any more, and the weights of the terms are their Lagrange
multipliers. They grow where the network is behind, and shrink where it is ahead by more than a margin (dual ascent), with a
constant sum, so that nothing changes between the terms and the anchors. A lead counts as it is on the weaker patients.
"""

import math
from typing import Any

import torch

from .adaptive import BOUNDS, MEASURES, STEP, AdaptiveLoss, Standing


class GoalLoss(AdaptiveLoss):
    """An AdaptiveLoss whose weights pursue goals from the share ``begin`` of a run on.

    ``reach`` is also how many of a metric's ``STEP`` a competitor may be ahead to become a goal, ``margin`` how many of them
    the network is to be beyond it, ``pace`` by how much a weight changes at most at a time (in logarithms), and a lead is
    the one that is exceeded on all but the share ``weak`` of the patients.
    """

    def __init__(
        self, *args: Any, begin: float = 0.6, pace: float = 0.2, margin: float = 0.5, weak: float = 0.25, **options: Any
    ) -> None:
        super().__init__(*args, **options)
        self.begin, self.pace, self.margin, self.weak = begin, pace, margin, weak
        self.goals: dict[int, dict[str, str]] = {}

    def get_extra_state(self) -> dict[int, dict[str, str]]:
        """The goals, for checkpoints: ``{kind: {metric: competitor}}``."""
        return self.goals

    def set_extra_state(self, state: dict[int, dict[str, str]]) -> None:
        """Go on with the goals of a checkpoint."""
        self.goals = dict(state)

    def learn(self, kind: int, patients: list[Standing], done: float = 0.0) -> None:
        """Move the weights for ``kind`` by how far the network is from its goals; before ``begin``, as AdaptiveLoss does."""
        if done < self.begin:
            return super().learn(kind, patients, done)
        metrics = [metric for name in self.names for metric in MEASURES[name]]
        if kind not in self.goals:
            self.goals[kind] = {metric: self._goal(metric, patients) for metric in metrics}
        leads = {metric: self._lead(metric, self.goals[kind][metric], patients) for metric in metrics}
        self._move(kind, [min(leads[metric] for metric in MEASURES[name]) for name in self.names])

    @torch.no_grad()
    def _move(self, kind: int, margins: list[float]) -> None:
        moves = self.pace * (self.margin - self.log_weights.new_tensor(margins)).clamp(-1.0, 1.0)
        before = self.log_weights[kind].logsumexp(dim=0)
        moved = self.log_weights[kind] + moves.round(decimals=4)
        moved += before - moved.logsumexp(dim=0)
        self.log_weights[kind] = moved.clamp(*map(math.log, BOUNDS))

    def _goal(self, metric: str, patients: list[Standing]) -> str:
        """The competitor to beat: the furthest ahead within reach, else the next behind, else the nearest."""
        leads = {method: self._lead(metric, method, patients) for method in patients[0].field}
        ahead = {method: lead for method, lead in leads.items() if -self.reach <= lead < 0}
        behind = {method: lead for method, lead in leads.items() if lead >= 0}
        if ahead or behind:
            return min(ahead or behind, key=(ahead or behind).__getitem__)
        return max(leads, key=leads.__getitem__)

    def _lead(self, metric: str, method: str, patients: list[Standing]) -> float:
        """How many steps the network is ahead of ``method``, on all but the weakest patients."""
        leads = torch.tensor([steps(metric, p.own[metric], p.field[method][metric]) for p in patients])
        return leads.quantile(self.weak).item()


def steps(metric: str, score: float, other: float) -> float:
    """How far ``score`` is ahead of ``other``, in units of ``STEP``."""
    return math.log(max(score, 1e-3) / max(other, 1e-3)) / STEP[metric]
