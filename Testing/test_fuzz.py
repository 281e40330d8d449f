"""Any two volumes: they are fused, whole and in place, or refused in one sentence. ``make fuzz`` tries a thousand."""

import hashlib
from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from phantoms import directions, grids, head_values

from MMIFAminLib import InputError, geometry

EXAMPLES = 40 if settings.default.max_examples <= 100 else settings.default.max_examples  # the "fuzz" profile has more
TYPES = [np.uint8, np.int8, np.uint16, np.int16, np.uint32, np.int32, np.int64, np.float32, np.float64]
CONTENTS = ("head", "negative", "noise", "sparse", "constant", "not numbers", "huge")


@pytest.fixture(scope="module")
def fuser(untrained_weights):
    from MMIFAminLib import VolumeFuser

    return VolumeFuser.load(device="cpu", weights=untrained_weights)


@st.composite
def volumes(draw, kind):
    """A volume of any type and content on a grid of 4 to 40 voxels, somewhere around the phantom head."""
    grid = draw(grids(sizes=st.integers(4, 40), spacings=st.integers(2, 24).map(lambda n: n / 4)))
    grid = replace(grid, direction=draw(directions(tilt=45))).centred_at(draw(st.tuples(*[st.integers(-40, 40)] * 3)))
    dtype, content = draw(st.sampled_from(TYPES)), draw(st.sampled_from(CONTENTS))
    noise = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    values = head_values(grid.points(), kind)
    top = min(float(np.iinfo(dtype).max), 4000.0) if np.issubdtype(dtype, np.integer) else 4000.0
    if content == "negative":
        values = values * 2 - 1
    elif content == "noise":
        values = noise.random(values.shape)
    elif content == "sparse":
        values = (noise.random(values.shape) > 0.999) * 1.0
    elif content == "constant":
        values = np.full(values.shape, draw(st.sampled_from((0.0, 1.0))))
    elif content == "huge" and not np.issubdtype(dtype, np.integer):
        top = float(np.finfo(dtype).max) / 4
    if np.issubdtype(dtype, np.unsignedinteger):
        values = np.clip(values, 0, None)
    array = (values * top).astype(dtype)
    if content == "not numbers" and not np.issubdtype(dtype, np.integer):
        array[noise.random(array.shape) < 0.1] = draw(st.sampled_from((np.nan, np.inf, -np.inf)))
    return grid.image(array)


def fingerprint(image):
    geometry = image.GetSize() + image.GetSpacing() + image.GetOrigin() + image.GetDirection() + (image.GetPixelID(),)
    return geometry, hashlib.sha256(np.ascontiguousarray(sitk.GetArrayViewFromImage(image)).tobytes()).hexdigest()


@settings(
    max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
@given(volumes("mr"), volumes("pet"), st.sampled_from(geometry.PLANES), st.sampled_from(("auto", "mr", "0:1000")))
def test_any_two_volumes_are_fused_in_place_or_refused_in_a_sentence(fuser, anatomical, functional, plane, window):
    before = fingerprint(anatomical), fingerprint(functional)
    try:
        fused = fuser.fuse(anatomical, functional, plane=plane, anatomical_window=window)
    except InputError as error:
        event("refused")
        message = str(error)
        assert "\n" not in message and 20 < len(message) < 400
        assert "natomical" in message or "unctional" in message or "window" in message
    else:
        event("fused")
        assert fingerprint(fused.image)[0][:-1] == before[0][0][:-1]
        values = sitk.GetArrayViewFromImage(fused.image)
        assert values.dtype == np.float32 and 0 <= values.min() and values.max() <= 1  # false for NaN
        assert 0 < fused.overlap.fraction <= 1
        assert fused.rgb("inferno").GetSize() == anatomical.GetSize()
    assert (fingerprint(anatomical), fingerprint(functional)) == before
