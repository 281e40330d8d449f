"""The MMIF-AMIN network: Haar squeeze, IDN, MCFEM, decoder, the bounds of its output, and the model they make together."""

from .context import Context, common_context, sample_slices
from .decoder import FusionDecoder
from .haar import HaarSqueeze
from .idn import InvertibleDenseNetwork
from .mcfem import MCFEM
from .model import MMIFAMIN, Architecture

__all__ = [
    "MCFEM",
    "MMIFAMIN",
    "Architecture",
    "Context",
    "FusionDecoder",
    "HaarSqueeze",
    "InvertibleDenseNetwork",
    "common_context",
    "sample_slices",
]
