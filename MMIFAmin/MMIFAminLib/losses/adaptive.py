"""The adaptive loss: what each term is worth is learned during training, for each kind of image pair.

Fusion methods are compared by their ranks in many measures, and what a little more of a measure is worth depends on how
close the competitors are: where four of them lie within a hair, a small gain overtakes them all; where none is near, it
changes nothing. So at every validation the field is looked at from where the network then stands, and the terms'
weights follow. The network's weights are trained on training images, the few weights here on the validation images.
"""

import math

import torch
from torch import nn

from .terms import TERMS

MEASURES = {
    "structure": ("SSIM",),
    "differences": ("SCD",),
    "visual_information": ("VIF",),
    "edge_transfer": ("Qabf",),
    "mutual_information": ("MI",),
    "entropy": ("ENfg",),
    "contrast": ("SD",),
    "sharpness": ("SF", "AG"),
}
"""The metrics that each term stands for."""

STEP = {
    "SSIM": 0.003,
    "SCD": 0.018,
    "VIF": 0.02,
    "Qabf": 0.008,
    "MI": 0.018,
    "ENfg": 0.006,
    "SD": 0.018,
    "SF": 0.0125,
    "AG": 0.017,
}
"""What each metric of a network in training moves from one validation to the next, as a share of itself: means over two
runs from trained weights, rounded.
"""

_UNIT = 1.1  # weight of a term that is worth the whole field; keeps the sum in proportion to the anchors
BOUNDS = (0.1, 50.0)  # of a weight


class AdaptiveLoss(nn.Module):
    """A weighted sum of terms, with weights of its own for each of ``kinds`` kinds of image pairs.

    ``weights`` ``{term: weight}`` are what every kind begins with; ``adapt`` moves them towards what the terms are
    worth, by the share ``rate`` (in logarithms; 0: the weights stay as given), where competitors within ``reach`` times
    a metric's ``STEP`` matter, and those behind count as ``behind`` times as far away. ``anchors`` ``{term: weight}``
    are added with constant weights: a classical method meets these terms exactly, so that there is nothing to win.
    """

    log_weights: torch.Tensor

    def __init__(
        self,
        weights: dict[str, float],
        rate: float = 0.4,
        reach: float = 1.5,
        behind: float = 1.0,
        anchors: dict[str, float] | None = None,
        kinds: int = 1,
    ) -> None:
        super().__init__()
        self.names = tuple(weights)
        self.rate, self.reach, self.behind = rate, reach, behind
        self.anchors = dict(anchors or {})
        start = torch.tensor([float(weight) for weight in weights.values()])
        self.register_buffer("log_weights", start.log().repeat(kinds, 1))

    def forward(
        self, a: torch.Tensor, b: torch.Tensor, f: torch.Tensor, kind: torch.Tensor
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """Sources and fused ``(N, 1, H, W)`` in [0, 1] and the number of each one's kind ``(N,)`` to the loss, the
        value of every term, and its mean weight.
        """
        values = {name: TERMS[name](a, b, f) for name in (*self.names, *self.anchors)}
        report = {name: value.mean() for name, value in values.items()}
        loss = sum((weight * report[name] for name, weight in self.anchors.items()), f.new_zeros(()))
        for name, weight in zip(self.names, self.log_weights.exp()[kind].unbind(dim=1)):
            loss = loss + (weight * values[name]).mean()
            report[f"weight of {name}"] = weight.mean()
        return loss, report

    def weights(self, kind: int) -> dict[str, float]:
        """The weights that the terms have for ``kind`` now."""
        return dict(zip(self.names, self.log_weights[kind].exp().tolist()))

    @torch.no_grad()
    def take_over(self, kind: int, learned: dict[str, float]) -> None:
        """Begin for ``kind`` with the weights that an earlier stage has learned; those of another set of terms are left
        aside.
        """
        if set(learned) == set(self.names):
            self.log_weights[kind] = torch.tensor([learned[name] for name in self.names]).log()

    def learn(self, kind: int, own: dict[str, float], values: dict[str, float], field: list[dict[str, float]]) -> None:
        """Learn for ``kind`` from a validation: ``own`` ``{metric: mean}``, ``values`` ``{term: mean}`` and the scores
        ``{metric: mean}`` of every competitor, at least one, on the same images.
        """
        self.adapt(kind, {name: worth(name, values[name], own, field, self.reach, self.behind) for name in self.names})

    @torch.no_grad()
    def adapt(self, kind: int, worths: dict[str, float]) -> None:
        """Move the weights for ``kind`` towards the ``worths`` of the terms (see ``worth``)."""
        wanted = self.log_weights.new_tensor([worths[name] * _UNIT for name in self.names]).clamp(*BOUNDS).log()
        # Rounded, so that the last bits of a metric do not make two runs differ.
        self.log_weights[kind].lerp_(wanted.round(decimals=4), self.rate)


def worth(
    name: str, value: float, own: dict[str, float], field: list[dict[str, float]], reach: float, behind: float
) -> float:
    """What share of the field the whole way of term ``name`` from 1 to 0 would overtake at the present rate.

    ``value`` is the term's mean on some images, ``own`` ``{metric: mean}`` the scores there and ``field`` those of
    every competitor, at least one. On that way a metric m = c (1 - term) grows by the share 1 / (1 - term) of itself;
    the density of competitors is that of a kernel exp(-distance / (reach * STEP)), distances being logarithms of
    ratios. A competitor ahead can be overtaken, one behind need only be kept there: it counts as ``behind`` times as
    far away.
    """
    density = 0.0
    for metric in MEASURES[name]:
        width, here = reach * STEP[metric], max(own[metric], 1e-3)
        leads = (math.log(max(scores[metric], 1e-3) / here) / width for scores in field)
        density += sum(math.exp(-lead if lead > 0 else behind * lead) for lead in leads) / (2 * width * len(field))
    return density / max(1 - value, 1e-6)
