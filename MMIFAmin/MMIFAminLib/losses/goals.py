"""A candidate for the adaptive loss: keep every rank that is held, and win those that are near.

Where a network stands close to the best compromise, a step in one metric costs steps in others, and the rule of
``AdaptiveLoss`` stops pulling at a competitor that is some way ahead. Here the competitors become constraints: each
metric has a goal that does not move during a run, and the weights of the terms are its Lagrange multipliers. They grow
where the network is behind its goal and shrink where it is ahead of it by more than a margin (dual ascent), with a
constant sum, so that nothing changes between the terms and the anchors.
"""

import math

import torch

from .adaptive import BOUNDS, MEASURES, STEP, AdaptiveLoss


class GoalLoss(AdaptiveLoss):
    """An AdaptiveLoss whose weights pursue goals.

    ``reach`` is how many of a metric's ``STEP`` a competitor may be ahead to become a goal, ``margin`` how many of them
    the network is to be beyond it, ``rate`` by how much a weight changes at most from one validation to the next (in
    logarithms).
    """

    goals: torch.Tensor

    def __init__(
        self,
        weights: dict[str, float],
        rate: float = 0.25,
        reach: float = 1.7,
        margin: float = 0.25,
        anchors: dict[str, float] | None = None,
        kinds: int = 1,
    ) -> None:
        super().__init__(weights, rate=rate, reach=reach, anchors=anchors, kinds=kinds)
        self.margin = margin
        self.metrics = tuple(metric for name in self.names for metric in MEASURES[name])
        self.register_buffer("goals", torch.full((kinds, len(self.metrics)), math.nan, dtype=torch.float64))

    def aim(self, kind: int, own: dict[str, float], field: list[dict[str, float]]) -> None:
        """Set the goals for ``kind``, once, before the first step; arguments as for ``learn``."""
        self.goals[kind] = self.goals.new_tensor([goal(metric, own, field, self.reach) for metric in self.metrics])

    @torch.no_grad()
    def learn(self, kind: int, own: dict[str, float], values: dict[str, float], field: list[dict[str, float]]) -> None:
        """Move the weights for ``kind`` by how far ``own`` is from its goals; the other arguments do not matter
        here.
        """
        goals = zip(self.metrics, self.goals[kind].tolist())
        beyond = {metric: _steps(metric, own[metric], score) for metric, score in goals}
        margins = [min(beyond[metric] for metric in MEASURES[name]) for name in self.names]
        moves = self.rate * (self.margin - self.log_weights.new_tensor(margins)).clamp(-1.0, 1.0)
        before = self.log_weights[kind].logsumexp(dim=0)
        moved = self.log_weights[kind] + moves.round(decimals=4)
        moved += before - moved.logsumexp(dim=0)
        self.log_weights[kind] = moved.clamp(*map(math.log, BOUNDS))


def goal(metric: str, own: dict[str, float], field: list[dict[str, float]], reach: float) -> float:
    """What ``metric`` is to reach: the score of the furthest competitor ahead within ``reach``, else of the next
    behind, else what it is.
    """
    here = own[metric]
    ahead = [scores[metric] for scores in field if 0 < _steps(metric, scores[metric], here) <= reach]
    behind = [scores[metric] for scores in field if scores[metric] <= here]
    return max(ahead or behind or [here])


def _steps(metric: str, score: float, other: float) -> float:
    """How far ``score`` is ahead of ``other``, in units of ``STEP``."""
    return math.log(max(score, 1e-3) / max(other, 1e-3)) / STEP[metric]
