"""The bench as a pytest fixture, with the real engine on untrained weights: mechanics do not depend on training."""

from pathlib import Path

import pytest


@pytest.fixture
def bench(request):
    """Without a main window and its views where a test says `parametrize("bench", ["no views"], indirect=True)`."""
    pytest.importorskip("PySide6", reason="the widget bench needs PySide6-Essentials")
    pytest.importorskip("slicer", reason="the widget bench needs slicer-core")
    import torch

    from MMIFAminLib.engine.fusion import VolumeFuser
    from MMIFAminLib.engine.weights import WeightsInfo
    from MMIFAminLib.network import MMIFAMIN

    from .application import Bench

    made = Bench(views=getattr(request, "param", "") != "no views")
    from MMIFAminLib.module import logic

    torch.manual_seed(0)
    weights = WeightsInfo("untrained", Path("untrained.safetensors"), "0" * 64, {})
    logic._fusers["auto", "auto"] = VolumeFuser(MMIFAMIN(), weights, "cpu", "fp32")
    yield made
    logic._fusers.clear()
    made.close()
