"""Watching a fusion: the slices that somebody looks at come first, and are shown as soon as they are there."""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, Protocol

import numpy as np
import torch

from ..volume.geometry import SliceView
from ..volume.intensity import Window
from ..volume.resampling import Resampling
from ..volume.slices import squaring
from .execution import run_in_threads
from .volumes import images_lock, images_of


class Place(NamedTuple):
    """A slice of the anatomical grid that is looked at: across which axis of its voxels (K, J, I), and where along it."""

    axis: int
    index: int


class Watcher(Protocol):
    """Whoever watches a volume while it is being fused. What comes out is the same bit by bit.

    The engine calls it from the threads that compute: it must be quick, and may touch nothing of a user interface.
    """

    def looked_at(self) -> Sequence[tuple[int, int]]:
        """What is looked at just now, each as a `Place`; asked before each slice."""
        ...

    def show(self, view: SliceView, index: int, fused: np.ndarray, uptake: np.ndarray, final: bool) -> None:
        """Slice ``index`` of ``view``: the fused value and the windowed functional volume, float32 (H, W) in [0, 1], as
        ``view.take`` lays them out.

        The value is ``final``, but for what steadies pictures through the slices, or a first look: a slice of any of
        the three planes fused on its own, before its volume is. The arrays are the engine's: copy what is kept.
        """
        ...


class Look(NamedTuple):
    """Slice ``index`` of a ``view``, which lies at ``place``."""

    view: SliceView
    index: int
    place: Place


Glance = Callable[[list[Look], Callable[[Look, np.ndarray, np.ndarray], None]], None]
"""Takes first looks and shows each, with its uptake, as soon as it is there; none of a slice that is too large."""


class Watched:
    """One fusion as its ``watcher`` sees it.

    ``plane`` lays out its slices, ``views`` those across any axis of the volume, which has ``shape`` (K, J, I).
    """

    def __init__(
        self,
        watcher: Watcher,
        plane: SliceView,
        views: Sequence[SliceView],
        shape: Sequence[int],
        glance: Glance,
    ) -> None:
        self._watcher, self._plane, self._shape, self._glance = watcher, plane, shape, glance
        self._views = {view.axes[0]: view for view in views}
        self._seen: set[Place] = set()

    def glance(self, *, along: bool = True) -> None:
        """Show a first look at what is looked at and was not seen yet: ``along`` the plane too, or only across it."""
        new = [
            place
            for place in dict.fromkeys(self._places())
            if place.axis in self._views and place not in self._seen and (along or place.axis != self._plane.axes[0])
        ]
        self._seen.update(new)
        if new:
            self._glance([self._look(self._views[place.axis], place) for place in new], self._show_look)

    def ordered(self, batches: Sequence[list[int]]) -> Iterator[list[int]]:
        """Each of ``batches``, lists of rising slices of the plane, once: always the one nearest to what is looked at.

        In the given order where nothing is looked at. Which slices share a batch stays as it is: with it, on a GPU,
        the last bits of the result would change.
        """
        left = list(batches)
        while left:
            self.glance(along=False)
            wanted = [self._look(self._plane, p).index for p in self._places() if p.axis == self._plane.axes[0]]
            batch = min(left, key=lambda batch: min((_distance(batch, index) for index in wanted), default=0))
            left.remove(batch)
            yield batch

    def done(self, index: int, image: np.ndarray, uptake: np.ndarray) -> None:
        """Show slice ``index`` of the plane, which is fused."""
        self._watcher.show(self._plane, index, image, uptake, True)

    def _places(self) -> list[Place]:
        return [Place(*place) for place in self._watcher.looked_at()]

    def _show_look(self, look: Look, image: np.ndarray, uptake: np.ndarray) -> None:
        self._watcher.show(look.view, look.index, image, uptake, False)

    def _look(self, view: SliceView, place: Place) -> Look:
        """The slice of a view at a place, the nearest one where it lies outside."""
        last = self._shape[place.axis] - 1
        index = min(max(place.index, 0), last)
        return Look(view, last - index if view.flips[0] else index, Place(place.axis, index))


def _distance(batch: list[int], index: int) -> int:
    return max(batch[0] - index, index - batch[-1], 0)


def first_looks(
    volumes: tuple[np.ndarray, Resampling],
    windows: Sequence[Window],
    fuse: Callable[[torch.Tensor, torch.Tensor], np.ndarray],
    threads: int,
    largest: int,
    progress: Callable[[float, str], None],
) -> Glance:
    """Takes first looks at slices of up to ``largest`` pixels of two ``volumes`` with their ``windows``: the anatomical one
    (K, J, I), and the functional one on its way to that grid.

    ``fuse`` takes images ``(1, 1, h, w)`` of both, and gives the fused one (h, w).
    """
    anatomical, functional = volumes

    def parts(place: Place) -> tuple[np.ndarray, np.ndarray]:
        with images_lock:
            return anatomical.take([place.index], place.axis), functional.part(*place)

    def glance(looks: list[Look], show: Callable[[Look, np.ndarray, np.ndarray], None]) -> None:
        def one(look: Look) -> None:
            sources = [(look.view.take(array), window) for array, window in zip(parts(look.place), windows)]
            height, width = sources[0][0].shape[1:]
            factors = squaring(*look.view.pixel_spacing)
            if height * factors[0] * width * factors[1] > largest:
                return
            pair = images_of(sources, [0], np.s_[:height, :width], factors)
            fused = (image[:: factors[0], :: factors[1]] for image in (fuse(*pair), pair[1][0, 0].numpy()))
            show(look, *fused)

        run_in_threads(one, looks, threads, len(looks), lambda done: progress(0.0, "Taking a first look"))

    return glance
