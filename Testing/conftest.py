"""Fixtures that every test may use: where the real data lies, and what this machine lacks."""

import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the checkout."""
    return REPOSITORY


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real data and reference scores beside the checkout (``MMIFAMIN_SHARED`` names another place)."""
    folder = Path(os.environ.get("MMIFAMIN_SHARED", REPOSITORY.parent / "shared"))
    if not (folder / "data" / "harvard").is_dir():
        pytest.skip(f"real data not found in {folder}; set MMIFAMIN_SHARED to the folder that holds data/harvard")
    return folder
