"""The field's thirteen fusion metrics on one fused image, and the mean rank that compares methods.

Definitions follow the evaluators the fusion papers share: EN, SD, SF, AG, MI, SCD (Aslantas and Bendes, 2015), VIF
(pixel domain, Sheikh and Bovik, 2006), Qabf (Xydeas and Petrovic, 2000), SSIM and MS-SSIM (Wang et al., 2003, 2004),
CC, PSNR; ENfg is EN inside the head, since noise in the background inflates EN. Scores that two sources each give are
summed for MI, SCD, VIF and SSIM and averaged for CC, PSNR (its mean squared error) and MSSSIM.
"""

from collections.abc import Mapping
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.ndimage import correlate1d, gaussian_filter, uniform_filter

from ..errors import InputError

PEAK = 255.0


class Metric(NamedTuple):
    """A metric's column name, what it tells a clinician, and the direction in which it improves."""

    name: str
    meaning: str
    higher_is_better: bool = True


METRICS = (
    Metric("EN", "How many grey levels the whole fused image uses (bits); background noise inflates it"),
    Metric("ENfg", "How much information the grey levels inside the head carry (bits)"),
    Metric("SD", "Overall contrast of the fused image (grey levels)"),
    Metric("SF", "How much fine detail and edges there are, from differences of neighbouring pixels"),
    Metric("AG", "How sharp the fused image is, from its mean gradient"),
    Metric("MI", "How much of the two sources' grey levels can be told from the fused image (nats)"),
    Metric("SCD", "How much of what only one source shows has reached the fused image (at most 2)"),
    Metric("VIF", "How much of the sources' visible structure the fused image keeps, over four scales"),
    Metric("Qabf", "How much of the sources' edges, in strength and direction, the fused image keeps (0 to 1)"),
    Metric("SSIM", "How alike the local structure of the fused image and both sources is (at most 2)"),
    Metric("CC", "How closely the fused brightness follows the two sources (at most 1)"),
    Metric("PSNR", "How small the grey-level differences to the two sources are (dB)"),
    Metric("MSSSIM", "How alike structure is at five scales, from fine to coarse (0 to 1)"),
)

RANKED = ("ENfg", "SD", "SF", "AG", "MI", "SCD", "VIF", "Qabf", "SSIM")
"""The nine metrics whose ranks are averaged to compare methods."""


def score(a: ArrayLike, b: ArrayLike, f: ArrayLike) -> dict[str, float]:
    """Score the fused image `f` of the anatomical image `a` and the functional image `b`.

    All three are (H, W), uint8 or float, in 0..255. Returns one value for each of ``METRICS``, in that order. A metric
    that cannot be computed on so small an image (VIF below 41 pixels, SSIM below 7, MSSSIM below 176) is NaN; a
    correlation with a constant image is 0. Raises InputError for other shapes, less than 2x2 pixels, unequal sizes or
    values that are not finite or outside 0..255.
    """
    a, b, f = _checked(a, b, f)
    ia, ib, if_ = (np.rint(image).astype(np.intp) for image in (a, b, f))
    head = gaussian_filter(np.maximum(a, b), 2.0) > 12.0
    mse = (np.mean((a - f) ** 2) + np.mean((b - f) ** 2)) / 2
    return {
        "EN": _entropy(if_),
        "ENfg": _entropy(if_[head]),
        "SD": float(f.std()),
        "SF": float(np.sqrt(np.mean(np.diff(f, axis=0) ** 2) + np.mean(np.diff(f, axis=1) ** 2))),
        "AG": _average_gradient(f),
        "MI": _mutual_information(if_, ia) + _mutual_information(if_, ib),
        "SCD": _correlation(f - b, a) + _correlation(f - a, b),
        "VIF": _visual_information_fidelity(a, b, f),
        "Qabf": _edge_preservation(a, b, f),
        "SSIM": _structural_similarity(a, b, f),
        "CC": (_correlation(a, f) + _correlation(b, f)) / 2,
        "PSNR": float(10 * np.log10(PEAK**2 / mse)) if mse > 0 else float("inf"),
        "MSSSIM": _multiscale_similarity(a, b, f),
    }


