"""Any two volumes, nodes and headers: fused, whole and in place, or refused in one sentence. ``make fuzz`` tries
thousands.

The long campaign writes how often each outcome came to ``Testing/benchmarks/results/fuzz.csv``.
"""

import gzip
import hashlib
import os
import re
import tempfile
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from MMIFAminLib import InputError
from MMIFAminLib.commandline import main
from MMIFAminLib.files.volumes import read_volume
from MMIFAminLib.files.writing import write_csv
from MMIFAminLib.volume import geometry
from support.expected import uptake_on_anatomy
from support.phantoms import Grid, directions, grids, head, head_values, rotation

EXAMPLES = 30 if settings.default.max_examples <= 100 else settings.default.max_examples  # the "fuzz" profile has more
TYPES = [np.uint8, np.int8, np.uint16, np.int16, np.uint32, np.int32, np.int64, np.float32, np.float64]
CONTENTS = (
    "head",
    "head",
    "negative",
    "noise",
    "sparse",
    "constant",
    "not numbers",
    "huge",
    "tiny",
    "labels",
    "colours",
)


OUTCOMES = Counter()


@pytest.fixture(scope="module", autouse=True)
def table_of_outcomes(repository):
    yield
    if EXAMPLES >= 1000 and OUTCOMES:
        rows = [
            {"campaign": name, "outcome": outcome, "examples": n} for (name, outcome), n in sorted(OUTCOMES.items())
        ]
        table = repository / "Testing" / "benchmarks" / "results" / "fuzz.csv"
        table.parent.mkdir(exist_ok=True)
        write_csv(rows, table)


def test_only_the_campaign_draws_at_random():
    """So that what passes once passes everywhere, and a failure is of a change, not of chance."""
    assert settings.default.derandomize == (EXAMPLES < 1000) and settings.default.deadline is None


def came_out(campaign, outcome):
    """Count an outcome; hypothesis shows the shares (``--hypothesis-show-statistics``)."""
    event(outcome)
    OUTCOMES[campaign, outcome] += 1


@pytest.fixture(scope="module")
def maximum(untrained_weights):
    """A fuser whose network has no say: every voxel of the result is known."""
    from MMIFAminLib import VolumeFuser

    return VolumeFuser.load("cpu", "fp32", untrained_weights)


@pytest.fixture(scope="module")
def fuser(stirred_weights):
    from MMIFAminLib import VolumeFuser

    return VolumeFuser.load("cpu", weights=stirred_weights)


@st.composite
def volumes(draw, kind):
    """A volume of any type and content on a grid of up to 40 voxels a side, somewhere around the phantom head."""
    grid = draw(grids(sizes=st.integers(4, 40), spacings=st.integers(4, 24).map(lambda n: n / 4)))
    thin = draw(st.sampled_from([(40, 40, 40)] * 12 + [(1, 40, 40), (40, 40, 1), (3, 2, 40)]))
    size = tuple(min(pair) for pair in zip(grid.size, thin))
    place = draw(st.tuples(*[st.integers(-25, 25)] * 3))
    grid = replace(grid, size=size, direction=draw(directions(tilt=45))).centred_at(place)
    dtype, content = draw(st.sampled_from(TYPES)), draw(st.sampled_from(CONTENTS))
    noise = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    values = head_values(grid.points(), kind)
    is_whole = np.issubdtype(dtype, np.integer)
    top = min(float(np.iinfo(dtype).max), 4000.0) if is_whole else 4000.0
    if content == "negative":
        values = values * 2 - 1
    elif content == "noise":
        values = noise.random(values.shape)
    elif content == "sparse":
        values = (noise.random(values.shape) > 0.999) * 1.0
    elif content == "constant":
        values = np.full(values.shape, draw(st.sampled_from((0.0, 1.0))))
    elif content == "labels":
        values, top = np.floor(values * 3.9), 1.0
    elif content == "colours":
        return grid.image((values[..., None] * draw(st.tuples(*[st.integers(0, 255)] * 3))).astype(np.uint8))
    elif content in ("huge", "tiny") and not is_whole:
        top = float(np.finfo(dtype).max / 4 if content == "huge" else np.finfo(dtype).tiny * 16)
    if np.issubdtype(dtype, np.unsignedinteger):
        values = np.clip(values, 0, None)
    array = (values * top).astype(dtype)
    if content == "not numbers" and not is_whole:
        array[noise.random(array.shape) < 0.1] = draw(st.sampled_from((np.nan, np.inf, -np.inf)))
    return grid.image(array)


def fingerprint(image):
    geometry = image.GetSize() + image.GetSpacing() + image.GetOrigin() + image.GetDirection() + (image.GetPixelID(),)
    return geometry, hashlib.sha256(np.ascontiguousarray(sitk.GetArrayViewFromImage(image)).tobytes()).hexdigest()


