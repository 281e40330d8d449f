"""The table of ``docs/reliability.md``, row by row, through the command line: what bad input does.

A refusal is one line on the error stream, exit code 2, no new file, and sources as they were. What is accepted is
fused, and what the user should know about it is said.
"""

import json
import os
import pickle
import re
import struct
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from PIL import Image

from MMIFAminLib.commandline import main
from MMIFAminLib.files.volumes import read_volume
from support.phantoms import Grid, ct_head, head

GRID = Grid((20, 24, 18), (9.0, 9.5, 8.0)).centred_at()
MR, PET = head(GRID, scale=1000.0, dtype=np.int16), head(GRID, "pet", 10.0)


class Case:
    """A folder with the sources mr.nrrd and pet.nrrd, and how they are to be fused."""

    def __init__(self, folder: Path, weights: Path):
        self.folder, self.weights, self.options = folder, weights, []
        self.output = folder / "fused.nrrd"
        self.write("mr", MR)
        self.write("pet", PET)

    def write(self, name, image, ending=".nrrd", **options):
        """Replace a source."""
        (self.folder / f"{name}.nrrd").unlink(missing_ok=True)
        sitk.WriteImage(image, str(self.folder / f"{name}{ending}"), **options)

    def source(self, name):
        return next(self.folder.glob(f"{name}.*"), self.folder / f"{name}.nrrd")

    def patch(self, name, ending, offset, form, *values):
        """Write source ``name`` as ``ending`` and change numbers in its header."""
        path = self.folder / f"{name}{ending}"
        self.write(name, sitk.ReadImage(str(self.folder / f"{name}.nrrd")), ending)
        data = bytearray(path.read_bytes())
        struct.pack_into(form, data, offset, *values)
        path.write_bytes(data)

    def cut(self, name, ending, **options):
        """Write source ``name`` as ``ending`` and leave out its second half."""
        self.write(name, sitk.ReadImage(str(self.folder / f"{name}.nrrd")), ending, **options)
        path = self.folder / f"{name}{ending}"
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])

    def header(self, name, **fields):
        """Write source ``name`` as a raw NRRD whose header fields are replaced."""
        path = self.folder / f"{name}.nrrd"
        head, data = path.read_bytes().split(b"\n\n", 1)
        for field, value in fields.items():
            head, count = re.subn(
                rf"(?m)^{field}: .*$".replace("_", " ").encode(), f"{field.replace('_', ' ')}: {value}".encode(), head
            )
            assert count == 1, f"no field {field}"
        path.write_bytes(head + b"\n\n" + data)

    def arguments(self):
        sources = [self.source("mr"), self.source("pet")]
        return ["fuse", *sources, "-o", self.output, "--weights", self.weights, "--precision", "fp32", *self.options]


def array(image):
    return sitk.GetArrayFromImage(image)


def filled(value, dtype=np.float32):
    return GRID.image(np.full(GRID.size[::-1], value, dtype))


def with_values(image, share, value):
    """``image`` with ``share`` of its voxels set to ``value``."""
    values = array(image).astype(np.float32)
    values[np.random.default_rng(0).random(values.shape) < share] = value
    return GRID.image(values)


