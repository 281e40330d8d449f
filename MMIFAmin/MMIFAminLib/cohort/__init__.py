"""Many studies: what there is to fuse, one row of it after the other, and all of them on dask. Importing it imports
neither dask nor PyTorch.
"""

from .clusters import job_cluster, read_config
from .manifest import LeftOut, Row, Studies, read_manifest
from .naming import role_by_name, why_never_by_itself
from .pairing import Candidate, fit, pair_up
from .results import OneByOne
from .run import State, run_cohort
from .studies import check_places, find_studies
from .table import WAITING, Table
from .work import FUSED, KEPT, Result, fuse_row, told

__all__ = [
    "Candidate",
    "FUSED",
    "KEPT",
    "LeftOut",
    "OneByOne",
    "Result",
    "Row",
    "State",
    "Studies",
    "Table",
    "WAITING",
    "check_places",
    "find_studies",
    "fit",
    "fuse_row",
    "job_cluster",
    "pair_up",
    "read_config",
    "read_manifest",
    "role_by_name",
    "run_cohort",
    "told",
    "why_never_by_itself",
]
