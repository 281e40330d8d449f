"""Which part earns its place: the same budget for the full method and for variants without one of its parts."""

import dataclasses
import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from ..engine.weights import load_weights
from ..errors import InputError
from ..evaluation import metrics
from ..files.writing import atomic_path, write_csv
from .config import Ablation, Config, Variant, load_config, merge
from .engine import is_finished, train

_COLUMNS = tuple(metric.name for metric in metrics.METRICS)


class Trained(NamedTuple):
    """One network of a variant: its configuration and the folder it is trained in."""

    variant: Variant
    seed: int
    config: Config
    folder: Path

    @property
    def weights(self) -> Path:
        """The file that says that this network is finished."""
        return self.folder / f"{self.config.name}.safetensors"


def ablate(
    config: Ablation | str | Path,
    data: str | Path,
    output: str | Path,
    *,
    progress: Callable[[float, str], object] | None = None,
) -> Path:
    """Train every variant with equal steps and seeds, and compare them; return the path of the table.

    `output` gets a folder for each network, ``ablation.csv`` (a row for each variant, seed and task) and
    ``ablation.md`` (a row for each variant), renewed after each network. Run again after an interruption, it skips the
    networks that are finished and continues the one that is not. Raises InputError as ``train`` does, and where a
    finished network in `output` was made with another configuration.
    """
    plan = config if isinstance(config, Ablation) else load_config(config, Ablation)
    output = Path(output)
    planned = list_networks(plan, output)
    for number, network in enumerate(planned):
        if not is_finished(network.config, network.folder):

            def tell(fraction: float, text: str, number=number, network=network):
                if progress:
                    progress((number + fraction) / len(planned), f"{network.folder.name}: {text}")

            train(network.config, data, network.folder, resume=True, progress=tell)
        rows = _rows(planned[: number + 1])
        write_csv(rows, output / "ablation.csv")
        with atomic_path(output / "ablation.md") as temporary:
            Path(temporary).write_text(to_markdown(rows), encoding="utf-8")
    return output / "ablation.md"


def list_networks(plan: Ablation, output: Path) -> list[Trained]:
    """The networks that `plan` asks for, in its order. Raises InputError for a change that no configuration knows."""
    base = load_config(plan.base)
    planned = []
    for variant in plan.variants:
        for seed in variant.seeds:
            whole = _changed(base, plan, variant, seed)
            name = f"{re.sub('[^a-z0-9]+', '-', variant.name.lower()).strip('-')}-seed{seed}"
            if not variant.split:
                planned.append(Trained(variant, seed, whole, output / name))
                continue
            for task in whole.tasks:
                share = dataclasses.replace(whole, tasks=(task,), steps=max(1, plan.steps // len(whole.tasks)))
                planned.append(Trained(variant, seed, share, output / f"{name}-{task.name}"))
    return planned


def _changed(base: Config, plan: Ablation, variant: Variant, seed: int) -> Config:
    # Twenty looks, at which an adaptive loss learns.
    values = base.to_dict() | {"seed": seed, "steps": plan.steps, "look_every": max(1, plan.steps // 20)}
    try:
        return Config.from_dict(merge(merge(values, plan.change), variant.change))
    except InputError as error:
        raise InputError(f"variant {variant.name!r}: {error}") from None


def _rows(networks: list[Trained]) -> list[dict]:
    """A row for each network and task, from the model cards."""
    rows = []
    for trained in networks:
        network, info = load_weights(trained.weights)
        cost = {"parameters": info.card["parameters"], "gflops": round(gflops(network), 3)}
        for scores in info.card["validation"]:
            numbers = {
                name: float("nan") if scores[name] is None else scores[name] for name in ("mean_rank", *_COLUMNS)
            }
            names = {"variant": trained.variant.name, "seed": trained.seed, "task": scores["task"]}
            rows.append(names | {"steps": info.card["steps"]} | numbers | cost)
    return rows


def gflops(network: torch.nn.Module, size: int = 256) -> float:
    """Floating-point operations for one pair of `size` x `size`, in 1e9, multiply and add counted apart."""
    image = torch.zeros(1, 1, size, size)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(image, image)
    return counter.get_total_flops() / 1e9


def to_markdown(rows: list[dict]) -> str:
    """The table of `rows`: ranks by task and overall (mean over seeds, range in brackets), mean metrics, cost of one
    network.
    """
    tasks = list(dict.fromkeys(row["task"] for row in rows))
    header = ["variant", "mean rank", *tasks, *metrics.RANKED, "parameters", "GFLOPs", "seeds"]
    lines = [f"| {' | '.join(header)} |", "|" + "---|" * len(header)]
    for variant in dict.fromkeys(row["variant"] for row in rows):
        own = [row for row in rows if row["variant"] == variant]
        seeds = sorted({row["seed"] for row in own})
        ranks = {task: [row["mean_rank"] for row in own if row["task"] == task] for task in tasks}
        overall = [np.mean([row["mean_rank"] for row in own if row["seed"] == seed]) for seed in seeds]
        spread = f" ({min(overall):.2f} to {max(overall):.2f})" if len(seeds) > 1 else ""
        cells = [variant, f"{np.mean(overall):.2f}{spread}"]
        cells += [f"{np.mean(ranks[task]):.2f}" if ranks[task] else "" for task in tasks]
        cells += [f"{np.mean([row[name] for row in own]):.3f}" for name in metrics.RANKED]
        cells += [f"{own[0]['parameters']:,}", f"{own[0]['gflops']:.2f}", ", ".join(map(str, seeds))]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"
