"""Text read off a picture: letters recognised by their shape, and phrases found where they are printed."""

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from scipy.ndimage import label
from scipy.signal import fftconvolve

_SHAPE = (20, 20)  # letters are compared at this size, whatever size they are printed in
_SIZES = range(11, 25)  # points in which phrases are looked for
_ALIKE = 0.85  # correlation from which a place shows the phrase


def printed(text: str, size: float) -> np.ndarray:
    """``text`` white on black, (H, W) in [0, 1], cut to its ink."""
    font = ImageFont.load_default(size)
    canvas = Image.new("L", (int(font.getlength(text)) + 20, 3 * int(size) + 20))
    ImageDraw.Draw(canvas).text((8, 8), text, 255, font)
    return _ink(np.asarray(canvas) / 255)


def read_letter(patch: np.ndarray, among: str = "RLAPSI") -> str:
    """Which letter of ``among`` a patch (H, W) of grey print on black shows, by its largest connected shape."""
    shapes, _ = label(patch > 0.2 * patch.max(), np.ones((3, 3)))
    largest = np.bincount(shapes.ravel())[1:].argmax() + 1
    seen = _normal(_ink(np.where(shapes == largest, patch, 0)))
    return max(among, key=lambda letter: float((seen * _normal(printed(letter, 40))).sum()))


def find_text(picture: np.ndarray, text: str) -> list[tuple[float, float]]:
    """Where a grey picture (H, W) shows ``text`` (a phrase of two characters or more): row and column of each
    middle.
    """
    picture = np.pad(np.asarray(picture, float), 12)
    best = np.full(picture.shape, -1.0)
    for size in _SIZES:
        template = np.pad(printed(text, size), 2)  # a margin of background: "12" is not found in "112"
        np.maximum(best, _correlation(picture, template), out=best)
    places, count = label(best > _ALIKE, np.ones((3, 3)))
    peaks = (np.argwhere((places == n + 1) & (best == best[places == n + 1].max()))[0] for n in range(count))
    return [(row - 12.0, column - 12.0) for row, column in peaks]


def _correlation(picture: np.ndarray, template: np.ndarray) -> np.ndarray:
    """Pearson's correlation of ``template`` with every place of ``picture``, at the template's middle."""
    template = template - template.mean()
    ones = np.ones_like(template)
    products = fftconvolve(picture, template[::-1, ::-1], mode="same")
    sums, squares = (fftconvolve(p, ones, mode="same") for p in (picture, picture**2))
    spread = np.sqrt(np.maximum(squares - sums**2 / ones.size, 1e-3) * (template**2).sum())
    return products / np.maximum(spread, 1e-6 * max(spread.max(), 1.0))


def _ink(image: np.ndarray) -> np.ndarray:
    rows, columns = (np.flatnonzero((image > 0.2 * image.max()).any(axis=axis)) for axis in (1, 0))
    return image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def _normal(shape: np.ndarray) -> np.ndarray:
    """Resized to one size; its mean 0, its length 1."""
    image = Image.fromarray((shape / shape.max() * 255).astype(np.uint8)).resize(_SHAPE[::-1])
    values = np.asarray(image, float) - np.mean(image)
    return values / np.linalg.norm(values)
