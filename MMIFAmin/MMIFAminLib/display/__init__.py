"""What a person sees: the colours of uptake on anatomy, and the picture of three planes."""

from .color import DEFAULT, TABLES, ColorTable, colorize, fused_of, luma, overlay, recover_uptake, values_of
from .figure import Column, montage, preview, thumbnail, voxel_at
from .film import side_letters
from .lab import rgb_to_lab
from .legend import ColorBar, ColorSquare, plain_number

__all__ = [
    "ColorBar",
    "ColorSquare",
    "ColorTable",
    "Column",
    "DEFAULT",
    "TABLES",
    "colorize",
    "fused_of",
    "luma",
    "montage",
    "overlay",
    "plain_number",
    "preview",
    "recover_uptake",
    "rgb_to_lab",
    "side_letters",
    "thumbnail",
    "values_of",
    "voxel_at",
]
