"""Constant weights between the terms: the reference that the adaptive loss is compared with."""

import torch
from torch import nn

from .terms import TERMS


class FixedLoss(nn.Module):
    """Sum of the terms of ``weights`` ``{name: weight}``, each averaged over the images."""

    def __init__(self, weights: dict[str, float]):
        super().__init__()
        self.weights = dict(weights)

    def forward(
        self, a: torch.Tensor, b: torch.Tensor, f: torch.Tensor
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """Sources and fused ``(N, 1, H, W)`` in [0, 1] to the loss and the value of every term."""
        values = {name: TERMS[name](a, b, f).mean() for name in self.weights}
        return sum(self.weights[name] * value for name, value in values.items()), values
