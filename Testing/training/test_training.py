"""Training: the loss's part in a step, resuming after a kill, several processes, and what a run leaves."""

import csv
import json
import signal
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from MMIFAminLib.engine.weights import load_weights
from MMIFAminLib.errors import InputError
from MMIFAminLib.training import Config, train
from MMIFAminLib.training.__main__ import main
from MMIFAminLib.training.data import load_cases, training_loader
from MMIFAminLib.training.engine import Pairs, Run
from MMIFAminLib.training.field import Field
from MMIFAminLib.training.step import TrainingStep
from MMIFAminLib.training.uptake import load_uptake
from support.tiny_run import ENVIRONMENT, TINY, command, data, write_config  # noqa: F401 (data is a fixture)


def tensors(path):
    return load_weights(path)[0].state_dict()


@pytest.fixture(scope="module")
def finished(data, tmp_path_factory):
    """The output folder of an uninterrupted run."""
    output = tmp_path_factory.mktemp("run") / "out"
    train(Config.from_dict(TINY), data, output)
    return output


def without_time(path):
    with open(path, newline="") as file:
        return [{key: value for key, value in row.items() if key != "seconds"} for row in csv.DictReader(file)]


def test_a_run_leaves_weights_card_logs_and_picture(data, finished):
    network, info = load_weights(finished / "tiny.safetensors")
    card = info.card
    assert card["seed"] == 5 and card["steps"] == 8 and card["config"] == Config.from_dict(TINY).to_dict()
    assert [(row["task"], row["pairs"]) for row in card["validation"]] == [("CT", 2), ("PET", 2)]
    assert str(data) not in json.dumps(card) and str(finished) not in json.dumps(card)
    assert [int(row["step"]) for row in without_time(finished / "log.csv")] == [2, 4, 6, 8]
    assert {"loss", "intensity", "gradient", "structure", "invention", "overshoot"} < set(
        without_time(finished / "log.csv")[0]
    )
    assert [int(row["step"]) for row in without_time(finished / "looks.csv")] == [4, 4, 8, 8]
    assert len(without_time(finished / "scores.csv")) == 4
    with Image.open(finished / "progress.png") as picture:
        assert min(picture.size) > 500 and np.asarray(picture.convert("L")).std() > 5
    assert network.decoder.last.weight.abs().max() > 0


def test_the_weights_of_the_terms_are_learned_on_training_pairs(finished, data):
    """Nothing in the folder says what peers score, so the classical fusions are the field."""
    rows = without_time(finished / "looks.csv")
    assert [(row["task"], row["pairs"]) for row in rows] == [("CT", "2"), ("PET", "2")] * 2
    assert all(1 <= float(row["mean_rank"]) <= 6 for row in rows)
    learned = [float(row["weight of structure"]) for row in rows]
    ct, pet = learned[::2], learned[1::2]
    assert ct[0] != ct[1] and pet[0] != pet[1] and ct[1] != pet[1]  # both still moving, each task its own way
    assert ct[0] != pytest.approx(1) and float(without_time(finished / "log.csv")[0]["weight of structure"]) >= 1
    card = json.loads((finished / "tiny.json").read_text())
    assert card["loss_weights"]["PET"]["structure"] == pytest.approx(learned[-1], abs=1e-3)


def test_training_lowers_the_loss(data, tmp_path):
    # One look, at the end: while the weights of the terms are learned, two losses cannot be compared.
    config = Config.from_dict(TINY | {"steps": 60, "log_every": 10, "checkpoint_every": 60, "look_every": 60})
    train(config, data, tmp_path / "out")
    loss = [float(row["loss"]) for row in without_time(tmp_path / "out" / "log.csv")]
    assert loss[-1] < 0.97 * loss[0]


def test_the_output_of_a_run_is_not_overwritten(data, finished):
    with pytest.raises(InputError, match="--resume"):
        train(Config.from_dict(TINY), data, finished)
    with pytest.raises(InputError, match="seed changed"):
        train(Config.from_dict(TINY | {"seed": 6}), data, finished, resume=True)
    (finished / "tiny.safetensors").rename(finished / "before.safetensors")
    train(Config.from_dict(TINY | {"threads": 2}), data, finished, resume=True)
    torch.set_num_threads(1)
    assert (finished / "tiny.safetensors").read_bytes() == (finished / "before.safetensors").read_bytes()


KILLER = """
import os, signal, sys
from pathlib import Path
from MMIFAminLib.training import train
save = Path.write_bytes
def die_half_way_through_the_second(self, content):
    second = self.with_name("checkpoint.pt").is_file()
    save(self, content[: len(content) // 2] if second else content)
    if second:
        os.kill(os.getpid(), signal.SIGKILL)
Path.write_bytes = die_half_way_through_the_second
train(*sys.argv[1:])
"""


