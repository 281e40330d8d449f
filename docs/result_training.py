"""What docs/results.md tells of the training: patients never seen, the variety of the pairs, the weights of the loss."""

import numpy as np

from MMIFAminLib.training.cross_validation import to_markdown
from pages import read, table


def unseen_section() -> str:
    """Ranks on patients that a network never saw, and what each variation of the training pairs brings there."""
    return (
        "## Patients never seen\n\n"
        "`mmifamin train --config medical --folds 4`: four networks, each trained by the whole recipe without a quarter of the patients of\n"
        "`train` and `val`, who are held out of every task at once, and scored on all pairs of these. Competitors on patients of `train`\n"
        "are estimated (docs/method.md). *Expected*: each competitor counts by how likely it is ahead on a next patient.\n\n"
        + to_markdown(read("cross_validation.csv"))
        + "\nWhat each variation of the training pairs brings: two folds, 750 steps of 14 pairs, scored on three pairs of each patient\n"
        "held out; means over patients.\n\n"
        + _variants("variety.csv", {"mean_rank": "", "expected_rank": ", expected"})
        + "\n\nWhat was tried besides: 300 steps of 24 pairs on from fold 0 after 4,500 steps, at a rate of 0.0003, SSIM with its\n"
        "margin, scored on six pairs of each patient held out. *Invented*: the term of that name on 14 training pairs, in grey levels.\n"
        "No script repeats it: what was changed is not kept in the code. docs/method.md says what follows from it.\n\n"
        + _variants("roads.csv", {"mean_rank": "", "expected_rank": ", expected", "invention": ", invented"})
    )


def _variants(name: str, shown: dict[str, str]) -> str:
    """A row for each variant of the CSV ``name``: means over patients of the columns ``shown`` ``{column: heading}`` of each task."""
    rows = read(name)
    tasks, variants = (dict.fromkeys(row[key] for row in rows) for key in ("task", "variant"))

    def mean(variant: str, task: str, key: str) -> str:
        own = [float(row[key]) for row in rows if (row["variant"], row["task"]) == (variant, task)]
        return f"{np.mean(own):.3f}" if key == "invention" else f"{np.mean(own):.2f}"

    body = [[variant, *(mean(variant, task, key) for task in tasks for key in shown)] for variant in variants]
    return table(["training", *(f"{task}{heading}" for task in tasks for heading in shown.values())], body)


def learned_section(card: dict) -> str:
    """The weights of the loss at the end of the training of the weights that ship."""
    learned = card["loss_weights"]
    names = list(next(iter(learned.values())))
    body = [[task, *(f"{weights[name]:.2f}" for name in names)] for task, weights in learned.items()]
    text = "### Weights of the terms\n\nAt the end of the training (docs/method.md).\n\n"
    return text + table(["task", *(name.replace("_", " ") for name in names)], body)
