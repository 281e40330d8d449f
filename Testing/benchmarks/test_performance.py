"""The page on performance shows the measured numbers, and the profile accounts for all of the network."""

import subprocess
import sys

import pytest
import torch

from MMIFAminLib.network import MMIFAMIN, Architecture


@pytest.fixture
def network_profile(repository, monkeypatch):
    monkeypatch.syspath_prepend(str(repository / "Testing" / "benchmarks"))
    import network_profile

    return network_profile


def test_the_committed_tables_are_those_of_the_measurements(repository):
    result = subprocess.run(
        [sys.executable, "docs/make_performance.py", "--check"], cwd=repository, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_profile_accounts_for_all_of_the_network(network_profile, precision):
    network = MMIFAMIN().prepared("cpu", precision)
    threads = torch.get_num_threads()
    *parts, whole = network_profile.parts(network, (64, 64), repeats=2)
    assert [name for name, *_ in parts] == [*network_profile.PARTS, network_profile.REST]
    for column in (1, 2):  # GFLOP, ms
        assert sum(part[column] for part in parts) == pytest.approx(whole[column])
    assert all(ms > 0 for _, _, ms, _ in parts) and abs(parts[-1][1]) < 1e-6, "convolutions outside the named parts"
    names = [name for name, *_ in network_profile.operators(network, (64, 64), repeats=2)]
    assert {"conv2d", "matmul", "tanh"} <= set(names) and not {*names} & {*network_profile.PARTS}
    assert torch.get_num_threads() == threads and not any(m._forward_hooks for m in network.modules())


def test_a_part_that_an_ablation_leaves_out_costs_nothing(network_profile):
    network = MMIFAMIN(Architecture(mcfem=False)).prepared("cpu", "fp32")
    costs = {name: (gflop, ms) for name, gflop, ms, _ in network_profile.parts(network, (32, 32), repeats=1)}
    assert costs["MCFEM: Transformer blocks"] == (0, 0) and costs["decoder"][0] > 0
