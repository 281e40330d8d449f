"""What a person sees: the colours of uptake on anatomy, and the picture of three planes."""

from .color import DEFAULT, TABLES, ColorTable, colorize, luma, recover_uptake
from .figure import Column, montage, preview, thumbnail
from .legend import ColorBar, ColorSquare

__all__ = [
    "DEFAULT",
    "TABLES",
    "ColorBar",
    "ColorSquare",
    "ColorTable",
    "Column",
    "colorize",
    "luma",
    "montage",
    "preview",
    "recover_uptake",
    "thumbnail",
]
