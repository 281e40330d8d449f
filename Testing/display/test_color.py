"""Colour: the atlas palettes exactly, uptake recovered without error, and colours that rise with uptake on anatomy."""

import json

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image
from skimage.color import lab2rgb, rgb2lab

from MMIFAminLib.display.color import PALETTES, TABLES, ColorTable, colorize, fused_of, luma, overlay, recover_uptake
from MMIFAminLib.errors import InputError
from MMIFAminLib.volume.shown import HEADROOM, shown

MODALITIES = {"harvard-pet": "PET", "harvard-spect": "SPECT"}


# --- palettes ---


def pack(rgb):
    return rgb.astype(int) @ [1 << 16, 1 << 8, 1]


@pytest.mark.parametrize("name", PALETTES)
def test_our_description_of_the_palette_is_exact(shared, name):
    known = json.loads((shared / "data/harvard/palettes.json").read_text())[MODALITIES[name]]
    table = ColorTable.named(name)
    np.testing.assert_array_equal(np.rint(table.colors * 255), known["colors"])
    np.testing.assert_allclose(table.values, known["value"], atol=5e-7)  # given to six digits


@pytest.mark.parametrize("name", PALETTES)
def test_uptake_of_every_shared_image_is_recovered(shared, name):
    known = json.loads((shared / "data/harvard/palettes.json").read_text())[MODALITIES[name]]
    value_of = np.full(1 << 24, np.nan, np.float32)
    value_of[pack(np.array(known["colors"]))] = known["value"]
    folder = MODALITIES[name]
    paths = sorted((shared / "data/harvard").glob(f"*/{folder}-MRI/{folder}/*.png"))
    assert len(paths) > 100
    for path in paths:
        rgb = np.array(Image.open(path).convert("RGB"))
        uptake, found = recover_uptake(rgb)
        assert found == name and uptake.dtype == np.float32 and uptake.shape == rgb.shape[:2]
        np.testing.assert_allclose(uptake, value_of[pack(rgb)], atol=5e-7)


def test_uptake_of_the_shared_volumes_has_no_error(shared):
    paths = sorted((shared / "data/volumes").glob("*_rgb.nrrd"))
    assert len(paths) >= 5
    for path in paths:
        uptake, _ = recover_uptake(sitk.GetArrayFromImage(sitk.ReadImage(str(path))))
        stored = sitk.GetArrayFromImage(sitk.ReadImage(str(path).replace("_rgb", "")))  # int16, uptake x 1000
        assert np.abs(np.rint(uptake * 1000) - stored).max() == 0


@pytest.mark.parametrize("name", PALETTES)
def test_a_palette_image_made_here_comes_back(name):
    table = ColorTable.named(name)
    uptake = np.random.default_rng(0).choice(table.values, (5, 6, 7))
    rgb = np.rint(table(uptake) * 255).astype(np.uint8)
    recovered, found = recover_uptake(rgb)
    assert found == name
    np.testing.assert_allclose(recovered, uptake, atol=1e-7)


def test_colours_of_no_palette_are_refused_with_the_remedy():
    rgb = np.zeros((10, 10, 3), np.uint8)
    rgb[0, 0] = (1, 2, 3)
    with pytest.raises(InputError, match="99 % of the pixels.*ycbcr"):
        recover_uptake(rgb)


@pytest.mark.parametrize("function", [recover_uptake, luma])
@pytest.mark.parametrize("array", [np.zeros((4, 4)), np.zeros((4, 4, 4), np.uint8), np.zeros((4, 4, 3), np.float32)])
def test_what_is_not_rgb_is_refused(function, array):
    with pytest.raises(InputError, match="RGB image of type uint8"):
        function(array)


# --- tables ---


@pytest.mark.parametrize("name", TABLES)
def test_builtin_tables_give_their_own_colours(name):
    table = ColorTable.named(name)
    assert table.name == name
    np.testing.assert_allclose(table(table.values), table.colors, atol=1e-6)
    colors = table(np.linspace(-0.5, 1.5, 64).reshape(4, 16))
    assert colors.shape == (4, 16, 3) and colors.dtype == np.float32
    np.testing.assert_allclose(colors[0, 0], table.colors[0], atol=1e-6)
    np.testing.assert_allclose(colors[-1, -1], table.colors[-1], atol=1e-6)
    assert np.array_equal(table.colors[0], np.zeros(3)) or name == "inferno"  # no uptake adds no colour


