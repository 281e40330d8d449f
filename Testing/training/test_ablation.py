"""The ablation: every network trained once, skipped afterwards, and a table that says what was measured."""

import csv
import dataclasses
import json

import pytest
import torch
import yaml

from MMIFAminLib.errors import InputError
from MMIFAminLib.evaluation import metrics
from MMIFAminLib.network import MMIFAMIN, Architecture
from MMIFAminLib.training import load_config
from MMIFAminLib.training.ablation import ablate, gflops, list_networks, to_markdown
from MMIFAminLib.training.config import Ablation
from MMIFAminLib.training.step import build_loss
from support.tiny_run import TINY, data  # noqa: F401 (a fixture)


@pytest.fixture
def plan(tmp_path):
    """An ablation of three variants and five tiny networks."""
    base = tmp_path / "base.yaml"
    base.write_text(yaml.safe_dump(TINY))
    variants = [
        {"name": "Full", "seeds": [0, 1]},
        {"name": "no IDN", "change": {"architecture": {"idn": False}}},
        {"name": "per task", "split": True},
    ]
    path = tmp_path / "ablation.yaml"
    path.write_text(yaml.safe_dump({"base": str(base), "steps": 2, "variants": variants}))
    return path


def read(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def test_an_ablation_trains_each_network_once(plan, data, tmp_path):  # noqa: F811
    output, told = tmp_path / "out", []
    table = ablate(plan, data, output, progress=lambda fraction, text: told.append((fraction, text)))
    rows = read(output / "ablation.csv")
    assert [(row["variant"], row["seed"], row["task"]) for row in rows] == [
        ("Full", "0", "CT"), ("Full", "0", "PET"), ("Full", "1", "CT"), ("Full", "1", "PET"),
        ("no IDN", "0", "CT"), ("no IDN", "0", "PET"), ("per task", "0", "CT"), ("per task", "0", "PET"),
    ]  # fmt: skip
    assert [row["steps"] for row in rows] == ["2"] * 6 + ["1"] * 2
    assert rows[0]["parameters"] == rows[2]["parameters"] == rows[6]["parameters"] != rows[4]["parameters"]
    assert len(table.read_text().splitlines()) == 2 + 3
    assert [fraction for fraction, _ in told] == sorted(fraction for fraction, _ in told) and told[-1][0] == 1.0

    card = json.loads((output / "no-idn-seed0" / "tiny.json").read_text())
    assert card["architecture"]["idn"] is False and card["architecture"]["channels"] == 12
    card = json.loads((output / "per-task-seed0-PET" / "tiny.json").read_text())
    assert [task["name"] for task in card["config"]["tasks"]] == ["PET"]

    networks = {path: path.stat().st_mtime_ns for path in output.rglob("*.safetensors")}
    assert len(networks) == 5
    lost = output / "no-idn-seed0"
    (lost / "tiny.safetensors").unlink()
    (lost / "checkpoint.pt").unlink()
    told.clear()
    older = output / "full-seed0" / "tiny.json"  # of a time when a key of the configuration did not exist
    card = json.loads(older.read_text())
    del card["config"]["average"]
    older.write_text(json.dumps(card))
    ablate(plan, data, output, progress=lambda fraction, text: told.append((fraction, text)))
    assert {text.split(":")[0] for _, text in told} == {"no-idn-seed0"}
    again = {path: path.stat().st_mtime_ns for path in output.rglob("*.safetensors")}
    assert [path.parent for path in again if again[path] != networks[path]] == [lost]
    assert read(output / "ablation.csv") == rows

    changed = dataclasses.replace(load_config(plan, Ablation), steps=4)
    with pytest.raises(InputError, match="another configuration"):
        ablate(changed, data, output)


def test_an_unknown_change_is_named(plan, tmp_path):
    values = yaml.safe_load(plan.read_text())
    values["variants"][1]["change"] = {"architecture": {"inn": False}}
    plan.write_text(yaml.safe_dump(values))
    with pytest.raises(InputError, match="variant 'no IDN'.*architecture.inn"):
        list_networks(load_config(plan, Ablation), tmp_path)


def test_the_shipped_plan_changes_one_thing_at_a_time(tmp_path):
    plan = load_config("ablation", Ablation)
    networks = list_networks(plan, tmp_path)
    full = networks[0].config
    assert networks[0].variant.change == {}
    assert len({network.folder for network in networks}) == len(networks)
    for network in networks:
        assert (network.config.batch, network.config.patch) == (full.batch, full.patch)
        different = {key for key, value in network.config.to_dict().items() if value != full.to_dict()[key]}
        assert len(different - {"seed"} - ({"tasks", "steps"} if network.variant.split else set())) <= 1
        assert gflops(MMIFAMIN(network.config.architecture)) > 0
    weights = [network.config.loss.options.get("weights") for network in networks]
    assert weights.count(full.loss.options["weights"]) >= len(networks) - 3
    # A stand-in that is much cheaper or dearer than what it stands in for would decide the comparison by itself.
    plain, idn = (gflops(MMIFAMIN(dataclasses.replace(full.architecture, idn=value))) for value in (False, True))
    assert plain == pytest.approx(idn, rel=0.01)


def test_the_shipped_plan_has_fixed_weights_and_three_seeds_for_every_part(tmp_path):
    networks = list_networks(load_config("ablation", Ablation), tmp_path)
    assert 0.0 in [network.config.loss.options.get("rate") for network in networks]
    for part in ("IDN", "MCFEM", "attention", "scale", "Transformer", "fixed weights"):
        assert sorted({n.seed for n in networks if part in n.variant.name}) == [0, 1, 2], part
    for network in networks:
        build_loss(network.config)


def test_flops_are_counted_as_multiplications_and_additions():
    class Convolution(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.convolution = torch.nn.Conv2d(2, 4, 3, padding=1)

        def forward(self, a, b):
            return self.convolution(torch.cat((a, b), dim=1))

    assert gflops(Convolution(), 100) == pytest.approx(2 * 4 * 2 * 9 * 100 * 100 / 1e9)
    assert gflops(MMIFAMIN(Architecture())) < 4


def test_the_table_gives_means_and_ranges_over_seeds():
    numbers = {metric.name: 1.0 for metric in metrics.METRICS}
    cost = {"parameters": 1234, "gflops": 1.5}
    rows = [
        {"variant": "full", "seed": seed, "task": task, "steps": 2, "mean_rank": rank} | numbers | cost
        for seed, task, rank in ((0, "CT", 1.0), (0, "PET", 2.0), (1, "CT", 3.0), (1, "PET", 4.0))
    ]
    lines = to_markdown(rows).splitlines()
    cells = [cell.strip() for cell in lines[2].strip("|").split("|")]
    assert cells[:4] == ["full", "2.50 (1.50 to 3.50)", "2.00", "3.00"] and cells[-3:] == ["1,234", "1.50", "0, 1"]
    assert all(line.count("|") == lines[0].count("|") for line in lines)
