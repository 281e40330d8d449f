"""The mean scores of the published methods on the validation images, as training carries them over to other patients.

    python Testing/benchmarks/peers.py [--scores ../shared/reference/peers_val.csv]

Writes ``MMIFAmin/MMIFAminLib/training/peers.csv`` from the scores of every pair, which belong to no public data set.
"""

import argparse
import csv
from pathlib import Path

from MMIFAminLib.evaluation import metrics
from MMIFAminLib.files.writing import atomic_path
from MMIFAminLib.training.field import MEAN, PUBLISHED, mean_scores


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scores", type=Path, default=Path("../shared/reference/peers_val.csv"), help="every pair's")
    options = parser.parse_args()
    if not options.scores.is_file():
        parser.error(f"{options.scores} is not there: it was measured elsewhere and belongs to no public data set")
    with open(options.scores, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    with atomic_path(PUBLISHED) as part, open(part, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["method", "task", "id", *metrics.RANKED])
        for method, task in dict.fromkeys((row["method"], row["task"]) for row in rows):
            mean = mean_scores([row for row in rows if (row["method"], row["task"]) == (method, task)])
            writer.writerow([method, task, MEAN, *(repr(mean[name]) for name in metrics.RANKED)])  # every digit


if __name__ == "__main__":
    main()
