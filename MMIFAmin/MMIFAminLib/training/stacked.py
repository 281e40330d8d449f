"""The network as MONAI's inferers and tools take one: a single tensor in; and an inferer that sees the whole volume."""

from typing import Any

import torch
from monai.inferers.inferer import SliceInferer

from ..network import MMIFAMIN, Architecture, Context, common_context, sample_slices


class StackedMMIFAMIN(MMIFAMIN):
    """MMIF-AMIN on stacked pairs; ``uptake`` says for all of them whether the functional image is measured uptake.

    Keyword arguments besides ``uptake`` are those of ``Architecture``; the parameters are those of ``MMIFAMIN``.
    """

    def __init__(self, uptake: bool, **architecture: Any) -> None:
        super().__init__(Architecture.from_dict(architecture))
        self.shows_uptake = uptake

    def forward(self, image: torch.Tensor, context: Context | None = None) -> torch.Tensor:
        """``(N, 2, H, W)`` in [0, 1], anatomical then functional, to the fused ``(N, 1, H, W)``."""
        return super().forward(*self._parts(image), context=context)

    def see(self, image: torch.Tensor) -> Context:
        """What the global layers see of each stacked pair ``(N, 2, H, W)``."""
        return self.image_context(*self._parts(image))

    def _parts(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        return image[:, :1], image[:, 1:], image.new_full((len(image),), float(self.shows_uptake))


class VolumeInferer(SliceInferer):
    """MONAI's ``SliceInferer``, after the global layers have seen a sample of the slices that are not empty."""

    def __call__(
        self, inputs: torch.Tensor, network: StackedMMIFAMIN, *args: Any, **kwargs: Any
    ) -> torch.Tensor | tuple[torch.Tensor, ...] | dict[Any, torch.Tensor]:
        """``inputs`` ``(1, 2, H, W, D)``, slices along the last axis, to the fused ``(1, 1, H, W, D)``."""
        occupied = [k for k in range(inputs.shape[-1]) if inputs[..., k].any()]
        context = None
        if len(occupied) > 1:
            context = common_context([network.see(inputs[..., occupied[i]]) for i in sample_slices(len(occupied))])
        return super().__call__(inputs, network, *args, context=context, **kwargs)
