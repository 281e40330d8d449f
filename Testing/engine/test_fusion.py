"""What is fused: orientation kept, empty slices left, refusals, the weights of each kind, the report."""

import numpy as np
import pytest
import SimpleITK as sitk

from MMIFAminLib.display import preview
from MMIFAminLib.engine.volumes import ROLES
from MMIFAminLib.errors import InputError
from MMIFAminLib.files.volumes import read_volume, write_volume
from MMIFAminLib.volume import geometry
from support import phantoms
from support.expected import uptake_on_anatomy
from support.heads import COARSE, voxels


def as_expected(fused, anatomical):
    a = fused.anatomical_window.to_unit(sitk.GetArrayViewFromImage(anatomical))
    u = fused.functional_window.to_unit(sitk.GetArrayViewFromImage(fused.functional))
    return np.abs(voxels(fused) - uptake_on_anatomy(a, u)).max() < 1e-6


@pytest.mark.parametrize("plane", geometry.PLANES)
@pytest.mark.parametrize("axes", [(0, 1, 2), (2, 0, 1), (1, 2, 0), (0, 2, 1)], ids=str)
def test_every_voxel_stays_in_its_place(known, plane, axes):
    """Left, right, front, back, top and bottom are kept in every plane of volumes stored in any axis order, with flips."""
    direction = phantoms.rotation((10, -20, 15)) @ (np.eye(3)[:, list(axes)] * (-1, 1, -1))
    grid = phantoms.Grid((26, 30, 22), (7.0, 6.5, 8.0), direction=tuple(direction.ravel())).centred_at()
    anatomical, functional = phantoms.head(grid, scale=1000.0), phantoms.head(COARSE, "pet")
    fused = known.fuse(anatomical, functional, plane=plane)
    assert geometry.same_grid(fused.image, anatomical)
    assert as_expected(fused, anatomical)


def test_oblong_pixels_are_made_square_for_the_network(fuser, known, monkeypatch):
    """Fused in the coronal plane, slices 12 mm apart give what slices 6 mm apart, interpolated between them, give."""
    monkeypatch.setattr("MMIFAminLib.engine.fusion.steady", lambda fused, sources: (1.0, 0.0))
    thick = phantoms.Grid((32, 36, 11), (6.0, 6.0, 12.0)).centred_at()
    pair = phantoms.head(thick, scale=1000.0), phantoms.head(thick, "pet", 12.0)
    windows = {"anatomical_window": (0, 1000), "functional_window": (0, 12)}
    size = (32, 36, 21)
    thin = [sitk.Resample(x, size, sitk.Transform(), sitk.sitkLinear, x.GetOrigin(), (6.0, 6.0, 6.0)) for x in pair]
    shapes, compute = [], fuser._compute
    fuser._compute = lambda a, *rest: shapes.append(a.shape[-2:]) or compute(a, *rest)
    fused = voxels(fuser.fuse(*pair, plane="coronal", **windows))
    assert set(shapes) == {(21, 32)}
    assert np.abs(fused - voxels(fuser.fuse(*thin, plane="coronal", **windows))[::2]).max() < 1e-3
    exact = known.fuse(*pair, plane="sagittal", **windows)
    assert as_expected(exact, pair[0])


def test_label_maps_are_refused_unless_told_to_insist(known, pair):
    labels = sitk.Cast(pair[1] > 4, sitk.sitkUInt8)
    for given, which in (((labels, pair[1]), "anatomical"), ((pair[0], labels), "functional")):
        with pytest.raises(InputError, match=f"^{which}.* is a label map"):
            known.fuse(*given)
        assert known.fuse(*given, insist=True).image.GetSize() == given[0].GetSize()


