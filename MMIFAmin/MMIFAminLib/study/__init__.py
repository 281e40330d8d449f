"""One study, from its files to its files: what ``mmifamin fuse`` and every row of a cohort do."""

from .fusing import FusedStudy, fuse_study
from .options import add_engine_options, add_fusion_options, check_options, default_options, joined, with_options
from .outputs import check_outputs, short_name
from .presets import PRESETS, Preset, settled
from .sources import read_sources, told

__all__ = [
    "FusedStudy",
    "PRESETS",
    "Preset",
    "add_engine_options",
    "add_fusion_options",
    "check_options",
    "check_outputs",
    "default_options",
    "fuse_study",
    "joined",
    "read_sources",
    "settled",
    "short_name",
    "told",
    "with_options",
]
