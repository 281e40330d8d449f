"""Invertible squeeze: the orthonormal Haar transform, one 2x2 block of pixels to four channels."""

import torch
from torch import nn
from torch.nn import functional as F


class HaarSqueeze(nn.Module):
    """Lossless squeeze of space into channels by ``levels`` Haar transforms of every channel.

    Maps ``(N, C, H, W)`` to ``(N, C * 4**levels, H / 2**levels, W / 2**levels)``; H and W must be multiples of
    ``2**levels``. The composed filters are orthonormal, so the inverse is the transposed convolution with the same
    filters and no value is scaled up or down on the way. All levels are one strided convolution.
    """

    filters: torch.Tensor

    def __init__(self, levels: int = 2) -> None:
        super().__init__()
        self.factor = 2**levels
        self.register_buffer("filters", _composed_filters(levels), persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``(N, 1, H, W)`` to ``(N, 4**levels, H/f, W/f)``."""
        return F.conv2d(x, self.filters.to(x.dtype), stride=self.factor)

    def inverse(self, z: torch.Tensor) -> torch.Tensor:
        """``(N, 4**levels, h, w)`` back to ``(N, 1, h*f, w*f)``."""
        return F.conv_transpose2d(z, self.filters.to(z.dtype), stride=self.factor)


def _composed_filters(levels: int) -> torch.Tensor:
    """The ``4**levels`` orthonormal two-dimensional Haar packet filters, ``(4**levels, 1, f, f)``."""
    low, high = torch.tensor([1.0, 1.0]) / 2**0.5, torch.tensor([1.0, -1.0]) / 2**0.5
    one_level = [torch.outer(rows, columns) for rows in (low, high) for columns in (low, high)]
    filters = one_level
    for _ in range(levels - 1):
        filters = [torch.kron(outer, inner) for outer in filters for inner in one_level]
    return torch.stack(filters).unsqueeze(1)
