"""On a GPU: the same values as on the CPU, and a way out when its memory is full. Skipped where there is none."""

import numpy as np
import pytest
import SimpleITK as sitk
import torch

from MMIFAminLib.engine.fusion import VolumeFuser
from support import phantoms

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA GPU here")


@pytest.fixture(scope="module")
def pair():
    return phantoms.head(scale=1000.0), phantoms.head(kind="pet", scale=20000.0)


@pytest.fixture(scope="module")
def expected(pair):
    return sitk.GetArrayFromImage(VolumeFuser.load("cpu", "fp32").fuse(*pair).image)


def difference(fused, expected):
    return np.abs(sitk.GetArrayFromImage(fused.image) - expected).max()


@pytest.mark.parametrize("precision", ["auto", "fp32"])
def test_gpu_gives_what_the_cpu_gives(pair, expected, precision):
    fused = VolumeFuser.load("cuda", precision).fuse(*pair)
    assert fused.report["device"] == "cuda" and not fused.report["warnings"]
    assert difference(fused, expected) <= 2 / 255


def test_full_gpu_gives_way(pair, expected):
    fuser = VolumeFuser.load("cuda")
    fuser.fuse(*pair)  # so that the weights and the libraries are there
    torch.cuda.empty_cache()
    total = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.set_per_process_memory_fraction((torch.cuda.memory_reserved() + 4 * 2**20) / total)
    try:
        fused = fuser.fuse(*pair)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert any("Out of memory on cuda" in text for text in fused.report["warnings"])
    assert difference(fused, expected) <= 2 / 255
