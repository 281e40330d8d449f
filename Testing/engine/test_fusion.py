"""The volume fuser: the same bits from any threads, batches and order; want of memory; orientation kept."""

import itertools
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import psutil
import pytest
import SimpleITK as sitk
import torch

from MMIFAminLib.display import preview
from MMIFAminLib.engine.execution import run_in_threads
from MMIFAminLib.engine.fusion import VolumeFuser
from MMIFAminLib.engine.volumes import voxels as shared_voxels
from MMIFAminLib.engine.weights import load_weights
from MMIFAminLib.errors import InputError
from MMIFAminLib.files.volumes import read_volume, write_volume
from MMIFAminLib.volume import geometry
from support import phantoms
from support.expected import uptake_on_anatomy

FINE = phantoms.Grid((32, 36, 22), (6.0, 6.0, 6.0)).centred_at()
COARSE = phantoms.Grid(
    (22, 24, 16), (9.0, 9.0, 11.0), direction=tuple(phantoms.rotation((8, -5, 12)).ravel())
).centred_at()


@pytest.fixture(scope="module")
def pair():
    """MR and, on a coarser oblique grid, PET of the phantom."""
    return phantoms.head(FINE, scale=1000.0, dtype=np.int16), phantoms.head(COARSE, "pet", 12.0)


@pytest.fixture
def fuser(stirred_weights):
    return VolumeFuser.load("cpu", "fp32", stirred_weights)


@pytest.fixture(params=["fp32", "bf16"])
def any_fuser(request, stirred_weights):
    return VolumeFuser.load("cpu", request.param, stirred_weights)


def voxels(fused) -> np.ndarray:
    return sitk.GetArrayFromImage(fused.image)


# --- the same result ---


def test_same_bits_from_any_number_of_threads(any_fuser, pair):
    expected = voxels(any_fuser.fuse(*pair))
    assert expected.std() > 0.05 and np.isfinite(expected).all() and expected.min() >= 0 and expected.max() <= 1
    for any_fuser.threads in (1, 2, 5):
        assert np.array_equal(voxels(any_fuser.fuse(*pair)), expected)


def test_batch_size_does_not_matter(any_fuser, pair):
    expected = voxels(any_fuser.fuse(*pair))
    for slices in (2, 7, 100):
        any_fuser.batch_pixels = slices * 32 * 36
        assert np.abs(voxels(any_fuser.fuse(*pair)) - expected).max() <= 1e-5


def test_slice_order_does_not_matter(any_fuser):
    rng = np.random.default_rng(0)
    a, b = rng.random((2, 9, 32, 28), np.float32)
    order = rng.permutation(9)
    assert np.array_equal(any_fuser.fuse_arrays(a[order], b[order]), any_fuser.fuse_arrays(a, b)[order])


def test_one_slice_alone_is_the_slice_in_the_volume(any_fuser):
    a, b = np.random.default_rng(0).random((2, 5, 32, 28), np.float32)
    alone = np.concatenate([any_fuser.fuse_arrays(a[i : i + 1], b[i : i + 1]) for i in range(5)])
    assert np.array_equal(alone, any_fuser.fuse_arrays(a, b))


def test_four_threads_share_one_fuser(any_fuser, pair):
    expected = {plane: voxels(any_fuser.fuse(*pair, plane=plane)) for plane in geometry.PLANES}
    planes = 3 * list(expected)
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda plane: voxels(any_fuser.fuse(*pair, plane=plane)), planes))
    assert all(np.array_equal(expected[plane], fused) for plane, fused in zip(planes, together))


def test_threads_share_images_without_reading_freed_memory(known):
    """SimpleITK moves an image's voxels when one thread looks at them while another filters the image.

    Few anatomical and many functional voxels: the threads are in the filter most of the time.
    """
    few = phantoms.Grid((16, 18, 12), (12.0, 12.0, 12.0)).centred_at()
    many = phantoms.Grid((44, 48, 40), (4.5, 4.2, 5.0), direction=COARSE.direction).centred_at()
    pair = phantoms.head(few, scale=1000.0, dtype=np.int16), phantoms.head(many, "pet", 12.0)
    expected = voxels(known.fuse(*pair))
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda _: voxels(known.fuse(*pair)), range(32)))
    assert all(np.array_equal(expected, fused) for fused in together)


def test_voxels_outlive_their_image():
    image = phantoms.head(FINE)
    expected, array = sitk.GetArrayFromImage(image), shared_voxels(image)
    del image
    others = [phantoms.head(FINE, "pet") for _ in range(3)]
    assert np.array_equal(array, expected) and len(others) == 3


