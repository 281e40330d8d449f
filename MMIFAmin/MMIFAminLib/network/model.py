"""MMIF-AMIN as one module: two images in, one fused image out."""

import copy
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from .bounds import fused_picture, fused_uptake
from .context import Context, GivenMeans, Means, RecordedMeans, own_means
from .decoder import FusionDecoder
from .idn import InvertibleDenseNetwork
from .mcfem import MCFEM


@dataclass(frozen=True)
class Architecture:
    """The inner sizes of MMIF-AMIN, stored with the weights. The flags at the end exist for the ablation."""

    idn_blocks: int = 2
    idn_growth: int = 24
    channels: int = 48
    transformer_blocks: int = 2
    decoder_width: int = 96
    decoder_layers: int = 2
    kernel_sizes: tuple[int, ...] = (3, 5, 7)
    attention: bool = True
    idn: bool = True
    mcfem: bool = True
    affine: bool = True

    def to_dict(self) -> dict[str, Any]:
        """Plain values for a JSON model card."""
        return asdict(self) | {"kernel_sizes": list(self.kernel_sizes)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Architecture":
        """The inverse of ``to_dict``; model cards older than ``affine`` describe networks without it."""
        sizes = tuple(values.get("kernel_sizes", (3, 5, 7)))
        return cls(**{"affine": False, **values, "kernel_sizes": sizes})


class PlainFeatures(nn.Module):
    """The ablation's stand-in for the IDN: convolutions of the same cost, with no inverse."""

    factor, channels = 4, 16

    def __init__(self, blocks: int, growth: int) -> None:
        super().__init__()
        width = growth + 26
        layers = [nn.PixelUnshuffle(4), nn.Conv2d(16, width, 3, padding=1), nn.ReLU()]
        for _ in range(blocks):
            layers += [nn.Conv2d(width, width, 3, padding=1), nn.ReLU()]
        self.layers = nn.Sequential(*layers, nn.Conv2d(width, 16, 3, padding=1))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """``(N, 1, H, W)`` to ``(N, 16, H/4, W/4)``."""
        return self.layers(image)


class MMIFAMIN(nn.Module):
    """IDN features of each source, MCFEM features of both, and a decoder that says how the fused image differs from a bound form.

    The decoder's maps give a residual ``tanh(offset + share_a * a + share_b * b)`` at every pixel; ``bounds`` has the form
    that it enters, which keeps what the sources show whatever the weights. The local affine form lets fine detail pass
    through a network at a quarter of the resolution (Gharbi et al., 2017); without ``affine`` there is the offset alone.
    Sources are ``(N, 1, H, W)`` in [0, 1], any H and W from 16 up; so is the result.

    ``uptake`` ``(N,)`` says which second sources are measured uptake, where more must be brighter wherever it is, and which
    are pictures (CT, MR, luma of colours): it chooses the form, and moves biases in the network.
    """

    def __init__(self, architecture: Architecture = Architecture()) -> None:
        super().__init__()
        a = self.architecture = architecture
        self.idn = (InvertibleDenseNetwork if a.idn else PlainFeatures)(a.idn_blocks, a.idn_growth)
        features = self.idn.channels
        if a.mcfem:
            self.mcfem = MCFEM(
                features,
                a.channels,
                a.transformer_blocks,
                kernel_sizes=a.kernel_sizes,
                attention=a.attention,
            )
        self.decoder = FusionDecoder(
            features,
            a.channels if a.mcfem else 0,
            a.decoder_width,
            a.decoder_layers,
            self.idn.factor,
            maps=3 if a.affine else 1,
        )

    def forward(
        self,
        a: torch.Tensor,
        b: torch.Tensor,
        uptake: torch.Tensor | None = None,
        context: Context | None = None,
    ) -> torch.Tensor:
        """Fuse ``a`` and ``b``, ``(N, 1, H, W)`` in [0, 1]; ``uptake`` ``(N,)`` is 1 where ``b`` is measured uptake, else 0
        (everywhere 0 if left out). ``context`` is that of the volume (see ``image_context``); without it every image is
        seen on its own. In training mode the result is not clipped.
        """
        height, width = a.shape[-2:]
        a, b = self._pad(a), self._pad(b)
        flags = self._flags(a, uptake)
        means = own_means if context is None else GivenMeans(context)
        lossless, complementary = self._features(a, b, flags, means)
        maps = self.decoder(lossless, complementary, flags.to(lossless.dtype))
        residual, *shares = maps.to(a.dtype).split(1, dim=1)
        for share, source in zip(shares, (a, b)):
            residual = residual + share * source
        residual = torch.tanh(residual)
        if uptake is None:
            fused = fused_picture(a, b, residual)
        else:
            fused = torch.where(flags > 0, fused_uptake(a, b, residual), fused_picture(a, b, residual))
        fused = fused[..., :height, :width]
        return fused if self.training else fused.clamp(0.0, 1.0)

    def image_context(self, a: torch.Tensor, b: torch.Tensor, uptake: torch.Tensor | None = None) -> Context:
        """What the global layers see of each image, sources as for ``forward``: ``common_context`` makes a volume's of it."""
        a, b, means = self._pad(a), self._pad(b), RecordedMeans()
        self._features(a, b, self._flags(a, uptake), means)
        return means.context

    def _flags(self, a: torch.Tensor, uptake: torch.Tensor | None) -> torch.Tensor:
        return (a.new_zeros(len(a)) if uptake is None else uptake.to(a.dtype)).view(-1, 1, 1, 1)

    def _features(
        self, a: torch.Tensor, b: torch.Tensor, flags: torch.Tensor, means: Means
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """IDN features of both sources and MCFEM's of the pair, computed in the precision of the parameters."""
        both = torch.cat((a, b)).to(self.decoder.last.weight.dtype, memory_format=torch.channels_last)
        lossless = torch.cat(self.idn(both).chunk(2), dim=1)
        if not self.architecture.mcfem:
            return lossless, lossless[:, :0]
        return lossless, self.mcfem(lossless, flags.to(both.dtype), means)

    def prepared(self, device: str, precision: str) -> "MMIFAMIN":
        """A copy for inference on ``device`` with features in ``precision`` ("fp32", "bf16", "fp16"), channels last."""
        dtype = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[precision]
        network = copy.deepcopy(self).eval().requires_grad_(False)
        # The stub of Module.to has no memory_format.
        return network.to(device=device, dtype=dtype, memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]

    def start_from(self, other: "MMIFAMIN") -> None:
        """Take over the weights of ``other``; one without ``affine`` gives the same fused images, by shares of 0.

        Raises ValueError where the architectures differ in anything else.
        """
        if replace(other.architecture, affine=self.architecture.affine) != self.architecture:
            raise ValueError("the architectures differ")
        last = self.decoder.last
        state = other.state_dict()
        for name in ("decoder.last.weight", "decoder.last.bias"):
            given = state[name]
            state[name] = given.new_zeros(last.out_channels, *given.shape[1:])
            state[name][: len(given)] = given
        self.load_state_dict(state)

    def _pad(self, image: torch.Tensor) -> torch.Tensor:
        factor = self.idn.factor
        bottom, right = (-image.shape[-2]) % factor, (-image.shape[-1]) % factor
        return F.pad(image, (0, right, 0, bottom), mode="replicate") if bottom or right else image
