"""What the fused value may be, whatever the weights: the form of the output, and what it proves.

``residual`` is the network's say, any number in [-1, 1] at every pixel. Both forms keep the background of both sources at
0 and never fall below what both sources show; ``docs/method.md`` has the proofs.
"""

import torch

SUPPORT = 4.0 / 255.0
"""The network's say fades out below this intensity, so that the background of both sources stays background."""

HEADROOM = 0.6
"""Where white anatomy without uptake ends in uptake mode: all above it is left for uptake. As in ``volume.shown``."""

HOTTEST = 0.9
"""Where the hottest uptake on black anatomy ends; on white anatomy it ends at white."""

LEAST_GAIN = 0.25
"""What part of a rise of uptake the fused value must rise by at least, on the mean over a lesion's core."""

LEAST_RISE = 0.02
"""The mean rise of uptake over a lesion's core from which that is guaranteed: peaks of 0.03 of the window have it."""


def fused_picture(a: torch.Tensor, b: torch.Tensor, residual: torch.Tensor) -> torch.Tensor:
    """Two pictures (CT, MR, luma): the brighter one, changed by the network, and never below the darker one.

    ``a``, ``b`` in [0, 1]. The result is not clipped above.
    """
    return torch.maximum(torch.maximum(a, b) + _gate(a, b) * residual, torch.minimum(a, b))


def fused_uptake(a: torch.Tensor, u: torch.Tensor, residual: torch.Tensor) -> torch.Tensor:
    """Uptake ``u`` on anatomy ``a``, both in [0, 1]: bilinear between four corners, and the light that the network adds.

    The corners are 0 (neither), ``HEADROOM`` (white anatomy), ``HOTTEST`` (full uptake on black) and 1 (both). More uptake
    is brighter at every pixel, by ``gain``; the network takes nothing away, and what it adds where there is no lesion,
    ``reach`` at most, is no more than a lesion has left above ``LEAST_GAIN``. Never below the anatomy as it is shown,
    ``HEADROOM * a``, nor below both sources.
    """
    return HEADROOM * a + u * gain(a) + _gate(a, u) * reach(a, u) * residual.clamp(min=0)


def gain(a: torch.Tensor) -> torch.Tensor:
    """How much the fused value rises with uptake on anatomy ``a``: from ``HOTTEST`` on black to 1 - ``HEADROOM`` on white."""
    return HOTTEST + (1 - HOTTEST - HEADROOM) * a


def reach(a: torch.Tensor, u: torch.Tensor) -> torch.Tensor:
    """By how much the network may brighten the fused value of ``a`` and ``u``.

    What a rise of uptake by ``LEAST_RISE`` has left above ``LEAST_GAIN``: then a lesion keeps that gain even where the network
    adds all it may without it and nothing with it. It shrinks as the anatomy's share of the fused value does, so that anatomy can
    be read back as well under uptake as beside it.
    """
    share = 1 - u * (1 - (1 - HOTTEST) / HEADROOM)  # of the contrast that anatomy has without uptake
    return (gain(a) - LEAST_GAIN) * LEAST_RISE * share


def _gate(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return (torch.maximum(a, b) * (1.0 / SUPPORT)).clamp(max=1.0)
