"""Draw the icons: a head with grey anatomy on one side and uptake on the other, and the thumbnail of the sample data.

Run from anywhere in the project's environment: python Resources/draw_icons.py
"""

from pathlib import Path

import numpy as np
import SimpleITK as sitk
from PIL import Image

from MMIFAminLib.display.color import ColorTable
from MMIFAminLib.module.sample import build_phantom_pair
from MMIFAminLib.volume.geometry import resample_to, slice_view

SIZE, SUPERSAMPLING = 128, 8
ROOT = Path(__file__).resolve().parents[1]
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


def draw_sample() -> Image.Image:
    """An axial slice of the sample pair: its MR on the left half, its PET in colours on the right half."""
    mr, pet = build_phantom_pair()
    view = slice_view(mr, "axial")
    grey, uptake = (view.take(sitk.GetArrayFromImage(image)) for image in (mr, resample_to(pet, mr)[0]))
    middle = len(grey) // 2 + 12
    rgb = np.repeat(np.clip(grey[middle] / 900.0, 0, 1)[..., None], 3, axis=-1)
    right = np.arange(rgb.shape[1]) >= rgb.shape[1] // 2
    rgb[:, right] = ColorTable.named("pet-heat")(uptake[middle] / uptake.max())[:, right]
    picture = Image.fromarray((rgb * 255).round().astype(np.uint8))
    picture.thumbnail((SIZE, SIZE), Image.Resampling.LANCZOS)
    return picture


if __name__ == "__main__":
    ICONS.mkdir(parents=True, exist_ok=True)
    for target in (ICONS / "MMIFAmin.png", ROOT / "Resources" / "MMIFAmin.png"):
        draw().save(target, optimize=True)
    draw_sample().save(ICONS / "MMIFAminPhantom.png", optimize=True)
