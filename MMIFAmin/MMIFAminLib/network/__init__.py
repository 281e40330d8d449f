"""The MMIF-AMIN network: Haar squeeze, IDN, MCFEM, decoder, the bounds of its output, and the model they make together."""

from .bounds import fused_uptake
from .context import Context, common_context, sample_slices
from .decoder import FusionDecoder
from .haar import HaarSqueeze
from .idn import InvertibleDenseNetwork
from .mcfem import MCFEM
from .model import MMIFAMIN, Architecture

__all__ = [
    "Architecture",
    "Context",
    "FusionDecoder",
    "HaarSqueeze",
    "InvertibleDenseNetwork",
    "MCFEM",
    "MMIFAMIN",
    "common_context",
    "fused_uptake",
    "sample_slices",
]
