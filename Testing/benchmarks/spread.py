"""By how many steps the network's lead over a classical fusion differs from patient to patient: what SPREAD and reach rest on.

    python Testing/benchmarks/spread.py [--data ../shared/data] [--output Testing/benchmarks/results/spread.csv]

Six training pairs of each patient of CT-MR and SPECT-MR (PET-MR has one patient), the shipped weights. A row for each task:
standard deviation over patients of each metric's lead in units of its ``STEP``, mean over the classical fusions.
"""

import argparse
from pathlib import Path

import numpy as np

from MMIFAminLib.commandline.data import folder_of
from MMIFAminLib.engine.weights import load_weights
from MMIFAminLib.evaluation import metrics
from MMIFAminLib.files.writing import write_csv
from MMIFAminLib.losses.adaptive import STEP
from MMIFAminLib.training.config import load_config
from MMIFAminLib.training.data import Case, load_cases, subset
from MMIFAminLib.training.field import Field, mean_scores
from MMIFAminLib.training.validation import score_cases

PAIRS = 6  # of each patient
RESULTS = Path(__file__).resolve().parent / "results" / "spread.csv"


def leads(network, cases: list[Case]) -> np.ndarray:
    """``(methods, metrics)``: logarithms of the ratios to each classical fusion on ``cases``, in steps."""
    own = mean_scores(score_cases(network, cases))
    field = Field([]).on(cases)  # nothing is published: the classical fusions alone
    return np.array(
        [[np.log(own[m] / max(scores[m], 1e-3)) / STEP[m] for m in metrics.RANKED] for scores in field.values()]
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=folder_of("harvard"), default="../shared/data", help="folder of harvard")
    parser.add_argument("--output", type=Path, default=RESULTS, help="CSV to write")
    options = parser.parse_args()
    network, rows = load_weights()[0], []
    for task, cases in load_cases(load_config("medical"), options.data)[0].items():
        patients = dict.fromkeys(case.patient for case in cases)
        if len(patients) > 1:
            found = [leads(network, subset([c for c in cases if c.patient == p], PAIRS)) for p in patients]
            spread = np.std(found, axis=0, ddof=1).mean(axis=0)
            rows.append({"task": task, "patients": len(patients), "mean": round(float(spread.mean()), 2)})
            rows[-1] |= {name: round(float(value), 2) for name, value in zip(metrics.RANKED, spread)}
            print(rows[-1], flush=True)
    write_csv(rows, options.output)


if __name__ == "__main__":
    main()