def test_threads_of_the_host_program_stay_as_they_are(stirred_weights, pair):
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        fuser = VolumeFuser.load("cpu", weights=stirred_weights)
        assert fuser.threads == 3
        fuser.fuse(*pair)
        with ThreadPoolExecutor(1) as pool:
            assert (torch.get_num_threads(), pool.submit(torch.get_num_threads).result()) == (3, 3)
    finally:
        torch.set_num_threads(before)


def test_inputs_stay_as_they_are(fuser, pair):
    before = [sitk.Hash(image) for image in pair]
    fuser.fuse(*pair)
    assert [sitk.Hash(image) for image in pair] == before


# --- want of memory ---


def failing(fuser, fits):
    """Make batches of which ``fits(slices, device)`` is false run out of memory."""
    computing = fuser._computing

    def limited(a, b, kind, device):
        if not fits(len(a), device):
            raise torch.OutOfMemoryError("CUDA out of memory (injected)")
        return computing(a, b, kind, "cpu")

    fuser._computing = limited


def test_smaller_batches_when_memory_runs_out(fuser, pair):
    expected = voxels(fuser.fuse(*pair))
    fuser.batch_pixels = batch = 8 * 32 * 36
    failing(fuser, lambda slices, device: slices <= 2)
    fused = fuser.fuse(*pair)
    assert np.abs(voxels(fused) - expected).max() <= 1e-5
    told = [text for text in fused.report["warnings"] if "Out of memory" in text]
    assert told == [f"Out of memory on cpu: went on with {slices} slices at a time." for slices in (4, 2)]
    assert fuser.batch_pixels == batch, "one fusion's want of memory changed the fuser for all"


def test_gpu_gives_way_to_the_cpu(fuser, pair):
    expected = voxels(fuser.fuse(*pair))
    gpu = VolumeFuser(fuser._network, fuser.weights, "cuda", fuser.precision)
    gpu.batch_pixels = 4 * 32 * 36
    failing(gpu, lambda slices, device: device == "cpu")
    fused = gpu.fuse(*pair)
    assert np.abs(voxels(fused) - expected).max() <= 2 / 255
    told = [text for text in fused.report["warnings"] if "Out of memory" in text]
    assert told[-1] == "Out of memory on cuda: went on with the CPU." and len(told) == 1


@pytest.mark.parametrize(
    "error",
    [
        NotImplementedError("The operator 'aten::x' is not currently implemented for the MPS device. See a page."),
        TypeError("Cannot convert a MPS Tensor to float64 dtype as the MPS framework doesn't support float64."),
        RuntimeError("MPS backend out of memory (MPS allocated: 9.00 GB)"),
    ],
)
def test_an_apple_gpu_that_lacks_something_gives_way_to_the_cpu(fuser, pair, error):
    """With injected errors: there is no such GPU here."""
    expected = voxels(fuser.fuse(*pair))
    apple = VolumeFuser(fuser._network, fuser.weights, "mps", "fp32")
    apple.batch_pixels = 32 * 36
    computing = apple._computing

    def lacking(a, b, kind, device):
        if device == "mps":
            raise error
        return computing(a, b, kind, device)

    apple._computing = lacking
    fused = apple.fuse(*pair)
    assert np.abs(voxels(fused) - expected).max() <= 2 / 255
    told = [text for text in fused.report["warnings"] if "went on with the CPU" in text]
    assert len(told) == 1 and "mps" in told[0]


def test_an_error_that_is_no_lack_of_the_device_comes_out(fuser, pair):
    apple = VolumeFuser(fuser._network, fuser.weights, "mps", "fp32")

    def wrong(a, b, kind, device):
        raise TypeError("a mistake of our own")

    apple._computing = wrong
    with pytest.raises(TypeError, match="of our own"):
        apple.fuse(*pair)


def test_devices_are_named_as_pytorch_names_them(monkeypatch):
    from MMIFAminLib.engine import execution

    usable = set()
    monkeypatch.setattr(execution, "_computes", lambda device: device in usable)
    assert execution.choose_device("auto") == "cpu"
    usable |= {"mps"}
    assert execution.choose_device("auto") == "mps" and execution.choose_precision("auto", "mps") == "fp32"
    usable |= {"cuda", "cuda:1"}
    assert execution.choose_device("auto") == "cuda" and execution.choose_device("cuda:1") == "cuda:1"
    for device, words in (("cuda:7", "number 7"), ("cuda:x", "Unknown"), ("cpu:1", "Unknown"), ("tpu", "Unknown")):
        with pytest.raises(InputError, match=words):
            execution.choose_device(device)
    with pytest.raises(InputError, match="not checked on Apple"):
        execution.choose_precision("fp16", "mps")


