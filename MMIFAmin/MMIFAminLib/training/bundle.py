"""Export as a MONAI bundle: configuration, weights and the network's source, to run without MMIFAmin.

Layout after MONAI's bundle specification: ``configs/{metadata,inference,train}.json``, ``models/model.pt`` (and the
safetensors file with its card, from which training goes on), ``docs``, ``scripts`` (the network). Inference needs MONAI,
PyTorch, ignite and nibabel; training needs MMIFAmin.
"""

import shutil
from importlib import metadata
from pathlib import Path

import monai
import numpy as np
import torch

from .. import __version__, network
from ..engine.weights import WeightsInfo, load_weights
from ..errors import InputError, MMIFAminError
from ..files.writing import atomic_path, write_json
from . import stacked
from .config import Config, load_config

_README = """\
# {name}: MMIF-AMIN, fusion of two medical images

Fuses an anatomical volume (MR, CT) with a registered functional or second anatomical one (PET, SPECT, CT), slice by
slice. Research use only: not a medical device.

    python -m monai.bundle run --config_file configs/inference.json --dataset_dir DATA

`DATA` holds the folders `anatomical` and `functional` with NIfTI files of equal names; the fused volumes, in [0, 1] on
the anatomical grid, go to `eval`. `--uptake False` for a second picture (CT, MR) instead of measured uptake.
Intensities are scaled by percentiles of the volume; MMIFAmin itself knows windows, uptake, colour-coded images and
DICOM.

Training on one's own image pairs goes on from these weights and needs MMIFAmin (`pip install ".[train]"` in a checkout of it):

    python -m monai.bundle run --config_file configs/train.json --dataset_dir DATA

Weights: SHA-256 {sha256} of the safetensors file that they come from; {parameters:,} parameters. Method: Luo and Xu,
Adaptive Loss-Driven Multi-Scale Invertible Dense Network for Multimodal Medical Image Fusion, 2025.
Licence: Apache-2.0.
"""


def export_bundle(output: str | Path, weights: str | Path | None = None) -> Path:
    """Write a MONAI bundle of `weights` (default: the shipped ones) into the new or empty folder `output`; return it.

    Raises InputError where the folder holds files already, WeightsError where the weights cannot be used.
    """
    output = Path(output)
    if output.is_dir() and any(output.iterdir()):
        raise InputError(f"{output} is not empty: choose a new folder for the bundle.")
    trained, info = load_weights(weights)
    for folder in ("configs", "models", "docs", "scripts/training"):
        (output / folder).mkdir(parents=True, exist_ok=True)
    write_json(_metadata(info), output / "configs" / "metadata.json")
    write_json(_inference(trained.architecture.to_dict()), output / "configs" / "inference.json")
    write_json(_train(info), output / "configs" / "train.json")
    with atomic_path(output / "models" / "model.pt") as temporary:
        torch.save(trained.state_dict(), temporary)
    for path in (info.path, info.path.with_suffix(".json")):
        shutil.copy(path, output / "models")
    _copy_source(output / "scripts")
    readme = _README.format(name=info.name, sha256=info.sha256, parameters=info.card["parameters"])
    (output / "docs" / "README.md").write_text(readme, encoding="utf-8")
    (output / "LICENSE").write_text(_licence(), encoding="utf-8")
    return output


def _licence() -> str:
    """The project's licence: from the checkout, or from what pip keeps of an installed package."""
    checkout = Path(__file__).resolve().parents[3] / "LICENSE.txt"
    if checkout.is_file():
        return checkout.read_text(encoding="utf-8")
    text = metadata.distribution("mmifamin").read_text("licenses/LICENSE.txt")
    if text is None:
        raise MMIFAminError("The licence is missing from the installed package mmifamin: install it again.")
    return text


def _copy_source(scripts: Path) -> None:
    """The network's modules, in packages that lie to each other as in MMIFAminLib."""
    (scripts / "__init__.py").touch()
    (scripts / "training" / "__init__.py").touch()
    shutil.copy(stacked.__file__, scripts / "training")
    shutil.copytree(Path(network.__file__).parent, scripts / "network", ignore=shutil.ignore_patterns("__pycache__"))


