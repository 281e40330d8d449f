"""MRML nodes in, MRML nodes out, by VTK alone: neither the application nor Qt is needed.

``fuse_nodes`` does everything in one call. A caller that must keep its interface alive takes the three steps apart:
``snapshot`` (main thread, copies what is needed), ``fuse_snapshot`` and ``paint`` (any thread, touch no node) and
``publish`` (main thread, the only step that changes the scene, and only once everything that can fail is behind it).
"""

from .colors import node_color_table, resolve_color_table
from .compare import compare_layout, fit_views, return_crosshair, show_compare, show_crosshair
from .freshness import made_of, note_voxels, own_volumes, refresh, sources_of, surely_current, what_changed
from .growing import GrowingVolume
from .legend import hide_legend, legend_nodes, show_legend
from .nodes import Snapshot, SourceVolume, check_pair, node_to_image, other_patient, snapshot, still_there
from .publishing import check_output, fuse_nodes, fuse_snapshot, publish
from .quality import QualityNodes, publish_quality, quality_chart, quality_nodes, snapshot_quality
from .recoloring import Painting, is_painted, paint, recolor
from .registration import apply_registration, undo_registration
from .taking import label_maps, taken_for

__all__ = [
    "GrowingVolume",
    "Painting",
    "QualityNodes",
    "Snapshot",
    "SourceVolume",
    "apply_registration",
    "check_output",
    "check_pair",
    "compare_layout",
    "fit_views",
    "fuse_nodes",
    "fuse_snapshot",
    "hide_legend",
    "is_painted",
    "label_maps",
    "legend_nodes",
    "made_of",
    "node_color_table",
    "node_to_image",
    "note_voxels",
    "other_patient",
    "own_volumes",
    "paint",
    "publish",
    "publish_quality",
    "quality_chart",
    "quality_nodes",
    "recolor",
    "refresh",
    "resolve_color_table",
    "return_crosshair",
    "show_compare",
    "show_crosshair",
    "show_legend",
    "snapshot",
    "snapshot_quality",
    "sources_of",
    "still_there",
    "surely_current",
    "taken_for",
    "undo_registration",
    "what_changed",
]