def test_pet_heat_and_rainbow_are_those_of_slicer():
    slicer = pytest.importorskip("slicer", reason="slicer-core is not installed")
    scene, application = slicer.vtkMRMLScene(), slicer.vtkSlicerApplicationLogic()
    logic = application.GetColorLogic()
    logic.SetMRMLScene(scene)
    logic.AddDefaultColorNodes()
    for name, kind in {"pet-heat": "PET-Heat", "rainbow": "PET-Rainbow2"}.items():
        node = scene.GetNodeByID(f"vtkMRMLPETProceduralColorNode{kind}")
        function = node.GetColorTransferFunction()
        low, high = function.GetRange()
        ours = ColorTable.named(name)(np.linspace(0, 1, 52))
        theirs = [function.GetColor(value) for value in np.linspace(low, high, 52)]
        np.testing.assert_allclose(ours, theirs, atol=1.5 / 255)


def test_inferno_is_close_to_matplotlib():
    matplotlib = pytest.importorskip("matplotlib")
    unit = np.linspace(0, 1, 256)
    difference = ColorTable.named("inferno")(unit) - matplotlib.colormaps["inferno"](unit)[:, :3]
    assert np.abs(difference).max() < 0.03


def test_unknown_table_is_refused_with_the_choices():
    with pytest.raises(InputError, match="'jet' is unknown; choose one of pet-heat, rainbow"):
        ColorTable.named("jet")


def test_a_table_from_arrays_owns_them():
    colors = np.eye(3)
    table = ColorTable("mine", None, colors)
    colors[:] = 0
    np.testing.assert_allclose(table([0, 0.25, 0.5, 1]), [[1, 0, 0], [0.5, 0.5, 0], [0, 1, 0], [0, 0, 1]])


@pytest.mark.parametrize(
    "values, colors",
    [
        ([0, 1], np.zeros((3, 3))),
        ([0, 0.5, 0.5, 1], np.zeros((4, 3))),
        ([0.1, 1], np.zeros((2, 3))),
        ([0, np.nan, 1], np.zeros((3, 3))),
        (None, np.full((2, 3), 255)),
        (None, np.full((2, 3), np.nan)),
        (None, np.zeros((1, 3))),
        (None, np.zeros((5, 4))),
    ],
)
def test_malformed_tables_are_refused(values, colors):
    with pytest.raises(InputError, match="colour table mine"):
        ColorTable("mine", values, colors)


# --- luma ---


def test_luma_is_the_rounded_weighted_sum_for_every_grey_and_all_palette_colours():
    grey = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=1)
    np.testing.assert_array_equal(luma(grey), np.arange(256))
    for name in PALETTES:
        rgb = np.rint(ColorTable.named(name).colors * 255).astype(np.uint8)
        expected = [round(0.299 * r + 0.587 * g + 0.114 * b) for r, g, b in rgb.tolist()]
        np.testing.assert_array_equal(luma(rgb), expected)


def test_luma_agrees_with_pillow(shared):
    path = sorted((shared / "data/harvard/val/PET-MRI/PET").glob("*.png"))[10]
    image = Image.open(path).convert("RGB")
    assert np.abs(luma(np.array(image)).astype(int) - np.array(image.convert("L"))).max() <= 1


# --- colorize ---


def grid(levels=160):
    return np.meshgrid(np.linspace(0, 1, levels), np.linspace(0, 1, levels), indexing="ij")


CHROMATIC = [name for name in TABLES if name != "grey"]


def scene(levels=101):
    """Anatomy (rows) and uptake (columns), and the fused value that they have together."""
    anatomy, uptake = grid(levels)
    return anatomy, uptake, shown(anatomy, uptake)


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("weight", [1.0, 0.5])
def test_without_uptake_colours_are_the_grey_of_the_fused_value(name, weight):
    fused = np.linspace(0, 1, 256)
    rgb = colorize(fused, np.zeros(256), ColorTable.named(name), weight)
    assert rgb.dtype == np.uint8 and np.all(rgb == rgb[:, :1])
    assert np.abs(rgb2lab(rgb)[:, 0] - 100 * fused).max() < 0.9  # one step of 8-bit grey is 0.27 to 0.5 L*
    assert np.array_equal(rgb[[0, -1], 0], (0, 255))


