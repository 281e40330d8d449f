"""The MMIF-AMIN network: Haar squeeze, IDN, MCFEM, decoder, and the model they make together."""

from .decoder import FusionDecoder
from .haar import HaarSqueeze
from .idn import InvertibleDenseNetwork
from .mcfem import MCFEM
from .model import MMIFAMIN, Architecture

__all__ = ["MCFEM", "MMIFAMIN", "Architecture", "FusionDecoder", "HaarSqueeze", "InvertibleDenseNetwork"]
