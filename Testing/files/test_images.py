"""Folders of 2D images: partners, reading every kind of file, and what the colour protocols promise."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from PIL import Image

from MMIFAminLib import InputError
from MMIFAminLib.display import color
from MMIFAminLib.evaluation import score_folders
from MMIFAminLib.evaluation.baselines import maximum
from MMIFAminLib.evaluation.metrics import METRICS, score
from MMIFAminLib.files.images import (
    PROTOCOLS,
    full_scale,
    fuse_folders,
    grey_levels,
    match_folders,
    read_image,
    with_luma,
    write_image,
)

# A fusion whose result is known; the network has its own tests.
FUSER = SimpleNamespace(fuse_arrays=lambda a, b, uptake: maximum(a, b))
GREY = np.arange(48, dtype=np.uint8).reshape(6, 8) * 5
RGB = np.stack([GREY, GREY[::-1], 255 - GREY], axis=-1)


def save(folder, name, array, **options):
    folder.mkdir(exist_ok=True)
    Image.fromarray(array).save(folder / name, **options)
    return folder / name


@pytest.fixture
def val_pet(shared):
    folder = shared / "data" / "harvard" / "val" / "PET-MRI"
    return folder / "MRI", folder / "PET"


def some(folder, target, count=4):
    """A folder with a few of the images of a large one, evenly spread."""
    target.mkdir()
    paths = sorted(folder.iterdir())
    for path in paths[:: len(paths) // count][:count]:
        (target / path.name).symlink_to(path)
    return target


def test_partners_have_equal_names_and_the_others_are_named(tmp_path):
    for name in ("a.png", "b.tif", "c.png"):
        save(tmp_path / "mr", name, GREY)
    for name in ("b.png", "c.JPG", "d.png"):
        save(tmp_path / "pet", name, GREY)
    save(tmp_path / "mr", "._d.png", GREY)  # what macOS leaves beside d.png
    (tmp_path / "mr" / "notes.txt").write_text("no image")
    (tmp_path / "mr" / "d.png").mkdir()
    matches, lonely = match_folders(tmp_path / "mr", tmp_path / "pet")
    assert [(match.name, *(path.name for path in match.paths)) for match in matches] == [
        ("b", "b.tif", "b.png"),
        ("c", "c.png", "c.JPG"),
    ]
    assert [path.name for path in lonely] == ["a.png", "d.png"]


@pytest.mark.parametrize(
    "files, message",
    [
        ((["a.png"], []), "holds no PNG, JPG or TIFF"),
        ((["a.png"], ["b.png"]), "equal names"),
        ((["a.png"], ["a.png", "a.tif"]), "have one name"),
    ],
)
def test_folders_without_clear_partners_are_refused(tmp_path, files, message):
    folders = tmp_path / "mr", tmp_path / "pet"
    for folder, names in zip(folders, files):
        folder.mkdir()
        for name in names:
            save(folder, name, GREY)
    with pytest.raises(InputError, match=message):
        match_folders(*folders)
    with pytest.raises(InputError, match="nowhere is not a folder"):
        match_folders(tmp_path / "nowhere")


@pytest.mark.parametrize("ending", ["png", "tif"])
def test_every_kind_of_8_bit_file_reads_as_grey_or_rgb(tmp_path, ending):
    def read(image):
        image.save(tmp_path / f"x.{ending}")
        return read_image(tmp_path / f"x.{ending}")

    grey, rgb = Image.fromarray(GREY), Image.fromarray(RGB)
    for image in (grey, grey.convert("LA"), grey.convert("RGB"), grey.convert("RGBA"), grey.convert("P")):
        np.testing.assert_array_equal(read(image), GREY)
    for image in (rgb, rgb.convert("RGBA")):
        np.testing.assert_array_equal(read(image), RGB)
    assert set(np.unique(read(Image.fromarray(GREY > 99)))) == {0, 255}


@pytest.mark.parametrize("ending", ["png", "tif"])
def test_16_bits_are_kept_and_scaled_by_the_bits_that_the_folder_uses(tmp_path, ending):
    dark, bright = GREY.astype(np.uint16) * 4, GREY.astype(np.uint16) * 17
    paths = [save(tmp_path, f"dark.{ending}", dark), save(tmp_path, f"bright.{ending}", bright)]
    assert read_image(paths[0]).dtype == np.uint16
    np.testing.assert_array_equal(read_image(paths[1]), bright)
    assert full_scale(paths) == 4095 == 2**12 - 1 >= bright.max() > 2**11
    assert full_scale(paths[:1]) == 1023
    np.testing.assert_array_equal(grey_levels(bright, 4095.0), np.rint(bright / 4095 * 255))


def test_what_is_no_2d_8_or_16_bit_image_is_refused_by_name(tmp_path):
    (tmp_path / "text.png").write_text("not an image")
    whole = save(tmp_path, "whole.png", RGB).read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    save(tmp_path, "float.tif", GREY.astype(np.float32))
    pages = [Image.fromarray(GREY)] * 3
    pages[0].save(tmp_path / "pages.tif", save_all=True, append_images=pages[1:])
    for name in ("text.png", "cut.png", "float.tif", "pages.tif", "missing.png"):
        with pytest.raises(InputError, match=name):
            read_image(tmp_path / name)


bytes_of = st.integers(0, 255)


def chroma(rgb):
    """Cb and Cr (BT.601, full range) of ``rgb`` (N, 3), around 0."""
    luma = rgb @ np.array([0.299, 0.587, 0.114])
    return np.stack([(rgb[:, 2] - luma) / 1.772, (rgb[:, 0] - luma) / 1.402], axis=-1)


@given(npst.arrays(np.uint8, (16, 3), elements=bytes_of), npst.arrays(np.uint8, 16, elements=bytes_of))
def test_replacing_luma_is_exact_and_keeps_hue(rgb, luma):
    result = with_luma(rgb, luma)
    np.testing.assert_array_equal(color.luma(result), luma)
    before, after = chroma(rgb), chroma(result)
    # Rounding to whole grey levels moves Cb and Cr by at most about one level: never to another hue.
    cross = before[:, 0] * after[:, 1] - before[:, 1] * after[:, 0]
    assert (np.abs(cross) <= 1.5 * np.linalg.norm(before, axis=1) + 1e-3).all()
    assert (np.linalg.norm(after, axis=1) <= np.linalg.norm(before, axis=1) + 1.5).all()


def test_unchanged_luma_leaves_colours_as_they_are(val_pet):
    rgb = read_image(sorted(val_pet[1].iterdir())[20])
    change = np.abs(with_luma(rgb, color.luma(rgb)).astype(int) - rgb)
    assert change.max() <= 4  # Blue counts little in luma: rounding the luma moves a saturated blue most.
    assert change[rgb.any(axis=-1)].mean() < 0.5


def test_ycbcr_output_has_exactly_the_fused_luma_on_real_pairs(tmp_path, val_pet):
    mr, pet = (some(folder, tmp_path / folder.name, 8) for folder in val_pet)
    written, lonely = fuse_folders(FUSER, mr, pet, tmp_path / "fused")
    assert len(written) == 8 and not lonely
    for path in written:
        fused, a, b = read_image(path), read_image(mr / path.name), read_image(pet / path.name)
        assert fused.ndim == 3
        np.testing.assert_array_equal(color.luma(fused), np.maximum(a, color.luma(b)))


def test_palette_and_scalar_fuse_the_uptake(tmp_path, val_pet):
    mr, pet = (some(folder, tmp_path / folder.name, 2) for folder in val_pet)
    for protocol in ("palette", "scalar"):
        fuse_folders(FUSER, mr, pet, tmp_path / protocol, protocol=protocol)
    for path in sorted(mr.iterdir()):
        uptake, table = color.recover_uptake(read_image(pet / path.name))
        expected = maximum(read_image(path).astype(np.float32) / 255, uptake)
        np.testing.assert_array_equal(read_image(tmp_path / "scalar" / path.name), np.rint(expected * 255))
        colored = color.colorize(expected, uptake, color.ColorTable.named(table))
        np.testing.assert_array_equal(read_image(tmp_path / "palette" / path.name), colored)


@pytest.mark.parametrize("protocol", ["ycbcr", "palette", "scalar"])
def test_grey_pairs_give_grey_images_of_unstretched_levels(tmp_path, protocol):
    save(tmp_path / "mr", "x.png", GREY)
    save(tmp_path / "ct", "x.tif", GREY[::-1].astype(np.uint16) * 16 + 15)  # 12 bits
    (path,), _ = fuse_folders(FUSER, tmp_path / "mr", tmp_path / "ct", tmp_path / "out", protocol=protocol)
    with Image.open(path) as image:
        assert (path.name, image.mode) == ("x.png", "L")
    assert np.abs(read_image(path).astype(int) - np.maximum(GREY, GREY[::-1])).max() <= 1


def test_the_fuser_is_told_what_is_measured_uptake(tmp_path, val_pet):
    save(tmp_path / "mr", "x.png", GREY)
    save(tmp_path / "ct", "x.png", GREY)
    mr, pet = (some(folder, tmp_path / f"few-{folder.name}", 1) for folder in val_pet)
    told = []

    def fuse_arrays(a, b, uptake):
        told.append("uptake" if uptake else "picture")
        return a

    for folders in ((mr, pet), (tmp_path / "mr", tmp_path / "ct")):
        for protocol in PROTOCOLS:
            fuse_folders(SimpleNamespace(fuse_arrays=fuse_arrays), *folders, tmp_path / "out", protocol=protocol)
    assert PROTOCOLS == ("ycbcr", "palette", "scalar")
    assert told == ["picture", "uptake", "uptake", "picture", "picture", "uptake"]


def test_a_pair_is_fused_alike_alone_and_in_company(tmp_path, val_pet):
    mr, pet = (some(folder, tmp_path / folder.name, 3) for folder in val_pet)
    company, _ = fuse_folders(FUSER, mr, pet, tmp_path / "company")
    for folder in (mr, pet):
        for path in sorted(folder.iterdir())[1:]:
            path.unlink()
    alone, _ = fuse_folders(FUSER, mr, pet, tmp_path / "alone")
    assert alone[0].read_bytes() == company[0].read_bytes()


def test_pairs_that_cannot_be_fused_are_named(tmp_path):
    save(tmp_path / "mr", "x.png", GREY)
    save(tmp_path / "small", "x.png", GREY[:3])
    save(tmp_path / "painted", "x.png", RGB)
    cases = [
        ("small", "ycbcr", "x.png is 8x6 and .*x.png is 8x3"),
        ("painted", "palette", "painted/x.png: .*palette"),
        ("painted", "hsv", "hsv"),
    ]
    for folder, protocol, message in cases:
        with pytest.raises(InputError, match=message):
            fuse_folders(FUSER, tmp_path / "mr", tmp_path / folder, tmp_path / "out", protocol=protocol)
    with pytest.raises(InputError, match="holds the sources"):
        fuse_folders(FUSER, tmp_path / "mr", tmp_path / "painted", tmp_path / "painted" / ".." / "mr")
    np.testing.assert_array_equal(read_image(tmp_path / "mr" / "x.png"), GREY)


def test_folders_are_scored_as_their_8_bit_luma(tmp_path, val_pet):
    mr, pet = (some(folder, tmp_path / folder.name, 1) for folder in val_pet)
    (path,), _ = fuse_folders(FUSER, mr, pet, tmp_path / "fused")
    ((name, *_),), _ = match_folders(mr)
    rows, lonely = score_folders(mr, pet, tmp_path / "fused")
    a, b = read_image(mr / path.name), color.luma(read_image(pet / path.name))
    assert rows == [{"name": name, **score(a, b, np.maximum(a, b))}] and not lonely
    assert list(rows[0])[1:] == [metric.name for metric in METRICS]

    write_image(GREY, path)
    with pytest.raises(InputError, match=name):
        score_folders(mr, pet, tmp_path / "fused")
