"""Watching a fusion: what is looked at comes first, and the result is the same bit by bit."""

import numpy as np
import pytest
import SimpleITK as sitk

from MMIFAminLib.engine.fusion import VolumeFuser
from MMIFAminLib.errors import FusionCancelled
from MMIFAminLib.volume.geometry import slice_view
from support.phantoms import Grid, head

# Axes in another order and backwards: array axes are (right to left, front to back, top to bottom) of the patient.
SHUFFLED = (0.0, 0.0, -1.0, 0.0, -1.0, 0.0, -1.0, 0.0, 0.0)
FINE = Grid((26, 22, 20), (6.0, 8.0, 7.0), direction=SHUFFLED).centred_at()
COARSE = Grid((18, 18, 14), (9.0, 9.0, 11.0)).centred_at()


@pytest.fixture(scope="module")
def fuser(stirred_weights):
    fuser = VolumeFuser.load("cpu", "fp32", stirred_weights)
    fuser.threads = 1  # two threads may end in another order than they began
    return fuser


@pytest.fixture(scope="module")
def pair():
    return head(FINE, scale=1000.0, dtype=np.int16), head(COARSE, "pet", 12.0)


class Reader:
    """Looks at `places`, or at what `places(shown)` says, and notes what is shown: (plane, slice, image, final)."""

    def __init__(self, places):
        self._places, self.shown = places, []

    def looked_at(self):
        return self._places(self.shown) if callable(self._places) else self._places

    def show(self, view, index, fused, uptake, final):
        assert fused.shape == uptake.shape and uptake.min() >= 0 and uptake.max() <= 1
        self.shown.append((view.plane, index, fused.copy(), final))

    def looks(self):
        return {(plane, index): image for plane, index, image, final in self.shown if not final}

    def order(self):
        return [index for plane, index, image, final in self.shown if final]


def voxels(fused):
    return sitk.GetArrayFromImage(fused.image)


@pytest.mark.parametrize("plane, kind", [("axial", "uptake"), ("coronal", "anatomical")])
def test_the_result_is_the_same_bit_by_bit_wherever_one_looks(fuser, pair, plane, kind, monkeypatch):
    monkeypatch.setattr(fuser, "threads", 2)
    options = dict(plane=plane, kind=kind)
    expected = voxels(fuser.fuse(*pair, **options))
    wandering = Reader(lambda shown: [(0, 3 * len(shown) % 20), (1, len(shown) // 4), (2, -4), (2, 999)])
    assert np.array_equal(voxels(fuser.fuse(*pair, **options, watcher=wandering)), expected)
    assert np.array_equal(voxels(fuser.fuse(*pair, **options, watcher=Reader([]))), expected)


def test_first_looks_at_all_planes_come_before_anything_else(fuser, pair):
    """(axis, index) of the voxels (K, J, I) is slice 19 - 7, 21 - 10 or 25 - 13 of a view that runs backwards."""
    reader, when = Reader([(0, 7), (1, 10), (2, 13)]), []
    fuser.fuse(*pair, watcher=reader, progress=lambda fraction, text: when.append((text, len(reader.shown))) and None)
    told = next(shown for text, shown in when if text == "Looking at the volume")
    assert when.index(("Taking a first look", 3)) < when.index(("Resampling the functional volume", 3))
    assert told == 3 and [final for *_, final in reader.shown[:3]] == [False] * 3
    grid = pair[0]
    for plane, axis, index in (("sagittal", 0, 7), ("coronal", 1, 10), ("axial", 2, 13)):
        view = slice_view(grid, plane)
        assert view.axes[0] == axis
        length = grid.GetSize()[2 - axis]
        assert (plane, length - 1 - index if view.flips[0] else index) in reader.looks()
    assert any(slice_view(grid, plane).flips[0] for plane in ("axial", "coronal", "sagittal"))


def test_a_first_look_is_that_slice_fused_on_its_own(fuser, pair):
    windows = dict(anatomical_window=(0, 1000), functional_window=(0, 12), kind="uptake")
    reader = Reader([(2, 13)])
    fused = fuser.fuse(*pair, **windows, watcher=reader, plane="coronal")
    ((plane, index), image), *_ = reader.looks().items()
    view = slice_view(pair[0], plane)
    a, b = (view.take(sitk.GetArrayFromImage(volume))[index] for volume in (pair[0], fused.functional))
    expected = fuser.fuse_arrays(np.clip(a / 1000, 0, 1)[None], np.clip(b / 12, 0, 1)[None])[0]
    # Pixels are 7 x 8 mm, as square as whole numbers make them.
    assert np.allclose(image, expected, atol=1e-6)


def test_the_slices_nearest_to_the_view_are_fused_first(fuser, pair):
    reader = Reader([(2, 13)])
    fuser.fuse(*pair, watcher=reader)
    view, order = slice_view(pair[0], "axial"), reader.order()
    middle = 25 - 13 if view.flips[0] else 13
    distances = [abs(index - middle) for index in order]
    assert len(order) == len(set(order)) > 12 and distances[:3] == [0, 1, 1] and distances == sorted(distances)


def test_scrolling_ahead_has_that_slice_fused_next(fuser, pair):
    scrolled = []

    def places(shown):
        done = sum(final for *_, final in shown)
        if done < 5:
            return [(2, 4)]
        scrolled.append(done)
        return [(2, 20)]

    reader = Reader(places)
    fuser.fuse(*pair, watcher=reader)
    target = 25 - 20 if slice_view(pair[0], "axial").flips[0] else 20
    under_way = 2 * fuser.threads
    assert reader.order().index(target) <= scrolled[0] + under_way


def test_without_a_look_along_the_plane_slices_rise(fuser, pair):
    reader = Reader([])
    fuser.fuse(*pair, watcher=reader)
    assert reader.order() == sorted(reader.order()) and not reader.looks()


def test_scrolling_across_the_plane_shows_a_first_look_there(fuser, pair):
    reader = Reader(lambda shown: [(0, 7)] if sum(final for *_, final in shown) < 3 else [(0, 12)])
    fuser.fuse(*pair, watcher=reader)
    assert {index for plane, index in reader.looks() if plane == "sagittal"} == {
        19 - place if slice_view(pair[0], "sagittal").flips[0] else place for place in (7, 12)
    }


def test_looks_that_are_taken_meanwhile_are_no_step_back(fuser, pair):
    told = []
    wandering = Reader(lambda shown: [(0, len(shown) % 20), (1, len(shown) % 22)])
    fuser.fuse(*pair, watcher=wandering, progress=lambda fraction, text: told.append((fraction, text)) and None)
    fractions = [fraction for fraction, text in told]
    assert fractions == sorted(fractions) and fractions[-1] == 1.0
    assert any(text == "Taking a first look" and fraction > 0.5 for fraction, text in told)


def test_a_watched_fusion_is_cancelled_during_the_first_look(fuser, pair):
    reader = Reader([(2, 13)])
    with pytest.raises(FusionCancelled):
        fuser.fuse(*pair, watcher=reader, progress=lambda fraction, text: text != "Taking a first look")
    assert not reader.order()


def test_a_single_slice_has_one_view(fuser):
    flat = Grid((24, 20, 1), (6.0, 7.0, 5.0)).centred_at()
    reader = Reader([(0, 0), (1, 3), (2, 3)])
    fuser.fuse(head(flat, scale=1000.0), head(flat, "pet"), plane="acquisition", watcher=reader)
    assert list(reader.looks()) == [("axial", 0)]
