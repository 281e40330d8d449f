"""One study, from its files to its files: what ``mmifamin fuse``, every row of a cohort and the panel's batch do."""

from .fusing import FusedStudy, fuse_study
from .options import add_engine_options, add_fusion_options, joined

__all__ = ["FusedStudy", "add_engine_options", "add_fusion_options", "fuse_study", "joined"]
