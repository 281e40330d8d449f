"""Fixtures that every test may use: where the real data lies, and what this machine lacks."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# `make test` draws the same examples in every run, so that it fails only where something was changed. `make fuzz` is a
# long campaign of new ones, for the property tests that leave their number open.
settings.register_profile("repeatable", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile(
    "fuzz",
    max_examples=1000,
    derandomize=False,
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("repeatable")

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the checkout."""
    return REPOSITORY


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real data and reference scores beside the checkout (``MMIFAMIN_SHARED`` names another place).

    A test that goes into a part of it that is not there is skipped, with the line that tells how to get that part.
    """
    from support.real_data import SharedFolder

    return SharedFolder(os.environ.get("MMIFAMIN_SHARED", REPOSITORY.parent / "shared"))


@pytest.fixture(scope="session")
def untrained_weights(tmp_path_factory) -> Path:
    """Weights of a network as it is before training, for tests of everything around the network."""
    import torch

    from MMIFAminLib.engine.weights import save_weights
    from MMIFAminLib.network import MMIFAMIN, Architecture

    path = tmp_path_factory.mktemp("weights") / "untrained.safetensors"
    torch.manual_seed(0)
    save_weights(MMIFAMIN(Architecture()), path, {})
    return path


@pytest.fixture(scope="session")
def stirred_weights(tmp_path_factory) -> Path:
    """Weights of a network in which every part acts, as strongly as in a trained one: for tests of the engine around
    it.
    """
    from MMIFAminLib.engine.weights import save_weights
    from MMIFAminLib.network import MMIFAMIN
    from support.networks import stirred

    path = tmp_path_factory.mktemp("weights") / "stirred.safetensors"
    network = stirred(MMIFAMIN())
    network.decoder.last.weight.data *= 0.1
    save_weights(network, path, {})
    return path
