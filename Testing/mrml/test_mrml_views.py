"""Compare views, on the real layout and slice logics, and quality tables and plots, on a real MRML scene."""

import numpy as np
import pytest
import SimpleITK as sitk

from support.phantoms import Grid, head

slicer = pytest.importorskip("slicer", reason="needs the slicer-core package")
from vtk.util.numpy_support import vtk_to_numpy

from MMIFAminLib import mrml
from MMIFAminLib.errors import FusionCancelled, InputError
from MMIFAminLib.evaluation import metrics
from MMIFAminLib.evaluation.quality import measure_quality
from MMIFAminLib.module import views
from MMIFAminLib.mrml.compare import LAYOUT_ID, VIEWS, composites
from support.scenes import FOUR_UP, Application, add_volume, maximum_fuser, node_ids

UNIT = dict(anatomical_window=(0, 1), functional_window=(0, 1))


@pytest.fixture
def application():
    application = Application()
    yield application
    application.close()


@pytest.fixture
def trio(application):
    scene = application.scene
    anatomical, functional = add_volume(scene, head(Grid()), "T1"), add_volume(scene, head(Grid(), "pet"), "PET")
    source = mrml.snapshot(anatomical, functional)
    made = mrml.fuse_snapshot(source, maximum_fuser(), plane="coronal", **UNIT)
    return anatomical, functional, mrml.publish(source, made, scene), source, made


# --- compare ---


def test_compare_and_back(application, trio):
    previous = mrml.show_compare(application.layout, *trio[:3], plane="coronal")
    assert previous == FOUR_UP and application.layout.GetViewArrangement() == LAYOUT_ID
    shown = [
        application.scene.GetNodeByID(node.GetBackgroundVolumeID()).GetName() for node in composites(application.scene)
    ]
    assert shown == ["T1", "PET", "T1 + PET fused grey"]
    for tag in VIEWS:
        assert application.scene.GetNodeByID(f"vtkMRMLSliceNode{tag}").GetOrientation() == "Coronal"
    application.layout.SetViewArrangement(previous)
    assert application.layout.GetViewArrangement() == FOUR_UP


def test_comparing_again_refills_the_same_views(application, trio):
    mrml.show_compare(application.layout, *trio[:3])
    nodes = node_ids(application.scene)
    assert mrml.show_compare(application.layout, trio[1], trio[0], trio[2], plane="sagittal") == LAYOUT_ID
    assert node_ids(application.scene) == nodes
    assert composites(application.scene)[0].GetBackgroundVolumeID() == trio[1].GetID()
    assert application.scene.GetNodeByID(f"vtkMRMLSliceNode{VIEWS[0]}").GetOrientation() == "Sagittal"


def test_compare_views_are_linked_among_themselves_only(application, trio):
    scene = application.scene
    red = scene.GetNodeByID("vtkMRMLSliceCompositeNodeRed")
    red.SetBackgroundVolumeID(trio[0].GetID())
    red.SetLinkedControl(True)
    red_view = scene.GetNodeByID("vtkMRMLSliceNodeRed")
    red_view.SetSliceOffset(3.0)
    mrml.show_compare(application.layout, *trio[:3], plane="axial")
    mrml.fit_views(application.logic)
    logic = application.slices[VIEWS[0]]
    view = logic.GetSliceNode()
    logic.StartSliceNodeInteraction(view.SliceToRASFlag)
    view.SetSliceOffset(22.0)
    logic.EndSliceNodeInteraction()
    offsets = [scene.GetNodeByID(f"vtkMRMLSliceNode{tag}").GetSliceOffset() for tag in VIEWS]
    assert offsets == pytest.approx([22.0] * 3)
    assert red_view.GetSliceOffset() == pytest.approx(3.0) and red.GetBackgroundVolumeID() == trio[0].GetID()


