"""The training engine: MONAI's trainer with handlers for schedule, log, validation and checkpoint."""

import dataclasses
import json
import math
import os
import platform
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import NamedTuple, cast

import torch
from torch import distributed
from torch.nn.parallel import DistributedDataParallel
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from .. import __version__
from ..engine.weights import load_weights, save_weights
from ..errors import InputError, MMIFAminError
from ..files.writing import write_csv
from ..losses.adaptive import AdaptiveLoss
from ..network import MMIFAMIN
from .config import Config, load_config
from .data import UPTAKE, Case, load_cases, subset, training_loader
from .field import Field, read_peers
from .plots import draw_progress
from .record import CHECKPOINT, LOG, LOOKS, Log, load_checkpoint, save_checkpoint
from .step import TrainingStep
from .uptake import load_uptake
from .validation import fuse_case, score_cases, standings, summarize


def train(
    config: Config | str | Path,
    data: str | Path,
    output: str | Path,
    *,
    resume: bool = False,
    progress: Callable[[float, str], object] | None = None,
) -> Path:
    """Train one network; return the path of its weights, ``output/<name>.safetensors``.

    `config` is a Config, a YAML file or the name of a shipped configuration; `data` the folder that holds the tasks'
    folders; where it comes after another one, that is trained first, in the folder ``before`` of `output`. `output` gets
    ``checkpoint.pt``, ``log.csv``, ``looks.csv``, ``progress.png``, the scores of every
    validation pair (``scores.csv``), the weights and their model card. With `resume` a run continues from its last
    checkpoint and ends as if it had not been interrupted. Under torchrun every process calls this and shares the batch.
    `progress` gets the fraction done and a text. Raises InputError for a bad configuration, bad data or an output
    folder that holds a run already, MMIFAminError where the loss stops being finite.
    """
    source = "CONFIG" if isinstance(config, Config) else Path(config).name
    config = config if isinstance(config, Config) else load_config(config)
    pairs = Pairs(*load_cases(config, data), load_uptake(config.uptake, data, config.patch), Field(read_peers(data)))
    return train_on(config, pairs, output, source=source, resume=resume, progress=progress)


class Pairs(NamedTuple):
    """What a run is trained on, what it is scored on at the end, both by task, and who competes."""

    train: dict[str, list[Case]]
    held: dict[str, list[Case]]
    uptake: list[Case]
    field: Field


def train_on(
    config: Config,
    pairs: Pairs,
    output: str | Path,
    *,
    source: str = "CONFIG",
    resume: bool = False,
    progress: Callable[[float, str], object] | None = None,
) -> Path:
    """``train`` on given ``pairs``; the model card names the configuration ``source``."""
    parts = _parts(config, Path(output), source)
    for _, folder, _ in parts:
        if (folder / CHECKPOINT).is_file() and not resume:
            raise InputError(f"{folder} already holds a run: continue it with --resume or choose another folder.")
    _require_ignite()
    # One process group for all parts: torchrun's store cannot be joined a second time.
    with _processes([part for part, _, _ in parts]) as (rank, world):
        for part, folder, name in parts:
            weights = folder / f"{part.name}.safetensors"
            if part is parts[-1][0] or not weights.is_file():
                Run(part, pairs, folder, name, rank, world, progress).train()
            if world > 1:
                distributed.barrier()  # what the first process has yet to write, the next part reads
    return weights


def is_finished(config: Config, output: Path) -> bool:
    """Whether `output` holds the weights that ``train`` makes with ``config``. Raises InputError where they are another's."""
    (part, folder, _) = _parts(config, output, "")[-1]
    weights = folder / f"{part.name}.safetensors"
    if not weights.is_file():
        return False
    card = json.loads(weights.with_suffix(".json").read_text(encoding="utf-8"))
    made_with = Config.from_dict(card["config"]).for_card()  # with the defaults of keys that are newer than the weights
    if made_with != part.for_card():
        raise InputError(f"{output} holds a network of another configuration: choose another output folder.")
    return True