@pytest.mark.parametrize("name", CHROMATIC)
def test_chroma_rises_to_the_tables_largest_and_cold_tissue_stays_grey(name):
    table = ColorTable.named(name)
    own = np.linalg.norm(rgb2lab(table(np.linspace(0, 1, 256)))[:, 1:], axis=1)
    _, uptake, fused = scene()
    chroma = np.linalg.norm(rgb2lab(colorize(fused, uptake, table))[..., 1:], axis=-1)
    rising = chroma[:, uptake[0] <= own.argmax() / 255]
    assert (np.maximum.accumulate(rising, axis=1) - rising).max() < 3.5  # 8-bit colours and steps of the map
    assert chroma[:, uptake[0] < 0.03].max() <= 4
    assert chroma[:, -1].min() > 8, "the hottest keep colour"


@pytest.mark.parametrize("name", CHROMATIC)
def test_hot_tissue_is_never_taken_for_anatomy(name):
    _, uptake, fused = scene()
    lab = rgb2lab(colorize(fused, uptake, ColorTable.named(name)))
    like_anatomy = (uptake > 0.5) & (lab[..., 0] <= 100 * HEADROOM)
    assert not (like_anatomy & (np.linalg.norm(lab[..., 1:], axis=-1) < 20)).any()


@pytest.mark.parametrize("name", TABLES)
def test_more_anatomy_is_lighter_at_any_uptake(name):
    _, _, fused = scene()
    _, uptake = grid(101)
    lightness = rgb2lab(colorize(fused, uptake, ColorTable.named(name)))[..., 0]
    assert np.diff(lightness, axis=0).min() > -0.8 and (lightness[-1] - lightness[0]).min() > 5


@pytest.mark.parametrize("name", ["inferno", "pet-heat", "hot-iron"])
def test_more_uptake_is_further_from_the_anatomy_without_it(name):
    _, uptake, fused = scene()
    lab = rgb2lab(colorize(fused, uptake, ColorTable.named(name)))
    away = np.linalg.norm(lab - lab[:, :1], axis=-1)
    assert away[:, uptake[0] >= 0.6].min() > 30


def test_the_weight_scales_chroma_and_leaves_lightness():
    _, uptake, fused = scene()
    full, half = (rgb2lab(colorize(fused, uptake, ColorTable.named("inferno"), weight)) for weight in (1.0, 0.5))
    assert np.abs(full[..., 0] - half[..., 0]).max() < 1
    size = [np.linalg.norm(lab[..., 1:], axis=-1) for lab in (full, half)]
    assert np.abs(size[1] - size[0] / 2).max() < 2.5


def test_weight_0_gives_grey_and_a_grey_table_the_fused_value():
    fused, uptake = grid(256)
    rgb = colorize(fused, uptake, ColorTable.named("harvard-spect"), 0)
    assert np.all(rgb == rgb[..., :1])
    _, uptake, fused = scene()
    rgb = colorize(fused, uptake, ColorTable.named("grey"))
    assert np.all(rgb == rgb[..., :1])
    assert np.abs(rgb2lab(rgb)[..., 0] - 100 * fused).max() < 0.9


def test_a_table_that_falls_in_lightness_gives_the_negative():
    _, uptake, fused = scene()
    inverted = ColorTable("inverted", None, [[1, 1, 1], [0, 0, 0]])
    negative = colorize(fused, uptake, inverted)
    assert np.abs(255 - negative.astype(int) - colorize(fused, uptake, ColorTable.named("grey"))).max() <= 1
    assert np.all(np.diff(negative[..., 0].astype(int), axis=1) <= 0), "more uptake is darker on any anatomy"


def test_the_fused_value_is_read_back_from_the_colours_of_an_inverted_table():
    uptake, fused = np.random.default_rng(0).random((2, 5000), np.float32)
    fused = shown(fused, uptake)
    inverted = ColorTable("inverted", None, ColorTable.named("inferno").colors[::-1])
    assert np.abs(fused_of(colorize(fused, uptake, inverted), uptake, inverted) - fused).max() < 0.01


@pytest.mark.parametrize("name", ["inferno", "rainbow", "grey"])
@pytest.mark.parametrize("weight", [1.0, 0.4])
def test_the_fused_value_is_read_back_from_its_colours(name, weight):
    _, uptake, fused = scene()
    table = ColorTable.named(name)
    rgb = colorize(fused, uptake, table, weight)
    back = fused_of(rgb, uptake, table, weight)
    error = np.abs(
        back - fused
    )  # where the brightest colours give up lightness for chroma, several values look the same
    assert back.dtype == np.float32 and np.percentile(error, 98) < 0.02 and error.max() < 0.08
    again = colorize(back, uptake, table, weight)
    assert np.percentile(np.abs(again.astype(int) - rgb), 99) <= 6
    with pytest.raises(InputError, match="differ in shape"):
        fused_of(rgb, uptake[:-1], table, weight)


