"""A volume in memory: its geometry, its intensities, its slices, and its registration with another."""

from .geometry import PLANES, SliceView, check_volume, image_like, same_grid, slice_view
from .intensity import PRESETS, Window, choose_window
from .registration import alignment_check, register_rigid
from .resampling import Overlap, resample_to
from .through_plane import steady, through_plane_ratio

__all__ = [
    "PLANES",
    "PRESETS",
    "Overlap",
    "SliceView",
    "Window",
    "alignment_check",
    "check_volume",
    "choose_window",
    "image_like",
    "register_rigid",
    "resample_to",
    "same_grid",
    "slice_view",
    "steady",
    "through_plane_ratio",
]
