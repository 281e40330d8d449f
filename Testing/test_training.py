"""Training: configuration, data checks, sampling, resuming after a kill, several processes, and what a run leaves."""

import csv
import json
import os
import signal
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from MMIFAminLib.color import ColorTable
from MMIFAminLib.errors import InputError
from MMIFAminLib.losses.lesion import lesion_shortfall, plant_lesions
from MMIFAminLib.training import Config, load_config, train
from MMIFAminLib.training.__main__ import main
from MMIFAminLib.training.data import DrawPatch, load_cases, training_loader
from MMIFAminLib.training.step import TrainingStep, build_loss
from MMIFAminLib.training.validation import OURS, summarize
from MMIFAminLib.weights import load_weights

TINY = {
    "name": "tiny",
    "steps": 8,
    "batch": 4,
    "patch": 32,
    "seed": 5,
    "learning_rate": 0.01,
    "log_every": 2,
    "checkpoint_every": 2,
    "validate_every": 4,
    "validation_pairs": 1,
    "architecture": {"idn_blocks": 1, "idn_growth": 4, "channels": 12, "transformer_blocks": 1, "decoder_width": 8},
    "loss": {
        "name": "adaptive",
        "options": {"weights": {"structure": 1, "edge_transfer": 2}, "anchors": {"intensity": 1, "gradient": 5}},
    },
    "lesion": {"weight": 0.5},
    "tasks": [
        {"name": "CT", "train": "train/CT", "val": "val/CT", "anatomical": "MRI", "functional": "CT", "swap": 0.5},
        {
            "name": "PET",
            "train": "train/PET",
            "val": "val/PET",
            "anatomical": "MRI",
            "functional": "PET",
            "uptake": 0.7,
        },
    ],
}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A data folder of two tasks with small smooth random pairs; PET is colour-coded."""
    colors = np.rint(ColorTable.named("harvard-pet").colors * 255).astype(np.uint8)
    folder = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    for split, count in (("train", 3), ("val", 2)):
        for task in ("CT", "PET"):
            for kind in ("MRI", task):
                path = folder / split / task / kind
                path.mkdir(parents=True)
                for index in range(count):
                    coarse = Image.fromarray(rng.integers(30, 255, (8, 8), dtype=np.uint8))
                    image = np.asarray(coarse.resize((48, 48), Image.BICUBIC))
                    coded = colors[image.astype(int) * (len(colors) - 1) // 255] if kind == "PET" else image
                    Image.fromarray(coded).save(path / f"{index}.png")
    return folder


def write_config(path, **changes):
    path.write_text(yaml.safe_dump(TINY | changes))
    return path


def command(config, data, output, *options):
    return [
        sys.executable,
        "-m",
        "MMIFAminLib.training",
        "--config",
        config,
        "--data",
        data,
        "--output",
        output,
        *options,
    ]


ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1"}


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


@pytest.mark.parametrize("name", ["medical", "medical-1", "medical-2", "medical-3", "medical-4", "medical-5", "roadscene"])
def test_shipped_configurations_load_and_come_back(name):
    config = load_config(name)
    assert Config.from_dict(yaml.safe_load(yaml.safe_dump(config.to_dict()))) == config
    build_loss(config)


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"stesp": 3}, ["stesp", "steps"]),
        ({"architecture": {"blocks": 2}}, ["architecture.blocks", "idn_blocks"]),
        ({"tasks": [{"name": "CT"}]}, ["tasks[0].train", "missing"]),
        ({"batch": "many"}, ["batch", "many"]),
        ({"learning_rate": True}, ["learning_rate"]),
        ({"loss": {"name": "magic"}}, ["magic", "adaptive"]),
        ({"loss": {"name": "adaptive", "options": {"wieghts": {}}}}, ["loss.options", "wieghts"]),
        ({"checkpoint_every": 3}, ["checkpoint_every", "log_every"]),
        ({"precision": "int4"}, ["int4", "bf16"]),
    ],
)
def test_a_bad_configuration_is_named(tmp_path, data, changes, words):
    path = write_config(tmp_path / "bad.yaml", **changes)
    with pytest.raises(InputError) as caught:
        train(path, data, tmp_path / "out")
    assert all(word in str(caught.value) for word in words)


def test_a_configuration_extends_another(tmp_path):
    base = write_config(tmp_path / "base.yaml")
    options = {"weights": {"structure": None, "entropy": 0.5}}
    path = tmp_path / "more.yaml"
    path.write_text(
        yaml.safe_dump({"extends": str(base), "steps": 3, "loss": {"options": options}, "tasks": TINY["tasks"][:1]})
    )
    config, other = load_config(path), load_config(base)
    assert config.loss.options == {
        "weights": {"edge_transfer": 2, "entropy": 0.5},
        "anchors": {"intensity": 1, "gradient": 5},
    }
    assert (config.steps, len(config.tasks)) == (3, 1) and config.architecture == other.architecture
    with pytest.raises(InputError, match="nowhere.yaml.*shipped configurations:.*medical"):
        load_config("nowhere.yaml")


def test_scientific_notation_is_a_number(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(TINY).replace("learning_rate: 0.01", "learning_rate: 1e-2"))
    assert load_config(path).learning_rate == 0.01


def test_all_problems_of_the_data_are_named_at_once(tmp_path, data):
    folder = tmp_path / "data"
    for path in data.rglob("*.png"):
        target = folder / path.relative_to(data)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
    (folder / "train/CT/CT/0.png").unlink()
    Image.new("L", (40, 48)).save(folder / "train/PET/PET/1.png")
    (folder / "val/PET/MRI/1.png").write_bytes(b"not a picture")
    Image.new("L", (20, 20)).save(folder / "train/CT/CT/2.png")
    Image.new("L", (20, 20)).save(folder / "train/CT/MRI/2.png")
    with pytest.raises(InputError) as caught:
        load_cases(Config.from_dict(TINY), folder)
    lines = str(caught.value).splitlines()
    assert lines[0].startswith("4 problems")
    for path, word in (
        ("train/CT/MRI/0.png", "partner"),
        ("train/PET/PET/1.png", "40x48"),
        ("val/PET/MRI/1.png", "read"),
        ("train/CT/MRI/2.png", "smaller"),
    ):
        assert any(str(folder / path) in line and word in line for line in lines[1:])
    with pytest.raises(InputError, match="8 problems|4 problems"):
        load_cases(Config.from_dict(TINY), tmp_path / "nowhere")


def test_uptake_of_real_pairs_is_read(shared):
    task = {"name": "PET", "anatomical": "MRI", "functional": "PET", "uptake": 1.0}
    task |= {"train": "harvard/val/PET-MRI", "val": "harvard/val/CT-MRI"}
    config = Config.from_dict(TINY | {"tasks": [task | {"val": "harvard/val/PET-MRI"}]})
    cases = load_cases(config, shared / "data")[0]["PET"]
    assert all(case.uptake is not None and 0 <= case.uptake.min() and case.uptake.max() <= 1 for case in cases)
    # Warm yellow is brighter in luma than the hotter red: uptake is not luma on another scale.
    case = max(cases, key=lambda case: case.uptake.max())
    hottest = case.uptake > 0.97
    assert hottest.any() and case.functional[hottest].mean() < 0.9 * case.functional.max()
    drawn = DrawPatch(config, {"PET": cases})(0)
    assert 0 < drawn["b"].max() <= 1


def test_samples_are_a_function_of_seed_and_number(data):
    config = Config.from_dict(TINY)
    cases = load_cases(config, data)[0]
    whole = list(training_loader(config, cases, 0, 0, 1))
    assert len(whole) == config.steps
    resumed = list(training_loader(config, cases, 5, 0, 1))
    assert all(torch.equal(x[key], y[key]) for x, y in zip(whole[5:], resumed) for key in x)
    first, second = (list(training_loader(config, cases, 0, rank, 2)) for rank in (0, 1))
    for x, y, z in zip(whole, first, second):
        assert torch.equal(x["a"], torch.stack((y["a"], z["a"]), dim=1).flatten(0, 1))
    other = list(training_loader(replace(config, seed=6), cases, 0, 0, 1))
    assert not any(torch.equal(x["a"], y["a"]) for x, y in zip(whole, other))
    assert not torch.equal(whole[0]["a"], whole[1]["a"])


def test_a_run_leaves_weights_card_logs_and_picture(data, finished):
    network, info = load_weights(finished / "tiny.safetensors")
    card = info.card
    assert card["seed"] == 5 and card["steps"] == 8 and card["config"] == Config.from_dict(TINY).to_dict()
    assert [(row["task"], row["pairs"]) for row in card["validation"]] == [("CT", 2), ("PET", 2)]
    assert str(data) not in json.dumps(card) and str(finished) not in json.dumps(card)
    assert [int(row["step"]) for row in without_time(finished / "log.csv")] == [2, 4, 6, 8]
    assert {"loss", "intensity", "gradient", "structure", "overshoot", "lesion"} < set(
        without_time(finished / "log.csv")[0]
    )
    assert [int(row["step"]) for row in without_time(finished / "validation.csv")] == [4, 4, 8, 8]
    assert len(without_time(finished / "scores.csv")) == 4
    with Image.open(finished / "progress.png") as picture:
        assert min(picture.size) > 500 and np.asarray(picture.convert("L")).std() > 5
    assert network.decoder.last.weight.abs().max() > 0


def test_the_weights_of_the_terms_are_learned_on_validation(finished):
    """Nothing in the folder says what peers score, so the classical fusions are the field."""
    rows = without_time(finished / "validation.csv")
    assert [row["task"] for row in rows] == ["CT", "PET"] * 2
    assert all(1 <= float(row["mean_rank"]) <= 5 for row in rows)
    learned = [float(row["weight of structure"]) for row in rows]
    assert len(set(learned)) == 4  # each task its own, and both still moving
    first, *later = (float(row["weight of structure"]) for row in without_time(finished / "log.csv"))
    assert first == pytest.approx(1) and later[-1] != pytest.approx(1)
    card = json.loads((finished / "tiny.json").read_text())
    assert card["loss_weights"]["PET"]["structure"] == pytest.approx(learned[-1], abs=1e-3)


def test_training_lowers_the_loss(data, tmp_path):
    # One validation, at the end: while the weights of the terms are learned, two losses cannot be compared.
    config = Config.from_dict(TINY | {"steps": 60, "log_every": 10, "checkpoint_every": 60, "validate_every": 60})
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


def test_a_checkpoint_from_before_a_key_existed_resumes(data, finished):
    checkpoint = torch.load(finished / "checkpoint.pt", weights_only=True)
    del checkpoint["config"]["start"]
    torch.save(checkpoint, finished / "checkpoint.pt")
    assert train(Config.from_dict(TINY), data, finished, resume=True).is_file()


def test_a_killed_run_resumes_to_the_same_weights(data, tmp_path):
    """SIGKILL while the second checkpoint (step 4) is written: resumed from the first, the run equals one without."""
    config, output, whole = write_config(tmp_path / "tiny.yaml"), tmp_path / "out", tmp_path / "whole"
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
    for name in ("log.csv", "validation.csv", "scores.csv"):
        assert without_time(output / name) == without_time(whole / name)


def test_two_processes_train_what_one_does(data, tmp_path):
    """torchrun with gloo: the average of both processes' gradients is the gradient of the whole batch."""
    changes = {"precision": "fp32", "lesion": {"weight": 0.0}, "steps": 4, "validate_every": 2}
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
        assert learned[0] == pytest.approx(learned[1], rel=0.1)  # from 8-bit images of two nearly equal networks


