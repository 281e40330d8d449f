"""Pairs of anatomy and measured uptake for training: a trunk, average heads, phantoms with lesions in bone and noise."""

from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter

from ..engine.volumes import voxels
from ..errors import InputError
from ..files.datasets import require
from ..files.volumes import read_volume
from ..volume.geometry import on_cubes
from ..volume.resampling import resample_to
from .config import UptakePairs
from .data import UPTAKE, Case

_CT_WINDOWS = ((-135.0, 215.0), (-450.0, 1050.0), (-1350.0, 150.0))  # HU; soft tissue, bone, lung
_SUV = 10.0
_SPACING = 1.25  # mm; the trunk has 3 mm, average heads 2, atlas images about 1
_HEADS = (("T1", "PET"), ("T2", "PET"), ("PD", "PET"), ("T1", "SPECT"), ("T2", "SPECT"))
_SIZE = 192  # pixels, of a phantom


def load_uptake(pairs: UptakePairs, data: str | Path, smallest: int) -> list[Case]:
    """The pairs that ``pairs`` asks for from below the folder ``data``: axial slices of at least ``smallest`` pixels.

    Raises InputError where a folder lacks a file, or slices are smaller.
    """
    cases = []
    if pairs.body:
        cases += _body(Path(data) / pairs.body)
    if pairs.templates:
        cases += _heads(Path(data) / pairs.templates)
    cases += [_phantom(number) for number in range(pairs.phantoms)]
    small = [case for case in cases if min(case.anatomical.shape) < smallest]
    if small:
        raise InputError(f"{small[0].name} is smaller than a patch of {smallest} pixels.")
    if pairs.samples and not cases:
        raise InputError(
            "uptake.samples asks for pairs of uptake, but no source is named: body, templates or phantoms."
        )
    return cases


def _body(folder: Path) -> list[Case]:
    ct, pet = (read_volume(require(folder / f"{name}.nrrd", "body", folder.parent)) for name in ("ct", "fdg"))
    ct = on_cubes(ct, _SPACING)
    uptake = np.clip(voxels(resample_to(pet, ct)[0]) / _SUV, 0, 1)
    values = voxels(ct)
    cases = []
    for number in range(2, len(values), 4):
        low, high = _CT_WINDOWS[number // 4 % len(_CT_WINDOWS)]
        cases.append(_case(f"body{number:03}", (values[number] - low) / (high - low), uptake[number]))
    return cases


def _heads(folder: Path) -> list[Case]:
    names = {name for pair in _HEADS for name in pair}
    volumes = {name: read_volume(require(folder / f"{name}.nii.gz", "templates", folder.parent)) for name in names}
    cases = []
    for number, (first, second) in enumerate(_HEADS):
        head = on_cubes(volumes[first], _SPACING)
        a, u = (voxels(resample_to(volumes[name], head)[0]) for name in (first, second))
        a, u = a / np.percentile(a, 99.8), u / np.percentile(u, 99.9)
        slices = range(20 + 2 * number, len(a) - 10, 10)
        cases += [_case(f"{first}-{second}{index:03}", a[index], u[index]) for index in slices]
    return cases


def _phantom(number: int) -> Case:
    """Ellipses of tissue, white bone among them, with hot and cold lesions anywhere, and noise in both images."""
    rng = np.random.default_rng((number, 14))
    rows, columns = np.mgrid[:_SIZE, :_SIZE].astype(np.float32)

    def ellipse(smallest: float, largest: float) -> np.ndarray:
        row, column = rng.uniform(0.2, 0.8, 2) * _SIZE
        height, width = rng.uniform(smallest, largest, 2) * _SIZE
        turn = rng.uniform(0, np.pi)
        y, x = rows - row, columns - column
        along, across = y * np.cos(turn) + x * np.sin(turn), x * np.cos(turn) - y * np.sin(turn)
        return (along / height) ** 2 + (across / width) ** 2 < 1

    body = ((rows / _SIZE - 0.5) / 0.46) ** 2 + ((columns / _SIZE - 0.5) / 0.42) ** 2 < 1
    a, u = body * np.float32(rng.uniform(0.3, 0.6)), body * np.float32(rng.uniform(0.05, 0.4))
    for _ in range(12):
        inside = ellipse(0.03, 0.2) & body
        a[inside], u[inside] = rng.choice([rng.uniform(0, 1), 1.0]), rng.uniform(0.02, 0.6)
    for _ in range(5):
        row, column = rng.uniform(0.2, 0.8, 2) * _SIZE
        sigma = rng.uniform(1.7, 8.5)  # pixels; 4 to 20 full width at half maximum
        profile = np.exp(-((rows - row) ** 2 + (columns - column) ** 2) / (2 * sigma**2))
        u = np.clip(u + rng.choice([-1, 1]) * rng.uniform(0.1, 0.8) * profile, 0, 1)
    a = gaussian_filter(a, rng.uniform(0.3, 1.2)) + body * rng.normal(0, rng.uniform(0, 0.05), a.shape)
    u = gaussian_filter(u + body * rng.normal(0, rng.uniform(0, 0.15), u.shape), rng.uniform(0.5, 2))
    return _case(f"phantom{number:03}", a, u)


def _case(name: str, anatomical: np.ndarray, uptake: np.ndarray) -> Case:
    a, u = (np.clip(image, 0, 1) for image in (anatomical, uptake))
    levels = [np.rint(image * 255).astype(np.uint8) for image in (a, u)]
    return Case(UPTAKE, name, *levels, uptake=u.astype(np.float32))
