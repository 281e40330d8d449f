"""The terms of the fusion loss: differentiable forms of what the field measures.

Every term maps sources ``a``, ``b`` and fused ``f``, all ``(N, 1, H, W)`` in [0, 1] and float32, to one value an image,
``(N,)``: 0 is the best, about 1 the worst. ``docs/method.md`` has the equations and where they come from.
"""

import math
from collections.abc import Sequence
from functools import cache

import torch
from torch.nn import functional as F

from ..network.bounds import fused_uptake

_EPS = 1e-6


def intensity(a: torch.Tensor, b: torch.Tensor, f: torch.Tensor) -> torch.Tensor:
    """Mean distance to the brighter source, over pixels where either source is above 0."""
    brighter = torch.maximum(a, b)
    return _foreground_mean((f - brighter).abs(), brighter)


def gradient(a: torch.Tensor, b: torch.Tensor, f: torch.Tensor) -> torch.Tensor:
    """Mean distance between the Sobel gradient of ``f`` and that of the source whose edge is stronger there."""
    ga, gb, gf = sobel(a), sobel(b), sobel(f)
    stronger = torch.where(_norm(ga) >= _norm(gb), ga, gb)
    return _foreground_mean((gf - stronger).abs().sum(dim=1, keepdim=True), torch.maximum(a, b))


def invention(a: torch.Tensor, b: torch.Tensor, f: torch.Tensor) -> torch.Tensor:
    """Mean step between neighbouring pixels of ``f`` beyond the steps that both sources have within a pixel of it,
    added.

    A texture where both sources are flat would win sharpness and entropy; here it costs. Steps, not central
    differences: those do not see a pattern that repeats every second pixel.
    """
    allowed = sum(F.max_pool2d(torch.maximum(*_steps(x)), 3, stride=1, padding=1) for x in (a, b))
    along, across = _steps(f)
    beyond = F.relu(along - allowed) + F.relu(across - allowed)
    return _foreground_mean(beyond, torch.maximum(a, b))


def darkness(a: torch.Tensor, b: torch.Tensor, f: torch.Tensor) -> torch.Tensor:
    """Mean depth of ``f`` below the darkest value that either source has within a pixel of it.

    Dark places beside bright ones would win contrast and entropy; what is darker than both sources is in neither.
    """
    darkest = -F.max_pool2d(-torch.minimum(a, b), 3, stride=1, padding=1)
    return _foreground_mean(F.relu(darkest - f), torch.maximum(a, b))


def structure(a: torch.Tensor, b: torch.Tensor, f: torch.Tensor) -> torch.Tensor:
    """``1 - mean SSIM`` to the two sources (7x7 uniform window, sample covariance; Wang et al., 2004)."""
    ma, mb, mf, aa, bb, ff, af, bf = _filter_valid(
        torch.cat((a, b, f, a * a, b * b, f * f, a * f, b * f)), [1.0 / 7.0] * 7
    ).chunk(8)
    sample = 49.0 / 48.0
    vf = sample * (ff - mf * mf)

    def dissimilarity(m, square, product):
        v, cov = sample * (square - m * m), sample * (product - m * mf)
        luminance = (2 * m * mf + 1e-4) / (m * m + mf * mf + 1e-4)
        return 1.0 - (luminance * (2 * cov + 9e-4) / (v + vf + 9e-4)).mean(dim=(1, 2, 3))

    return 0.5 * (dissimilarity(ma, aa, af) + dissimilarity(mb, bb, bf))


def differences(a: torch.Tensor, b: torch.Tensor, f: torch.Tensor) -> torch.Tensor:
    """``1 - SCD / 2``, sum of the correlations of differences (Aslantas and Bendes, 2015)."""
    return 1.0 - 0.5 * (correlation(f - b, a) + correlation(f - a, b))


def visual_information(a: torch.Tensor, b: torch.Tensor, f: torch.Tensor) -> torch.Tensor:
    """``1 - VIF / 2``, pixel-domain visual information fidelity summed over the sources (Sheikh and Bovik, 2006)."""
    return 1.0 - 0.5 * vif(torch.cat((a, b)), torch.cat((f, f))).view(2, -1).sum(dim=0)


def edge_transfer(a: torch.Tensor, b: torch.Tensor, f: torch.Tensor) -> torch.Tensor:
    """``1 - Qabf``, edge strength and orientation kept from the sources (Xydeas and Petrovic, 2000)."""
    ga, gb, gf = (255.0 * sobel(x) for x in (a, b, f))
    na, nb = _norm(ga), _norm(gb)
    kept = _edge_preservation(ga, gf) * na + _edge_preservation(gb, gf) * nb
    return 1.0 - kept.sum(dim=(1, 2, 3)) / ((na + nb).sum(dim=(1, 2, 3)) + _EPS)


