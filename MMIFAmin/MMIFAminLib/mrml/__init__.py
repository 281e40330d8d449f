"""MRML nodes in, MRML nodes out, by VTK alone: neither the application nor Qt is needed.

``fuse_nodes`` does everything in one call. A caller that must keep its interface alive takes the three steps apart:
``snapshot`` (main thread, copies what is needed), ``fuse_snapshot`` and ``paint`` (any thread, touch no node) and
``publish`` (main thread, the only step that changes the scene, and only once everything that can fail is behind it).
"""

from .colors import ColorChoice, color_table, node_color_table, resolve_color_table
from .compare import LAYOUT_ID, VIEWS, compare_layout, fit_views, return_crosshair, show_compare, show_crosshair
from .freshness import made_of, note_voxels, own_volumes, refresh, sources_of, surely_current, what_changed
from .growing import GrowingVolume
from .legend import hide_legend, legend_nodes, show_legend
from .mip import VIEW, Mip, fit_mip, mip_nodes, publish_mip, show_mip, turn, turn_view
from .nodes import (
    Snapshot,
    SourceVolume,
    check_pair,
    check_source,
    hints_of,
    node_to_image,
    node_to_world,
    other_patient,
    snapshot,
    still_there,
    voxels,
)
from .owned import fill_table, owned_node
from .places import SPOTS, SpotNodes, jump, note_spots, publish_spots, spots_outdated, spots_table, value_at
from .publishing import check_output, fuse_nodes, fuse_snapshot, publish
from .quality import QualityNodes, publish_quality, quality_chart, quality_nodes, snapshot_quality
from .recoloring import Painting, is_painted, paint, recolor
from .registration import apply_registration, undo_registration
from .rendering import rendering_preset
from .swipe import DividerLine, divide, divider_at
from .taking import label_maps, taken_for

__all__ = [
    "ColorChoice",
    "DividerLine",
    "GrowingVolume",
    "LAYOUT_ID",
    "Mip",
    "Painting",
    "QualityNodes",
    "SPOTS",
    "Snapshot",
    "SourceVolume",
    "SpotNodes",
    "VIEW",
    "VIEWS",
    "apply_registration",
    "check_output",
    "check_pair",
    "check_source",
    "color_table",
    "compare_layout",
    "divide",
    "divider_at",
    "fill_table",
    "fit_mip",
    "fit_views",
    "fuse_nodes",
    "fuse_snapshot",
    "hide_legend",
    "hints_of",
    "is_painted",
    "jump",
    "label_maps",
    "legend_nodes",
    "made_of",
    "mip_nodes",
    "node_color_table",
    "node_to_image",
    "node_to_world",
    "note_spots",
    "note_voxels",
    "other_patient",
    "own_volumes",
    "owned_node",
    "paint",
    "publish",
    "publish_mip",
    "publish_quality",
    "publish_spots",
    "quality_chart",
    "quality_nodes",
    "recolor",
    "refresh",
    "rendering_preset",
    "resolve_color_table",
    "return_crosshair",
    "show_compare",
    "show_crosshair",
    "show_legend",
    "show_mip",
    "snapshot",
    "snapshot_quality",
    "sources_of",
    "spots_outdated",
    "spots_table",
    "still_there",
    "surely_current",
    "taken_for",
    "turn",
    "turn_view",
    "undo_registration",
    "value_at",
    "voxels",
    "what_changed",
]