def _parts(config: Config, output: Path, source: str) -> list[tuple[Config, Path, str]]:
    """What is trained one after the other, with each part's folder and source: ``config``, and before it the one that it
    comes after, with the same seed.
    """
    if not config.after:
        return [(config, output, source)]
    first = dataclasses.replace(load_config(config.after), seed=config.seed)
    if first.after == config.after:
        raise InputError(f"{config.after} comes after itself: name another configuration there.")
    before = _parts(first, output / "before", config.after)
    start = output / "before" / f"{first.name}.safetensors"
    return [*before, (dataclasses.replace(config, after="", start=str(start)), output, source)]


class Run:
    """One process's share of a training run."""

    def __init__(
        self,
        config: Config,
        pairs: Pairs,
        output: Path,
        source: str = "CONFIG",
        rank: int = 0,
        world: int = 1,
        progress: Callable[[float, str], object] | None = None,
    ) -> None:
        from monai.utils.misc import set_determinism

        self.config, self.output, self.source, self.rank, self.world = config, output, source, rank, world
        self.pairs = pairs
        self.progress = progress or (lambda fraction, text: None)
        torch.set_num_threads(config.threads)  # before anything is computed: sums depend on it in their last bits
        set_determinism(config.seed)
        self.device = _device(config)
        self.model = TrainingStep(config).to(self.device)
        groups = self.model.parameter_groups()
        self.optimizer = torch.optim.AdamW(groups)
        self.scheduler = torch.optim.lr_scheduler.OneCycleLR(
            self.optimizer, [group["lr"] for group in groups], total_steps=config.steps, pct_start=config.warmup
        )
        self.step, self.seconds, self.start_sha256 = 0, 0.0, None
        if config.start:
            self._begin_with(config.start)
        self.average = None
        if config.average:
            self.average = AveragedModel(self.model.network, multi_avg_fn=get_ema_multi_avg_fn(config.average))
        if (output / CHECKPOINT).is_file():
            self.step, self.seconds = load_checkpoint(output / CHECKPOINT, config, **self._state())
        self.started = time.monotonic() - self.seconds
        self.sums: dict[str, list[float]] = {}
        output.mkdir(parents=True, exist_ok=True)
        self.log, self.looks = Log(output / LOG, self.step), Log(output / LOOKS, self.step)
        # A single process computes with the module itself, so that its results do not depend on DDP. With several, DDP
        # hands what the loss learns in the first one to the others, as buffers.
        self.parallel = DistributedDataParallel(self.model) if world > 1 else self.model

    def train(self) -> None:
        """Run the remaining steps, then write weights, model card and final scores."""
        from ignite.engine import Events
        from monai.engines.trainer import SupervisedTrainer
        from monai.handlers.lr_schedule_handler import LrScheduleHandler

        config = self.config
        if self.step < config.steps:
            # MONAI names the private base class that schedulers had before PyTorch 2.
            schedule = LrScheduleHandler(self.scheduler, False, epoch_level=False)  # pyright: ignore[reportArgumentType]
            trainer = SupervisedTrainer(
                device=self.device,
                max_epochs=1,
                train_data_loader=training_loader(
                    config, self.pairs.train, self.pairs.uptake, self.step, self.rank, self.world
                ),
                epoch_length=config.steps,
                network=self.parallel,
                optimizer=self.optimizer,
                loss_function=self.model.loss,
                iteration_update=self._update,
                train_handlers=[schedule],
            )
            trainer.logger.setLevel("CRITICAL")  # errors are raised, and shown once
            trainer.state.iteration = self.step
            trainer.add_event_handler(Events.ITERATION_COMPLETED, self._record)
            if self.rank == 0:
                every = Events.ITERATION_COMPLETED
                trainer.add_event_handler(every(every=config.log_every), self._write_log)
                trainer.add_event_handler(every(every=config.look_every), self._look)
                trainer.add_event_handler(every(every=config.checkpoint_every), self._save)
            trainer.run()
            if self.rank == 0:
                self._save(trainer)
        if self.rank == 0:
            self._finish()

    def _begin_with(self, weights: str) -> None:
        network, info = load_weights(weights)
        try:
            self.model.network.start_from(network)
        except ValueError:
            raise InputError(
                f"{weights} has another architecture than the configuration: they must be equal."
            ) from None
        if isinstance(self.model.loss, AdaptiveLoss):
            learned = info.card.get("loss_weights", {})
            for number, kind in enumerate(self._kinds()):
                self.model.loss.take_over(number, learned.get(kind, {}))
        self.start_sha256 = info.sha256

    def _state(self) -> dict:
        average = {"average": self.average} if self.average else {}
        return {"model": self.model, "optimizer": self.optimizer, "scheduler": self.scheduler} | average

    @property
    def _network(self) -> MMIFAMIN:
        """The network that is validated and written: the one in training, or the mean of its weights."""
        return cast(MMIFAMIN, self.average.module) if self.average else self.model.network

    def _update(self, engine, batch: dict[str, torch.Tensor]) -> dict[str, float]:
        sample = [batch[key].to(self.device) for key in ("a", "b", "lesion", "uptake", "task")]
        # Random numbers, where a loss uses them, depend on the step alone: a resumed run needs no generator state.
        torch.manual_seed((self.config.seed * 2**32 + engine.state.iteration) * self.world + self.rank)
        self.parallel.train()
        self.optimizer.zero_grad()
        loss, parts = self.parallel(*sample)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.network.parameters(), self.config.gradient_clip)
        self.optimizer.step()
        if self.average:
            self.average.update_parameters(self.model.network)
        values = torch.stack([loss.detach(), *parts.values()]).tolist()  # one transfer
        if not math.isfinite(values[0]):
            raise MMIFAminError(f"The loss is {values[0]} at step {engine.state.iteration}: lower learning_rate.")
        return dict(zip(("loss", *parts), values))

    def _record(self, engine) -> None:
        self.step = engine.state.iteration
        for name, value in engine.state.output.items():
            self.sums.setdefault(name, []).append(value)

    def _write_log(self, engine) -> None:
        self.seconds = time.monotonic() - self.started
        means = {name: sum(values) / len(values) for name, values in self.sums.items()}
        self.sums.clear()
        rate = self.scheduler.get_last_lr()[0]
        self.log.add({"step": self.step, "seconds": round(self.seconds, 1), "learning_rate": rate} | means)
        remaining = self.seconds / self.step * (self.config.steps - self.step)
        self.progress(
            self.step / self.config.steps,
            f"step {self.step} of {self.config.steps}, loss {means['loss']:.4f}, {remaining / 60:.0f} min left",
        )

    def _look(self, engine) -> None:
        """Compare the network with its competitors on some training pairs, as they are; an adaptive loss learns from it."""
        cases = {task: subset(cases, self.config.look_pairs) for task, cases in self.pairs.train.items()}
        ranks = []
        for number, (task, pairs) in enumerate(cases.items()):
            rows = score_cases(self._network, pairs)
            (row,) = summarize(rows, pairs, self.pairs.field)
            self.looks.add({"step": self.step} | row | self._adapt(number, pairs, rows))
            ranks.append(f"{task} {row['mean_rank']:.2f}")
        panels = {}
        for task, pairs in cases.items():
            case = pairs[len(pairs) // 2]
            panels[task] = (case.anatomical, case.functional, fuse_case(self._network, case))
        title = f"{self.config.name}, step {self.step} of {self.config.steps}"
        draw_progress(self.output / "progress.png", self.log.rows, self.looks.rows, panels, title)
        done = self.step / self.config.steps
        self.progress(done, f"step {self.step}, mean rank on training pairs: {', '.join(ranks)}")

    def _adapt(self, task: int, cases: list[Case], rows: list[dict]) -> dict[str, float]:
        """Let an adaptive loss learn from the scores ``rows`` of ``cases``; returns the weights that its terms then have."""
        loss = self.model.loss
        if not isinstance(loss, AdaptiveLoss):
            return {}
        patients = standings(self._network, cases, rows, self.pairs.field, loss.names)
        loss.learn(task, patients)
        return {f"weight of {name}": weight for name, weight in loss.weights(task).items()}

    def _save(self, engine) -> None:
        self.seconds = time.monotonic() - self.started
        save_checkpoint(self.output / CHECKPOINT, self.config, self.step, self.seconds, **self._state())

    def _finish(self) -> None:
        cases = [case for cases in self.pairs.held.values() for case in cases]
        rows = score_cases(self._network, cases)
        write_csv(rows, self.output / "scores.csv")
        card = self._card(summarize(rows, cases, self.pairs.field))
        save_weights(self._network, self.output / f"{self.config.name}.safetensors", card)
        self.progress(1.0, f"wrote {self.config.name}.safetensors")

    def _card(self, summary: list[dict]) -> dict:
        config, loss = self.config, self.model.loss
        pairs = self.pairs
        tasks = [(task.name, len(pairs.train[task.name]), len(pairs.held[task.name])) for task in config.tasks]
        return {
            "name": config.name,
            "description": "MMIF-AMIN: fusion of two registered images, grey levels in [0, 1]",
            "use": "Research only; not for clinical decisions.",
            "licence": "Apache-2.0",
            "date": datetime.now(timezone.utc).date().isoformat(),
            "command": f"mmifamin train --config {self.source} --data DATA --output OUTPUT",
            "data": {name: {"train_pairs": train, "val_pairs": val} for name, train, val in tasks},
            "seed": config.seed,
            "steps": self.step,
            "start_sha256": self.start_sha256,
            "seconds": round(self.seconds),
            "device": self.device.type,
            "processes": self.world,
            "versions": {"mmifamin": __version__, "torch": torch.__version__, "python": platform.python_version()},
            **({"loss_weights": self._loss_weights(loss)} if isinstance(loss, AdaptiveLoss) else {}),
            "validation": [{key: _rounded(value) for key, value in row.items()} for row in summary],
            "config": config.for_card(),
        }

    def _kinds(self) -> list[str]:
        """Names of the kinds of pairs that the loss tells apart: the tasks, then measured uptake."""
        return [*(task.name for task in self.config.tasks), UPTAKE]

    def _loss_weights(self, loss: AdaptiveLoss) -> dict[str, dict[str, float]]:
        """What an adaptive loss has learned: the weight of each term for each kind of pair."""
        learned = {kind: loss.weights(number) for number, kind in enumerate(self._kinds())}
        return {kind: {name: round(value, 4) for name, value in weights.items()} for kind, weights in learned.items()}


def _rounded(value):
    """A number that JSON can hold: NaN becomes None."""
    if isinstance(value, float):
        return round(value, 4) if math.isfinite(value) else None
    return value


def _device(config: Config) -> torch.device:
    if config.device == "cuda" and not torch.cuda.is_available():
        raise InputError("device is cuda, but this machine has no usable CUDA GPU: choose cpu or auto.")
    if config.device == "cpu" or not torch.cuda.is_available():
        return torch.device("cpu")
    return torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0)))


@contextmanager
def _processes(configs: list[Config]) -> Iterator[tuple[int, int]]:
    """(rank, number of processes), from torchrun's environment; the process group lives as long as the context."""
    world = int(os.environ.get("WORLD_SIZE", 1))
    if world == 1:
        yield 0, 1
        return
    for config in configs:
        if config.batch % world:
            raise InputError(f"batch is {config.batch}: it must be a multiple of the {world} processes.")
    device = _device(configs[-1])
    if device.type == "cuda":
        torch.cuda.set_device(device)
    distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield distributed.get_rank(), world
    finally:
        distributed.destroy_process_group()


def _require_ignite() -> None:
    try:
        import ignite  # noqa: F401
    except ImportError:
        checkout = (Path(__file__).resolve().parents[3] / "pyproject.toml").is_file()
        command = f'pip install "{"." if checkout else "mmifamin"}[train]"'
        raise MMIFAminError(f"Training needs pytorch-ignite: install it with {command}.") from None