def test_one_slice_after_the_other_when_even_the_cpu_is_full(fuser, pair):
    expected = voxels(fuser.fuse(*pair))
    fuser.threads, at_once, lock = 3, [0], threading.Lock()
    calls, meeting, compute = itertools.count(), threading.Barrier(2), fuser._compute

    def crowded(*batch):
        with lock:
            at_once[0] += 1
        try:
            if next(calls) < 2:
                meeting.wait(60)  # so that two slices are there at once whatever the machine does
            crowd = at_once[0]
            if crowd > 1:
                raise RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory")
            return compute(*batch)
        finally:
            with lock:
                at_once[0] -= 1

    fuser._compute = crowded
    fused = fuser.fuse(*pair)
    assert np.array_equal(voxels(fused), expected)
    assert "Out of memory on cpu: went on with one slice at a time." in fused.report["warnings"]


def test_no_memory_at_all_is_said(fuser, pair):
    failing(fuser, lambda slices, device: False)
    with pytest.raises(MemoryError, match="close other volumes"):
        fuser.fuse(*pair)


def test_other_errors_are_not_taken_for_want_of_memory(fuser, pair):
    def broken(*batch):
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    fuser._compute = broken
    with pytest.raises(RuntimeError, match="mat1"):
        fuser.fuse(*pair)


def test_memory_under_way_is_bounded():
    at_once, most, lock = [0], [0], threading.Lock()

    def work(item):
        with lock:
            at_once[0] += 1
            most[0] = max(most[0], at_once[0])
        threading.Event().wait(0.005)
        with lock:
            at_once[0] -= 1

    ticks = []
    run_in_threads(work, range(40), threads=4, limit=2, tick=ticks.append)
    assert most[0] == 2 and ticks[0] == 0 and ticks[-1] == 40 and ticks == sorted(ticks)


def test_many_fusions_do_not_fill_the_memory(fuser, pair):
    process = psutil.Process()
    for _ in range(6):
        fuser.fuse(*pair)
    before = process.memory_info().rss
    for _ in range(12):
        fuser.fuse(*pair)
    volume = 4 * 32 * 36 * 22
    assert process.memory_info().rss - before < 12 * volume, "each fusion left a volume behind"


# --- what is fused ---


@pytest.fixture(scope="module")
def known(untrained_weights):
    """A fuser whose network has no say: every voxel of the result is known."""
    return VolumeFuser.load("cpu", "fp32", untrained_weights)


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


# --- which weights ---


@pytest.fixture
def two_sets(stirred_weights, untrained_weights):
    """A fuser with a set of weights for two anatomical images, and one that has those alone."""
    alone = VolumeFuser.load("cpu", "fp32", untrained_weights)
    network, info = load_weights(stirred_weights)
    return VolumeFuser(network, info, "cpu", "fp32", load_weights(untrained_weights)), alone


def test_arrays_get_the_weights_of_their_kind(two_sets, fuser):
    both, alone = two_sets
    a, b = np.random.default_rng(0).random((2, 1, 32, 32), np.float32)
    anatomical = both.fuse_arrays(a, b, uptake=False, anatomical=True)
    assert np.array_equal(anatomical, alone.fuse_arrays(a, b, uptake=False))
    for uptake in (False, True):
        assert np.array_equal(both.fuse_arrays(a, b, uptake=uptake), fuser.fuse_arrays(a, b, uptake=uptake))
        assert not np.array_equal(both.fuse_arrays(a, b, uptake=uptake), anatomical)
    assert np.array_equal(both.fuse_arrays(a, b, anatomical=True), both.fuse_arrays(a, b)), "uptake is no anatomy"


def test_volumes_get_the_weights_of_their_kind(two_sets, pair):
    both, alone = two_sets
    ct = phantoms.ct_head(FINE)
    fused = both.fuse(pair[0], ct)
    assert fused.report["weights"]["sha256"] == alone.weights.sha256 == both.anatomical_weights.sha256
    assert np.array_equal(voxels(fused), voxels(alone.fuse(pair[0], ct)))
    assert both.fuse(pair[0], pair[1], functional_window="mr").report["weights"]["sha256"] == alone.weights.sha256
    assert both.fuse(*pair).report["weights"]["sha256"] == both.weights.sha256 != alone.weights.sha256


def test_weights_that_are_named_serve_every_pair(stirred_weights):
    shipped, named = VolumeFuser.load("cpu"), VolumeFuser.load("cpu", weights=stirred_weights)
    assert named.anatomical_weights == named.weights
    assert (shipped.weights.name, shipped.anatomical_weights.name) == ("mmif-amin", "mmif-amin-anatomical")


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
