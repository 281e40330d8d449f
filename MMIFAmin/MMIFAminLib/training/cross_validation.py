"""How well a recipe does on patients it never saw: trained several times, each time without some of the patients."""

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from ..errors import InputError
from ..evaluation import metrics
from ..files.writing import atomic_path, write_csv
from ..losses.adaptive import STEP
from .config import Config, load_config
from .data import Case, load_cases
from .engine import Pairs, is_finished, train_on
from .field import Field, Scores, mean_scores, read_peers
from .record import read_log
from .uptake import load_uptake
from .validation import OURS

SPREAD = 3.5
"""By how many of a metric's ``STEP`` the lead over a classical fusion differs from patient to patient: standard deviation, mean
over metrics, CT-MR and SPECT-MR (``Testing/benchmarks/spread.py``: 3.56), rounded.
"""


def cross_validate(
    config: Config | str | Path,
    data: str | Path,
    output: str | Path,
    *,
    folds: int = 4,
    progress: Callable[[float, str], object] | None = None,
) -> Path:
    """Train ``config`` once for each of ``folds`` groups of patients, without them, and score them; return the path of the table.

    The patients of ``train`` and ``val`` are dealt out to the folds in turn, each held out of every task at once (a task with
    fewer patients than folds is trained on all of them in the others). `output` gets a folder for each fold, ``patients.csv``
    (a row for each patient: see ``by_patient``) and ``patients.md``, renewed after each fold. Run again after an interruption,
    it goes on where it stopped.
    Raises InputError as ``train`` does, for fewer than 2 folds, and where `output` holds other folds or another configuration.
    """
    if folds < 2:
        raise InputError(f"{folds} folds leave no patients to train on: choose 2 or more.")
    config, source = (config, "CONFIG") if isinstance(config, Config) else (load_config(config), Path(config).name)
    output = Path(output)
    train, val = load_cases(config, data)
    uptake, field = load_uptake(config.uptake, data, config.patch), Field(read_peers(data))
    found: list[dict] = []
    for fold in range(folds):
        held = held_out({task: train[task] + val[task] for task in train}, fold, folds)
        kept = {task: [c for c in train[task] + val[task] if c not in held[task]] for task in train}

        def tell(fraction: float, text: str, fold=fold) -> None:
            if progress:
                progress((fold + fraction) / folds, f"fold {fold + 1} of {folds}: {text}")

        folder = output / f"fold-{fold}"
        if not is_finished(config, folder):
            train_on(config, Pairs(kept, held, uptake, field), folder, source=source, resume=True, progress=tell)
        cases, scores = [case for task in held.values() for case in task], read_log(folder / "scores.csv")
        if {(case.task, case.name) for case in cases} != {(row["task"], row["id"]) for row in scores}:
            raise InputError(f"{folder} was trained without other patients: choose another output folder.")
        found += [{"fold": fold} | row for row in by_patient(cases, scores, field)]
        write_csv(found, output / "patients.csv")
        with atomic_path(output / "patients.md") as temporary:
            Path(temporary).write_text(to_markdown(found), encoding="utf-8")
    return output / "patients.md"


def held_out(cases: Mapping[str, Sequence[Case]], fold: int, folds: int) -> dict[str, list[Case]]:
    """Those of ``cases``, by task, whose patients are the share of ``fold``: dealt out in the order of their names.

    Who has images of several tasks is held out of all of them at once: the same MR is in each. The task of fewest patients
    is dealt out first, so that none ends with all of its own in one fold.
    """
    names = {task: sorted({case.patient for case in some}) for task, some in cases.items()}
    dealt: dict[str, int] = {}
    for patients in sorted(names.values(), key=len):
        counts = [sum(dealt.get(patient) == share for patient in patients) for share in range(folds)]
        for patient in patients:
            if patient not in dealt:
                dealt[patient] = counts.index(min(counts))
                counts[dealt[patient]] += 1
    return {task: [case for case in some if dealt[case.patient] == fold] for task, some in cases.items()}


def by_patient(cases: Sequence[Case], rows: Sequence[dict], field: Field) -> list[dict]:
    """One row for each patient of ``cases``, whose scores are ``rows``: task, patient, pairs, ``mean_rank``, ``expected_rank``
    and mean metrics.
    """
    scored = {(row["task"], row["id"]): row for row in rows}
    found = []
    for task, patient in dict.fromkeys((case.task, case.patient) for case in cases):
        own = [case for case in cases if (case.task, case.patient) == (task, patient)]
        mean = mean_scores([scored[task, case.name] for case in own])
        table = field.on(own)
        rank = metrics.rank_methods(table | {OURS: mean})[OURS]
        ranks = {"mean_rank": round(rank, 4), "expected_rank": round(expected_rank(mean, table), 4)}
        found.append({"task": task, "patient": patient, "pairs": len(own)} | ranks | mean)
    return found


def expected_rank(own: Scores, field: Mapping[str, Scores]) -> float:
    """The mean rank of scores ``own`` in ``field`` that can be expected on a next patient: each competitor counts by how likely
    it is ahead there, if leads differ from patient to patient by ``SPREAD`` times a metric's ``STEP``.
    """
    ranks = []
    for metric in metrics.RANKED:
        leads = np.array([math.log(max(own[metric], 1e-3) / max(scores[metric], 1e-3)) for scores in field.values()])
        ranks.append(1 + float(np.sum(0.5 * (1 - np.tanh(0.85 * leads / (SPREAD * STEP[metric]))))))
    return float(np.mean(ranks))


def to_markdown(rows: Sequence[dict]) -> str:
    """The table of ``rows``: for each task the mean rank over patients, its spread, what is expected, and each patient's."""
    lines = [
        "| task | patients | mean rank | standard deviation | worst | expected rank | each |",
        "|---|---|---|---|---|---|---|",
    ]
    for task in dict.fromkeys(row["task"] for row in rows):
        own = [row for row in rows if row["task"] == task]
        ranks = [float(row["mean_rank"]) for row in own]
        each = ", ".join(f"{row['patient']}: {float(row['mean_rank']):.2f}" for row in own)
        spread = f"{np.std(ranks, ddof=1):.2f}" if len(ranks) > 1 else ""
        expected = np.mean([float(row["expected_rank"]) for row in own])
        lines.append(
            f"| {task} | {len(own)} | {np.mean(ranks):.2f} | {spread} | {max(ranks):.2f} | {expected:.2f} | {each} |"
        )
    return "\n".join(lines) + "\n"