@settings(
    max_examples=2 * EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
@given(
    volumes("mr"), volumes("pet"), st.sampled_from(geometry.PLANES), st.sampled_from(("auto", "auto", "mr", "0:1000"))
)
def test_any_two_volumes_are_fused_in_place_or_refused_in_a_sentence(maximum, anatomical, functional, plane, window):
    before = fingerprint(anatomical), fingerprint(functional)
    try:
        fused = maximum.fuse(anatomical, functional, plane=plane, anatomical_window=window)
    except InputError as error:
        came_out("volumes", "refused")
        message = str(error)
        assert "\n" not in message and 20 < len(message) < 400
        assert "natomical" in message or "unctional" in message or "window" in message
    else:
        came_out("volumes", "fused")
        assert fingerprint(fused.image)[0][:-1] == before[0][0][:-1]
        values = sitk.GetArrayViewFromImage(fused.image)
        assert values.dtype == np.float32 and values.min() >= 0 and values.max() <= 1  # false for NaN
        assert 0 < fused.overlap.fraction <= 1
        a, b = sitk.GetArrayFromImage(anatomical), sitk.GetArrayFromImage(fused.functional)
        if a.ndim == 3 and np.isfinite(a).all():
            a, b = fused.anatomical_window.to_unit(a), fused.functional_window.to_unit(b)
            uptake = fused.report["taken_for"]["pair"] == "uptake"
            known = uptake_on_anatomy(a, b) if uptake else np.maximum(a, b)
            assert np.abs(values - known).max() < fused.report["through_plane"]["damping"] + 1e-4
        assert fused.rgb("inferno").GetSize() == anatomical.GetSize()
    assert (fingerprint(anatomical), fingerprint(functional)) == before


# --- nodes under transforms ---


def affine(draw):
    """A 4x4 matrix (RAS): rotation, scaling, mirroring, shear and shift, rarely a flat one."""
    matrix = np.eye(4)
    matrix[:3, :3] = rotation(draw(st.tuples(*[st.integers(-180, 180)] * 3)))
    matrix[:3, :3] *= draw(st.tuples(*[st.sampled_from((-1.5, -1.0, 0.5, 1.0, 1.0, 2.0, 0.0))] * 3))
    matrix[0, 1] += draw(st.sampled_from((0.0, 0.0, 0.3)))
    matrix[:3, 3] = draw(st.tuples(*[st.integers(-60, 60)] * 3))
    return matrix


@settings(max_examples=EXAMPLES // 4, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_any_two_nodes_under_transforms_are_fused_in_place_or_refused(fuser, data):
    pytest.importorskip("slicer", reason="needs the slicer-core package")
    from MMIFAminLib import mrml
    from support.scenes import add_transform, add_volume, new_scene, node_ids, state

    scene, _logic = new_scene()
    small = grids(sizes=st.integers(4, 16), spacings=st.integers(20, 40).map(lambda n: n / 4))
    nodes = [add_volume(scene, head(data.draw(small), kind, 100.0), kind) for kind in ("mr", "pet")]
    for node in nodes:
        parent = None
        for level in range(data.draw(st.integers(0, 2))):
            parent = add_transform(scene, affine(data.draw), f"{node.GetName()} {level}", parent)
            node.SetAndObserveTransformNodeID(parent.GetID())
    before, ids = [state(node) for node in nodes], node_ids(scene)
    try:
        fused = mrml.fuse_nodes(*nodes, rgb=data.draw(st.booleans()), fuser=fuser)
    except InputError as error:
        came_out("nodes", "refused")
        assert "\n" not in str(error) and node_ids(scene) == ids
    else:
        came_out("nodes", "fused")
        assert fused.GetTransformNodeID() == nodes[0].GetTransformNodeID()
        assert fused.GetImageData().GetDimensions() == nodes[0].GetImageData().GetDimensions()
        assert state(fused)[1] == before[0][1]  # IJK to RAS
    assert [state(node) for node in nodes] == before
    scene.Clear(True)


# --- damaged headers ---

FORMATS = {".nrrd": 400, ".nii": 352, ".nii.gz": 352, ".mha": 300}
"""Endings, and how many bytes at the beginning are the header."""


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """The phantom head in every format, not compressed."""
    folder = tmp_path_factory.mktemp("files")
    grid = Grid((14, 16, 12), (13.0, 14.0, 13.0)).centred_at()
    for ending in FORMATS:
        sitk.WriteImage(head(grid, scale=900.0, dtype=np.int16), str(folder / f"mr{ending}"), useCompression=False)
    sitk.WriteImage(head(grid, "pet"), str(folder / "pet.nrrd"))
    return folder


@st.composite
def damages(draw, length):
    """Up to eight bytes of a header that are replaced, and how much of the file is kept."""
    places = st.tuples(st.integers(0, length - 1), st.integers(0, 255))
    return draw(st.lists(places, min_size=1, max_size=8)), draw(st.sampled_from((1.0, 1.0, 1.0, 0.9, 0.1)))


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_damaged_headers_are_read_or_refused_by_the_command(files, untrained_weights, capfd, data):
    ending = data.draw(st.sampled_from(sorted(FORMATS)))
    changes, kept = data.draw(damages(FORMATS[ending]))
    content = bytearray((files / f"mr{ending}").read_bytes())
    if ending == ".nii.gz":
        content = bytearray(gzip.decompress(content))
    for place, value in changes:
        content[place] = value
    content = content[: int(kept * len(content))]
    if ending == ".nii.gz":
        content = gzip.compress(bytes(content))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source, output = folder / f"mr{ending}", folder / "fused.nrrd"
        source.write_bytes(content)
        arguments = [
            "fuse",
            source,
            files / "pet.nrrd",
            "-o",
            output,
            "--weights",
            untrained_weights,
            "--device",
            "cpu",
        ]
        code = main([str(argument) for argument in arguments])
        out, err = capfd.readouterr()
        assert source.read_bytes() == content
        if code:
            came_out("headers", "refused")
            assert code == 2 and out == "" and re.fullmatch(r"mmifamin: error: [^\n]{20,600}\n", err), err
            assert os.listdir(folder) == [source.name]
        else:
            came_out("headers", "fused")
            assert all(line.startswith("mmifamin: warning: ") for line in err.splitlines()), err
            fused, anatomical = read_volume(output), read_volume(source)
            assert fused.GetSize() == anatomical.GetSize()
            values = sitk.GetArrayViewFromImage(fused)
            assert values.min() >= 0 and values.max() <= 1  # false for NaN