def rank_methods(scores: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """Mean rank of each method over the nine ``RANKED`` metrics, 1 = best, ties sharing their average rank.

    `scores` is ``{method: {metric: mean score}}``. The result is ordered from the best method to the worst; it holds
    only among the methods given, since another method shifts the ranks.
    """
    from scipy.stats import rankdata  # takes a second to import, and measuring a fusion does without

    better = {metric.name: metric.higher_is_better for metric in METRICS}
    table = np.array([[scores[m][k] if better[k] else -scores[m][k] for k in RANKED] for m in scores], float)
    ranks = rankdata(-table.reshape(len(scores), len(RANKED)), axis=0).mean(axis=1)
    return dict(sorted(zip(scores, ranks.tolist()), key=lambda item: item[1]))


def _checked(a: ArrayLike, b: ArrayLike, f: ArrayLike) -> list[np.ndarray]:
    images = []
    for name, image in (("anatomical", a), ("functional", b), ("fused", f)):
        image = np.asarray(image)
        if image.ndim != 2 or min(image.shape) < 2:
            raise InputError(f"The {name} image has shape {image.shape}: metrics need a 2D grey image, at least 2x2.")
        image = image.astype(np.float64)
        # Half a grey level is where rounding would leave the range: rescaled images differ by far more.
        if not (image.min() >= -0.5 and image.max() < PEAK + 0.5):
            raise InputError(f"The {name} image has values outside 0..255 or not finite: scale it to grey levels.")
        images.append(image)
    if len({image.shape for image in images}) > 1:
        sizes = ", ".join("x".join(map(str, image.shape)) for image in images)
        raise InputError(f"The anatomical, functional and fused images differ in size ({sizes}): they must be equal.")
    return images


def _entropy(levels: np.ndarray) -> float:
    counts = np.bincount(levels.ravel())
    p = counts[counts > 0] / max(levels.size, 1)
    return float(-np.sum(p * np.log2(p))) + 0.0


def _mutual_information(x: np.ndarray, y: np.ndarray) -> float:
    joint = np.bincount((x * 256 + y).ravel(), minlength=256 * 256).reshape(256, 256) / x.size
    outer = joint.sum(1, keepdims=True) * joint.sum(0, keepdims=True)
    seen = joint > 0
    return float(np.sum(joint[seen] * np.log(joint[seen] / outer[seen])))


def _correlation(x: np.ndarray, y: np.ndarray) -> float:
    x, y = x - x.mean(), y - y.mean()
    norm = np.sqrt(np.vdot(x, x) * np.vdot(y, y))
    return float(np.vdot(x, y) / norm) if norm > 0 else 0.0


def _average_gradient(f: np.ndarray) -> float:
    rows, columns = np.gradient(f)
    return float(np.mean(np.sqrt((rows**2 + columns**2) / 2)))


def _gaussian(size: int, sigma: float) -> np.ndarray:
    x = np.arange(size) - (size - 1) / 2
    kernel = np.exp(-(x**2) / (2 * sigma**2))
    return kernel / kernel.sum()


def _filter_inside(images: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Filter (N, H, W) images by the separable kernel, keeping only pixels whose whole window lies inside."""
    r = len(kernel) // 2
    images = correlate1d(images, kernel, axis=1)[:, r : images.shape[1] - r]
    return correlate1d(images, kernel, axis=2)[:, :, r : images.shape[2] - r]


def _moments(a: np.ndarray, b: np.ndarray, f: np.ndarray, smooth):
    """Local means, variances and covariances: (mean of each), (variance of each), (covariance of a and f, b and f)."""
    m = smooth(np.stack([a, b, f, a * a, b * b, f * f, a * f, b * f]))
    means = m[:3]
    return means, m[3:6] - means**2, m[6:] - means[:2] * means[2]


def _visual_information_fidelity(a, b, f, noise=2.0, tiny=1e-10) -> float:
    kept, available = np.zeros(2), np.zeros(2)
    for size in (17, 9, 5, 3):
        kernel = _gaussian(size, size / 5)
        if size < 17:
            a, b, f = _filter_inside(np.stack([a, b, f]), kernel)[:, ::2, ::2]
        if min(a.shape) < size:
            return float("nan")
        _, variance, covariance = _moments(a, b, f, partial(_filter_inside, kernel=kernel))
        variance = np.maximum(variance, 0)
        fused = variance[2]
        for i in range(2):
            source = variance[i]
            gain = covariance[i] / (source + tiny)
            residual = fused - gain * covariance[i]
            flat = source < tiny
            gain[flat], residual[flat] = 0, fused[flat]
            source = np.where(flat, 0, source)
            gain[fused < tiny], residual[fused < tiny] = 0, 0
            residual = np.where(gain < 0, fused, residual)
            gain = np.maximum(gain, 0)
            residual = np.maximum(residual, tiny)
            kept[i] += np.log10(1 + gain**2 * source / (residual + noise)).sum()
            available[i] += np.log10(1 + source / noise).sum()
    return float(np.sum(np.divide(kept, available, out=np.zeros(2), where=available > 0)))


def _edges(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sobel gradient magnitude and orientation in (-pi/2, pi/2] with y upward, zeros outside the image."""
    smooth, slope = (1.0, 2.0, 1.0), (-1.0, 0.0, 1.0)
    x = correlate1d(correlate1d(image, smooth, 0, mode="constant"), slope, 1, mode="constant")
    y = correlate1d(correlate1d(image, smooth, 1, mode="constant"), slope[::-1], 0, mode="constant")
    orientation = np.full_like(x, np.pi / 2)
    np.arctan(np.divide(y, x, out=orientation, where=x != 0), out=orientation, where=x != 0)
    return np.hypot(x, y), orientation


def _edge_preservation(a: np.ndarray, b: np.ndarray, f: np.ndarray) -> float:
    fused, fused_orientation = _edges(f)
    kept = total = 0.0
    for source in (a, b):
        strength, orientation = _edges(source)
        larger = np.maximum(strength, fused)
        # The shared evaluators let equal gradients keep their own value in place of a ratio of 1; so must we to agree.
        ratio = np.divide(np.minimum(strength, fused), larger, out=fused.copy(), where=strength != fused)
        alike = 1 - np.abs(orientation - fused_orientation) / (np.pi / 2)
        quality = 0.9994 / (1 + np.exp(-15 * (ratio - 0.5))) * 0.9879 / (1 + np.exp(-22 * (alike - 0.8)))
        kept += np.vdot(quality, strength)
        total += strength.sum()
    return float(kept / total) if total > 0 else 0.0


def _similarity(means: np.ndarray, variances: np.ndarray, covariances: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(2, H, W) maps of SSIM, and of its contrast and structure part alone, of each source against the fused image."""
    c1, c2 = (0.01 * PEAK) ** 2, (0.03 * PEAK) ** 2
    structure = (2 * covariances + c2) / (variances[:2] + variances[2] + c2)
    luminance = (2 * means[:2] * means[2] + c1) / (means[:2] ** 2 + means[2] ** 2 + c1)
    return luminance * structure, structure


def _structural_similarity(a: np.ndarray, b: np.ndarray, f: np.ndarray, size=7) -> float:
    if min(a.shape) < size:
        return float("nan")
    inside = (slice(None), slice(size // 2, -(size // 2)), slice(size // 2, -(size // 2)))
    means, variances, covariances = _moments(a, b, f, lambda images: uniform_filter(images, size, axes=(1, 2))[inside])
    sample = size**2 / (size**2 - 1)
    return float(_similarity(means, variances * sample, covariances * sample)[0].mean(axis=(1, 2)).sum())


def _multiscale_similarity(a: np.ndarray, b: np.ndarray, f: np.ndarray) -> float:
    weights, kernel = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333), _gaussian(11, 1.5)
    product = np.ones(2)
    for scale, weight in enumerate(weights):
        if scale:
            a, b, f = _halve(a), _halve(b), _halve(f)
        if min(a.shape) < len(kernel):
            return float("nan")
        full, structure = _similarity(*_moments(a, b, f, lambda images: _filter_inside(images, kernel)))
        last = scale == len(weights) - 1
        product *= np.maximum((full if last else structure).mean(axis=(1, 2)), 0) ** weight
    return float(product.mean())


def _halve(image: np.ndarray) -> np.ndarray:
    """Average of each block of 2x2 pixels; an odd last row or column is left out."""
    rows = image[: image.shape[0] // 2 * 2, : image.shape[1] // 2 * 2]
    rows = rows[::2] + rows[1::2]
    return (rows[:, ::2] + rows[:, 1::2]) / 4
