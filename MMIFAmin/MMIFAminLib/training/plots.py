"""progress.png: what a person looks at while a training runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np

from ..evaluation import metrics
from ..files.writing import atomic_path

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_WEIGHT = "weight of "  # how an adaptive loss names the weights it reports


def draw_progress(path: Path, log: list[dict], validation: list[dict], panels: dict[str, tuple], title: str) -> None:
    """Draw the losses, the validation metrics, the mean rank and one fused pair of each task.

    ``log`` and ``validation`` are rows of the two logs; ``panels`` is ``{task: (anatomical, functional, fused)}``, in
    uint8.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(18, 4 + 4 + 3.4 * len(panels)), layout="constrained")
    figure.suptitle(title)
    curves, pictures = cast(np.ndarray, figure.subfigures(2, 1, height_ratios=(8, 3.4 * len(panels))))
    axes: np.ndarray = curves.subplots(2, max(4, len(panels)))
    _draw_losses(axes[0, 0], axes[0, 1], axes[0, 2], log)
    _draw_validation(axes[0, 3], list(axes[1]), validation)
    for axis in axes[0, 4:]:
        axis.set_axis_off()
    cells = pictures.subplots(len(panels), 3, squeeze=False)
    for row, (task, images) in zip(cells, panels.items()):
        for axis, image, name in zip(row, images, ("anatomical", "functional", "fused")):
            axis.imshow(image, cmap="gray", vmin=0, vmax=255)
            axis.set_title(f"{task}: {name}", fontsize=9)
            axis.set_axis_off()
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png", dpi=80)


def _draw_losses(total: Axes, terms: Axes, weights: Axes, log: list[dict]) -> None:
    steps = [int(row["step"]) for row in log]
    total.plot(steps, _column(log, "loss"), color="black")
    total.set(title="loss", xlabel="step")
    rate = total.twinx()
    rate.plot(steps, _column(log, "learning_rate"), color="tab:blue", linewidth=0.8)
    rate.set_ylabel("learning rate", color="tab:blue")
    for name in log[0] if log else ():
        if name.startswith(_WEIGHT):
            weights.plot(steps, _column(log, name), label=name[len(_WEIGHT) :])
        elif name not in ("step", "seconds", "learning_rate", "loss"):
            terms.plot(steps, np.maximum(_column(log, name), 1e-6), label=name)
    terms.set(title="terms (0 is best)", xlabel="step", yscale="log")
    weights.set(title="weights that the loss gives its terms", xlabel="step")
    for axis in (terms, weights):
        if axis.lines:
            axis.legend(fontsize=6, ncols=2)


def _draw_validation(rank: Axes, metric_axes: Sequence[Axes], validation: list[dict]) -> None:
    tasks = list(dict.fromkeys(row["task"] for row in validation))
    for task in tasks:
        rows = [row for row in validation if row["task"] == task]
        rank.plot([int(row["step"]) for row in rows], _column(rows, "mean_rank"), marker=".", label=task)
    rank.set(title="mean rank of nine metrics among the peers", xlabel="step")
    rank.invert_yaxis()
    if tasks:
        rank.legend(fontsize=7)
    for axis, task in zip(metric_axes, tasks):
        rows = [row for row in validation if row["task"] == task]
        for name in metrics.RANKED:
            values = np.array(_column(rows, name))
            axis.plot([int(row["step"]) for row in rows], values / abs(values[0]), label=f"{name} {values[-1]:.3g}")
        axis.set(title=f"{task}: metrics relative to the first", xlabel="step")
        axis.legend(fontsize=6, ncols=2)
    for axis in metric_axes[len(tasks) :]:
        axis.set_axis_off()


def _column(rows: list[dict], name: str) -> list[float]:
    return [float(row[name]) for row in rows]