def colours(image, channels):
    grey = np.rint(255 * array(image) / array(image).max()).astype(np.uint8)
    return GRID.image(np.stack([grey // (n + 1) for n in range(channels)], axis=-1))


def huge_slice():
    image = sitk.GetImageFromArray(np.random.default_rng(0).integers(0, 256, (1, 4100, 4100), np.uint8))
    image.SetSpacing((0.05, 0.05, 8))
    image.SetOrigin((-100, -100, 0))
    return image


# --- the rows: what is done to the case, and words of the one line that must come ---

REFUSED = {
    "missing file": (lambda c: (c.folder / "pet.nrrd").unlink(), "no such file"),
    "truncated NRRD": (lambda c: c.cut("pet", ".nrrd"), "truncated"),
    "truncated compressed NRRD": (lambda c: c.cut("pet", ".nrrd", useCompression=True), "pet.nrrd"),
    "truncated NIfTI": (lambda c: c.cut("mr", ".nii"), "truncated"),
    "truncated compressed NIfTI": (lambda c: c.cut("mr", ".nii.gz"), "truncated"),
    "truncated MetaImage": (lambda c: c.cut("mr", ".mha"), "truncated"),
    "header that declares too much (NRRD)": (lambda c: c.header("mr", sizes="90000 90000 90000"), "90000 x 90000"),
    "header that declares too much (NIfTI)": (lambda c: c.patch("pet", ".nii", 42, "<3h", 900, 900, 900), "truncated"),
    "2D image": (lambda c: c.write("pet", PET[:, :, 9]), "2D"),
    "4D image": (lambda c: c.write("pet", sitk.JoinSeries([PET, PET])), "4 dimensions"),
    "1 x 1 x N voxels": (lambda c: c.write("mr", MR[:1, :1, :]), "neither a volume nor a slice"),
    "slices of more than 4096 x 4096 pixels": (lambda c: c.write("mr", huge_slice()), "resample"),
    "zero spacing": (lambda c: c.header("mr", space_directions="(0,0,0) (0,9.5,0) (0,0,8)"), "spacing"),
    "singular direction": (lambda c: c.header("pet", space_directions="(9,0,0) (9,0,0) (0,0,8)"), "singular"),
    "NaN everywhere": (lambda c: c.write("pet", filled(np.nan)), "no finite value"),
    "infinite everywhere": (lambda c: c.write("mr", filled(np.inf)), "no finite value"),
    "constant": (lambda c: c.write("mr", filled(7, np.int16)), "anatomical volume is constant"),
    "all background": (lambda c: c.write("pet", filled(0)), "functional volume is constant"),
    "complex": (lambda c: c.write("mr", sitk.RealAndImaginaryToComplex(PET, PET)), "complex"),
    "RGBA": (lambda c: c.write("pet", colours(PET, 4)), "4 components"),
    "label map": (
        lambda c: c.write("pet", GRID.image((array(PET) > 3).astype(np.uint8) + 2 * (array(PET) > 6))),
        "label map",
    ),
    "no overlap": (
        lambda c: c.write("pet", Grid(GRID.size, GRID.spacing, (900, 900, 900)).image(array(PET))),
        "do not overlap",
    ),
    "the same file twice": (
        lambda c: setattr(c, "source", lambda name: c.folder / "mr.nrrd"),
        "both the anatomical and",
    ),
    "output is an input": (lambda c: setattr(c, "output", c.folder / "mr.nrrd"), "one of the sources"),
    "output of an unknown format": (lambda c: setattr(c, "output", c.folder / "fused.jpg"), ".nrrd, .nii.gz"),
    "output in no folder": (lambda c: setattr(c, "output", c.folder / "no" / "fused.nrrd"), "no folder"),
    "window that leaves nothing": (lambda c: c.options.extend(["--window", "5000:9000"]), "blank"),
    "preview that cannot be written": (
        lambda c: c.options.extend(["--preview", c.folder / "no" / "x.png"]),
        "no folder",
    ),
    "preview over the output": (lambda c: c.options.extend(["--preview", c.output]), "two outputs"),
    "no weights": (lambda c: setattr(c, "weights", c.folder / "none.safetensors"), "none.safetensors"),
}


@pytest.fixture
def case(tmp_path, untrained_weights):
    return Case(tmp_path, untrained_weights)


def run(case, capsys):
    """Exit code, printed lines, warnings or errors, and the files that have come."""
    before = {path: path.read_bytes() for path in case.folder.iterdir()}
    code = main([str(argument) for argument in case.arguments()])
    out, err = capsys.readouterr()
    assert all(path.read_bytes() == content for path, content in before.items()), "a source was changed"
    return code, out, err.splitlines(), [path.name for path in case.folder.iterdir() if path not in before]


def refused(case, capsys, words):
    code, out, errors, new = run(case, capsys)
    assert (code, out, new) == (2, "", [])
    assert len(errors) == 1 and errors[0].startswith("mmifamin: error: ") and len(errors[0]) < 400
    assert words in errors[0]


@pytest.mark.parametrize("row", REFUSED)
def test_refused(case, capsys, row):
    change, words = REFUSED[row]
    change(case)
    refused(case, capsys, words)


def tampered(path):
    data = bytearray(path.read_bytes())
    data[-5] ^= 1
    path.write_bytes(data)


def other_architecture(path):
    card = json.loads(path.with_suffix(".json").read_text())
    card["architecture"]["channels"] = 64
    path.with_suffix(".json").write_text(json.dumps(card))


def unknown_architecture(path):
    card = json.loads(path.with_suffix(".json").read_text())
    card["architecture"] = {"layers": 12}
    path.with_suffix(".json").write_text(json.dumps(card))


class Trap:
    """What a pickle of weights could do when it is opened."""

    def __reduce__(self):
        return os.mkdir, ("opened",)


def dressed_up(path):
    """A pickle under the name of safetensors, with a card that has its hash."""
    import hashlib

    path.write_bytes(pickle.dumps(Trap()))
    card = json.loads(path.with_suffix(".json").read_text())
    card["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
    path.with_suffix(".json").write_text(json.dumps(card))


WEIGHTS = {
    "tampered weights": (tampered, "SHA-256 differs"),
    "truncated weights": (lambda path: path.write_bytes(path.read_bytes()[:-1000]), "SHA-256 differs"),
    "weights of another architecture": (other_architecture, "does not hold this version's"),
    "model card of another architecture": (unknown_architecture, "does not hold this version's"),
    "pickle named safetensors": (dressed_up, "does not hold this version's"),
    "weights without a card": (lambda path: path.with_suffix(".json").unlink(), "no model card"),
    "model card that is no JSON": (lambda path: path.with_suffix(".json").write_text("{"), "cannot be read"),
    "model card that is a list": (lambda path: path.with_suffix(".json").write_text("[]"), "not a JSON object"),
}


@pytest.mark.parametrize("row", WEIGHTS)
def test_refused_weights(case, capsys, tmp_path_factory, monkeypatch, row):
    folder = tmp_path_factory.mktemp("weights")
    monkeypatch.chdir(folder)
    for path in (case.weights, case.weights.with_suffix(".json")):
        (folder / f"own{path.suffix}").write_bytes(path.read_bytes())
    case.weights = folder / "own.safetensors"
    change, words = WEIGHTS[row]
    change(case.weights)
    refused(case, capsys, words)
    assert not (folder / "opened").exists(), "the pickle was opened"


def test_pickled_weights_are_not_opened(case, capsys, tmp_path_factory, monkeypatch):
    monkeypatch.chdir(tmp_path_factory.mktemp("weights"))
    case.weights = Path.cwd() / "model.pt"
    case.weights.write_bytes(pickle.dumps(Trap()))
    refused(case, capsys, "not a .safetensors file")
    assert not Path("opened").exists()


ACCEPTED = {
    "single slice": (lambda c: c.write("mr", MR[:, :, 9:10]) or c.options.extend(["--plane", "acquisition"]), None),
    "NaN and infinities in places": (lambda c: c.write("pet", with_values(PET, 0.02, np.nan)), "taken as background"),
    "int64": (lambda c: c.write("mr", sitk.Cast(MR, sitk.sitkInt64)), None),
    "negative and reversed axes": (lambda c: c.write("mr", sitk.Flip(MR, (True, True, False))), None),
    "RGB as functional": (lambda c: c.write("pet", colours(PET, 3)), "luma"),
    "RGB as anatomical": (lambda c: c.write("mr", colours(MR, 3)), "luma"),
    "CT as functional": (lambda c: c.write("pet", ct_head(GRID)), "swap the two"),
    "partial overlap": (lambda c: c.write("pet", PET[4:, :, :]), "the rest counts as background"),
    "10,000 pixels wide": (lambda c: c.write("mr", sitk.Expand(MR[:, :4, 8:10], [500, 1, 1])), None),
    "unicode and spaces in paths": (lambda c: setattr(c, "output", c.folder / "müde Köpfe 頭 1.nii.gz"), None),
}


@pytest.mark.parametrize("row", ACCEPTED)
def test_accepted(case, capsys, row):
    change, words = ACCEPTED[row]
    change(case)
    code, out, said, new = run(case, capsys)
    assert code == 0 and case.output.name in out and new == [case.output.name]
    assert all(line.startswith("mmifamin: warning: ") for line in said)
    assert any(words in line for line in said) if words else not said
    fused, anatomical = read_volume(case.output), read_volume(case.source("mr"))
    assert fused.GetSize() == anatomical.GetSize()
    values = array(fused)
    assert np.isfinite(values).all() and values.min() >= 0 and 0.5 < values.max() <= 1


def test_no_permission_to_write(case, capsys):
    """Asked of the system's own folders, which are closed to the superuser too."""
    closed = Path("/proc/self")
    if not closed.is_dir():
        pytest.skip("needs a folder that nobody may write to (/proc)")
    case.output = closed / "fused.nrrd"
    refused(case, capsys, "cannot be written")


PAIRS = {
    "truncated PNG": (
        lambda folder: (folder / "pet" / "1.png").write_bytes((folder / "mr" / "1.png").read_bytes()[:60]),
        "1.png",
    ),
    "PNG that declares too much": (lambda folder: declare(folder / "pet" / "1.png", 60000, 60000), "1.png"),
    "images of different sizes": (
        lambda folder: Image.new("L", (31, 40)).save(folder / "pet" / "1.png"),
        "equal sizes",
    ),
    "no common names": (lambda folder: (folder / "pet" / "1.png").rename(folder / "pet" / "2.png"), "No image name"),
    "output folder holds the sources": (lambda folder: (folder / "out").symlink_to(folder / "mr"), "holds the sources"),
    "output folder is a file": (lambda folder: (folder / "out").write_text("x"), "out"),
}


def declare(path, width, height):
    """Let a PNG say that it is larger than it is, with a correct checksum."""
    import zlib

    data = bytearray(path.read_bytes())
    struct.pack_into(">2I", data, 16, width, height)
    struct.pack_into(">I", data, 29, zlib.crc32(data[12:29]))
    path.write_bytes(data)


@pytest.fixture
def folders(tmp_path):
    for name in ("mr", "pet"):
        (tmp_path / name).mkdir()
        Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 32), np.uint8)).save(tmp_path / name / "1.png")
    return tmp_path


def pairs(folder, weights):
    names = {"--anatomical": "mr", "--functional": "pet", "--output": "out"}
    places = [str(part) for option, name in names.items() for part in (option, folder / name)]
    return main(["pairs", *places, "--weights", str(weights), "--precision", "fp32"])


@pytest.mark.parametrize("row", PAIRS)
def test_refused_pairs(folders, untrained_weights, capsys, row):
    change, words = PAIRS[row]
    change(folders)
    before = {path: path.read_bytes() for path in folders.rglob("*") if path.is_file()}
    assert pairs(folders, untrained_weights) == 2
    out, err = capsys.readouterr()
    assert out == "" and re.fullmatch(r"mmifamin: error: [^\n]+\n", err) and words in err
    assert {path: path.read_bytes() for path in folders.rglob("*") if path.is_file()} == before


def test_wide_pairs_are_fused(folders, untrained_weights):
    for name in ("mr", "pet"):
        Image.fromarray(np.arange(200_000, dtype=np.uint32).astype(np.uint8).reshape(20, -1)).save(
            folders / name / "1.png"
        )
    assert pairs(folders, untrained_weights) == 0
    with Image.open(folders / "out" / "1.png") as image:
        assert image.size == (10_000, 20)


def test_the_page_has_every_row_and_no_other(repository):
    """``docs/reliability.md`` quotes the names of the rows above in its table of bad input."""
    page = (repository / "docs" / "reliability.md").read_text(encoding="utf-8")
    table = page.split("## Bad input")[1].split("\n## ")[0]
    named = re.findall(r"^\| ([^|]+?) \|", table, re.MULTILINE)[1:]
    assert sorted(named) == sorted([*REFUSED, *WEIGHTS, *ACCEPTED, *PAIRS, *ELSEWHERE])


ELSEWHERE = {
    "pickled weights": "test_pickled_weights_are_not_opened",
    "no permission to write": "test_no_permission_to_write",
    "10,000-wide images": "test_wide_pairs_are_fused",
    "disk full": "test_volumes.py::test_a_full_disk_is_noticed_and_leaves_nothing",
    "two processes writing one output": "test_volumes.py::test_two_processes_writing_one_output_leave_one_whole_file",
    "non-linear transform": "test_mrml.py::test_refused_geometry",
    "the same node twice": "test_mrml.py::test_refused_sources",
    "label map node": "test_mrml.py::test_refused_sources",
    "output node is a source": "test_mrml.py::test_refused_outputs",
    "not enough memory": "test_execution.py::test_no_memory_at_all_is_said",
}


def test_the_rows_tested_elsewhere_are_tested_there(repository):
    texts = {path.name: path.read_text(encoding="utf-8") for path in (repository / "Testing").rglob("test_*.py")}
    for test in ELSEWHERE.values():
        file, _, name = test.rpartition("::")
        assert f"def {name}(" in texts[file or Path(__file__).name]
