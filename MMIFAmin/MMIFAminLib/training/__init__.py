"""Training of MMIF-AMIN: configuration, data, engine, validation. ``train`` is the way in."""

from .ablation import ablate
from .bundle import export_bundle
from .config import Config, load_config
from .cross_validation import cross_validate
from .engine import train

__all__ = [
    "Config",
    "ablate",
    "cross_validate",
    "export_bundle",
    "load_config",
    "train",
]
