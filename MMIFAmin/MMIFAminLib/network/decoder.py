"""The decoder: from lossless and complementary features to the fused image."""

import torch
from torch import nn
from torch.nn import functional as F


class FusionDecoder(nn.Module):
    """Maps at full resolution that say how the fused image follows from the two sources, from features at a quarter of
    it.

    Takes the IDN features of both modalities ``(N, 2 * in_channels, h, w)`` and the MCFEM features
    ``(N, channels, h, w)``; returns ``(N, maps, 4h, 4w)``. The last convolution starts at zero: the untrained network
    has no say, and the fused image is the form's (``bounds``).
    """

    def __init__(self, in_channels: int, channels: int, width: int, layers: int, factor: int, maps: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(2 * in_channels + channels, width, 3, padding=1)
        self.hidden = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1) for _ in range(layers))
        self.uptake = nn.Parameter(torch.zeros(1 + layers, width, 1, 1))
        self.last = nn.Conv2d(width, maps * factor**2, 3, padding=1)
        self.factor = factor
        for parameter in self.last.parameters():
            nn.init.zeros_(parameter)

    def forward(self, lossless: torch.Tensor, complementary: torch.Tensor, uptake: torch.Tensor) -> torch.Tensor:
        """The maps ``(N, maps, H, W)``, any real numbers; ``uptake`` is ``(N, 1, 1, 1)``, 0 or 1."""
        x = F.relu(self.first(torch.cat((lossless, complementary), dim=1)) + uptake * self.uptake[0])
        for convolution, bias in zip(self.hidden, self.uptake[1:]):
            x = x + F.relu(convolution(x) + uptake * bias)
        return F.pixel_shuffle(self.last(x), self.factor)