def _metadata(info) -> dict:
    picture = {"type": "image", "format": "magnitude", "modality": "n/a", "spatial_shape": ["16*n", "16*n"]}
    picture |= {"dtype": "float32", "value_range": [0, 1], "is_patch_data": False}
    channels = {"0": "anatomical", "1": "functional"}
    return {
        "schema": "https://project-monai.github.io/schema/meta_schema_20240725.json",
        "version": __version__,
        "changelog": {__version__: f"weights {info.sha256[:12]}"},
        "monai_version": monai.__version__,
        "pytorch_version": torch.__version__.split("+")[0],
        "numpy_version": np.__version__,
        "required_packages_version": {"nibabel": "5.2.1", "pytorch-ignite": "0.5.1"},
        "name": info.name,
        "task": "Fusion of registered anatomical and functional images",
        "description": "MMIF-AMIN: invertible dense features of each modality, complementary features of both",
        "authors": "MMIFAmin developers",
        "copyright": "Copyright (c) MMIFAmin developers",
        "data_source": ", ".join(info.card.get("data", {})) + " pairs, as the model card tells",
        "data_type": "nibabel",
        "image_classes": "two channels in [0, 1]: anatomical, functional",
        "pred_classes": "one channel in [0, 1]: the fused image",
        "intended_use": "Research only; not for clinical decisions",
        "network_data_format": {
            "inputs": {"image": picture | {"num_channels": 2, "channel_def": channels}},
            "outputs": {"pred": picture | {"num_channels": 1, "channel_def": {"0": "fused"}}},
        },
    }


def _inference(architecture: dict) -> dict:
    keys = ["anatomical", "functional"]

    def scaled(key: str, lower: float, upper: float) -> dict:
        scale = {"_target_": "ScaleIntensityRangePercentilesd", "keys": key, "lower": lower, "upper": upper}
        return scale | {"b_min": 0.0, "b_max": 1.0, "clip": True}

    preprocessing = [
        {"_target_": "LoadImaged", "keys": keys, "ensure_channel_first": True},
        {"_target_": "ResampleToMatchd", "keys": "functional", "key_dst": "anatomical", "padding_mode": "zeros"},
        # Axial slices with anterior up and the patient's right on the left, as in training.
        {"_target_": "Orientationd", "keys": keys, "axcodes": "PLS"},
        scaled("anatomical", 1, 99.5),
        scaled("functional", 0, 99.9),
        {"_target_": "ConcatItemsd", "keys": keys, "name": "image"},
    ]
    postprocessing = [
        {
            "_target_": "Invertd",
            "keys": "pred",
            "orig_keys": "anatomical",
            "transform": "@preprocessing",
            "nearest_interp": False,
        },
        {
            "_target_": "SaveImaged",
            "keys": "pred",
            "output_dir": "@output_dir",
            "output_postfix": "fused",
            "resample": False,
        },
    ]
    load = {"_target_": "CheckpointLoader", "load_path": "$@bundle_root + '/models/model.pt'"}
    return {
        "imports": ["$import glob", "$import os"],
        "bundle_root": ".",
        "dataset_dir": "$@bundle_root + '/data'",
        "output_dir": "$@bundle_root + '/eval'",
        "uptake": True,
        "device": "$torch.device('cuda' if torch.cuda.is_available() else 'cpu')",
        "names": "$sorted(os.path.basename(path) for path in glob.glob(@dataset_dir + '/anatomical/*.nii*'))",
        "keys": keys,
        "dataset_data": "$[{key: os.path.join(@dataset_dir, key, name) for key in @keys} for name in @names]",
        "network_def": {"_target_": "scripts.training.stacked.StackedMMIFAMIN", "uptake": "@uptake"} | architecture,
        "network": "$@network_def.to(@device)",
        "preprocessing": {"_target_": "Compose", "transforms": preprocessing},
        "dataset": {"_target_": "Dataset", "data": "@dataset_data", "transform": "@preprocessing"},
        "dataloader": {"_target_": "DataLoader", "dataset": "@dataset", "batch_size": 1, "num_workers": 0},
        "inferer": {
            "_target_": "scripts.training.stacked.VolumeInferer",
            "roi_size": [-1, -1],
            "spatial_dim": 2,
            "sw_batch_size": 4,
        },
        "postprocessing": {"_target_": "Compose", "transforms": postprocessing},
        "handlers": [load | {"load_dict": {"model": "@network"}}],
        "evaluator": {
            "_target_": "SupervisedEvaluator",
            "device": "@device",
            "val_data_loader": "@dataloader",
            "network": "@network",
            "inferer": "@inferer",
            "postprocessing": "@postprocessing",
            "val_handlers": "@handlers",
        },
        "run": ["$@evaluator.run()"],
    }


def _configuration(info: WeightsInfo) -> Config:
    """What the weights were trained with, or the recipe where that was of a time when configurations had other keys."""
    try:
        return Config.from_dict(info.card["config"])
    except (KeyError, InputError):
        return load_config("medical-ranks")


def _train(info) -> dict:
    config = _configuration(info).to_dict() | {"start": f"$@bundle_root + '/models/{info.path.name}'"}
    return {
        "imports": ["$from MMIFAminLib import training"],
        "bundle_root": ".",
        "dataset_dir": "$@bundle_root + '/data'",
        "output_dir": "$@bundle_root + '/training'",
        "config": config,
        "run": ["$training.train(training.Config.from_dict(@config), @dataset_dir, @output_dir, resume=True)"],
    }
