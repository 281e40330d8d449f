"""What is computed in one training step, as a module, so that DDP sees the network and the loss as one."""

import importlib
from typing import Any

import torch
from torch import nn

from ..errors import InputError
from ..losses.adaptive import AdaptiveLoss
from ..losses.lesion import plant_lesions
from ..network import MMIFAMIN
from .config import Config

_LOSSES = {
    "adaptive": "AdaptiveLoss",
    "information": "InformationLoss",
    "shortfall": "ShortfallLoss",
    "uncertainty": "UncertaintyLoss",
}


def build_loss(config: Config) -> nn.Module:
    """The loss that ``config`` names: maps (a, b, f, task) to (scalar, {term: scalar})."""
    if config.loss.name not in _LOSSES:
        raise InputError(f"loss.name is {config.loss.name!r}: choose {', '.join(_LOSSES)}.")
    module = importlib.import_module(f"MMIFAminLib.losses.{config.loss.name}")
    kind = getattr(module, _LOSSES[config.loss.name])
    own: dict[str, Any] = {"kinds": len(config.tasks)} if issubclass(kind, AdaptiveLoss) else {}
    try:
        return kind(**config.loss.options, **own)
    except TypeError as error:
        raise InputError(f"loss.options do not fit the {config.loss.name} loss ({error}).") from None


class TrainingStep(nn.Module):
    """Fuse a batch and say how bad the result is.

    The fused image reaches the loss clipped to [0, 1], because that is what will be seen; what was clipped is penalised
    on its own (``overshoot``). Passing the loss's gradient through the clipping would drive pixels ever further out.
    """

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.network = MMIFAMIN(config.architecture)
        self.loss = build_loss(config)

    def forward(
        self, a: torch.Tensor, b: torch.Tensor, lesion: torch.Tensor, uptake: torch.Tensor, task: torch.Tensor
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """``a``, ``b`` ``(N, 1, H, W)``, the lesion draws ``(N, 5)`` and the number of each one's task ``(N,)`` to the
        loss and its parts, detached.

        Where ``uptake`` ``(N,)`` bool says that ``b`` shows uptake, it gets a lesion (luma is no measure of it), and
        the loss takes it as a kind of pair of its own.
        """
        b = torch.where(uptake.view(-1, 1, 1, 1), plant_lesions(b, lesion), b)
        fused = self._fuse(a, b, uptake)
        clipped = fused.clamp(0, 1)
        loss, terms = self.loss(a, b, clipped, torch.where(uptake, len(self.config.tasks), task))
        parts = dict(terms, overshoot=(fused - clipped).square().mean())
        loss = loss + self.config.overshoot * parts["overshoot"]
        return loss, {name: value.detach() for name, value in parts.items()}

    def _fuse(self, a: torch.Tensor, b: torch.Tensor, uptake: torch.Tensor) -> torch.Tensor:
        """The unclipped fused image, fp32; only the network's residual is computed in ``precision``."""
        with torch.autocast(a.device.type, torch.bfloat16, enabled=self.config.precision == "bf16"):
            return self.network(a, b, uptake)

    def parameter_groups(self) -> list[dict]:
        """The network's parameters, and those of the loss where it has any, for the optimizer."""
        config = self.config
        groups = [
            {"params": list(self.network.parameters()), "lr": config.learning_rate, "weight_decay": config.weight_decay}
        ]
        learned = list(self.loss.parameters())
        if learned:
            groups.append({"params": learned, "lr": config.loss.learning_rate, "weight_decay": 0.0})
        return groups
