"""Learned weights between the terms: homoscedastic uncertainty (Kendall, Gal and Cipolla, 2018)."""

import torch
from torch import nn

from .terms import TERMS


class UncertaintyLoss(nn.Module):
    """``sum p * (exp(-s) * T + s)`` with one learned ``s`` a term: a term that stays large is believed less.

    ``weights`` ``{term: p}``; ``anchors`` ``{term: weight}`` are added with constant weights.
    """

    def __init__(self, weights: dict[str, float], anchors: dict[str, float] | None = None) -> None:
        super().__init__()
        self.weights = dict(weights)
        self.anchors = dict(anchors or {})
        self.log_scales = nn.Parameter(torch.zeros(len(self.weights)))

    def forward(
        self, a: torch.Tensor, b: torch.Tensor, f: torch.Tensor, kind: torch.Tensor
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """Sources and fused ``(N, 1, H, W)`` in [0, 1] to the loss, the value of every term, and its weight; the
        images' ``kind`` ``(N,)`` does not matter.
        """
        report = {name: TERMS[name](a, b, f).mean() for name in (*self.weights, *self.anchors)}
        loss = sum((weight * report[name] for name, weight in self.anchors.items()), f.new_zeros(()))
        for (name, given), scale in zip(self.weights.items(), self.log_scales):
            belief = torch.exp(-scale)
            loss = loss + given * (belief * report[name] + scale)
            report[f"weight of {name}"] = given * belief.detach()
        return loss, report
