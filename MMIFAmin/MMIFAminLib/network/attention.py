"""The layers of MCFEM that look at all of an image: channel squeeze, group norm, transposed attention.

Each takes ``means`` (see ``context``): where its means over pixels come from.
"""

import torch
from torch import nn
from torch.nn import functional as F

from .context import Means, own_means


class ChannelSqueeze(nn.Module):
    """Squeeze and excitation: a weight in (0, 1) for each channel, from the channels' means (Hu et al., 2018)."""

    def __init__(self, channels: int, reduction: int = 4) -> None:
        super().__init__()
        hidden = channels // reduction
        self.fc = nn.Sequential(nn.Linear(channels, hidden), nn.ReLU(), nn.Linear(hidden, channels), nn.Sigmoid())

    def forward(self, x: torch.Tensor, means: Means = own_means) -> torch.Tensor:
        """``(N, C, h, w)`` to the same shape."""
        given = means(_channel_means, x)
        squeezed = x.mean(dim=(2, 3)) if given is None else given.to(x.dtype)
        return x * self.fc(squeezed)[..., None, None]


class ImageNorm(nn.GroupNorm):
    """Group norm with one group: mean and deviation over all channels and pixels (Wu and He, 2018)."""

    def __init__(self, channels: int) -> None:
        super().__init__(1, channels)

    def forward(self, x: torch.Tensor, means: Means = own_means) -> torch.Tensor:
        """``(N, C, h, w)`` to the same shape."""
        given = means(_moments, x)
        if given is None:
            return super().forward(x)
        mean, square = given.unbind(dim=1)
        scale = self.weight * (square - mean.square()).clamp(min=0).add(self.eps).rsqrt()
        shift = self.bias - mean * scale
        shift, scale = (values.to(x.dtype).view(-1, 1, 1) for values in (shift, scale))
        return torch.addcmul(shift, x, scale)


class TransposedAttention(nn.Module):
    """Self-attention between channels, at a cost linear in the number of pixels (Restormer; Zamir et al., 2022)."""

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.temperature = nn.Parameter(torch.ones(heads, 1, 1))
        self.qkv = nn.Conv2d(channels, 3 * channels, 1)
        self.qkv_dwconv = nn.Conv2d(3 * channels, 3 * channels, 3, padding=1, groups=3 * channels)
        self.project_out = nn.Conv2d(channels, channels, 1)

    def forward(self, x: torch.Tensor, means: Means = own_means) -> torch.Tensor:
        """``(N, C, h, w)`` to the same shape."""
        qkv = self.qkv_dwconv(self.qkv(x))
        given = means(self._products, qkv)
        query, key, value = self._heads(qkv)
        if given is None:
            similarity = F.normalize(query, dim=-1) @ F.normalize(key, dim=-1).transpose(-2, -1)
        else:
            products, squares = given.split((given.shape[-1] - 2, 2), dim=-1)
            length = squares.clamp(min=1e-12).sqrt()
            similarity = (products / (length[..., :1] * length[..., 1:].transpose(-2, -1))).to(x.dtype)
        mixed = (similarity * self.temperature).softmax(dim=-1) @ value
        return self.project_out(mixed.reshape(x.shape))

    def _heads(self, qkv: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Query, key and value, ``(N, heads, C / heads, h * w)`` each."""
        return tuple(part.reshape(len(part), self.heads, -1, part[0, 0].numel()) for part in qkv.chunk(3, dim=1))

    def _products(self, qkv: torch.Tensor) -> torch.Tensor:
        """Means over pixels of query times key and of both squared, ``(N, heads, C / heads, C / heads + 2)``."""
        query, key, _ = (part.float() for part in self._heads(qkv))
        squares = torch.stack((query.square().mean(dim=-1), key.square().mean(dim=-1)), dim=-1)
        return torch.cat((query @ key.transpose(-2, -1) / query.shape[-1], squares), dim=-1)


class GatedFeedForward(nn.Module):
    """A gated feed-forward network with depth-wise convolutions (Restormer; Zamir et al., 2022)."""

    def __init__(self, channels: int, expansion: float) -> None:
        super().__init__()
        hidden = int(channels * expansion)
        self.project_in = nn.Conv2d(channels, 2 * hidden, 1)
        self.dwconv = nn.Conv2d(2 * hidden, 2 * hidden, 3, padding=1, groups=2 * hidden)
        self.project_out = nn.Conv2d(hidden, channels, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``(N, C, h, w)`` to the same shape."""
        gate, value = self.dwconv(self.project_in(x)).chunk(2, dim=1)
        return self.project_out(F.gelu(gate) * value)


def _channel_means(x: torch.Tensor) -> torch.Tensor:
    """``(N, C)``."""
    return x.float().mean(dim=(2, 3))


def _moments(x: torch.Tensor) -> torch.Tensor:
    """Mean and mean square over channels and pixels, ``(N, 2)``."""
    x = x.float()
    return torch.stack((x.mean(dim=(1, 2, 3)), x.square().mean(dim=(1, 2, 3))), dim=1)
