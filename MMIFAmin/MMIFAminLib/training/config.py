"""What one training run is, as a file under version control: YAML to dataclasses, with nothing ignored silently."""

import dataclasses
import typing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar, overload

from ..errors import InputError
from ..network import Architecture

SHIPPED = Path(__file__).resolve().parent / "configs"
_Kind = TypeVar("_Kind")


@dataclass(frozen=True)
class Task:
    """One kind of image pair: ``train`` and ``val`` are folders below the data folder that each hold the two
    sub-folders ``anatomical`` and ``functional`` with images of equal names.

    ``swap`` is the probability that the two images change roles in training; ``uptake`` the probability that a
    colour-coded functional image is shown as uptake instead of luma.
    """

    name: str
    train: str
    val: str
    anatomical: str
    functional: str
    swap: float = 0.0
    uptake: float = 0.0


@dataclass(frozen=True)
class Loss:
    """Name of the loss ("adaptive", "information", "shortfall", "uncertainty"), the arguments of its class,
    and the learning rate of its parameters where it has any.
    """

    name: str
    options: dict = field(default_factory=dict)
    learning_rate: float = 0.01


@dataclass(frozen=True)
class UptakePairs:
    """Pairs of anatomy and measured uptake beside those of the tasks: ``samples`` of every batch.

    ``body`` and ``templates`` are folders below the data folder: a CT in HU with uptake in SUV (``ct.nrrd``, ``fdg.nrrd``), and
    average heads (``T1.nii.gz``, ``PET.nii.gz``, ...). ``phantoms`` is how many phantoms are made. "" and 0: none.
    """

    samples: int = 0
    body: str = ""
    templates: str = ""
    phantoms: int = 0


@dataclass(frozen=True)
class Variation:
    """By how much training pairs are varied beyond flips, so that few cases are not learned by heart.

    ``share`` is the probability of each variation: turned by up to ``angle`` degrees and stretched or shrunk by up to the share
    ``scale``, both images alike; grey levels raised to a power of up to ``gamma`` or its inverse, and windowed anew with up to
    the share ``window`` cut away at either end, each image on its own; the functional image smoothed by a Gaussian of up to
    ``blur`` pixels (sigma) and with noise of up to the share ``noise``, as a poorer scanner would give it. ``partner`` is the
    probability that the anatomical image comes from another pair, of any task with the same kind of anatomical image, and that
    the functional one is laid over it by its moments: what fusion is asked for does not change.
    """

    share: float = 0.0
    angle: float = 0.0
    scale: float = 0.0
    gamma: float = 1.0
    window: float = 0.0
    partner: float = 0.0
    blur: float = 0.0
    noise: float = 0.0

    def __post_init__(self) -> None:
        for key, low, high in (
            ("share", 0, 1),
            ("angle", 0, 180),
            ("scale", 0, 3),
            ("gamma", 1, 10),
            ("window", 0, 0.45),
            ("partner", 0, 1),
            ("blur", 0, 10),
            ("noise", 0, 0.5),
        ):
            if not low <= getattr(self, key) <= high:
                raise InputError(f"vary.{key} is {getattr(self, key)}: it must be from {low} to {high}.")


