"""Scores of a network on image pairs, as published methods are scored: 8-bit luma, mean rank of nine metrics."""

from collections.abc import Sequence

import numpy as np
import torch

from ..evaluation import metrics
from ..losses.adaptive import Standing
from ..losses.terms import TERMS
from ..network import MMIFAMIN
from .data import Case
from .field import Field, mean_scores

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


@torch.no_grad()
def term_means(network: MMIFAMIN, cases: list[Case], names: Sequence[str]) -> dict[str, float]:
    """The mean of each term of the loss over the fused images of ``cases``."""
    values = []
    for case in cases:
        images = (case.anatomical, case.functional, fuse_case(network, case))
        a, b, f = (torch.from_numpy(image.astype(np.float32) / np.float32(255))[None, None] for image in images)
        values.append([TERMS[name](a, b, f).item() for name in names])
    return dict(zip(names, np.mean(values, axis=0).tolist()))


def standings(
    network: MMIFAMIN, cases: Sequence[Case], rows: Sequence[dict], field: Field, terms: Sequence[str]
) -> list[Standing]:
    """How ``network`` stands on each patient of ``cases``, pairs of one task of which ``rows`` are its scores."""
    patients = dict.fromkeys(case.patient for case in cases)
    found = []
    for patient in patients:
        own = [(case, row) for case, row in zip(cases, rows) if case.patient == patient]
        images = [case for case, _ in own]
        scores = mean_scores([row for _, row in own])
        found.append(Standing(scores, term_means(network, images, terms), field.on(images)))
    return found


def summarize(rows: Sequence[dict], cases: Sequence[Case], field: Field) -> list[dict]:
    """One row for each task: mean of every metric of ``rows``, the scores of ``cases`` in the same order, and ``mean_rank``
    among the competitors on the same pairs.
    """
    summary = []
    for task in dict.fromkeys(row["task"] for row in rows):
        own = [row for row in rows if row["task"] == task]
        mean = mean_scores(own, [metric.name for metric in metrics.METRICS])
        table = field.on([case for case in cases if case.task == task])
        rank = metrics.rank_methods(table | {OURS: mean})[OURS]
        summary.append({"task": task, "pairs": len(own), "mean_rank": rank} | mean)
    return summary
