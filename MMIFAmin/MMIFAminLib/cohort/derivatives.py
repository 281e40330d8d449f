"""BIDS derivatives: what a dataset of fused volumes says of itself and of each of them."""

from __future__ import annotations

from typing import Any

from .manifest import Row


def derivative_facts(row: Row) -> dict[str, Any]:
    """What BIDS asks of the sidecar of a derivative."""
    return {"Description": "PET fused with T1w by MMIFAmin, values in [0, 1]; research use only"}
