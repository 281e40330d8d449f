"""BIDS derivatives: what a dataset of fused volumes says of itself and of each of them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from .. import __version__
from .manifest import Row

_REPOSITORY = "https://github.com/MMIFAmin/MMIFAmin"
# The table, the page, what is done, and the pictures are ours, not BIDS'.
_IGNORED = ("cohort.csv", "cohort.html", ".cohort/", "*_preview.png")


def describe_dataset(output: Path, dataset: Path) -> None:
    """Write dataset_description.json and .bidsignore of the derivatives of ``dataset`` into ``output``."""
    from ..files import atomic_path, write_json

    description = {
        "Name": "PET fused with an anatomical image by MMIFAmin",
        "BIDSVersion": "1.10.0",
        "DatasetType": "derivative",
        "GeneratedBy": [{"Name": "MMIFAmin", "Version": __version__, "CodeURL": _REPOSITORY}],
        "SourceDatasets": [{"URL": f"file://{dataset.resolve()}"}],
        "DatasetLinks": {"raw": os.path.relpath(dataset.resolve(), output)},
    }
    write_json(description, output / "dataset_description.json")
    with atomic_path(output / ".bidsignore") as part:
        part.write_text("\n".join(_IGNORED) + "\n", encoding="utf-8")
    with atomic_path(output / "README.md") as part:
        part.write_text(_README, encoding="utf-8")


def derivative_facts(row: Row, rgb: bool) -> dict[str, Any]:
    """What BIDS asks of the sidecar of a derivative, in colours (``rgb``) or grey."""
    values = "in colours (RGB)" if rgb else "values in [0, 1]"
    return {
        "Description": f"PET fused with an anatomical image by MMIFAmin, {values}; research use only",
        "Sources": [f"bids:raw:{path}" for path in row.sources],
        "SpatialReference": f"bids:raw:{row.sources[0]}",
        "SkullStripped": False,
    }


_README = """\
# Fused volumes

Each `*_desc-fused_pet.nii.gz` is a PET fused with the anatomical image of its subject by MMIFAmin, on the grid of that
image. The `.json` beside it is the report of the fusion. `cohort.html` shows all of them; `cohort.csv` is its table.
Research use only: not a medical device, not for diagnosis or treatment.
"""
