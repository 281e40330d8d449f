"""Many studies: what there is to fuse, one row of it after the other, and all of them on dask. Importing it imports
neither dask nor PyTorch.
"""

from .manifest import LeftOut, Row, Studies, read_manifest
from .work import Result, fuse_row

__all__ = ["LeftOut", "Result", "Row", "Studies", "fuse_row", "read_manifest"]