def test_each_volume_is_told_by_its_own_name(known, pair):
    """Names that say other than the roles and values do, so that one that is taken for another's shows."""
    report = known.fuse(*pair, names=("head CT", "T2")).report
    told = [(report["taken_for"][role]["shows"], report["taken_for"][role]["told_by"]) for role in ROLES[:2]]
    assert told == [("ct", "name"), ("mr", "name")]
    report = known.fuse(*pair, second_anatomical=sitk.Image(pair[0]), names=("T1", "FDG", "head CT")).report
    told = [report["taken_for"][role]["shows"] for role in ROLES[:2]] + [report["second"]["taken_for"]["shows"]]
    assert told == ["mr", "uptake", "ct"] and report["second"]["taken_for"]["told_by"] == "name"


@pytest.mark.parametrize("ending", [".nrrd", ".nii.gz", ".nii", ".mha", "dicom"])
def test_every_file_format_keeps_left_and_right(known, pair, tmp_path, ending):
    """The hot ball of the PET lies right, behind and below; it must do so in the fused file, whatever the source's format."""
    flipped = phantoms.Grid((40, 44, 30), (5.0, 5.0, 6.0), direction=(-1, 0, 0, 0, 1, 0, 0, 0, -1)).centred_at()
    sources = [phantoms.head(flipped, scale=1000.0, dtype=np.int16), sitk.Cast(pair[1] * 1000, sitk.sitkInt16)]
    images = []
    for name, image in zip(("mr", "pet"), sources):
        path = tmp_path / (name if ending == "dicom" else name + ending)
        if ending == "dicom":
            phantoms.write_dicom_series(path, image, f"1.2.3.{len(images) + 1}")
        else:
            write_volume(image, path)
        images.append(read_volume(path))
    written = tmp_path / ("fused" + (".nrrd" if ending == "dicom" else ending))
    for plane in geometry.PLANES:
        write_volume(known.fuse(*images, plane=plane, anatomical_window=(0, 5000)).image, written)
        place = phantoms.brightest_point(read_volume(written))
        assert np.linalg.norm(place - phantoms.BALLS["right posterior inferior"][0]) < 4


def test_empty_slices_and_borders_stay_empty_and_are_not_computed(fuser):
    a, b = np.zeros((2, 12, 96, 128), np.float32)
    a[4:7, 40:60, 50:80] = 0.5
    b[6:9, 44:70, 50:80] = 0.8
    pixels, compute = [], fuser._compute
    fuser._compute = lambda a, *rest: pixels.append(a.numel()) or compute(a, *rest)
    fused = fuser.fuse_arrays(a, b)
    support = (a > 0) | (b > 0)
    assert (fused[[0, 1, 2, 3, 9, 10, 11]] == 0).all() and (fused[support] > 0).mean() > 0.9
    assert len(pixels) == 5 and max(pixels) == 64 * 64  # content, 16 pixels around it, multiples of 4


@pytest.mark.parametrize("shape", [(3, 1, 1), (2, 5, 1), (1, 2, 300), (4, 15, 17), (0, 8, 8)], ids=str)
def test_slices_smaller_than_the_network_is_made_for(fuser, shape):
    a, b = np.random.default_rng(0).random((2, *shape), np.float32)
    fused = fuser.fuse_arrays(a, b)
    assert fused.shape == shape and fused.dtype == np.float32 and np.isfinite(fused).all()


def test_ct_as_the_functional_volume_is_allowed_but_said(known):
    fused = known.fuse(phantoms.head(scale=1000.0), phantoms.ct_head())
    assert any("swap the two" in text for text in fused.report["warnings"])
    fused = known.fuse(phantoms.ct_head(), phantoms.head(kind="pet"))
    assert not any("swap" in text for text in fused.report["warnings"])


def test_vectors_of_one_component_are_scalars(fuser, pair):
    plain, as_vectors = fuser.fuse(*pair), fuser.fuse(*(sitk.Compose(image) for image in pair))
    assert np.array_equal(*(sitk.GetArrayViewFromImage(fused.image) for fused in (plain, as_vectors)))


def test_one_volume_is_not_fused_with_itself(known, pair):
    with pytest.raises(InputError, match="one and the same"):
        known.fuse(pair[0], pair[0])