def mutual_information(a: torch.Tensor, b: torch.Tensor, f: torch.Tensor, bins: int = 64) -> torch.Tensor:
    """``1 - (I(f;a) + I(f;b)) / (H(a) + H(b))`` from soft joint histograms."""
    everywhere = torch.ones_like(f)
    fa, fb = joint_histogram(f, a, everywhere, bins), joint_histogram(f, b, everywhere, bins)
    hf, ha, hb = _entropy(fa.sum(dim=2)), _entropy(fa.sum(dim=1)), _entropy(fb.sum(dim=1))
    shared = 2 * hf + ha + hb - _entropy(fa.flatten(1)) - _entropy(fb.flatten(1))
    return 1.0 - shared / (ha + hb + _EPS)


def entropy(a: torch.Tensor, b: torch.Tensor, f: torch.Tensor, bins: int = 128) -> torch.Tensor:
    """``1 - H(f) / H_max`` over the head (either source above 12/255): a fused image that uses its grey levels."""
    inside = (torch.maximum(a, b) > 12.0 / 255.0).to(f.dtype)
    histogram = joint_histogram(f, torch.zeros_like(f), inside, bins)[:, :, 0]
    return 1.0 - _entropy(histogram) / math.log(bins)


def contrast(a: torch.Tensor, b: torch.Tensor, f: torch.Tensor) -> torch.Tensor:
    """How far the standard deviation falls short of that of the sum of the sources, as a fraction of it."""
    reach = (a + b).flatten(1).std(dim=1)
    return F.relu(1.0 - f.flatten(1).std(dim=1) / (reach + _EPS))


def sharpness(a: torch.Tensor, b: torch.Tensor, f: torch.Tensor) -> torch.Tensor:
    """How far the mean gradient falls short of 1.25 times that of the source whose gradient is stronger, as a fraction of it."""
    reach = torch.maximum(_norm(differences_xy(a)), _norm(differences_xy(b))).mean(dim=(1, 2, 3))
    return F.relu(1.0 - _norm(differences_xy(f)).mean(dim=(1, 2, 3)) / (1.25 * reach + _EPS))


def legibility(a: torch.Tensor, b: torch.Tensor, f: torch.Tensor) -> torch.Tensor:
    """Mean distance to the form of uptake ``b`` on anatomy ``a`` without the network's say, over 0.02.

    Of that form uptake and anatomy can be read back exactly; what the network adds must be worth what it costs there.
    """
    return _foreground_mean((f - fused_uptake(a, b, torch.zeros_like(f))).abs(), torch.maximum(a, b)) / 0.02


TERMS = {
    "intensity": intensity,
    "gradient": gradient,
    "invention": invention,
    "darkness": darkness,
    "structure": structure,
    "differences": differences,
    "visual_information": visual_information,
    "edge_transfer": edge_transfer,
    "mutual_information": mutual_information,
    "entropy": entropy,
    "contrast": contrast,
    "sharpness": sharpness,
    "legibility": legibility,
}


def sobel(x: torch.Tensor) -> torch.Tensor:
    """Sobel gradient ``(N, 2, H, W)`` (horizontal, vertical) of ``(N, 1, H, W)``, scaled so that a unit step gives
    1.
    """
    x = F.pad(x, (1, 1, 1, 1), mode="replicate")
    across, along = x[..., 2:] - x[..., :-2], x[..., 2:, :] - x[..., :-2, :]
    horizontal = 0.25 * (across[..., :-2, :] + across[..., 2:, :]) + 0.5 * across[..., 1:-1, :]
    vertical = 0.25 * (along[..., :-2] + along[..., 2:]) + 0.5 * along[..., 1:-1]
    return torch.cat((horizontal, vertical), dim=1)


def differences_xy(x: torch.Tensor) -> torch.Tensor:
    """Central differences ``(N, 2, H, W)`` of ``(N, 1, H, W)``."""
    x = F.pad(x, (1, 1, 1, 1), mode="replicate")
    horizontal = x[..., 1:-1, 2:] - x[..., 1:-1, :-2]
    vertical = x[..., 2:, 1:-1] - x[..., :-2, 1:-1]
    return 0.5 * torch.cat((horizontal, vertical), dim=1)


