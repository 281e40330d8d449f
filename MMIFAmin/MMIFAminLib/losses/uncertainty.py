"""Learned weights between the terms: homoscedastic uncertainty (Kendall, Gal and Cipolla, 2018)."""

import torch
from torch import nn

from .terms import TERMS


class UncertaintyLoss(nn.Module):
    """``sum p * (exp(-s) * T + s)`` with one learned ``s`` a term: a term that stays large is believed less.

    ``priorities`` ``{term: p}``; ``anchors`` ``{term: weight}`` are added with constant weights.
    """

    def __init__(self, priorities: dict[str, float], anchors: dict[str, float] | None = None):
        super().__init__()
        self.priorities = dict(priorities)
        self.anchors = dict(anchors or {})
        self.log_scales = nn.Parameter(torch.zeros(len(self.priorities)))

    def forward(
        self, a: torch.Tensor, b: torch.Tensor, f: torch.Tensor
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """Sources and fused ``(N, 1, H, W)`` in [0, 1] to the loss, the value of every term, and its weight."""
        report = {name: TERMS[name](a, b, f).mean() for name in (*self.priorities, *self.anchors)}
        loss = sum(weight * report[name] for name, weight in self.anchors.items())
        for (name, priority), scale in zip(self.priorities.items(), self.log_scales):
            weight = torch.exp(-scale)
            loss = loss + priority * (weight * report[name] + scale)
            report[f"weight of {name}"] = priority * weight.detach()
        return loss, report