def test_zoom_and_pan_of_one_view_are_those_of_all(application, trio):
    scene = application.scene
    mrml.show_compare(application.layout, *trio[:3], plane="axial")
    mrml.fit_views(application.logic)
    logic, nodes = application.slices[VIEWS[1]], [scene.GetNodeByID(f"vtkMRMLSliceNode{tag}") for tag in VIEWS]
    view, red = logic.GetSliceNode(), scene.GetNodeByID("vtkMRMLSliceNodeRed").GetFieldOfView()
    logic.StartSliceNodeInteraction(view.FieldOfViewFlag)
    view.SetFieldOfView(50.0, 50.0, view.GetFieldOfView()[2])
    logic.EndSliceNodeInteraction()
    logic.StartSliceNodeInteraction(view.XYZOriginFlag)
    view.SetXYZOrigin(7.0, -4.0, 0.0)
    logic.EndSliceNodeInteraction()
    for node in nodes:
        assert node.GetFieldOfView()[:2] == pytest.approx((50.0, 50.0))
        assert node.GetXYZOrigin()[:2] == pytest.approx((7.0, -4.0))
    assert scene.GetNodeByID("vtkMRMLSliceNodeRed").GetFieldOfView() == red, "the user's own views stay as they are"


def test_the_crosshair_is_shown_and_given_back(application):
    crosshair = application.scene.AddNode(slicer.vtkMRMLCrosshairNode())
    for before in (crosshair.NoCrosshair, crosshair.ShowIntersection):
        crosshair.SetCrosshairMode(before)
        mrml.show_crosshair(application.scene)
        mrml.show_crosshair(application.scene)
        assert crosshair.GetCrosshairMode() == (before or crosshair.ShowSmallBasic)
        mrml.return_crosshair(application.scene)
        mrml.return_crosshair(application.scene)
        assert crosshair.GetCrosshairMode() == before


def test_views_are_fitted_alike_whatever_their_volumes_cover(application):
    wide = Grid(size=(80, 60, 50), spacing=(5.0, 5.0, 5.0)).centred_at((4, 9, 7))
    nodes = [add_volume(application.scene, head(grid), "T1") for grid in (Grid(), wide, Grid())]
    mrml.show_compare(application.layout, *nodes, plane="axial")
    mrml.fit_views(application.logic)
    views = [application.scene.GetNodeByID(f"vtkMRMLSliceNode{tag}") for tag in VIEWS]
    assert len({(view.GetSliceOffset(), view.GetFieldOfView()) for view in views}) == 1
    height = Grid().size[1] * Grid().spacing[1]
    assert views[0].GetFieldOfView()[1] == pytest.approx(height, rel=0.02), "the anatomical volume fills the view"


def test_blend_is_linear_between_source_and_fused(application, trio):
    mrml.show_compare(application.layout, *trio[:3], plane="axial")
    for node in trio[:2]:
        node.GetDisplayNode().AutoWindowLevelOff()
        node.GetDisplayNode().SetWindowLevelMinMax(0, 1)
    mrml.fit_views(application.logic)
    for tag in VIEWS:
        application.scene.GetNodeByID(f"vtkMRMLSliceNode{tag}").SetSliceOffset(25)  # a ball that MR alone shows
    pictures = {}
    for opacity in (0.0, 0.25, 0.5, 1.0):
        views.blend(None, trio[2], opacity)
        pictures[opacity] = application.picture(VIEWS[1]).astype(float)
    assert np.abs(pictures[1.0] - application.picture(VIEWS[2])).max() <= 1, "all fused"
    assert np.abs(pictures[1.0] - pictures[0.0]).max() > 40
    for opacity in (0.25, 0.5):
        wanted = (1 - opacity) * pictures[0.0] + opacity * pictures[1.0]
        assert np.abs(pictures[opacity] - wanted).max() <= 2


def test_acquisition_plane_follows_an_oblique_volume(application):
    turned = Grid(direction=(0.96, -0.28, 0, 0.28, 0.96, 0, 0, 0, 1)).centred_at()
    anatomical = add_volume(application.scene, head(turned), "oblique")
    mrml.show_compare(application.layout, anatomical, anatomical, anatomical, plane="acquisition")
    view = application.scene.GetNodeByID(f"vtkMRMLSliceNode{VIEWS[0]}")
    matrix = view.GetSliceToRAS()
    column = np.abs([matrix.GetElement(i, 0) for i in range(3)])
    np.testing.assert_allclose(column, (0.96, 0.28, 0), atol=1e-6)


def test_nothing_to_compare(application, trio):
    with pytest.raises(InputError, match="fused"):
        mrml.show_compare(application.layout, *trio[:2], None)
    assert application.layout.GetViewArrangement() == FOUR_UP


