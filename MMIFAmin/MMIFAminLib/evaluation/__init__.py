"""How good a fusion is: the field's metrics, the classical methods to compare with, and lesions of known contrast."""

from .baselines import BASELINES, guided_filter, laplacian_pyramid
from .folders import score_folders
from .lesions import check_protocol, lesion_study, load_case
from .metrics import METRICS, RANKED, rank_methods, score
from .quality import Quality, fused_quality, measure_quality
from .truth_study import screen

__all__ = [
    "BASELINES",
    "METRICS",
    "Quality",
    "RANKED",
    "check_protocol",
    "fused_quality",
    "guided_filter",
    "laplacian_pyramid",
    "lesion_study",
    "load_case",
    "measure_quality",
    "rank_methods",
    "score",
    "score_folders",
    "screen",
]
