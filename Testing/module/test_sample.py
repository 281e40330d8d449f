"""The sample pairs: offered and loaded without a network, what they say they are, three clicks from a fused picture."""

import sys
import types

import numpy as np
import pytest
import SimpleITK as sitk

from bench.driving import case
from bench.fixtures import bench  # noqa: F401
from MMIFAminLib.volume.simulation import LESIONS

slicer = pytest.importorskip("slicer", reason="needs slicer-core")

PAIRS = {}


@pytest.fixture(params=["MMIFAminHead", "MMIFAminTrunk"])
def sample(request, bench):  # noqa: F811
    from MMIFAminLib.module.sample import SAMPLES

    return SAMPLES[request.param]


@pytest.fixture
def pair(sample):
    """Made once for all tests."""
    from MMIFAminLib.module.sample import build_pair

    return PAIRS.setdefault(sample.name, build_pair(sample))


@pytest.fixture
def offered(bench, tmp_path, monkeypatch):  # noqa: F811
    """What Slicer's Sample Data module offers once the application has started."""
    sources = []
    logic = types.SimpleNamespace(registerCustomSampleDataSource=lambda **source: sources.append(source))
    monkeypatch.setitem(sys.modules, "SampleData", types.SimpleNamespace(SampleDataLogic=logic))
    monkeypatch.setattr(slicer.util, "loadVolume", bench.load_volume)
    cache = slicer.vtkCacheManager()
    cache.SetRemoteCacheDirectory(str(tmp_path))
    bench.scene.SetCacheManager(cache)
    bench.app.startup[0]()
    return {source["sampleName"]: source for source in sources}


def click(source):
    """A click on the thumbnail: Slicer hands a custom downloader the source as it is registered."""
    return source["customDownloader"](types.SimpleNamespace(**source))


def value(image, point):
    return image.EvaluateAtPhysicalPoint(point, sitk.sitkLinear)


def test_it_is_offered_and_loads_without_a_network(bench, offered, sample, tmp_path, repository):  # noqa: F811
    source = offered[sample.name]
    assert source["category"] == "MMIFAmin" and len(source["uris"]) == 2
    thumbnail = source["thumbnailFileName"]
    assert thumbnail == str(repository / "MMIFAmin" / "Resources" / "Icons" / f"{sample.name}.png")
    nodes = click(source)
    assert [node.GetName() for node in nodes] == source["nodeNames"] == list(sample.nodes)
    assert sorted(path.name for path in tmp_path.glob("*.nrrd")) == sorted(source["fileNames"])
    assert nodes[1].GetVoxelValueUnits().GetCodeValue() == "{SUVbw}g/ml"
    again = click(source)
    assert np.array_equal(slicer.util.arrayFromVolume(again[0]), slicer.util.arrayFromVolume(nodes[0]))


def test_hot_lesions_are_hot_and_the_cold_one_is_cold(sample, pair):
    anatomical, pet = pair
    assert anatomical.GetPixelID() == sitk.sitkInt16 and pet.GetPixelID() == sitk.sitkFloat32
    for center, width, change in LESIONS[sample.part]:
        around = [value(pet, np.add(center, step)) for step in np.vstack([np.eye(3), -np.eye(3)]) * 1.5 * width]
        if change > 0:
            assert value(pet, center) > max(around) + 3
        else:
            assert value(pet, center) < 0.5 < np.median(around)
    seen = sitk.GetArrayViewFromImage(anatomical)
    if sample.anatomy == "CT":
        assert seen.min() == -1000 and np.median(seen[(seen > 0) & (seen < 100)]) == pytest.approx(45, abs=20)
        assert all(value(anatomical, lesion.center) > 120 for lesion in LESIONS["trunk"][:3]), "metastases in bone"
        assert 0 < value(anatomical, LESIONS["trunk"][3].center) < 100, "and one in the liver"


@pytest.mark.parametrize("name, window", [("MMIFAminHead", (0, 12)), ("MMIFAminTrunk", (0, 10))])
def test_three_clicks_from_sample_data_to_a_fused_picture(bench, offered, name, window):  # noqa: F811
    from MMIFAminLib.module.sample import SAMPLES

    sample = SAMPLES[name]
    nodes = click(offered[name])  # the first: on the thumbnail
    panel = bench.open()  # the second: on the module
    bench.wait(lambda: panel.ui.fuseButton.enabled)
    assert (panel.ui.anatomicalSelector.currentNode(), panel.ui.functionalSelector.currentNode()) == tuple(nodes)
    case(bench).fuse(panel)  # the third: on Fuse
    fused = panel.ui.colorSelector.currentNode()
    assert fused.GetName() == f"{nodes[0].GetName()} + {nodes[1].GetName()} fused colour"
    shown = panel.ui.functionalLowSpinBox.value, panel.ui.functionalHighSpinBox.value
    assert shown == pytest.approx(window, abs=0.5)
    x, y, z = LESIONS[sample.part][0].center
    for view, axis, place in (("Yellow", 0, -x), ("Green", 1, -y), ("Red", 2, z)):
        node = bench.scene.GetNodeByID(f"vtkMRMLSliceNode{view}")
        assert node.GetSliceToRAS().GetElement(axis, 3) == pytest.approx(place, abs=2), f"the lesion is in {view}"
    for composite in slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode"):
        assert composite.GetForegroundVolumeID() == fused.GetID() and composite.GetForegroundOpacity() == 1