def test_the_overlay_is_the_mean_at_half_opacity():
    table = ColorTable.named("rainbow")
    anatomy, uptake = grid(16)
    expected = 0.3 * anatomy[..., None] + 0.7 * table(uptake)
    assert np.abs(overlay(anatomy, uptake, table, 0.7) - 255 * expected).max() <= 0.5001


@given(
    hnp.arrays(np.float32, hnp.array_shapes(min_dims=1, max_dims=4, max_side=5), elements=st.floats(0, 1, width=32)),
    st.sampled_from((0.0, 0.3, 1.0)),
)
@settings(max_examples=30, deadline=None)
def test_any_shape_is_coloured_voxel_by_voxel(fused, weight):
    table = ColorTable.named("rainbow")
    uptake = 1 - fused
    rgb = colorize(fused, uptake, table, weight)
    assert rgb.shape == (*fused.shape, 3)
    flat = colorize(fused.ravel()[::-1], uptake.ravel()[::-1], table, weight)[::-1]
    np.testing.assert_array_equal(rgb.reshape(-1, 3), flat)


def test_blocks_join_without_seams():
    fused = np.tile(np.linspace(0, 1, 300, dtype=np.float32), (1000, 1))
    rgb = colorize(fused, fused, ColorTable.named("pet-heat"))
    assert np.all(rgb == rgb[:1])


def test_wrong_arguments_are_refused():
    table = ColorTable.named("grey")
    with pytest.raises(InputError, match="differ in shape"):
        colorize(np.zeros((2, 2)), np.zeros((2, 3)), table)
    for weight in (-0.1, 1.1, float("nan")):
        with pytest.raises(InputError, match="weight"):
            colorize(np.zeros(2), np.zeros(2), table, weight)


# opacity, its rise (n, p), retreat, withdrawal, shade, chroma: of tables whose lightness rises evenly, unevenly, and falls
EVEN, UNEVEN = (0.741, 3.268, 0.567, 0.593, 1.011, 0.0201, 1.469), (0.67, 4.085, 0.5, 0.344, 1.743, 0.007, 1.191)
FALLING = (0.67, 4.085, 0.376, 0.377, 1.615, 0.0149, 1.084)


@pytest.mark.parametrize(
    "name, mixture", [("inferno", EVEN), ("hot-iron", EVEN), ("pet-heat", UNEVEN), ("rainbow", FALLING)]
)
@pytest.mark.parametrize("anatomy", [0.3, 0.6, 0.9])
@pytest.mark.parametrize("level", [20, 40])
def test_low_uptake_is_mixed_as_documented(name, mixture, anatomy, level):
    """By scikit-image, where sRGB shows all of the mixture: anatomy's grey retreats, the table's colour is added."""
    opacity, rise, power, retreat, withdrawal, shade, chroma = mixture
    uptake, table = np.array(level / 255), ColorTable.named(name)
    grey = lab2rgb([100 * HEADROOM * anatomy, 0, 0]) * (1 - retreat * (1 - (1 - uptake) ** withdrawal))
    mixed = grey + opacity * (1 - (1 - uptake) ** rise) ** power * (table(uptake) - shade)
    expected = 255 * lab2rgb(rgb2lab(np.clip(mixed, 0, 1)) * [1, chroma, chroma])
    np.testing.assert_allclose(colorize(shown(np.array(anatomy), uptake), uptake, table), expected, atol=1)


def test_values_outside_the_window_have_the_colours_of_its_ends():
    table = ColorTable.named("inferno")
    for fused, uptake in ((0.5, 1.2), (0.9, 1.2), (0.5, -0.2), (1.2, 0.5), (-0.2, 0.5), (1.2, 1.2)):
        inside = np.clip(fused, 0, 1), np.clip(uptake, 0, 1)
        found = colorize(np.array(fused), np.array(uptake), table)
        np.testing.assert_array_equal(found, colorize(*map(np.array, inside), table))
    without = colorize(np.array(0.5), np.array(np.nan), table)  # not a number: no uptake, L* 50
    np.testing.assert_array_equal(without, 119)
