"""Fusers on the CPU, and the pair that they fuse."""

import pytest

from MMIFAminLib.engine.fusion import VolumeFuser
from support.heads import head_pair


@pytest.fixture(scope="module")
def pair():
    return head_pair()


@pytest.fixture
def fuser(stirred_weights):
    return VolumeFuser.load("cpu", "fp32", stirred_weights)


@pytest.fixture(params=["fp32", "bf16"])
def any_fuser(request, stirred_weights):
    return VolumeFuser.load("cpu", request.param, stirred_weights)


@pytest.fixture(scope="module")
def known(untrained_weights):
    """A fuser whose network has no say: every voxel of the result is known."""
    return VolumeFuser.load("cpu", "fp32", untrained_weights)
