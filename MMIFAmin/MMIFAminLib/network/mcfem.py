"""MCFEM, the Multi-scale Complementary Feature Extraction Module: what two modalities share and where they differ.

The three named parts (hybrid attention, convolutions of several sizes, Transformers) are from Luo and Xu, 2025; their
inner form is ours. Everything runs at a quarter of the image's resolution.
"""

import torch
from torch import nn

from .attention import ChannelSqueeze, GatedFeedForward, ImageNorm, TransposedAttention
from .context import Means, own_means


class MultiScaleConvolution(nn.Module):
    """Parallel convolutions of several kernel sizes, each on its own share of the channels, mixed by a 1x1."""

    def __init__(self, channels: int, kernel_sizes: tuple[int, ...] = (3, 5, 7)) -> None:
        super().__init__()
        share = channels // len(kernel_sizes)
        self.shares = [share] * (len(kernel_sizes) - 1) + [channels - share * (len(kernel_sizes) - 1)]
        self.branches = nn.ModuleList(
            nn.Conv2d(width, width, size, padding=size // 2) for width, size in zip(self.shares, kernel_sizes)
        )
        self.mix = nn.Conv2d(channels, channels, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``(N, channels, h, w)`` to the same shape."""
        parts = [branch(part) for branch, part in zip(self.branches, x.split(self.shares, dim=1))]
        return self.mix(torch.relu(torch.cat(parts, dim=1)))


class SpatialAttention(nn.Module):
    """One weight in (0, 1) a position, from the mean and maximum over channels (CBAM; Woo et al., 2018)."""

    def __init__(self, kernel_size: int = 7) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(2, 1, kernel_size, padding=kernel_size // 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``(N, C, h, w)`` weighted by ``(N, 1, h, w)``."""
        summary = torch.cat((x.mean(dim=1, keepdim=True), x.amax(dim=1, keepdim=True)), dim=1)
        return x * torch.sigmoid(self.convolution(summary))


class HybridAttention(nn.Module):
    """Channel attention, then spatial attention."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channel = ChannelSqueeze(channels)
        self.spatial = SpatialAttention()

    def forward(self, x: torch.Tensor, means: Means = own_means) -> torch.Tensor:
        """``(N, C, h, w)`` to the same shape."""
        return self.spatial(self.channel(x, means))


class TransformerBlock(nn.Module):
    """Transposed self-attention and a gated feed-forward network."""

    def __init__(self, channels: int, heads: int, expansion: float) -> None:
        super().__init__()
        self.attention_norm = ImageNorm(channels)
        self.attention = TransposedAttention(channels, heads)
        self.feed_forward_norm = ImageNorm(channels)
        self.feed_forward = GatedFeedForward(channels, expansion)

    def forward(self, x: torch.Tensor, means: Means = own_means) -> torch.Tensor:
        """``(N, C, h, w)`` to the same shape."""
        x = x + self.attention(self.attention_norm(x, means), means)
        return x + self.feed_forward(self.feed_forward_norm(x, means))


class MCFEM(nn.Module):
    """Complementary features of both modalities: multi-scale convolutions, hybrid attention, Transformer blocks.

    Takes the IDN features of both, ``(N, 2 * in_channels, h, w)``, and returns ``(N, channels, h, w)``. Each part can
    be left out for the ablation; a part that is out is replaced by nothing, since all are residual.
    """

    def __init__(
        self,
        in_channels: int,
        channels: int,
        transformer_blocks: int,
        heads: int = 4,
        expansion: float = 1.5,
        kernel_sizes: tuple[int, ...] = (3, 5, 7),
        attention: bool = True,
    ) -> None:
        super().__init__()
        self.project = nn.Conv2d(2 * in_channels, channels, 3, padding=1)
        self.uptake = nn.Parameter(torch.zeros(channels, 1, 1))
        self.scales = MultiScaleConvolution(channels, kernel_sizes)
        self.attention = HybridAttention(channels) if attention else None
        self.transformer = nn.ModuleList(
            TransformerBlock(channels, heads, expansion) for _ in range(transformer_blocks)
        )

    def forward(self, features: torch.Tensor, uptake: torch.Tensor, means: Means = own_means) -> torch.Tensor:
        """``(N, 2 * in_channels, h, w)`` and ``uptake`` ``(N, 1, 1, 1)``, 0 or 1, to ``(N, channels, h, w)``."""
        x = self.project(features) + uptake * self.uptake
        scales = self.scales(x)
        x = x + (self.attention(scales, means) if self.attention is not None else scales)
        for block in self.transformer:
            x = block(x, means)
        return x