def test_the_module_is_a_command(data, tmp_path, monkeypatch, capsys):
    config = write_config(tmp_path / "tiny.yaml", steps=2, validate_every=2)
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
    batch = next(iter(training_loader(config, load_cases(config, data)[0], 0, 0, 1)))
    uptake = torch.ones(len(batch["a"]), dtype=torch.bool)
    loss, parts = step(batch["a"], batch["b"], batch["lesion"], uptake, batch["task"])
    loss.backward()
    assert step.network.decoder.last.weight.grad.abs().max() > 0
    assert all(parameter.grad is not None for parameter in step.loss.parameters())
    assert {"overshoot", "lesion"} < set(parts) and not any(value.requires_grad for value in parts.values())
    grouped = {id(parameter) for group in step.parameter_groups() for parameter in group["params"]}
    assert grouped == {id(parameter) for parameter in step.parameters()}


def test_mean_rank_is_among_peers_on_the_same_pairs():
    def row(task, name, value, **more):
        return (
            {"task": task, "id": name}
            | dict.fromkeys("EN ENfg SD SF AG MI SCD VIF Qabf SSIM CC PSNR MSSSIM".split(), value)
            | more
        )

    peers = [
        row("PET", "1", "5.0", method="good"),
        row("PET", "2", "0", method="good"),
        row("PET", "1", "1", method="poor"),
    ]
    (summary,) = summarize([row("PET", "1", 3.0)], peers)
    assert summary["mean_rank"] == 2 and summary["pairs"] == 1 and summary["VIF"] == 3.0
    assert np.isnan(summarize([row("PET", "3", 3.0)], peers)[0]["mean_rank"])
    assert OURS not in {peer["method"] for peer in peers}