@dataclass(frozen=True)
class Config:
    """One training run. Counts are in steps, sizes in pixels; ``batch`` is over all processes together.

    ``foreground`` is the least share of a patch that must not be background; ``rotate`` turns patches by multiples of 90 degrees;
    ``workers`` processes draw the samples beside the training (0: it does so itself; a GPU would wait for that);
    ``overshoot`` weighs the part of the fused image beyond [0, 1]; ``precision`` ("bf16", "fp32") is that of the network, image
    arithmetic is always fp32;
    ``after`` is the configuration (as for ``load_config``) that is trained first, with the same seed, and from whose weights this
    run goes on; ``start`` is the .safetensors file of weights to go on from, none for a fresh network; ``average`` is the share
    that the exponential mean of the network's weights keeps from step to step, and this mean is what is looked at, what an
    adaptive loss learns from, and what is written in the end (0: the weights of the last step). Every ``look_every`` steps
    the network is compared with its competitors on ``look_pairs`` training pairs of each task; validation pairs are scored
    once, at the end.
    """

    name: str
    tasks: tuple[Task, ...]
    loss: Loss
    steps: int
    after: str = ""
    start: str = ""
    seed: int = 0
    batch: int = 6
    patch: int = 128
    foreground: float = 0.3
    rotate: bool = False
    vary: Variation = Variation()
    architecture: Architecture = Architecture()
    uptake: UptakePairs = UptakePairs()
    overshoot: float = 10.0
    learning_rate: float = 1e-3
    weight_decay: float = 1e-4
    warmup: float = 0.05
    gradient_clip: float = 1.0
    average: float = 0.0
    precision: str = "bf16"
    device: str = "auto"
    threads: int = 1
    workers: int = 0
    log_every: int = 50
    checkpoint_every: int = 200
    look_every: int = 500
    look_pairs: int = 12

    def __post_init__(self) -> None:
        sizes = ("steps", "batch", "patch", "threads")
        for key in (*sizes, "log_every", "checkpoint_every", "look_every", "look_pairs"):
            if getattr(self, key) < 1:
                raise InputError(f"{key} is {getattr(self, key)}: it must be at least 1.")
        if self.workers < 0:
            raise InputError(f"workers is {self.workers}: it must be 0 or more.")
        if not self.tasks:
            raise InputError("tasks is empty: name at least one kind of image pair.")
        if self.patch < 32:
            raise InputError(f"patch is {self.patch}: the loss needs patches of at least 32 pixels.")
        if self.warmup * self.steps == 1:
            raise InputError("warmup is a single step: the learning rate cannot rise in it; choose another share.")
        if self.after and self.start:
            raise InputError("after and start both say what this run goes on from: give one of them.")
        if not 0 <= self.uptake.samples < self.batch:
            raise InputError(
                f"uptake.samples is {self.uptake.samples}: it must leave samples of the batch for the tasks."
            )
        if not 0 <= self.average < 1:
            raise InputError(f"average is {self.average}: it must be at least 0 and below 1.")
        if self.checkpoint_every % self.log_every:
            raise InputError("checkpoint_every must be a multiple of log_every, so that a resumed log has no gap.")
        for key, known in (("precision", ("bf16", "fp32")), ("device", ("auto", "cpu", "cuda"))):
            if getattr(self, key) not in known:
                raise InputError(f"{key} is {getattr(self, key)!r}: choose {', '.join(known)}.")

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as in the YAML file."""
        return _plain(dataclasses.asdict(self))

    def for_card(self) -> dict[str, Any]:
        """``to_dict`` without folders, which mean nothing elsewhere."""
        return self.to_dict() | {"start": Path(self.start).name}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Config":
        """The inverse of ``to_dict``. Raises InputError for unknown or missing keys and values of the wrong type."""
        return _build(cls, values, "")


@dataclass(frozen=True)
class Variant:
    """One row of an ablation: what ``change`` does to the base configuration (see ``merge``), and the seeds it is
    trained with. With ``split`` every task gets a network of its own, and its share of the steps.
    """

    name: str
    change: dict = field(default_factory=dict)
    seeds: tuple[int, ...] = (0,)
    split: bool = False


@dataclass(frozen=True)
class Ablation:
    """Variants of the configuration ``base`` with ``change`` (see ``merge``), each trained for ``steps`` steps."""

    base: str
    steps: int
    variants: tuple[Variant, ...]
    change: dict = field(default_factory=dict)


@overload
def load_config(path: str | Path) -> Config: ...
@overload
def load_config(path: str | Path, kind: type[_Kind]) -> _Kind: ...


def load_config(path: str | Path, kind: type = Config) -> Any:
    """Read a configuration of ``kind`` (Config or Ablation): a YAML file, or the name of a shipped one ("medical").

    With the key ``extends`` a file holds what it changes of another one (see ``merge``).
    Raises InputError where the file is missing, is not YAML, or has unknown or missing keys or values of a wrong type.
    """
    try:
        return _build(kind, _read(path), "")
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def merge(base: dict, change: dict) -> dict:
    """``base`` with the keys of ``change``: mappings are merged in turn, None removes a key, anything else replaces."""
    merged = dict(base)
    for key, value in change.items():
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, dict) and isinstance(merged.get(key), dict):
            merged[key] = merge(merged[key], value)
        else:
            merged[key] = value
    return merged


def _read(path: str | Path, extending: tuple[Path, ...] = ()) -> dict:
    """What the file holds, merged into what it extends; ``extending`` are the files that lead here."""
    import yaml

    file = SHIPPED / f"{path}.yaml"
    if not file.is_file():
        file = Path(path)
    if file.resolve() in extending:
        raise InputError(f"{file} extends itself.")
    try:
        values = yaml.safe_load(file.read_text(encoding="utf-8"))
    except OSError as error:
        shipped = ", ".join(sorted(p.stem for p in SHIPPED.glob("*.yaml")))
        raise InputError(f"it cannot be read ({error.strerror}); shipped configurations: {shipped}.") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"it is not YAML ({' '.join(str(error).split())}).") from None
    if not isinstance(values, dict):
        raise InputError("the configuration must be a mapping of names to values.")
    if "extends" in values:
        base = values.pop("extends")
        if not isinstance(base, str):
            raise InputError(f"extends is {base!r}: it must be the name of a configuration or a file.")
        values = merge(_read(base, (*extending, file.resolve())), values)
    return values


def _build(kind: Any, value: Any, where: str) -> Any:
    """``value`` from YAML as ``kind``: a dataclass, a tuple of one kind, a dict or a scalar."""
    if dataclasses.is_dataclass(kind):
        return _build_dataclass(kind, value, where)
    if typing.get_origin(kind) is tuple:
        if not isinstance(value, (list, tuple)):
            raise InputError(f"{where} must be a list.")
        item = typing.get_args(kind)[0]
        return tuple(_build(item, entry, f"{where}[{index}]") for index, entry in enumerate(value))
    if kind is float and isinstance(value, (int, float, str)) and not isinstance(value, bool):
        try:
            return float(value)  # YAML reads 1e-3 as text
        except ValueError:
            pass
    elif type(value) is kind:
        return value
    raise InputError(f"{where} is {value!r}: it must be of type {kind.__name__}.")


def _build_dataclass(kind: Any, value: Any, where: str) -> Any:
    if not isinstance(value, dict):
        raise InputError(f"{where or 'the configuration'} must be a mapping of names to values.")
    fields = {item.name: item for item in dataclasses.fields(kind)}
    prefix = f"{where}." if where else ""
    unknown = [f"{prefix}{key}" for key in value if key not in fields]
    if unknown:
        raise InputError(f"unknown key {', '.join(unknown)}: known here are {', '.join(fields)}.")
    required = [
        name
        for name, item in fields.items()
        if item.default is dataclasses.MISSING and item.default_factory is dataclasses.MISSING
    ]
    missing = [f"{prefix}{name}" for name in required if name not in value]
    if missing:
        raise InputError(f"{', '.join(missing)} is missing.")
    kinds = typing.get_type_hints(kind)
    return kind(**{key: _build(kinds[key], entry, f"{prefix}{key}") for key, entry in value.items()})


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(entry) for entry in value]
    return value
