"""The network as MONAI's inferers and tools take one: a single tensor in."""

import torch

from ..network import MMIFAMIN, Architecture


class StackedMMIFAMIN(MMIFAMIN):
    """MMIF-AMIN on stacked pairs; ``uptake`` says for all of them whether the functional image is measured uptake.

    Keyword arguments besides ``uptake`` are those of ``Architecture``; the parameters are those of ``MMIFAMIN``.
    """

    def __init__(self, uptake: bool, **architecture):
        super().__init__(Architecture.from_dict(architecture))
        self.shows_uptake = uptake

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """``(N, 2, H, W)`` in [0, 1], anatomical then functional, to the fused ``(N, 1, H, W)``."""
        return super().forward(image[:, :1], image[:, 1:], image.new_full((len(image),), float(self.shows_uptake)))
