"""The quality of a fusion as table and plot nodes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..errors import InputError
from .nodes import Snapshot
from .owned import file_under, fill_table, owned, owned_node

if TYPE_CHECKING:
    from slicer import vtkMRMLNode, vtkMRMLPlotChartNode, vtkMRMLScalarVolumeNode

    from ..engine.fused import FusedVolume
    from ..engine.progress import Progress
    from ..evaluation.quality import Quality

_OWNER = "MMIFAmin.quality"


@dataclass(frozen=True)
class QualityNodes:
    """`summary`: table of metric, value, meaning. `slices`: table of the slice numbers and one column for each metric."""

    summary: object
    slices: object


def snapshot_quality(source: Snapshot, fused: FusedVolume, progress: Progress | None = None) -> Quality:
    """Score a FusedVolume against its snapshot along the plane it was fused in. Any thread: touches no node."""
    from ..evaluation.quality import fused_quality

    return fused_quality(source.anatomical.kept_image, fused, progress=progress)


def publish_quality(fusedNode: vtkMRMLScalarVolumeNode, quality: Quality) -> QualityNodes:
    """Write the scores of a fused node into table and plot nodes, those of its last measurement if still there."""
    from ..evaluation.metrics import METRICS

    name = fusedNode.GetName()
    summary = owned(fusedNode, "vtkMRMLTableNode", f"{_OWNER}.summary", f"{name} quality")
    slices = owned(fusedNode, "vtkMRMLTableNode", f"{_OWNER}.slices", f"{name} quality by slice")
    means = quality.means
    fill_table(
        summary,
        {
            "Metric": [metric.name for metric in METRICS],
            "Value": np.array([means[metric.name] for metric in METRICS]).round(4),
            "What it tells": [metric.meaning for metric in METRICS],
        },
    )
    fill_table(slices, {"Slice": quality.slices.astype(float)} | quality.scores)
    file_under(fusedNode, [summary, slices])
    chart = owned_node(fusedNode, f"{_OWNER}.chart")
    if chart is not None:
        quality_chart(fusedNode, chart.GetYAxisTitle())
    return QualityNodes(summary, slices)


def quality_chart(fusedNode: vtkMRMLScalarVolumeNode, metric: str) -> vtkMRMLPlotChartNode:
    """The chart node of one metric along the slices of a measured volume: one node, made when first asked for.

    Raises InputError for a volume that was not measured.
    """
    slices = owned_node(fusedNode, f"{_OWNER}.slices")
    if slices is None:
        raise InputError(f"The quality of '{fusedNode.GetName()}' was not measured: measure it first.")
    series = owned(fusedNode, "vtkMRMLPlotSeriesNode", f"{_OWNER}.series", f"{metric}: {fusedNode.GetName()}")
    series.SetAndObserveTableNodeID(slices.GetID())
    series.SetXColumnName("Slice")
    series.SetYColumnName(metric)
    series.SetPlotType(series.PlotTypeScatter)
    series.SetMarkerStyle(series.MarkerStyleCircle)
    series.SetColor(0.48, 0.37, 0.65)
    chart = owned(fusedNode, "vtkMRMLPlotChartNode", f"{_OWNER}.chart", f"{metric} by slice: {fusedNode.GetName()}")
    chart.RemoveAllPlotSeriesNodeIDs()
    chart.AddAndObservePlotSeriesNodeID(series.GetID())
    chart.SetTitle(f"{metric} by slice")  # short: a plot view cuts a long title at both ends
    chart.SetXAxisTitle("Slice")
    chart.SetYAxisTitle(metric)
    chart.SetLegendVisibility(False)
    file_under(fusedNode, [chart])
    return chart


def quality_nodes(fusedNode: vtkMRMLNode) -> list:
    """Every node that `publish_quality` has made for a fused node: to delete with it."""
    roles = [fusedNode.GetNthNodeReferenceRole(i) for i in range(fusedNode.GetNumberOfNodeReferenceRoles())]
    found = (owned_node(fusedNode, role) for role in roles if role.startswith(_OWNER))
    return [node for node in found if node is not None]
