"""A training run of seconds, its data and its command line."""

import os
import sys

import numpy as np
import pytest
import yaml
from PIL import Image

from MMIFAminLib.display.color import ColorTable

TINY = {
    "name": "tiny",
    "steps": 8,
    "batch": 4,
    "patch": 32,
    "seed": 5,
    "learning_rate": 0.01,
    "log_every": 2,
    "checkpoint_every": 2,
    "look_every": 4,
    "look_pairs": 2,
    "architecture": {"idn_blocks": 1, "idn_growth": 4, "channels": 12, "transformer_blocks": 1, "decoder_width": 8},
    "loss": {
        "name": "adaptive",
        "options": {
            "weights": {"structure": 1, "edge_transfer": 2},
            "anchors": {"intensity": 1, "gradient": 5},
            "uptake": {"structure": 3, "invention": 7},
        },
    },
    "uptake": {"samples": 1, "phantoms": 2},
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
