"""A candidate for the adaptive loss: each image says by itself which term it still owes.

Maximum, guided-filter and Laplacian-pyramid fusion each win some of the field's measures on some images; no learned
method beats them in all. So they set the goals: for each image and each term the best of the three. A term's weight
grows exponentially with how far the fused image stays behind that goal, and fades once it is ahead, image by image:

    w = weight * exp(sharpness * (value / goal - 1))

so that the term which is furthest behind is worked on first.
"""

import torch
from torch import nn

from ..evaluation.baselines import guided_filter, laplacian_pyramid
from .terms import TERMS

_SMALLEST_GOAL = 0.02  # a goal of almost 0 would make its term the only one that counts
_WORST = 0.6  # relative shortfall beyond which the weight grows no further


class ShortfallLoss(nn.Module):
    """Terms weighted per image by their shortfall behind the best classical fusion of that image.

    ``weights`` ``{term: weight}`` say how much a term counts when it is on its goal; ``sharpness`` how fast that
    changes off it; ``anchors`` ``{term: weight}`` are added with constant weights (terms that a classical method meets
    exactly, such as the distance to the maximum, have no goal).
    """

    def __init__(
        self, weights: dict[str, float], sharpness: float = 1.0, anchors: dict[str, float] | None = None
    ) -> None:
        super().__init__()
        self.weights = dict(weights)
        self.sharpness = sharpness
        self.anchors = dict(anchors or {})

    def forward(
        self, a: torch.Tensor, b: torch.Tensor, f: torch.Tensor, kind: torch.Tensor
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """Sources and fused ``(N, 1, H, W)`` in [0, 1] to the loss, the value of every term, and its mean weight; the
        images' ``kind`` ``(N,)`` does not matter.
        """
        values = {name: TERMS[name](a, b, f) for name in (*self.weights, *self.anchors)}
        report = {name: value.mean() for name, value in values.items()}
        loss = sum((weight * report[name] for name, weight in self.anchors.items()), f.new_zeros(()))
        goals = self.goals(a, b)
        for name, given in self.weights.items():
            shortfall = (values[name].detach() / goals[name] - 1).clamp(-1.0, _WORST)
            weight = given * torch.exp(self.sharpness * shortfall)
            loss = loss + (weight * values[name]).mean()
            report[f"weight of {name}"] = weight.mean()
        return loss, report

    @torch.no_grad()
    def goals(self, a: torch.Tensor, b: torch.Tensor) -> dict[str, torch.Tensor]:
        """For each term the best value ``(N,)`` of maximum, guided-filter and Laplacian-pyramid fusion of each pair."""
        first, second = a[:, 0].cpu().numpy(), b[:, 0].cpu().numpy()
        filtered = [
            torch.from_numpy(fuse(first, second)).unsqueeze(1).to(a) for fuse in (guided_filter, laplacian_pyramid)
        ]
        candidates = torch.cat((torch.maximum(a, b), *filtered))
        a, b = a.repeat(3, 1, 1, 1), b.repeat(3, 1, 1, 1)
        return {
            name: TERMS[name](a, b, candidates).view(3, -1).amin(dim=0).clamp(min=_SMALLEST_GOAL)
            for name in self.weights
        }
