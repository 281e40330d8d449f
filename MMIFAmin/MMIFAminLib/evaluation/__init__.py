"""How good a fusion is: the field's metrics, the classical methods to compare with, and lesions of known contrast."""

from .baselines import BASELINES
from .folders import score_folders
from .lesions import lesion_study, load_case
from .metrics import METRICS, RANKED, rank_methods, score
from .quality import Quality, fused_quality, measure_quality

__all__ = [
    "BASELINES",
    "METRICS",
    "RANKED",
    "Quality",
    "fused_quality",
    "lesion_study",
    "load_case",
    "measure_quality",
    "rank_methods",
    "score",
    "score_folders",
]
