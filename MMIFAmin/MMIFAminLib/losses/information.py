"""Modality weights from the information content of invertible features, pixel by pixel."""

import torch
from torch import nn
from torch.nn import functional as F

from ..network import HaarSqueeze
from .terms import TERMS, sobel


class InformationLoss(nn.Module):
    """Follow, at each pixel, the source that tells more there.

    Information is the local energy of a source's detail coefficients under the IDN's own squeeze; the two energies make
    weights that sum to 1. The fused image is drawn to the weighted sources in intensity (weight ``intensity``) and in
    gradient (weight ``gradient``); ``anchors`` ``{term: weight}`` are added with constant weights.
    """

    def __init__(self, intensity: float, gradient: float, anchors: dict[str, float] | None = None) -> None:
        super().__init__()
        self.intensity, self.gradient = intensity, gradient
        self.anchors = dict(anchors or {})
        self.squeeze = HaarSqueeze(2)

    def forward(
        self, a: torch.Tensor, b: torch.Tensor, f: torch.Tensor, kind: torch.Tensor
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """Sources and fused ``(N, 1, H, W)`` in [0, 1], H and W multiples of 4, to the loss and its parts; the images'
        ``kind`` ``(N,)`` does not matter.
        """
        report = {name: TERMS[name](a, b, f).mean() for name in self.anchors}
        loss = sum((weight * report[name] for name, weight in self.anchors.items()), f.new_zeros(()))
        share = self.share_of_first(a, b)
        gradients = [sobel(x) for x in (a, b, f)]
        report["informed intensity"] = (share * (f - a).abs() + (1 - share) * (f - b).abs()).mean()
        report["informed gradient"] = (
            share * (gradients[2] - gradients[0]).abs() + (1 - share) * (gradients[2] - gradients[1]).abs()
        ).mean()
        loss = loss + self.intensity * report["informed intensity"] + self.gradient * report["informed gradient"]
        return loss, report

    @torch.no_grad()
    def share_of_first(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        """The weight of ``a`` at each pixel, ``(N, 1, H, W)`` in [0, 1]; that of ``b`` is one minus it."""
        energies = []
        for image in (a, b):
            detail = self.squeeze(image)[:, 1:].square().sum(dim=1, keepdim=True)
            energies.append(F.avg_pool2d(detail, 5, stride=1, padding=2, count_include_pad=False) + 1e-4)
        share = energies[0] / (energies[0] + energies[1])
        return F.interpolate(share, scale_factor=self.squeeze.factor, mode="bilinear", align_corners=False)
