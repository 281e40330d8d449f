"""Training: the configuration, the checks of the data, and the samples that are drawn from it."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import torch
import yaml
from PIL import Image

from MMIFAminLib.errors import InputError
from MMIFAminLib.training import Config, load_config, train
from MMIFAminLib.training.config import SHIPPED as CONFIGS
from MMIFAminLib.training.config import UptakePairs
from MMIFAminLib.training.data import Case, DrawPatch, laid_over, load_cases, training_loader
from MMIFAminLib.training.engine import Pairs, train_on
from MMIFAminLib.training.field import Field
from MMIFAminLib.training.step import build_loss
from MMIFAminLib.training.uptake import load_uptake
from MMIFAminLib.volume.geometry import on_cubes
from support.tiny_run import TINY, data, write_config  # noqa: F401 (data is a fixture)

SHIPPED = [path.stem for path in sorted(CONFIGS.glob("*.yaml")) if not path.stem.startswith("ablation")]


@pytest.mark.parametrize("name", SHIPPED)
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
        ({"vary": {"gamma": 0.5}}, ["vary.gamma", "0.5"]),
        ({"steps": 20}, ["warmup", "single step"]),
        ({"workers": -1}, ["workers", "-1"]),
        ({"uptake": {"samples": 4}}, ["uptake.samples", "4", "tasks"]),
        ({"uptake": {"samples": 1}}, ["uptake.samples", "phantoms"]),
        ({"uptake": {"samples": 1, "body": "body"}}, ["ct.nrrd"]),
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
        "uptake": {"structure": 3, "invention": 7},
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
    config = Config.from_dict(TINY | {"uptake": {}, "tasks": [task | {"val": "harvard/val/PET-MRI"}]})
    cases = load_cases(config, shared / "data")[0]["PET"]
    assert all(case.uptake is not None and case.uptake.min() >= 0 and case.uptake.max() <= 1 for case in cases)
    # Warm yellow is brighter in luma than the hotter red: uptake is not luma on another scale.
    case = max(cases, key=lambda case: case.uptake.max())
    hottest = case.uptake > 0.97
    assert hottest.any() and case.functional[hottest].mean() < 0.9 * case.functional.max()
    drawn = DrawPatch(config, {"PET": cases})(0)
    assert 0 < drawn["b"].max() <= 1


def test_samples_are_a_function_of_seed_and_number(data):
    config = Config.from_dict(TINY)
    cases, uptake = load_cases(config, data)[0], load_uptake(config.uptake, data, config.patch)
    whole = list(training_loader(config, cases, uptake, 0, 0, 1))
    assert len(whole) == config.steps
    resumed = list(training_loader(config, cases, uptake, 5, 0, 1))
    assert all(torch.equal(x[key], y[key]) for x, y in zip(whole[5:], resumed) for key in x)
    first, second = (list(training_loader(config, cases, uptake, 0, rank, 2)) for rank in (0, 1))
    for x, y, z in zip(whole, first, second):
        assert torch.equal(x["a"], torch.stack((y["a"], z["a"]), dim=1).flatten(0, 1))
    beside = list(training_loader(replace(config, workers=1), cases, uptake, 0, 0, 1))
    assert all(torch.equal(x[key], y[key]) for x, y in zip(whole, beside) for key in x), "drawn by another process"
    other = list(training_loader(replace(config, seed=6), cases, uptake, 0, 0, 1))
    assert not any(torch.equal(x["a"], y["a"]) for x, y in zip(whole, other))
    assert not torch.equal(whole[0]["a"], whole[1]["a"])


VARY = {"share": 1.0, "angle": 30, "scale": 0.2}


def drawn(data, vary, count=12):
    config = Config.from_dict(TINY | {"vary": vary, "tasks": TINY["tasks"][:1], "uptake": {}})
    cases = load_cases(config, data)[0]
    return [DrawPatch(config, cases)(number) for number in range(count)], cases["CT"]


def test_varied_samples_are_a_function_of_their_number(data):
    first, second = (drawn(data, VARY | {"gamma": 1.4, "partner": 0.5})[0] for _ in range(2))
    assert all(torch.equal(x[key], y[key]) for x, y in zip(first, second) for key in ("a", "b", "lesion"))
    assert all(type(sample["a"]) is torch.Tensor and sample["a"].shape == (1, 32, 32) for sample in first)
    assert all(sample[key].min() >= 0 and sample[key].max() <= 1 for sample in first for key in ("a", "b"))


def test_both_images_are_turned_alike_and_their_grey_levels_bent_apart(data, tmp_path):
    folder = tmp_path / "data"
    for path in data.rglob("*.png"):  # both images of every pair the same
        target = folder / path.relative_to(data)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes((path.parent.parent / "MRI" / path.name).read_bytes())
    plain, turned, bent = (drawn(folder, vary)[0] for vary in ({}, VARY, {"share": 1.0, "gamma": 1.4}))
    assert all(torch.equal(sample["a"], sample["b"]) for sample in (*plain, *turned))
    assert not any(torch.equal(x["a"], y["a"]) for x, y in zip(plain, turned))
    assert not any(torch.equal(sample["a"], sample["b"]) for sample in bent)
    for x, y in zip(plain, bent):
        levels = y["a"].flatten()[x["a"].flatten().argsort()]
        assert (levels.diff() >= 0).all(), "grey levels changed their order"


def test_the_anatomical_image_can_come_from_another_pair_of_any_task(data):
    config = Config.from_dict(TINY | {"vary": {"partner": 0.5}, "uptake": {}})
    cases = load_cases(config, data)[0]
    draw = DrawPatch(config, cases)
    task = config.tasks[0]
    own = {case.anatomical.tobytes() for case in cases[task.name]}
    everywhere = {case.anatomical.tobytes() for task in config.tasks for case in cases[task.name]}
    partners = draw.partners[task.anatomical]
    chosen = [draw._case(np.random.default_rng(number), cases[task.name], partners) for number in range(60)]
    drawn = [case.anatomical.tobytes() for case in chosen]
    assert set(drawn) <= everywhere and set(drawn) & own and set(drawn) - own
    assert all(
        case in cases[task.name]
        for case in (draw._case(np.random.default_rng(n), cases[task.name], ()) for n in range(9))
    )


def test_a_poorer_scanner_smooths_and_adds_noise_to_the_functional_image_alone(data):
    plain, blurred, noisy = (
        drawn(data, vary)[0] for vary in ({}, {"share": 1.0, "blur": 3.0}, {"share": 1.0, "noise": 0.2})
    )
    for x, y, z in zip(plain, blurred, noisy):
        assert torch.equal(x["a"], y["a"]) and torch.equal(x["a"], z["a"])
        assert y["b"].diff().abs().mean() < x["b"].diff().abs().mean()
        assert (z["b"][x["b"] == 0] == 0).all() and 0 < (z["b"] - x["b"]).std() < 0.2


def test_a_partner_is_laid_over_place_and_extent():
    rows, columns = np.mgrid[:64, :80]

    def disc(row, column, height, width):
        return np.where(((rows - row) / height) ** 2 + ((columns - column) / width) ** 2 < 1, 200, 0).astype(np.uint8)

    case = Case("CT", "1001", disc(30, 40, 20, 16), disc(30, 40, 20, 16))
    other = Case("CT", "2001", disc(36, 30, 10, 24), disc(36, 30, 10, 24) // 2)
    moved = laid_over(case, other)
    assert moved.anatomical is case.anatomical and moved.functional.dtype == np.uint8
    inside, wanted = moved.functional > 50, case.anatomical > 0
    assert (inside & wanted).sum() / (inside | wanted).sum() > 0.93
    assert set(np.unique(moved.functional[16:44, 30:50])) == {100}
    black = Case("CT", "3001", np.zeros((64, 80), np.uint8), np.zeros((64, 80), np.uint8))
    assert np.array_equal(laid_over(black, other).functional.shape, (64, 80))


def test_windows_cut_away_dark_and_bright_ends(data):
    plain, shown = (drawn(data, vary)[0] for vary in ({}, {"share": 1.0, "window": 0.4}))
    for x, y in zip(plain, shown):
        slope = [image.flatten().diff().abs().max() for image in (x["a"], y["a"])]
        order = y["a"].flatten()[x["a"].flatten().argsort()]
        assert slope[1] > slope[0] and (order.diff() >= 0).all()


def test_the_patient_of_a_pair_is_its_name_without_the_slice():
    blank = np.zeros((1, 1), np.uint8)
    assert [Case("CT", name, blank, blank).patient for name in ("34002", "041", "brain", "p7-012")] == [
        "34",
        "041",
        "brain",
        "p7-",
    ]


def test_pairs_of_uptake_have_lesions_in_white_bone(shared):
    pairs = UptakePairs(samples=1, body="body", templates="templates", phantoms=3)
    cases = load_uptake(pairs, shared / "data", 128)
    kinds = Counter(case.name.rstrip("0123456789") for case in cases)
    assert (
        set(kinds) == {"body", "T1-PET", "T2-PET", "PD-PET", "T1-SPECT", "T2-SPECT", "phantom"}
        and kinds["phantom"] == 3
    )
    assert all(case.task == "uptake" and case.uptake.dtype == np.float32 for case in cases)
    assert all(case.uptake.min() >= 0 and case.uptake.max() <= 1 for case in cases)
    body = [case for case in cases if case.name.startswith("body")]
    assert len(body) == 67 and max(case.uptake.max() for case in body) == 1
    white = [(case.anatomical > 250, case.uptake) for case in load_uptake(UptakePairs(phantoms=40), shared, 128)]
    assert any((bone & (u > 0.5)).sum() > 20 for bone, u in white), "hot bone"
    assert any((bone & (u < 0.02)).sum() > 20 for bone, u in white), "cold bone"
    with pytest.raises(InputError, match="T1-PET.*400"):
        load_uptake(UptakePairs(templates="templates"), shared / "data", 400)


def test_uptake_is_shown_in_wider_windows(data):
    config = Config.from_dict(TINY | {"uptake": {}})
    cases = load_cases(config, data)[0]
    samples = [DrawPatch(config, cases)(number) for number in range(40)]
    hottest = max(case.uptake.max() for case in cases["PET"])
    shown = [sample["b"].max().item() for sample in samples if sample["uptake"]]
    assert len(shown) > 8 and 0.2 * hottest < min(shown) < 0.6 * hottest and max(shown) <= hottest


def test_volumes_on_cubes_keep_place_and_values():
    image = sitk.GetImageFromArray(np.arange(24, dtype=np.float32).reshape(2, 3, 4))
    image.SetSpacing((2, 2, 4))
    image.SetOrigin((5, -3, 7))
    fine = on_cubes(image, 2.0)
    assert fine.GetSize() == (4, 3, 4) and fine.GetSpacing() == (2, 2, 2) and fine.GetOrigin() == (5, -3, 7)
    assert fine[1, 2, 0] == image[1, 2, 0] and fine[1, 2, 1] == (image[1, 2, 0] + image[1, 2, 1]) / 2


@pytest.mark.parametrize(
    "text, words",
    [
        ("extends: own.yaml\n", "extends itself"),
        ("extends: [a]\n", "must be the name of a configuration"),
        ("- a\n", "must be a mapping"),
        ("extends: medical\nafter: own.yaml\n", "comes after itself"),
    ],
)
def test_a_configuration_that_cannot_extend_or_follow(tmp_path, data, monkeypatch, text, words):
    monkeypatch.chdir(tmp_path)
    Path("own.yaml").write_text(text)
    with pytest.raises(InputError, match=words):
        train_on(load_config("own.yaml"), Pairs({}, {}, [], Field([])), tmp_path / "out")
