"""Many studies: what there is to fuse, one row of it after the other, and all of them on dask. Importing it imports
neither dask nor PyTorch.
"""

from .manifest import LeftOut, Row, Studies, read_manifest
from .run import State, run_cohort
from .studies import find_studies
from .table import Table
from .work import Result, fuse_row

__all__ = [
    "LeftOut",
    "Result",
    "Row",
    "State",
    "Studies",
    "Table",
    "find_studies",
    "fuse_row",
    "read_manifest",
    "run_cohort",
]