def test_a_second_stage_starts_from_the_weights_of_the_first(data, finished, tmp_path):
    first = finished / "tiny.safetensors"
    values = TINY | {"start": str(first), "steps": 2, "learning_rate": 1e-6, "weight_decay": 0.0}
    train(Config.from_dict(values), data, tmp_path / "out")
    one, two = tensors(first), tensors(tmp_path / "out" / "tiny.safetensors")
    assert 0 < max((one[key] - two[key]).abs().max().item() for key in one) < 1e-5
    card = (tmp_path / "out" / "tiny.json").read_text()
    assert json.loads(card)["start_sha256"] == load_weights(first)[1].sha256 and str(first.parent) not in card
    other = Config.from_dict(values | {"architecture": TINY["architecture"] | {"idn_blocks": 2}})
    with pytest.raises(InputError, match="architecture"):
        train(other, data, tmp_path / "other")


def test_a_run_after_another_trains_that_first_and_once(data, finished, tmp_path):
    base, path, output = write_config(tmp_path / "base.yaml"), tmp_path / "settled.yaml", tmp_path / "out"
    path.write_text(f"extends: {base}\nafter: {base}\nsteps: 2\n", encoding="utf-8")
    weights = train(path, data, output)
    first = output / "before" / "tiny.safetensors"
    assert all(torch.equal(value, tensors(first)[key]) for key, value in tensors(finished / "tiny.safetensors").items())
    card = load_weights(weights)[1].card
    assert (card["steps"], card["start_sha256"]) == (2, load_weights(first)[1].sha256)
    made = first.stat().st_mtime_ns
    weights.unlink()
    assert train(path, data, output, resume=True).is_file() and first.stat().st_mtime_ns == made
    with pytest.raises(InputError, match="after and start"):
        Config.from_dict(TINY | {"after": str(base), "start": str(first)})


def test_what_is_written_is_the_mean_of_the_weights(data, tmp_path):
    steps = []

    class Watched(Run):
        def _update(self, *args):
            result = super()._update(*args)
            steps.append({key: value.clone() for key, value in self.model.network.state_dict().items()})
            return result

    config = Config.from_dict(TINY | {"average": 0.75})
    pairs = Pairs(*load_cases(config, data), load_uptake(config.uptake, data, config.patch), Field([]))
    Watched(config, pairs, tmp_path).train()
    mean = steps[0]
    for now in steps[1:]:
        mean = {key: 0.75 * mean[key] + 0.25 * now[key] for key in now}
    written = tensors(tmp_path / "tiny.safetensors")
    assert all(torch.allclose(written[key], mean[key], atol=1e-6) for key in mean)
    assert not all(torch.allclose(written[key], steps[-1][key], atol=1e-6) for key in mean)


def test_a_checkpoint_from_before_a_key_existed_resumes(data, finished):
    checkpoint = torch.load(finished / "checkpoint.pt", weights_only=True)
    del checkpoint["config"]["start"]
    torch.save(checkpoint, finished / "checkpoint.pt")
    assert train(Config.from_dict(TINY), data, finished, resume=True).is_file()


@pytest.mark.parametrize("content", [b"", b"\x80\x02.", b"no checkpoint\n"])
def test_a_damaged_checkpoint_is_told_in_one_line(data, finished, content):
    (finished / "checkpoint.pt").write_bytes(content)
    with pytest.raises(InputError, match="cannot be read") as caught:
        train(Config.from_dict(TINY), data, finished, resume=True)
    assert "\n" not in str(caught.value)


def test_a_killed_run_resumes_to_the_same_weights(data, tmp_path):
    """SIGKILL while the second checkpoint (step 4) is written: resumed from the first, the run equals one without."""
    config, output, whole = write_config(tmp_path / "tiny.yaml", average=0.75), tmp_path / "out", tmp_path / "whole"
    run = {"env": ENVIRONMENT, "capture_output": True, "text": True}
    killed = subprocess.run([sys.executable, "-c", KILLER, config, data, output], **run)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert not (output / "tiny.safetensors").exists()
    resumed = subprocess.run(command(config, data, output, "--resume"), **run)
    assert resumed.returncode == 0, resumed.stderr
    steps = [line.split("step ")[1] for line in resumed.stdout.splitlines() if " of 8" in line]
    assert [int(step.split()[0]) for step in steps] == [4, 6, 8]
    assert subprocess.run(command(config, data, whole), **run).returncode == 0
    assert (output / "tiny.safetensors").read_bytes() == (whole / "tiny.safetensors").read_bytes()
    for name in ("log.csv", "looks.csv", "scores.csv"):
        assert without_time(output / name) == without_time(whole / name)