# --- quality ---


def test_quality_tables_and_plots(application, trio):
    anatomical, functional, fused, source, made = trio
    quality = mrml.snapshot_quality(source, made)
    before = node_ids(application.scene)
    with pytest.raises(InputError, match="measure it first"):
        mrml.quality_chart(fused, "EN")
    nodes = mrml.publish_quality(fused, quality)
    assert len(node_ids(application.scene) - before) == 2, "every node costs the application time: no chart yet"
    names = [metric.name for metric in metrics.METRICS]
    summary = nodes.summary.GetTable()
    assert [summary.GetColumnByName("Metric").GetValue(i) for i in range(len(names))] == names
    assert all(summary.GetColumnByName("What it tells").GetValue(i) for i in range(len(names)))
    for row, name in enumerate(names):
        value = summary.GetColumnByName("Value").GetValue(row)
        assert value == pytest.approx(quality.means[name], abs=1e-4, nan_ok=True)
        column = vtk_to_numpy(nodes.slices.GetTable().GetColumnByName(name))
        np.testing.assert_allclose(column, quality.scores[name])
        chart = mrml.quality_chart(fused, name)
        series = chart.GetNthPlotSeriesNode(0)
        assert chart.GetNumberOfPlotSeriesNodes() == 1 and series.GetTableNode() is nodes.slices
        assert (series.GetXColumnName(), series.GetYColumnName()) == ("Slice", name)
        assert chart.GetYAxisTitle() == name and len(chart.GetTitle()) < 20, "a plot view cuts long titles"
    added = node_ids(application.scene) - before
    again = mrml.publish_quality(fused, quality)
    assert again == nodes and node_ids(application.scene) - before == added, "measured again, the nodes are reused"
    for node in mrml.quality_nodes(fused):
        application.scene.RemoveNode(node)
    assert node_ids(application.scene) == before


def test_quality_is_that_of_the_slices_as_they_were_fused(application, trio):
    *_, source, made = trio
    quality = mrml.snapshot_quality(source, made)
    arrays = [sitk.GetArrayFromImage(i) for i in (source.anatomical.image, made.functional, made.image)]
    # Coronal slices count from back to front, rows from the top down: K, J, I with J and K reversed (LPS grid).
    number = int(quality.slices[len(quality.slices) // 2])
    slices = [np.clip(array, 0, 1)[::-1, array.shape[1] - 1 - number, :] * 255 for array in arrays]
    wanted = metrics.score(*slices)
    for name, values in quality.scores.items():
        assert values[len(values) // 2] == pytest.approx(wanted[name], rel=1e-5, nan_ok=True)


def test_quality_of_real_fusion_prefers_itself_over_noise(shared):
    folder = shared / "data" / "volumes"
    a, b = (
        sitk.GetArrayFromImage(sitk.ReadImage(str(folder / f"spect3_{kind}.nrrd")))[10:14] for kind in ("mr", "spect")
    )
    a, b = a / 255, b / 1000
    fused = np.maximum(a, b)
    noise = np.random.default_rng(1).uniform(0, 1, fused.shape)
    good, bad = measure_quality(a, b, fused).means, measure_quality(a, b, noise).means
    assert all(good[name] > bad[name] for name in ("MI", "VIF", "Qabf", "SSIM", "CC", "MSSSIM"))
    assert bad["EN"] > good["EN"], "which is why EN alone proves nothing"


def test_quality_spreads_over_the_filled_slices_and_can_be_stopped():
    a = np.zeros((90, 16, 16), np.float32)
    a[20:80] = np.random.default_rng(0).uniform(size=(60, 16, 16))
    quality = measure_quality(a, a, a, most=7)
    assert quality.slices[0] == 20 and quality.slices[-1] == 79 and len(quality.slices) == 7
    assert np.isnan(quality.means["MSSSIM"]), "too small for five scales"
    with pytest.raises(FusionCancelled):
        measure_quality(a, a, a, progress=lambda fraction, text: fraction < 0.5)
    with pytest.raises(InputError, match="empty"):
        measure_quality(a * 0, a * 0, a)
    with pytest.raises(InputError, match="shape"):
        measure_quality(a, a[1:], a)
