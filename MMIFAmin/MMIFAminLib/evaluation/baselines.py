"""Classical fusion baselines: every table compares the network with these.

Each takes two float arrays of one shape in [0, 1], (H, W) or a stack (D, H, W) that is fused slice by slice, and
returns a float32 array of that shape in [0, 1]. They raise InputError if the shapes differ or are not 2D or 3D.
"""

import numpy as np
from scipy.ndimage import correlate1d, gaussian_filter1d, uniform_filter1d

from ..errors import InputError


def average(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Mean of the two sources."""
    a, b = _checked(a, b)
    return (a + b) / 2


def maximum(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The brighter of the two sources at each pixel."""
    return np.maximum(*_checked(a, b))


def laplacian_pyramid(a: np.ndarray, b: np.ndarray, levels: int = 5) -> np.ndarray:
    """Laplacian pyramid fusion (Burt and Kolczynski, 1993; Burt and Adelson's 5-tap kernel).

    The stronger coefficient of each of the `levels` detail bands is kept and the coarse remainders are averaged. Levels
    that a small image does not have are left out.
    """
    a, b = _checked(a, b)
    details = []
    while len(details) < levels and min(a.shape[-2:]) > 4:
        coarse_a, coarse_b = _reduce(a), _reduce(b)
        a, b = a - _expand(coarse_a, a.shape), b - _expand(coarse_b, b.shape)
        details.append(np.where(np.abs(a) >= np.abs(b), a, b))
        a, b = coarse_a, coarse_b
    fused = (a + b) / 2
    for detail in reversed(details):
        fused = detail + _expand(fused, detail.shape)
    return np.clip(fused, 0, 1)


def guided_filter(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Guided filter fusion with the constants of its paper (Li, Kang and Hu, IEEE TIP 2013).

    A 31x31 mean splits each source into base and detail; saliency (smoothed absolute Laplacian) says which source
    counts where, and guided filters align that map with each source's edges, widely for the base, tightly for the
    detail.
    """
    sources = _checked(a, b)
    saliency = [_each_axis(gaussian_filter1d, np.abs(_laplacian(x)), sigma=5.0, radius=5) for x in sources]
    weights = [saliency[0] >= saliency[1], saliency[1] > saliency[0]]
    base = base_weight = detail = detail_weight = 0
    for source, weight in zip(sources, weights):
        weight = weight.astype(np.float32)
        smooth = _each_axis(uniform_filter1d, source, size=31)
        wide, tight = np.clip(_guided(weight, source, 45, 0.3), 0, 1), np.clip(_guided(weight, source, 7, 1e-6), 0, 1)
        base, base_weight = base + wide * smooth, base_weight + wide
        detail, detail_weight = detail + tight * (source - smooth), detail_weight + tight
    tiny = 1e-6
    return np.clip(base / (base_weight + tiny) + detail / (detail_weight + tiny), 0, 1)


def pca(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """PCA fusion: the sources weighted by the first principal component of their joint values in each slice.

    Where neither varies they count alike.
    """
    a, b = _checked(a, b)
    x, y = (source.reshape(-1, *source.shape[-2:]) for source in (a, b))
    fused = np.empty(x.shape, np.float32)
    for k, (first, second) in enumerate(zip(x, y)):
        covariance = np.cov(np.stack([first.ravel(), second.ravel()]).astype(np.float64))
        main = np.abs(np.linalg.eigh(covariance)[1][:, -1]) if covariance.any() else np.ones(2)
        fused[k] = (main[0] * first + main[1] * second) / main.sum()
    return fused.reshape(a.shape)


BASELINES = {
    "average": average,
    "maximum": maximum,
    "laplacian_pyramid": laplacian_pyramid,
    "guided_filter": guided_filter,
    "pca": pca,
}


def _checked(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    a, b = np.asarray(a, np.float32), np.asarray(b, np.float32)
    if a.shape != b.shape or a.ndim not in (2, 3):
        raise InputError(f"The two sources have shapes {a.shape} and {b.shape}: give two equal 2D or 3D arrays.")
    return a, b


def _each_axis(filter1d, image: np.ndarray, mode="reflect", **options) -> np.ndarray:
    """Filter rows and columns of each slice."""
    return filter1d(filter1d(image, axis=-1, mode=mode, **options), axis=-2, mode=mode, **options)


def _reduce(image: np.ndarray) -> np.ndarray:
    """Smooth rows and columns by (1, 4, 6, 4, 1) / 16, mirrored beyond the border, at every second pixel only."""
    for axis in (-2, -1):
        x = np.moveaxis(image, axis, -1)
        x = np.concatenate([x[..., 2:0:-1], x, x[..., -2:-4:-1]], axis=-1)
        n = (x.shape[-1] - 3) // 2
        left, before, here, after, right = (x[..., k : k + 2 * n : 2][..., :n] for k in range(5))
        image = np.moveaxis((left + right) / 16 + (before + after) / 4 + here * np.float32(0.375), -1, axis)
    return image


def _expand(image: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The same kernel on twice the grid, edges repeated, cut to the rows and columns of `shape`."""
    for axis in (-2, -1):
        x = np.moveaxis(image, axis, -1)
        x = np.concatenate([x[..., :1], x, x[..., -1:]], axis=-1)
        doubled = np.empty((*x.shape[:-1], 2 * x.shape[-1] - 4), np.float32)
        doubled[..., ::2] = (x[..., :-2] + x[..., 2:]) / 8 + x[..., 1:-1] * np.float32(0.75)
        doubled[..., 1::2] = (x[..., 1:-1] + x[..., 2:]) / 2
        image = np.moveaxis(doubled[..., : shape[axis]], -1, axis)
    return image


def _laplacian(image: np.ndarray) -> np.ndarray:
    kernel = [1, -2, 1]
    return correlate1d(image, kernel, axis=-1, mode="nearest") + correlate1d(image, kernel, axis=-2, mode="nearest")


def _guided(image: np.ndarray, guide: np.ndarray, radius: int, epsilon: float) -> np.ndarray:
    """Guided image filter (He, Sun and Tang, 2010) over windows of 2 * radius + 1."""

    def mean(x):
        return _each_axis(uniform_filter1d, x, size=2 * radius + 1)

    # float64: with so small an epsilon the variance of a flat window must not be rounding noise.
    image, guide = image.astype(np.float64), guide.astype(np.float64)
    mean_image, mean_guide = mean(image), mean(guide)
    slope = (mean(image * guide) - mean_image * mean_guide) / (mean(guide * guide) - mean_guide**2 + epsilon)
    offset = mean_image - slope * mean_guide
    return (mean(slope) * guide + mean(offset)).astype(np.float32)
