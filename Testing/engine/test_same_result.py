"""The same bits from any threads, batches and order of slices."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import SimpleITK as sitk
import torch

from MMIFAminLib.engine.fusion import VolumeFuser
from MMIFAminLib.engine.volumes import voxels as shared_voxels
from MMIFAminLib.volume import geometry
from support import phantoms
from support.heads import COARSE, FINE, voxels


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
