"""The geometry of a volume node survives to the last bit on its way to the fused node."""

import numpy as np
import pytest
from phantoms import Grid, rotation

slicer = pytest.importorskip("slicer", reason="needs the slicer-core package")
from MMIFAminLib.mrml.nodes import NodeGeometry  # noqa: E402
from scenes import add_volume, new_scene, state  # noqa: E402


def test_oblique_directions_are_not_rounded():
    scene, _logic = new_scene()
    random = np.random.default_rng(0)
    image = np.zeros((2, 2, 2), np.float32)
    for _ in range(100):
        grid = Grid(
            spacing=tuple(random.uniform(0.3, 9.0, 3)),
            origin=tuple(random.uniform(-100.0, 100.0, 3)),
            direction=tuple(rotation(random.uniform(-180.0, 180.0, 3)).ravel()),
        )
        source, output = (add_volume(scene, grid.image(image), "volume"), add_volume(scene, Grid().image(image), "fused"))
        NodeGeometry.of(source).give_to(output)
        assert state(output)[1] == state(source)[1]  # IJK to RAS
        assert output.GetSpacing() == source.GetSpacing()
    scene.Clear(True)
