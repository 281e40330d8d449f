"""The adaptive loss: what each term is worth is learned during training, for each kind of image pair.

Fusion methods are compared by their ranks in many measures, and what a little more of a measure is worth depends on how
close the competitors are: where four of them lie within a hair, a small gain overtakes them all; where none is near, it
changes nothing. So from time to time the field is looked at from where the network then stands, and the terms' weights
follow. Everything here is learned on the images of the training cases; how others do on them is ``training.field``'s.
"""

import math
from typing import NamedTuple

import torch
from torch import nn

from ..errors import InputError
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


class Standing(NamedTuple):
    """How the network does on the images of one patient, and how its competitors do there: means over the images."""

    own: dict[str, float]
    """``{metric: score}`` of the network."""
    values: dict[str, float]
    """``{term: value}`` of the loss."""
    field: dict[str, dict[str, float]]
    """``{method: {metric: score}}`` of every competitor, at least one."""


class AdaptiveLoss(nn.Module):
    """A weighted sum of terms, with weights of its own for each of ``kinds`` kinds of image pairs.

    ``weights`` ``{term: weight}`` are what every kind begins with; ``learn`` moves them towards what the terms are
    worth, by the share ``rate`` (in logarithms; 0: the weights stay as given), where competitors within ``reach`` times
    a metric's ``STEP`` matter. ``margins`` ``{metric: margin}`` are promises: no further than that behind the best of
    the field, whatever it is worth in ranks (see ``worth``). ``anchors`` ``{term: weight}`` are added with constant
    weights: a classical method meets these terms exactly, so that there is nothing to win. With ``uptake``
    ``{term: weight}`` there is one kind more, the last: measured uptake, which no ranks judge, with these weights and
    no others. Raises InputError for names that are none, and for weights that are not above 0.
    """

    log_weights: torch.Tensor
    constants: torch.Tensor

    def __init__(
        self,
        weights: dict[str, float],
        rate: float = 0.4,
        reach: float = 1.5,
        margins: dict[str, float] | None = None,
        anchors: dict[str, float] | None = None,
        uptake: dict[str, float] | None = None,
        kinds: int = 1,
    ) -> None:
        super().__init__()
        anchors, uptake, margins = anchors or {}, uptake or {}, margins or {}
        metrics = {metric for name in weights for metric in MEASURES.get(name, ())}
        unknown = [name for name in weights if name not in MEASURES]
        unknown += [name for name in (*anchors, *uptake) if name not in TERMS]
        unknown += [name for name in margins if name not in metrics]
        if unknown:
            raise InputError(
                f"loss.options names {', '.join(unknown)}: there is no such term, or no term for such a metric."
            )
        if zero := [name for name, weight in weights.items() if not weight > 0]:
            raise InputError(f"loss.options.weights: {zero[0]} must be above 0; leave a term out that is not wanted.")
        self.names = tuple(weights)
        self.anchors = (*anchors, *(name for name in uptake if name not in (*weights, *anchors)))
        self.rate, self.reach, self.margins = rate, reach, margins
        tasks = [weights | anchors] * kinds
        table = torch.tensor([[float(row.get(name, 0)) for name in self._terms] for row in (*tasks, uptake)])
        self.register_buffer("log_weights", table[:, : len(weights)].log())
        self.register_buffer("constants", table[:, len(weights) :])

    @property
    def _terms(self) -> tuple[str, ...]:
        return self.names + self.anchors

    def forward(
        self, a: torch.Tensor, b: torch.Tensor, f: torch.Tensor, kind: torch.Tensor
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """Sources and fused ``(N, 1, H, W)`` in [0, 1] and the number of each one's kind ``(N,)`` to the loss, the
        value of every term, and its mean weight.
        """
        values = torch.stack([TERMS[name](a, b, f) for name in self._terms], dim=1)
        weights = torch.cat((self.log_weights.exp(), self.constants), dim=1)[kind]
        report = dict(zip(self._terms, values.mean(dim=0)))
        report |= {f"weight of {name}": weight for name, weight in zip(self.names, weights.mean(dim=0))}
        return (weights * values).sum(dim=1).mean(), report

    def weights(self, kind: int) -> dict[str, float]:
        """The weights that the terms have for ``kind`` now."""
        return dict(zip(self.names, self.log_weights[kind].exp().tolist()))

    @torch.no_grad()
    def take_over(self, kind: int, learned: dict[str, float]) -> None:
        """Begin for ``kind`` with the weights that an earlier run has learned; those of another set of terms are left
        aside.
        """
        if set(learned) == set(self.names):
            self.log_weights[kind] = torch.tensor([learned[name] for name in self.names]).log()

    def learn(self, kind: int, patients: list[Standing]) -> None:
        """Learn for ``kind`` from how the network stands on each of ``patients``.

        What a term is worth is the mean over patients, so that a lead over a competitor which one patient has and the
        next does not keeps its term's weight up.
        """

        def mean_worth(name: str) -> float:
            worths = [
                worth(name, p.values[name], p.own, list(p.field.values()), self.reach, self.margins) for p in patients
            ]
            return sum(worths) / len(patients)

        self.adapt(kind, {name: mean_worth(name) for name in self.names})

    @torch.no_grad()
    def adapt(self, kind: int, worths: dict[str, float]) -> None:
        """Move the weights for ``kind`` towards the ``worths`` of the terms (see ``worth``)."""
        wanted = self.log_weights.new_tensor([worths[name] * _UNIT for name in self.names]).clamp(*BOUNDS).log()
        # Rounded, so that the last bits of a metric do not make two runs differ.
        self.log_weights[kind].lerp_(wanted.round(decimals=4), self.rate)


def worth(
    name: str,
    value: float,
    own: dict[str, float],
    field: list[dict[str, float]],
    reach: float,
    margins: dict[str, float] | None = None,
) -> float:
    """What share of the field the whole way of term ``name`` from 1 to 0 would overtake at the present rate.

    ``value`` is the term's mean on some images, ``own`` ``{metric: mean}`` the scores there and ``field`` those of
    every competitor, at least one. On that way a metric m = c (1 - term) grows by the share 1 / (1 - term) of itself;
    the density of competitors is that of a kernel exp(-distance / (reach * STEP)), distances being logarithms of
    ratios: one ahead can be overtaken, one behind must be kept there. A metric with a margin has a bound, so far below the
    best competitor's score, that counts as a quarter of the field.
    """
    density = 0.0
    for metric in MEASURES[name]:
        width, here = reach * STEP[metric], max(own[metric], 1e-3)
        rivals = [scores[metric] for scores in field]
        if margins and metric in margins:
            rivals += [max(rivals) - margins[metric]] * (len(field) // 4)
        leads = (math.log(max(score, 1e-3) / here) / width for score in rivals)
        density += sum(math.exp(-abs(lead)) for lead in leads) / (2 * width * len(field))
    return density / max(1 - value, 1e-6)
