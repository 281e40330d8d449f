"""Volume-wide context: what the network's global layers know of a volume while they see one slice.

Channel squeeze, group norm and transposed attention rest on means over pixels. Of one slice alone these differ from
slice to slice, and with them the value of the same tissue. So every global layer asks for its means: an image on its own
has its own, the slices of a volume share those of a sample of them.
"""

from collections.abc import Callable

import torch

Context = tuple[torch.Tensor, ...]
"""The means of all global layers in the order in which they ask, float32, ``(N, ...)`` each; N is 1 for a volume."""

Means = Callable[[Callable[[torch.Tensor], torch.Tensor], torch.Tensor], torch.Tensor | None]
"""Called by a layer with how it takes its means of a tensor ``(N, C, h, w)``, and that tensor: None means its own."""


def own_means(take: Callable[[torch.Tensor], torch.Tensor], x: torch.Tensor) -> None:
    """Every image has the means of its own."""


class RecordedMeans:
    """Every image has the means of its own, which are kept in ``context``."""

    def __init__(self) -> None:
        self._taken: list[torch.Tensor] = []

    def __call__(self, take: Callable[[torch.Tensor], torch.Tensor], x: torch.Tensor) -> None:
        self._taken.append(take(x))

    @property
    def context(self) -> Context:
        """What was taken until now."""
        return tuple(self._taken)


class GivenMeans:
    """Every image has the means of the volume that it is a slice of. For one run of the network."""

    def __init__(self, context: Context) -> None:
        self._left = iter(context)

    def __call__(self, take: Callable[[torch.Tensor], torch.Tensor], x: torch.Tensor) -> torch.Tensor:
        return next(self._left)


def common_context(contexts: list[Context]) -> Context:
    """The context ``(1, ...)`` of a volume, from those of a sample of its slices: their mean, in the given order."""
    return tuple(torch.cat(parts).mean(dim=0, keepdim=True) for parts in zip(*contexts))


def sample_slices(slices: int) -> list[int]:
    """Which of ``slices`` stand for the volume: one in eight, 2 to 16 of them, evenly spread."""
    count = min(slices, max(2, min(16, slices // 8)))
    return [round((2 * index + 1) * slices / (2 * count) - 0.5) for index in range(count)]
