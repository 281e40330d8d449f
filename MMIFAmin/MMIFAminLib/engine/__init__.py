"""The engine: two volumes in, one fused volume out, on whatever device and memory there is. Importing it imports
torch.
"""

from .execution import limit_itk
from .fused import FusedVolume
from .fusion import VolumeFuser
from .progress import Progress
from .volumes import scalar, voxels
from .watching import Watcher
from .weights import WeightsInfo, find_weights, load_weights, save_weights

__all__ = [
    "FusedVolume",
    "Progress",
    "VolumeFuser",
    "Watcher",
    "WeightsInfo",
    "find_weights",
    "limit_itk",
    "load_weights",
    "save_weights",
    "scalar",
    "voxels",
]
