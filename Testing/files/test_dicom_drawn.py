"""DICOM in, drawn: whatever the tilt, slopes, order, gaps, syntax and size of a series, every voxel has the place and the
value that was written."""

import tempfile
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.uid import JPEG2000Lossless, JPEGLSLossless, RLELossless

from MMIFAminLib.files.volumes import read_volume, read_volume_file
from support.dicom import Written, assert_read_as, points_of, write_enhanced, write_series
from support.phantoms import directions
from support.reading import refusal

SYNTAXES = (None, RLELossless, JPEG2000Lossless, JPEGLSLossless)


@st.composite
def series(draw):
    count = draw(st.integers(2, 6))
    dtype = draw(st.sampled_from((np.uint8, np.int16, np.uint16)))
    rows, columns = draw(st.integers(2, 40)), draw(st.integers(2, 40))
    rng, top = np.random.default_rng(draw(st.integers(0, 99))), np.iinfo(dtype).max
    stored = rng.integers(0, top, (count, rows, columns), endpoint=True).astype(dtype)
    axes = np.reshape(draw(directions()), (3, 3)).T[:2]
    step = draw(st.sampled_from((0.7, 1.25, 3.0))) * np.cross(*axes) * draw(st.sampled_from((-1, 1)))
    start = np.array(draw(st.tuples(*[st.integers(-300, 300)] * 3)), float)
    slopes = draw(
        st.one_of(st.just(()), st.lists(st.sampled_from((1.0, 0.37, 1e-3, 12.5)), min_size=count, max_size=count))
    )
    intercepts = draw(
        st.one_of(st.just(()), st.lists(st.sampled_from((0, -1024, 3.5)), min_size=count, max_size=count))
    )
    modality = draw(st.sampled_from(("CT", "MR", "PT")))
    positions = start + np.arange(count)[:, None] * step
    return Written(stored, positions, axes, (1.5, 0.8), slopes, intercepts, modality)


@given(series(), st.data())
@settings(max_examples=40, deadline=None)
def test_every_voxel_of_a_series_has_its_place_and_value(written, data):
    order = data.draw(st.permutations(range(len(written.stored))))
    small = min(written.stored.shape[1:]) < 32  # too small for the levels of the JPEG 2000 encoder
    syntax = data.draw(st.sampled_from([one for one in SYNTAXES if not (small and one == JPEG2000Lossless)]))
    with tempfile.TemporaryDirectory() as name:
        if data.draw(st.booleans()):
            write_series(Path(name, "s"), written, order=order, syntax=syntax)
        else:
            write_enhanced(Path(name, "s", "e"), written, order=order, shared=data.draw(st.booleans()), syntax=syntax)
        assert_read_as(read_volume(Path(name, "s")), written)


@given(st.integers(-30, 30).filter(lambda a: abs(a) > 2), st.sampled_from((0, 1)), st.booleans())
@settings(max_examples=12, deadline=None)
def test_a_tilted_stack_is_upright_and_each_voxel_has_its_value(degrees, about, reverse):
    """Values that are linear in space survive linear interpolation, wherever the stack was measured."""
    t = np.radians(degrees)
    tilted = {0: [[1, 0, 0], [0, np.cos(t), np.sin(t)]], 1: [[np.cos(t), 0, np.sin(t)], [0, 1, 0]]}[about]
    axes, count = np.array(tilted, float), 14
    positions = np.array([-20.0, -25, 0]) + np.arange(count)[:, None] * np.array([0, 0, 3.0])
    written = Written(np.zeros((count, 20, 24), np.int16), positions, axes, (2.0, 2.5))
    linear = written.points() @ np.array([7.0, 11.0, 13.0])
    written.stored = np.rint(linear).astype(np.int16)
    with tempfile.TemporaryDirectory() as name:
        write_series(Path(name), written, order=reversed(range(count)) if reverse else None)
        found = read_volume_file(name)
    assert f"{abs(degrees):.1f} degrees" in " ".join(found.warnings)
    image, points = found.image, points_of(found.image)
    np.testing.assert_allclose(np.reshape(image.GetDirection(), (3, 3))[:, 2], [0, 0, 1], atol=1e-6)
    u = (points - positions[0]) @ np.linalg.inv(np.stack([axes[0] * 2.0, axes[1] * 2.5, [0, 0, 3.0]], 1)).T
    inside = ((u >= 0) & (u <= np.array([23, 19, count - 1]))).all(-1)
    assert inside.mean() > 0.3
    for corner in written.points()[[0, -1]][:, [0, 0, -1, -1], [0, -1, 0, -1]].reshape(-1, 3):  # nothing is cut off
        index = np.array(image.TransformPhysicalPointToContinuousIndex(corner.tolist()))
        assert (index > -1).all() and (index < np.array(image.GetSize())).all()
    outside = ((u < -1) | (u > np.array([24, 20, count]))).any(-1)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image)[outside], written.stored.min())
    np.testing.assert_allclose(
        sitk.GetArrayFromImage(image)[inside], points[inside] @ np.array([7.0, 11.0, 13.0]), atol=1.0
    )


@given(st.lists(st.sampled_from((3.0, 3.25, 3.5, 4.0, 4.5)), min_size=3, max_size=9), directions(), st.data())
@settings(max_examples=25, deadline=None)
def test_uneven_gaps_are_made_even_and_each_voxel_has_its_value(gaps, direction, data):
    """Values that are linear along the normal survive linear interpolation."""
    axes, start = np.reshape(direction, (3, 3)).T[:2], np.array([-20.0, 35, 110])
    normal, heights = np.cross(*axes), np.concatenate([[0], np.cumsum(gaps)])
    shape = data.draw(st.tuples(st.integers(2, 12), st.integers(2, 12)))
    stored = np.rint(100 * heights)[:, None, None] + np.zeros(shape)
    positions = start + heights[:, None] * normal
    written = Written(stored.astype(np.int16), positions, axes, (1.5, 0.8), thickness=4.5)
    with tempfile.TemporaryDirectory() as name:
        write_series(Path(name, "s"), written, order=data.draw(st.permutations(range(len(heights)))))
        found = read_volume_file(Path(name, "s"))
    uneven = np.ptp(gaps) > 0
    assert (f"{min(gaps):.3g} to {max(gaps):.3g} mm apart: resampled" in " ".join(found.warnings)) == uneven
    points = points_of(found.image)
    np.testing.assert_allclose(sitk.GetArrayFromImage(found.image), 100 * (points - start) @ normal, atol=0.1)
    ends = points[[0, -1], 0, 0] if (points[-1, 0, 0] - points[0, 0, 0]) @ normal > 0 else points[[-1, 0], 0, 0]
    np.testing.assert_allclose(ends, positions[[0, -1]], atol=1e-3)  # from the first slice to the last, none beyond


@given(st.integers(6, 14), st.data())
@settings(max_examples=25, deadline=None)
def test_missing_slices_are_counted_wherever_they_lie(count, data):
    lost = data.draw(st.sets(st.integers(1, count - 2), min_size=1, max_size=(count - 2) // 3))
    written = Written(np.ones((count, 3, 4), np.int16), np.array([[0.0, 0, 3 * k] for k in range(count)]))
    with tempfile.TemporaryDirectory() as name:
        paths = write_series(Path(name, "s"), written, order=data.draw(st.permutations(range(count))))
        for number in lost:
            paths[number].unlink()
        words = refusal(Path(name, "s"))
    assert f"{len(lost)} missing, the first after slice {min(lost)} of {count - len(lost)}" in words