def _steps(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """How much ``(N, 1, H, W)`` changes to the next pixel on the right and below, 0 at the end."""
    right = F.pad((x[..., 1:] - x[..., :-1]).abs(), (0, 1))
    below = F.pad((x[..., 1:, :] - x[..., :-1, :]).abs(), (0, 0, 0, 1))
    return right, below


def correlation(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Pearson correlation of each image pair, ``(N,)``; 0 where one of them is constant."""
    x, y = x.flatten(1), y.flatten(1)
    x, y = x - x.mean(dim=1, keepdim=True), y - y.mean(dim=1, keepdim=True)
    return (x * y).sum(dim=1) / torch.sqrt((x * x).sum(dim=1) * (y * y).sum(dim=1) + _EPS)


def vif(reference: torch.Tensor, distorted: torch.Tensor, scales: int = 4, noise: float = 2.0) -> torch.Tensor:
    """VIFp of ``distorted`` with respect to ``reference``, ``(N,)``; noise variance on the 0..255 scale."""
    noise = noise / 255.0**2
    gained, total = reference.new_zeros(()), reference.new_zeros(())
    for scale in range(scales):
        size = 2 ** (scales - scale) + 1
        if scale:
            stack = torch.cat((reference, distorted))
            reference, distorted = _gaussian_valid(stack, size)[..., ::2, ::2].chunk(2)
        x, y = reference, distorted
        mx, my, xx, yy, xy = _gaussian_valid(torch.cat((x, y, x * x, y * y, x * y)), size).chunk(5)
        vx, vy, cov = (xx - mx * mx).clamp(min=0), (yy - my * my).clamp(min=0), xy - mx * my
        gain = (cov / (vx + 1e-8)).clamp(min=0)
        residual = (vy - gain * cov).clamp(min=1e-10)
        gained = gained + torch.log1p(gain * gain * vx / (residual + noise)).sum(dim=(1, 2, 3))
        total = total + torch.log1p(vx / noise).sum(dim=(1, 2, 3))
    return gained / (total + _EPS)


def joint_histogram(x: torch.Tensor, y: torch.Tensor, weight: torch.Tensor, bins: int) -> torch.Tensor:
    """Joint histogram ``(N, bins, bins)`` of two images in [0, 1], each pixel shared linearly between its two nearest
    levels, so that it has a gradient. Sums to 1 an image.
    """
    n = x.shape[0]
    x, y, weight = ((v.flatten(1).clamp(0.0, 1.0) * (bins - 1)) for v in (x, y, weight))
    weight = weight / (weight.sum(dim=1, keepdim=True) + _EPS)
    ix, iy = x.detach().floor().clamp(max=bins - 2), y.detach().floor().clamp(max=bins - 2)
    tx, ty = x - ix, y - iy
    corner = (ix * bins + iy).long() + torch.arange(n, device=x.device).unsqueeze(1) * bins * bins
    histogram = x.new_zeros(n * bins * bins)
    for step, share in (
        (0, (1 - tx) * (1 - ty)),
        (1, (1 - tx) * ty),
        (bins, tx * (1 - ty)),
        (bins + 1, tx * ty),
    ):
        histogram = histogram.index_add(0, (corner + step).flatten(), (share * weight).flatten())
    return histogram.view(n, bins, bins)


def _entropy(probabilities: torch.Tensor) -> torch.Tensor:
    return -(probabilities * torch.log(probabilities + 1e-10)).sum(dim=-1)


def _edge_preservation(source: torch.Tensor, fused: torch.Tensor) -> torch.Tensor:
    """Strength times orientation preservation of one source's edges, ``(N, 1, H, W)`` (constants of the paper)."""
    ns, nf = _norm(source), _norm(fused)
    strength = torch.minimum(ns, nf) / (torch.maximum(ns, nf) + _EPS)
    # Edges without a sign: the cosine of the angle between them, folded to [0, 90] degrees, then made linear in it.
    cosine = (source * fused).sum(dim=1, keepdim=True).abs() / (ns * nf + _EPS)
    orientation = 1.0 - torch.acos(cosine.clamp(max=1.0 - 1e-4)) * (2.0 / torch.pi)
    qs = 0.9994 / (1.0 + torch.exp(-15.0 * (strength - 0.5)))
    qo = 0.9879 / (1.0 + torch.exp(-22.0 * (orientation - 0.8)))
    return qs * qo


def _norm(gradient: torch.Tensor) -> torch.Tensor:
    return torch.sqrt((gradient * gradient).sum(dim=1, keepdim=True) + 1e-10)


def _foreground_mean(values: torch.Tensor, brighter: torch.Tensor) -> torch.Tensor:
    inside = (brighter > 0).to(values.dtype)
    return (values * inside).sum(dim=(1, 2, 3)) / (inside.sum(dim=(1, 2, 3)) + 1.0)


def _gaussian_valid(x: torch.Tensor, size: int) -> torch.Tensor:
    """Gaussian window of ``size`` pixels, sigma size / 5, without padding."""
    offsets = torch.arange(size) - size // 2
    window = torch.exp(-0.5 * (offsets / (size / 5.0)) ** 2)
    return _filter_valid(x, (window / window.sum()).tolist())


def _filter_valid(x: torch.Tensor, window: Sequence[float]) -> torch.Tensor:
    """Separable filter without padding, as two products with banded matrices: ten times faster here than one-channel
    convolutions, forwards and backwards.
    """
    rows, columns = (_band(tuple(window), length, x.device, x.dtype) for length in x.shape[-2:])
    return rows.T @ (x @ columns)


@cache
def _band(window: tuple[float, ...], length: int, device: torch.device, dtype: torch.dtype) -> torch.Tensor:
    """``(length, length - size + 1)``: column j holds ``window`` from row j on."""
    size = len(window)
    band = torch.zeros(length, length - size + 1, dtype=dtype)
    columns = torch.arange(band.shape[1])
    for offset, weight in enumerate(window):
        band[columns + offset, columns] = weight
    return band.to(device)
