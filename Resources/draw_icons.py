"""Draw the icons: a head with grey anatomy on one side and uptake on the other, and the thumbnails of the sample data.

Run from anywhere in the project's environment: python Resources/draw_icons.py
"""

from pathlib import Path

import numpy as np
import SimpleITK as sitk
from PIL import Image

from MMIFAminLib import VolumeFuser
from MMIFAminLib.module.sample import SAMPLES, Sample, build_pair
from MMIFAminLib.volume.geometry import slice_view
from MMIFAminLib.volume.simulation import LESIONS

SIZE, SUPERSAMPLING = 128, 8
ROOT = Path(__file__).resolve().parents[1]
WINDOWS = {"head": "auto", "trunk": "0:10"}  # SUV
ICONS = ROOT / "MMIFAmin" / "Resources" / "Icons"
HEAT = np.array([[0.25, 0.0, 0.25], [0.75, 0.05, 0.1], [1.0, 0.45, 0.0], [1.0, 0.85, 0.2], [1.0, 1.0, 0.9]])


def draw() -> Image.Image:
    """The icon as RGBA, `SIZE` pixels square, transparent around the head."""
    n = SIZE * SUPERSAMPLING
    y, x = (np.mgrid[0:n, 0:n] + 0.5) / n * 2 - 1
    skull = np.hypot(x / 0.80, y / 0.97)
    brain = np.hypot(x / 0.64, y / 0.81)
    # A few broad folds only: finer ones would be noise at 16 pixels.
    angle = np.arctan2(y / 0.81, x / 0.64)
    folds = 0.5 + 0.5 * np.cos(9 * angle + 5 * np.sin(3 * brain))
    grey = np.clip(0.78 - 0.30 * folds * np.clip(brain * 1.6 - 0.35, 0, 1), 0, 1)
    spot = np.exp(-(((x - 0.30) / 0.24) ** 2 + ((y + 0.22) / 0.24) ** 2))
    uptake = np.clip(0.42 + 0.25 * folds * brain + 0.75 * spot, 0, 1)
    levels = np.linspace(0, 1, len(HEAT))
    hot = np.stack([np.interp(uptake, levels, HEAT[:, channel]) for channel in range(3)], axis=-1)

    rgb = np.zeros((n, n, 3))
    rgb[skull <= 1] = (0.16, 0.17, 0.20)
    shell = (skull <= 0.97) & (skull > 0.885)
    rgb[shell & (x < 0)] = (0.86, 0.87, 0.90)
    rgb[shell & (x >= 0)] = (0.95, 0.55, 0.15)
    left, right = (brain <= 1) & (x < -0.03), (brain <= 1) & (x > 0.03)
    rgb[left] = grey[left, None]
    rgb[right] = hot[right]
    rgba = np.dstack([rgb, skull <= 1]) * 255
    return Image.fromarray(rgba.round().astype(np.uint8)).resize((SIZE, SIZE), Image.Resampling.BOX)


def draw_sample(sample: Sample, fuser: VolumeFuser) -> Image.Image:
    """The axial slice of a sample pair through its first lesion, fused."""
    fused = fuser.fuse(*build_pair(sample), functional_window=WINDOWS[sample.part])
    k = fused.image.TransformPhysicalPointToIndex(LESIONS[sample.part][0].center)[2]
    picture = slice_view(fused.image, "axial").take(sitk.GetArrayFromImage(fused.rgb("inferno"))[k : k + 1])[0]
    shown = picture.max(axis=-1) > 25
    (top, bottom), (left, right) = (np.flatnonzero(shown.any(axis=axis))[[0, -1]] for axis in (1, 0))
    image = Image.fromarray(np.ascontiguousarray(picture[top : bottom + 1, left : right + 1]))
    scale = SIZE / max(image.size)
    image = image.resize([round(n * scale) for n in image.size], Image.Resampling.LANCZOS)
    square = Image.new("RGB", (SIZE, SIZE))
    square.paste(image, ((SIZE - image.width) // 2, (SIZE - image.height) // 2))
    return square


if __name__ == "__main__":
    ICONS.mkdir(parents=True, exist_ok=True)
    for target in (ICONS / "MMIFAmin.png", ROOT / "Resources" / "MMIFAmin.png"):
        draw().save(target, optimize=True)
    fuser = VolumeFuser.load()
    for sample in SAMPLES.values():
        draw_sample(sample, fuser).save(ICONS / f"{sample.name}.png", optimize=True)
