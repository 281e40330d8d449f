"""Weights on disk: found by name or path, verified before they are used, written with a card that is true."""

import hashlib
import json

import pytest
import torch

from MMIFAminLib.engine import weights
from MMIFAminLib.engine.weights import WeightsInfo, find_weights, load_weights, save_weights
from MMIFAminLib.errors import WeightsError
from MMIFAminLib.network import MMIFAMIN
from support.networks import stirred


@pytest.fixture(scope="module")
def network():
    return stirred(MMIFAMIN())


@pytest.fixture
def saved(network, tmp_path):
    path = tmp_path / "own.safetensors"
    save_weights(network, path, {"made": "for a test", "parameters": 3})
    return path


def test_what_is_loaded_is_what_was_saved(network, saved):
    loaded, info = load_weights(saved)
    assert not loaded.training and all(value.dtype == torch.float32 for value in loaded.state_dict().values())
    for name, value in network.state_dict().items():
        assert torch.equal(value, loaded.state_dict()[name]), name
    digest = hashlib.sha256(saved.read_bytes()).hexdigest()
    assert info == WeightsInfo("own", saved, digest, json.loads(saved.with_suffix(".json").read_text()))


def test_the_card_tells_hash_size_and_architecture_and_keeps_what_it_was_given(network, saved):
    card = json.loads(saved.with_suffix(".json").read_text())
    assert card["made"] == "for a test"
    assert card["parameters"] == sum(value.numel() for value in network.state_dict().values())
    assert card["sha256"] == hashlib.sha256(saved.read_bytes()).hexdigest()
    assert card["architecture"] == network.architecture.to_dict()
    assert saved.with_suffix(".json").read_text().startswith('{\n  "')


def test_shipped_weights_are_found_by_name_and_the_medical_ones_without_one(repository):
    models = repository / "MMIFAmin" / "Resources" / "Models"
    assert find_weights() == models / "mmif-amin.safetensors"
    assert find_weights("mmif-amin-roadscene") == models / "mmif-amin-roadscene.safetensors"
    assert load_weights("mmif-amin")[1].name == "mmif-amin"
    with pytest.raises(WeightsError, match="No weights named 'other'; shipped .*: mmif-amin, mmif-amin-roadscene"):
        find_weights("other")


def test_weights_are_found_where_a_wheel_has_them(saved, tmp_path, monkeypatch):
    monkeypatch.setattr(weights, "_FOLDERS", (tmp_path / "nowhere", tmp_path))
    assert find_weights("own") == saved
    (tmp_path / "own.safetensors").unlink()
    with pytest.raises(WeightsError, match="shipped with this version: none"):
        find_weights()


def test_paths_that_hold_no_weights_are_told(saved, tmp_path):
    with pytest.raises(WeightsError, match="No weights at .*missing.safetensors"):
        find_weights(tmp_path / "missing.safetensors")
    (tmp_path / "model.pt").write_bytes(b"pickle")
    with pytest.raises(WeightsError, match="model.pt is not a .safetensors file"):
        load_weights(tmp_path / "model.pt")


def test_a_file_larger_than_any_network_is_not_read(saved):
    with open(saved, "r+b") as file:
        file.truncate(100 * 2**20)
    with pytest.raises(WeightsError, match="SHA-256 differs"):
        load_weights(saved)
    with open(saved, "r+b") as file:
        file.truncate(100 * 2**20 + 1)
    with pytest.raises(WeightsError, match="larger than any"):
        load_weights(saved)


@pytest.mark.parametrize(
    "change, words",
    [
        (lambda card: card | {"sha256": "0" * 64}, "SHA-256 differs"),
        (lambda card: {key: value for key, value in card.items() if key != "sha256"}, "SHA-256 differs"),
        (lambda card: {key: value for key, value in card.items() if key != "architecture"}, "does not hold"),
        (lambda card: card | {"architecture": card["architecture"] | {"channels": 64}}, "does not hold"),
        (lambda card: card | {"architecture": {"layers": 12}}, "does not hold"),
        (lambda card: card | {"architecture": []}, "does not hold"),
        (lambda card: [card], "not a JSON object"),
    ],
)
def test_a_card_that_is_not_of_this_file_is_refused_in_one_line(saved, change, words):
    card = saved.with_suffix(".json")
    card.write_text(json.dumps(change(json.loads(card.read_text()))))
    with pytest.raises(WeightsError, match=words) as error:
        load_weights(saved)
    assert "\n" not in str(error.value)


def test_weights_without_a_readable_card_are_refused(saved):
    card = saved.with_suffix(".json")
    card.write_text("{")
    with pytest.raises(WeightsError, match="own.json cannot be read"):
        load_weights(saved)
    card.unlink()
    with pytest.raises(WeightsError, match="no model card own.json"):
        load_weights(saved)


def test_bytes_that_are_no_safetensors_are_refused(saved):
    saved.write_bytes(b"\x80\x04 a pickle")
    card = saved.with_suffix(".json")
    card.write_text(
        json.dumps(json.loads(card.read_text()) | {"sha256": hashlib.sha256(saved.read_bytes()).hexdigest()})
    )
    with pytest.raises(WeightsError, match="own.safetensors does not hold this version's MMIF-AMIN network"):
        load_weights(saved)
