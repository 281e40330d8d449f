"""What a person sees: the colours of uptake on anatomy, and the picture of three planes."""

from .color import TABLES, ColorTable, colorize, luma, recover_uptake
from .figure import ColorBar, Column, montage, preview

__all__ = [
    "TABLES",
    "ColorBar",
    "ColorTable",
    "Column",
    "colorize",
    "luma",
    "montage",
    "preview",
    "recover_uptake",
]
