"""Training of MMIF-AMIN: configuration, data, engine, validation. ``train`` is the way in."""

from .config import Config, load_config
from .engine import train

__all__ = ["Config", "load_config", "train"]
