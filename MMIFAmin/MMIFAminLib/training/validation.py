"""Scores of a network on validation pairs, as published methods are scored: 8-bit luma, mean rank of nine metrics."""

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from ..evaluation import metrics
from ..evaluation.baselines import BASELINES
from ..losses.terms import TERMS
from ..network import MMIFAMIN
from .data import Case

OURS = "MMIF-AMIN"


@torch.no_grad()
def fuse_case(network: MMIFAMIN, case: Case) -> np.ndarray:
    """The fused luma of ``case``, uint8 (H, W), computed in fp32."""
    device = next(network.parameters()).device
    a, b = (
        torch.from_numpy(image.astype(np.float32) / np.float32(255)).to(device)[None, None]
        for image in (case.anatomical, case.functional)
    )
    training = network.training
    network.eval()
    fused = network(a, b)[0, 0]
    network.train(training)
    return np.rint(fused.cpu().numpy() * 255).astype(np.uint8)


def score_cases(network: MMIFAMIN, cases: list[Case]) -> list[dict]:
    """One row for each case: task, id and the thirteen metrics."""
    return [
        {"task": case.task, "id": case.name} | metrics.score(case.anatomical, case.functional, fuse_case(network, case))
        for case in cases
    ]


def read_peers(data: str | Path) -> list[dict]:
    """Scores of the published methods, from ``reference/peers_val.csv`` beside the data folder; empty where absent."""
    path = Path(data).resolve().parent / "reference" / "peers_val.csv"
    if not path.is_file():
        return []
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def score_classical(cases: list[Case]) -> list[dict]:
    """Scores of the classical fusions of ``cases``, in the form of ``read_peers``: the field where no other is
    known.
    """
    rows = []
    for case in cases:
        sources = [image.astype(np.float32) / np.float32(255) for image in (case.anatomical, case.functional)]
        for name, fuse in BASELINES.items():
            fused = np.rint(fuse(*sources) * 255).astype(np.uint8)
            scores = metrics.score(case.anatomical, case.functional, fused)
            rows.append({"task": case.task, "id": case.name, "method": name} | scores)
    return rows


@torch.no_grad()
def term_means(network: MMIFAMIN, cases: list[Case], names: Sequence[str]) -> dict[str, float]:
    """The mean of each term of the loss over the fused images of ``cases``."""
    values = []
    for case in cases:
        images = (case.anatomical, case.functional, fuse_case(network, case))
        a, b, f = (torch.from_numpy(image.astype(np.float32) / np.float32(255))[None, None] for image in images)
        values.append([TERMS[name](a, b, f).item() for name in names])
    return dict(zip(names, np.mean(values, axis=0).tolist()))


def competitors(pairs: set[tuple[str, str]], peers: list[dict]) -> dict[str, dict[str, float]]:
    """The mean scores of every method in ``peers`` that has all of ``pairs``, given by task and id."""
    scores: dict[str, list[dict]] = {}
    for row in peers:
        if (row["task"], row["id"]) in pairs:
            scores.setdefault(row["method"], []).append(row)
    # A method that lacks some of the pairs would be compared on others.
    return {method: _mean(found, metrics.RANKED) for method, found in scores.items() if len(found) == len(pairs)}


def summarize(rows: list[dict], peers: list[dict]) -> list[dict]:
    """One row for each task: mean of every metric, ``mean_rank`` among the peers on the same pairs (NaN without)."""
    summary = []
    for task in dict.fromkeys(row["task"] for row in rows):
        own = [row for row in rows if row["task"] == task]
        mean = _mean(own, [metric.name for metric in metrics.METRICS])
        table = competitors({(task, row["id"]) for row in own}, peers)
        rank = metrics.rank_methods(table | {OURS: mean})[OURS] if table else float("nan")
        summary.append({"task": task, "pairs": len(own), "mean_rank": rank} | mean)
    return summary


def _mean(rows: list[dict], names) -> dict[str, float]:
    return {name: float(np.mean([float(row[name]) for row in rows])) for name in names}
