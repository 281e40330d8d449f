"""One study, from its files to its files: what ``mmifamin fuse`` and every row of a cohort do."""

from .fusing import FusedStudy, fuse_study
from .options import add_engine_options, add_fusion_options, default_options, joined, with_options

__all__ = [
    "FusedStudy",
    "add_engine_options",
    "add_fusion_options",
    "default_options",
    "fuse_study",
    "joined",
    "with_options",
]
