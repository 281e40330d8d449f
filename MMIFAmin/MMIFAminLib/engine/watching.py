"""Watching a fusion: the slices that somebody looks at come first, and are shown as soon as they are there."""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, Protocol

import numpy as np
import torch

from ..volume.geometry import SliceView
from ..volume.intensity import Window
from ..volume.slices import squaring
from .execution import run_in_threads
from .volumes import images_of


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
    """A slice of a view."""

    view: SliceView
    index: int


Glance = Callable[[list[Look], Callable[[Look, np.ndarray], None]], None]
"""Takes first looks and shows each, float32 (H, W), as soon as it is there; none of a slice that is too large."""


class Watched:
    """One fusion as its ``watcher`` sees it.

    ``plane`` lays out its slices, ``views`` those across any axis of the volume. ``functional`` is the functional volume
    (K, J, I) on the anatomical grid, with its window.
    """

    def __init__(
        self,
        watcher: Watcher,
        plane: SliceView,
        views: Sequence[SliceView],
        functional: tuple[np.ndarray, Window],
        glance: Glance,
    ) -> None:
        self._watcher, self._plane, self._functional, self._glance = watcher, plane, functional, glance
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
            looks = [Look(self._views[place.axis], self._position(self._views[place.axis], place)) for place in new]
            self._glance(looks, lambda look, image: self._show(*look, image, final=False))

    def ordered(self, batches: Sequence[list[int]]) -> Iterator[list[int]]:
        """Each of ``batches``, lists of rising slices of the plane, once: always the one nearest to what is looked at.

        In the given order where nothing is looked at. Which slices share a batch stays as it is: with it, on a GPU,
        the last bits of the result would change.
        """
        left = list(batches)
        while left:
            self.glance(along=False)
            wanted = [self._position(self._plane, p) for p in self._places() if p.axis == self._plane.axes[0]]
            batch = min(left, key=lambda batch: min((_distance(batch, index) for index in wanted), default=0))
            left.remove(batch)
            yield batch

    def done(self, index: int, image: np.ndarray) -> None:
        """Show slice ``index`` of the plane, which is fused."""
        self._show(self._plane, index, image, final=True)

    def _places(self) -> list[Place]:
        return [Place(*place) for place in self._watcher.looked_at()]

    def _show(self, view: SliceView, index: int, image: np.ndarray, *, final: bool) -> None:
        functional, window = self._functional
        self._watcher.show(view, index, image, window.to_unit(view.take(functional)[index]), final)

    def _position(self, view: SliceView, place: Place) -> int:
        """The place as a slice of a view, the nearest one where it lies outside."""
        last = self._functional[0].shape[place.axis] - 1
        index = min(max(place.index, 0), last)
        return last - index if view.flips[0] else index


def _distance(batch: list[int], index: int) -> int:
    return max(batch[0] - index, index - batch[-1], 0)


def first_looks(
    both: Sequence[tuple[np.ndarray, Window]],
    fuse: Callable[[torch.Tensor, torch.Tensor], np.ndarray],
    threads: int,
    largest: int,
    progress: Callable[[float, str], None],
) -> Glance:
    """Takes first looks at slices of ``both`` volumes (K, J, I), each with its window, of up to ``largest`` pixels.

    ``fuse`` takes images ``(1, 1, h, w)`` of both, and gives the fused one (h, w).
    """

    def image(look: Look) -> np.ndarray | None:
        sources = [(look.view.take(array), window) for array, window in both]
        height, width = sources[0][0].shape[1:]
        factors = squaring(*look.view.pixel_spacing)
        if height * factors[0] * width * factors[1] > largest:
            return None
        pair = images_of(sources, [look.index], np.s_[:height, :width], factors)
        return fuse(*pair)[:: factors[0], :: factors[1]]

    def glance(looks: list[Look], show: Callable[[Look, np.ndarray], None]) -> None:
        def one(look: Look) -> None:
            if (fused := image(look)) is not None:
                show(look, fused)

        run_in_threads(one, looks, threads, len(looks), lambda done: progress(0.0, "Taking a first look"))

    return glance