def test_lesions_are_planted_as_drawn():
    b = torch.full((2, 1, 64, 64), 0.5)
    draws = torch.tensor([[0.5, 0.5, 0.0, 1.0, 0.9], [0.5, 0.5, 1.0, 0.0, 0.1]])
    changed, profile = plant_lesions(b, draws)
    assert changed[0, 0, 32, 32].item() == pytest.approx(0.8) and changed[1, 0, 32, 32].item() == pytest.approx(0.4)
    for image, width in zip(profile[:, 0], (6, 15)):  # full width at half maximum, pixels
        assert (image[32] >= 0.5).sum().item() == pytest.approx(width, abs=1)


def test_lesion_shortfall_is_zero_for_a_response_and_grows_when_inverted():
    b = torch.full((1, 1, 64, 64), 0.5)
    changed, profile = plant_lesions(b, torch.tensor([[0.5, 0.5, 0.5, 0.5, 0.1]]))
    change = changed - b
    assert lesion_shortfall(change, 0.6 * change, profile, 0.5).item() == pytest.approx(0, abs=1e-6)
    assert lesion_shortfall(change, 0 * change, profile, 0.5).item() == pytest.approx(0.5, abs=1e-3)
    assert lesion_shortfall(change, -change, profile, 0.5).item() == pytest.approx(1.5, abs=1e-3)
