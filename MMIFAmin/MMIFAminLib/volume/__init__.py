"""A volume in memory: its geometry, its intensities, its slices, and its registration with another."""

from .choices import Choices, Kind, check_kind, choose, window_in_suv
from .geometry import (
    PLANES,
    SliceView,
    check_plane,
    check_volume,
    finite,
    image_like,
    on_cubes,
    same_grid,
    scalar_pixels,
    slice_view,
)
from .hottest import Spot, hottest_spot, hottest_spots
from .hounsfield import AIR_HU
from .intensity import PRESETS, Window, choose_window, given_window
from .projection import Projection, Turntable, angles_around, mip_window, wished_window
from .recognition import Hints
from .registration import Alignment, alignment_check, leads_astray, register_rigid
from .resampling import Overlap, Resampling, overlap_of, resample_to
from .shown import HEADROOM, HOTTEST
from .simulation import LESIONS, scan, with_lesions
from .slices import content, squaring, stretched
from .three import check_three, choose_second
from .through_plane import sampled_ratio, steady, through_plane_ratio

__all__ = [
    "AIR_HU",
    "Alignment",
    "Choices",
    "HEADROOM",
    "HOTTEST",
    "Hints",
    "Kind",
    "LESIONS",
    "Overlap",
    "PLANES",
    "PRESETS",
    "Projection",
    "Resampling",
    "SliceView",
    "Spot",
    "Turntable",
    "Window",
    "alignment_check",
    "angles_around",
    "check_kind",
    "check_plane",
    "check_three",
    "check_volume",
    "choose",
    "choose_second",
    "choose_window",
    "content",
    "finite",
    "given_window",
    "hottest_spot",
    "hottest_spots",
    "image_like",
    "leads_astray",
    "mip_window",
    "on_cubes",
    "overlap_of",
    "register_rigid",
    "resample_to",
    "same_grid",
    "sampled_ratio",
    "scalar_pixels",
    "scan",
    "slice_view",
    "squaring",
    "steady",
    "stretched",
    "through_plane_ratio",
    "window_in_suv",
    "wished_window",
    "with_lesions",
]
