"""What a run leaves on disk: the checkpoint that it resumes from and its logs, each complete or absent."""

import csv
import io
import pickle
from pathlib import Path
from typing import Any

import torch

from ..errors import InputError
from ..files.writing import atomic_path, write_csv
from .config import Config

CHECKPOINT, LOG, LOOKS = "checkpoint.pt", "log.csv", "looks.csv"
# Where and how fast a run is computed may change when it is resumed; what is computed may not.
_FREE = ("threads", "workers", "device")


def save_checkpoint(path: Path, config: Config, step: int, seconds: float, **parts: Any) -> None:
    """Write the state after ``step`` steps: configuration, seconds spent so far, states of ``parts``."""
    content = {name: part.state_dict() for name, part in parts.items()}
    content |= {"config": config.to_dict(), "step": step, "seconds": seconds}
    buffer = io.BytesIO()
    torch.save(content, buffer)
    with atomic_path(path) as temporary:
        Path(temporary).write_bytes(buffer.getbuffer())


def load_checkpoint(path: Path, config: Config, **parts: Any) -> tuple[int, float]:
    """Restore ``parts``; return how many steps and seconds were done.

    Raises InputError where the file cannot be read or belongs to a run with another configuration.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        saved = Config.from_dict(content["config"]).to_dict()  # with the defaults of keys that are newer than the run
    except (OSError, RuntimeError, ValueError, TypeError, LookupError, EOFError, pickle.UnpicklingError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise InputError(f"The checkpoint {path} cannot be read ({reason}).") from None
    wanted = config.to_dict()
    changed = [key for key in wanted if key not in _FREE and saved[key] != wanted[key]]
    if changed:
        raise InputError(
            f"{path} was made with another configuration ({', '.join(changed)} changed): use another folder."
        )
    for name, part in parts.items():
        part.load_state_dict(content[name])
    return content["step"], content["seconds"]


class Log:
    """A CSV file of rows with a ``step`` column, rewritten atomically with every row added."""

    def __init__(self, path: Path, last_step: int) -> None:
        """Continue the file at ``path`` after ``last_step``: rows beyond it will be computed again."""
        self.path = path
        self.rows = [row for row in read_log(path) if int(row["step"]) <= last_step] if last_step else []

    def add(self, *rows: dict) -> None:
        """Append ``rows``; all rows of a log have the same keys."""
        self.rows += rows
        write_csv(self.rows, self.path)


def read_log(path: Path) -> list[dict]:
    """The rows of a log, values as text; empty where there is none."""
    if not path.is_file():
        return []
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))
