"""Draw the icon of the extension and of the module: an axial head, grey anatomy on one side, uptake on the other.

Run from anywhere: python Resources/draw_icons.py
"""

from pathlib import Path

import numpy as np
from PIL import Image

SIZE, SUPERSAMPLING = 128, 8
ROOT = Path(__file__).resolve().parents[1]
TARGETS = (ROOT / "MMIFAmin" / "Resources" / "Icons" / "MMIFAmin.png", ROOT / "Resources" / "MMIFAmin.png")
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


if __name__ == "__main__":
    for target in TARGETS:
        target.parent.mkdir(parents=True, exist_ok=True)
        draw().save(target, optimize=True)
        print(target.relative_to(ROOT))