def test_two_processes_train_what_one_does(data, tmp_path):
    """torchrun with gloo: the average of both processes' gradients is the gradient of the whole batch."""
    changes = {"precision": "fp32", "steps": 4, "look_every": 2}
    config = write_config(tmp_path / "tiny.yaml", **changes)
    train(config, data, tmp_path / "one")
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    arguments = torchrun + command(config, data, tmp_path / "two")[1:]
    result = subprocess.run(arguments, env=ENVIRONMENT, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    one, two = tensors(tmp_path / "one" / "tiny.safetensors"), tensors(tmp_path / "two" / "tiny.safetensors")
    assert all(torch.allclose(one[key], two[key], atol=2e-4) for key in one)
    assert json.loads((tmp_path / "two" / "tiny.json").read_text())["processes"] == 2
    assert len(without_time(tmp_path / "two" / "log.csv")) == 2
    for logs in zip(*(without_time(tmp_path / name / "log.csv") for name in ("one", "two"))):
        learned = [float(log["weight of structure"]) for log in logs]
        # From 8-bit images of two nearly equal networks, which the weights follow steeply far from any competitor.
        assert learned[0] == pytest.approx(learned[1], rel=0.5)


def test_two_processes_train_both_parts_of_a_run(data, tmp_path):
    base = write_config(tmp_path / "tiny.yaml", steps=2, look_every=2)
    path = tmp_path / "settled.yaml"
    path.write_text(f"extends: {base}\nafter: {base}\n", encoding="utf-8")
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    arguments = torchrun + command(path, data, tmp_path / "out")[1:]
    result = subprocess.run(arguments, env=ENVIRONMENT, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    first, second = (json.loads((tmp_path / "out" / name).read_text()) for name in ("before/tiny.json", "tiny.json"))
    assert first["processes"] == second["processes"] == 2 and second["start_sha256"]


def test_the_module_is_a_command(data, tmp_path, monkeypatch, capsys):
    config = write_config(tmp_path / "tiny.yaml", steps=2, look_every=2)
    monkeypatch.setattr(sys, "argv", [str(part) for part in command(config, data, tmp_path / "out")[2:]])
    assert main() == 0
    assert "step 2 of 2" in capsys.readouterr().out
    write_config(config, stesp=1)
    assert main() == 2
    assert "stesp" in capsys.readouterr().err


LOSSES = {
    "adaptive": {"weights": {"visual_information": 1.0}, "anchors": {"intensity": 1.0}},
    "information": {"intensity": 1.0, "gradient": 5.0},
    "shortfall": {"weights": {"visual_information": 1.0}, "anchors": {"intensity": 1.0}},
    "uncertainty": {"weights": {"gradient": 1.0, "structure": 1.0}},
}


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_trains_the_network_and_itself(data, name):
    config = Config.from_dict(TINY | {"loss": {"name": name, "options": LOSSES[name]}, "patch": 48})
    step = TrainingStep(config)
    uptake = load_uptake(config.uptake, data, config.patch)
    batch = next(iter(training_loader(config, load_cases(config, data)[0], uptake, 0, 0, 1)))
    loss, parts = step(*(batch[key] for key in ("a", "b", "lesion", "uptake", "task")))
    loss.backward()
    assert step.network.decoder.last.weight.grad.abs().max() > 0
    assert all(parameter.grad is not None for parameter in step.loss.parameters())
    assert "overshoot" in parts and not any(value.requires_grad for value in parts.values())
    grouped = {id(parameter) for group in step.parameter_groups() for parameter in group["params"]}
    assert grouped == {id(parameter) for parameter in step.parameters()}


def test_uptake_is_a_kind_of_pair_of_its_own(data):
    """No ranks judge it, so that its weights stay as given; the loss sees it with the planted lesion."""
    config = Config.from_dict(TINY)
    step = TrainingStep(config)
    step.loss.log_weights[:2] = float("nan")  # what the tasks have learned
    a, b = torch.rand(2, 4, 1, 32, 32, generator=torch.Generator().manual_seed(1))
    task, lesion = torch.tensor([0, 1, 0, 1]), torch.full((4, 5), 0.5)
    loss, _ = step(a, b, lesion, torch.ones(4, dtype=torch.bool), task)
    assert torch.isfinite(loss)
    loss, _ = step(a, b, lesion, torch.tensor([True, True, True, False]), task)
    assert torch.isnan(loss)
    seen = []
    step.loss.register_forward_pre_hook(lambda module, given: seen.append(given[1]))
    step(a, b, lesion, torch.tensor([True, False, False, False]), task)
    assert not torch.equal(seen[0][0], b[0]) and torch.equal(seen[0][1:], b[1:])
