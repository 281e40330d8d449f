"""One study, from its files to its files: what ``mmifamin fuse`` and every row of a cohort do."""

from .fusing import FusedStudy, fuse_study
from .options import add_engine_options, add_fusion_options, check_options, default_options, joined, with_options
from .presets import PRESETS, Preset, settled

__all__ = [
    "PRESETS",
    "Preset",
    "FusedStudy",
    "add_engine_options",
    "add_fusion_options",
    "check_options",
    "default_options",
    "fuse_study",
    "joined",
    "settled",
    "with_options",
]
