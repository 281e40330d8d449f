"""The engine: two volumes in, one fused volume out, on whatever device and memory there is. Importing it imports
torch.
"""

from .fused import FusedVolume
from .fusion import VolumeFuser
from .weights import WeightsInfo, find_weights, load_weights, save_weights

__all__ = ["FusedVolume", "VolumeFuser", "WeightsInfo", "find_weights", "load_weights", "save_weights"]