@pytest.mark.parametrize(
    "a, b, said",
    [
        (np.zeros((2, 8, 8)), np.zeros((2, 8, 9)), "differ in shape"),
        (np.zeros((8, 8)), np.zeros((8, 8)), r"\(D, H, W\)"),
        (np.full((1, 8, 8), np.nan), np.zeros((1, 8, 8)), "outside"),
        (np.zeros((1, 8, 8)), np.full((1, 8, 8), 1.5), "functional array has values outside"),
        (np.zeros((1, 8, 8), complex), np.zeros((1, 8, 8)), "must be real"),
    ],
)
def test_unfit_arrays_are_named(known, a, b, said):
    with pytest.raises(InputError, match=said):
        known.fuse_arrays(a, b)


def test_slices_too_large_for_the_memory_are_refused(known):
    wide = np.ones((1, 4097, 4097), np.uint8)
    with pytest.raises(InputError, match="resample"):
        known.fuse_arrays(wide, wide)


def test_the_report_tells_what_was_done(fuser, pair):
    report = fuser.fuse(*pair, plane="coronal").report
    assert "Research use only" in report["notice"] and report["weights"]["sha256"] == fuser.weights.sha256
    assert (report["device"], report["precision"], report["plane"]) == ("cpu", fuser.precision, "coronal")
    assert report["threads"] == fuser.threads and report["slices_per_second"] > 0 and 0 < report["overlap"] <= 1
    assert list(report["seconds"]) == ["check", "resample", "intensity", "network", "through-plane"]


def test_paths_are_read_and_anything_else_is_named(fuser, pair, tmp_path):
    for image, name in zip(pair, ("mr.nrrd", "pet.nrrd")):
        sitk.WriteImage(image, str(tmp_path / name))
    fused = fuser.fuse(str(tmp_path / "mr.nrrd"), tmp_path / "pet.nrrd")
    assert np.array_equal(voxels(fused), voxels(fuser.fuse(*pair)))
    with pytest.raises(InputError, match="no such file"):
        fuser.fuse("nowhere.nrrd", pair[1])
    with pytest.raises(InputError, match="The functional volume is a ndarray: give a SimpleITK image, or the path"):
        fuser.fuse(pair[0], sitk.GetArrayFromImage(pair[1]))


def test_what_was_fused_saves_and_shows_itself(fuser, pair, tmp_path):
    anatomical, functional = pair
    fused = fuser.fuse(anatomical, functional)
    fused.save(tmp_path / "grey.nrrd")
    fused.save(str(tmp_path / "colour.nrrd"), "inferno", 0.5)
    assert np.array_equal(sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "grey.nrrd"))), voxels(fused))
    coloured = sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "colour.nrrd")))
    assert np.array_equal(coloured, sitk.GetArrayFromImage(fused.rgb("inferno", 0.5)))
    with pytest.raises(InputError, match="cannot be written"):
        fused.save(tmp_path / "no folder" / "grey.nrrd")
    picture = fused.preview(anatomical, table="inferno", footer="after")
    assert np.array_equal(np.asarray(picture), np.asarray(preview(anatomical, fused, table="inferno", footer="after")))


@pytest.mark.parametrize("window, warns", [("auto", True), ("ct-bone", False), ((-100.0, 900.0), False)])
def test_a_ct_in_second_place_is_doubted_unless_its_window_was_chosen(fuser, window, warns):
    fused = fuser.fuse(phantoms.head(scale=1000.0), phantoms.ct_head(), functional_window=window)
    assert any("swap the two" in text for text in fused.report["warnings"]) == warns


def test_a_file_is_not_fused_with_itself_by_another_path(known, pair, tmp_path, monkeypatch):
    write_volume(pair[0], tmp_path / "t1.nrrd")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="one and the same"):
        known.fuse("t1.nrrd", tmp_path / "t1.nrrd")
