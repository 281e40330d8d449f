"""Image pairs for training and validation: checked all at once, held in memory, drawn by step number."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from monai.data.dataloader import DataLoader
from monai.data.dataset import Dataset
from scipy.ndimage import affine_transform, gaussian_filter
from torch.nn import functional

from ..display import color
from ..errors import InputError
from ..files import datasets, images
from .config import Config, Task, Variation

_WINDOW = (0.4, 1.0)  # of the window that measured uptake fills, without its lesion
_BLUR = (1.5, 2.5)  # pixels; largest sigma for the anatomical image and for uptake
UPTAKE = "uptake"
"""The kind of pairs of anatomy and measured uptake, beside the tasks."""

_TRIES = 50  # draws of a patch before one with less foreground is accepted


@dataclass(frozen=True, eq=False)
class Case:
    """One pair: ``anatomical`` and ``functional`` (luma) are uint8 (H, W); ``uptake``, where the functional image is
    colour-coded and the task asks for it, is float32 (H, W) in [0, 1].
    """

    task: str
    name: str
    anatomical: np.ndarray
    functional: np.ndarray
    uptake: np.ndarray | None = None

    @property
    def patient(self) -> str:
        """Whose image this is: the name without the three digits at its end that count slices, if it has them."""
        return re.sub(r"(?<=.)\d{3}$", "", self.name)


def load_cases(config: Config, data: str | Path) -> tuple[dict[str, list[Case]], dict[str, list[Case]]]:
    """All pairs for training and for validation, by task name, from below the folder ``data``.

    Raises one InputError that names every file without a partner, every pair of unequal sizes, every image that is
    smaller than a patch or cannot be read, and every missing folder; where a public data set is not there at all, one
    that tells how to get it.
    """
    for name in {Path(folder).parts[0] for task in config.tasks for folder in (task.train, task.val)}:
        if name in datasets.DATASETS:
            datasets.require(Path(data) / name, name, data)
    problems: list[str] = []
    train, val = {}, {}
    for task in config.tasks:
        train[task.name] = _load_folder(Path(data) / task.train, task, task.uptake > 0, config.patch, problems)
        val[task.name] = _load_folder(Path(data) / task.val, task, False, 16, problems)
    if problems:
        count = f"{len(problems)} problem{'s' if len(problems) > 1 else ''}"
        raise InputError(f"{count} in the data folder {data}:\n" + "\n".join(f"  {line}" for line in problems))
    return train, val


def _load_folder(folder: Path, task: Task, uptake: bool, smallest: int, problems: list[str]) -> list[Case]:
    try:
        matches, lonely = images.match_folders(folder / task.anatomical, folder / task.functional)
    except InputError as error:
        problems.append(str(error))
        return []
    problems += [f"{path} has no partner of the same name." for path in lonely]
    cases = []
    for match in matches:
        try:
            cases.append(_load_case(task.name, match, uptake, smallest))
        except InputError as error:
            problems.append(str(error))
    return cases


def _load_case(task: str, match: images.Match, uptake: bool, smallest: int) -> Case:
    anatomical, functional = (images.read_image(path) for path in match.paths)
    if anatomical.shape[:2] != functional.shape[:2]:
        sizes = (f"{path} is {i.shape[1]}x{i.shape[0]}" for path, i in zip(match.paths, (anatomical, functional)))
        raise InputError(f"{' but '.join(sizes)}: partners must have equal sizes.")
    if min(anatomical.shape[:2]) < smallest:
        height, width = anatomical.shape[:2]
        raise InputError(f"{match.paths[0]} is {width}x{height}: smaller than a patch of {smallest} pixels.")
    values = None
    if uptake and functional.ndim == 3:
        try:
            values = np.asarray(color.recover_uptake(functional)[0], np.float32)
        except InputError as error:
            raise InputError(f"{match.paths[1]}: {error}") from None
    return Case(task, match.name, images.grey_levels(anatomical), images.grey_levels(functional), values)


class DrawPatch:
    """The training sample of a given number, as a pure function of seed and number.

    Resuming a run, and sharing it between processes, therefore changes nothing about what is seen at which step.
    A sample is ``{"a", "b": float32 (1, patch, patch) in [0, 1], "lesion": float32 (5,) in [0, 1), "uptake": bool,
    "task": int}``; ``uptake`` says that ``b`` shows uptake, ``task`` counts the configuration's tasks from 0.
    """

    def __init__(self, config: Config, cases: dict[str, list[Case]], uptake: Sequence[Case] = ()) -> None:
        self.config = config
        self.cases = [(task, cases[task.name]) for task in config.tasks]
        self.partners: dict[str, list[Case]] = {}
        for task in config.tasks:
            self.partners.setdefault(task.anatomical, []).extend(cases[task.name])
        self.uptake = uptake

    def __call__(self, number: int) -> dict[str, torch.Tensor | bool | int]:
        """Sample ``number``; within a batch the pairs of uptake come first, then the tasks take turns."""
        rng = np.random.default_rng((self.config.seed, number))
        index = number % self.config.batch - self.config.uptake.samples
        if index < 0:
            index, cases, partners, swap, share = len(self.cases), self.uptake, (), 0.0, 1.0
        else:
            index %= len(self.cases)
            task, cases = self.cases[index]
            partners, swap, share = self.partners[task.anatomical], task.swap, task.uptake
        a, b, uptake = self._patch(rng, share, self._case(rng, cases, partners))
        for _ in range(_TRIES - 1):
            if np.mean(np.maximum(a, b) > 12 / 255) > self.config.foreground:
                break
            a, b, uptake = self._patch(rng, share, self._case(rng, cases, partners))
        if rng.random() < 0.5:
            a, b = a[:, ::-1], b[:, ::-1]
        if self.config.rotate:
            turns = int(rng.integers(4))
            a, b = np.rot90(a, turns), np.rot90(b, turns)
        if rng.random() < swap:
            a, b, uptake = b, a, False
        lesion = torch.from_numpy(rng.random(5, dtype=np.float32))
        pair = self._varied(rng, a, b)
        return {**pair, "lesion": lesion, "uptake": uptake, "task": index}

    def _varied(self, rng: np.random.Generator, a: np.ndarray, b: np.ndarray) -> dict[str, torch.Tensor]:
        """``a`` and ``b`` as tensors ``(1, H, W)``, varied as the configuration asks for."""
        vary = self.config.vary
        if vary.share:
            a, b = (_window(rng, _bend(rng, x, vary), vary) for x in (a, b))
            b = _poorer(rng, b, vary)
        pair = torch.from_numpy(np.stack((a, b)))
        if rng.random() < vary.share:
            pair = _turned(rng, pair, vary)
        return {"a": pair[:1], "b": pair[1:]}

    def _case(self, rng: np.random.Generator, cases: Sequence[Case], partners: Sequence[Case]) -> Case:
        """One of ``cases``, now and then laid over the anatomical image of one of ``partners``."""
        case = cases[int(rng.integers(len(cases)))]
        if partners and self.config.vary.partner and rng.random() < self.config.vary.partner:
            return laid_over(partners[int(rng.integers(len(partners)))], case)
        return case

    def _patch(self, rng: np.random.Generator, share: float, case: Case) -> tuple[np.ndarray, np.ndarray, bool]:
        size = self.config.patch
        height, width = case.anatomical.shape
        y, x = rng.integers(height - size + 1), rng.integers(width - size + 1)
        part = (slice(y, y + size), slice(x, x + size))
        as_uptake = rng.random() < share
        a = _unit(case.anatomical[part])
        if case.uptake is None or not as_uptake:
            return a, _unit(case.functional[part]), False
        # Volumes are often smoother than the atlas, and their windows leave room for the hottest lesion.
        b = case.uptake[part] * np.float32(rng.uniform(*_WINDOW))
        return gaussian_filter(a, rng.uniform(0, _BLUR[0])), gaussian_filter(b, rng.uniform(0, _BLUR[1])), True


def laid_over(case: Case, other: Case) -> Case:
    """``case`` with the functional image of ``other``, moved and stretched so that place and extent of the two heads agree.

    Place and extent are mean and deviation of the coordinates where either image of a pair is above 12 of 255.
    """
    middle, extent = _moments(case)
    other_middle, other_extent = _moments(other)
    stretch = other_extent / extent
    offset = other_middle - stretch * middle
    shape = case.anatomical.shape

    def moved(image: np.ndarray) -> np.ndarray:
        # SciPy's stub knows a number only.
        return affine_transform(image, stretch, offset, shape, order=1)  # pyright: ignore[reportArgumentType]

    uptake = None if other.uptake is None else moved(other.uptake)
    return replace(case, functional=moved(other.functional), uptake=uptake)


def _moments(case: Case) -> tuple[np.ndarray, np.ndarray]:
    inside = np.nonzero(np.maximum(case.anatomical, case.functional) > 12)
    if not len(inside[0]):
        return np.zeros(2), np.ones(2)
    return np.mean(inside, axis=1), np.maximum(np.std(inside, axis=1), 1.0)


def training_loader(
    config: Config, cases: dict[str, list[Case]], uptake: Sequence[Case], first_step: int, rank: int, world: int
) -> DataLoader:
    """Batches from step ``first_step`` (counted from 0) to the end, the share of process ``rank`` of ``world``."""
    numbers = range(first_step * config.batch, config.steps * config.batch)
    samples = Dataset(numbers, DrawPatch(config, cases, uptake))
    share = range(rank, len(numbers), world)
    return DataLoader(samples, batch_size=config.batch // world, sampler=share, num_workers=config.workers)


def subset(cases: list[Case], count: int) -> list[Case]:
    """At most ``count`` cases, evenly spaced."""
    return [cases[index * len(cases) // count] for index in range(count)] if count < len(cases) else cases


def _turned(rng: np.random.Generator, pair: torch.Tensor, vary: Variation) -> torch.Tensor:
    """``pair`` ``(2, H, W)`` turned and stretched alike, by random amounts; black where nothing was."""
    angle = np.deg2rad(rng.uniform(-vary.angle, vary.angle))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    stretch = (1 + vary.scale) ** rng.uniform(-1, 1)
    theta = torch.tensor(np.column_stack((turn * stretch, np.zeros(2))), dtype=pair.dtype)[None]
    grid = functional.affine_grid(theta, [1, *pair.shape], align_corners=False)
    return functional.grid_sample(pair[None], grid, align_corners=False)[0].clamp(0, 1)


def _bend(rng: np.random.Generator, image: np.ndarray, vary: Variation) -> np.ndarray:
    if rng.random() >= vary.share:
        return image
    return image ** np.float32(vary.gamma ** rng.uniform(-1, 1))


def _window(rng: np.random.Generator, image: np.ndarray, vary: Variation) -> np.ndarray:
    """``image`` as another window would show it: dark and bright ends cut away, the rest stretched."""
    if not vary.window or rng.random() >= vary.share:
        return image
    low, high = rng.uniform(0, vary.window), 1 - rng.uniform(0, vary.window)
    return np.clip((image - np.float32(low)) / np.float32(high - low), 0, 1)


def _poorer(rng: np.random.Generator, image: np.ndarray, vary: Variation) -> np.ndarray:
    """``image`` as a scanner of lower resolution and fewer counts would show it; what is black stays black."""
    if vary.blur and rng.random() < vary.share:
        image = gaussian_filter(image, rng.uniform(0, vary.blur))
    if vary.noise and rng.random() < vary.share:
        noise = gaussian_filter(rng.standard_normal(image.shape, dtype=np.float32), 1.0)
        image = np.clip(image + image * noise / noise.std() * np.float32(rng.uniform(0, vary.noise)), 0, 1)
    return image


def _unit(levels: np.ndarray) -> np.ndarray:
    return levels.astype(np.float32) / np.float32(255)
