"""The ``mmifamin`` command as a user meets it: help, results, one-line errors, interruption."""

import json
import os
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import SimpleITK as sitk
from PIL import Image

from MMIFAminLib import __version__
from MMIFAminLib.commandline import main
from MMIFAminLib.commandline.terminal import progress_bar
from MMIFAminLib.files.volumes import read_volume
from support.phantoms import Grid, head_values


def start(*arguments):
    command = [sys.executable, "-m", "MMIFAminLib", *map(str, arguments)]
    # Programs in the background are told to ignore Ctrl-C, and so would be what they start.
    listening = {"preexec_fn": lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)} if os.name == "posix" else {}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **listening)


def finish(process):
    out, err = process.communicate(timeout=600)
    return process.returncode, out, err


@pytest.fixture(scope="module")
def head(tmp_path_factory):
    """A folder with a small registered pair on two grids: mr.nrrd and pet.nii.gz."""
    folder = tmp_path_factory.mktemp("head")
    for name, kind, scale, grid in (
        ("mr.nrrd", "mr", 900, Grid()),
        ("pet.nii.gz", "pet", 8, Grid(size=(36, 40, 34), spacing=(5.5, 5.5, 6.0)).centred_at()),
    ):
        sitk.WriteImage(grid.image((head_values(grid.points(), kind) * scale).astype(np.float32)), str(folder / name))
    return folder


@pytest.fixture
def folders(tmp_path):
    """Two folders with many small image pairs, RGB and grey, so that a run lasts long enough to be interrupted."""
    rng = np.random.default_rng(0)
    for name, shape in (("mr", (48, 64)), ("pet", (48, 64, 3))):
        (tmp_path / name).mkdir()
        for number in range(400):
            Image.fromarray(rng.integers(0, 256, shape, np.uint8)).save(tmp_path / name / f"{number:03}.png")
    return tmp_path


def test_help_is_instant():
    code, out, err = finish(start("--help"))
    assert (code, err) == (0, "")
    assert out.startswith("usage: mmifamin ")
    count = "sys.exit(len({'torch', 'numpy', 'SimpleITK', 'rich'} & set(sys.modules)))"
    assert (
        subprocess.run([sys.executable, "-c", f"import sys, MMIFAminLib.commandline.parser; {count}"]).returncode == 0
    )


def test_version(capsys):
    with pytest.raises(SystemExit):
        main(["--version"])
    assert capsys.readouterr().out == f"MMIFAmin {__version__}\n"


def test_fuse_writes_grey_and_colour_volumes_picture_and_report(head, tmp_path, untrained_weights, capsys):
    sources = [head / "mr.nrrd", head / "pet.nii.gz"]
    common = [*sources, "--weights", untrained_weights, "--device", "cpu", "--precision", "fp32"]
    grey, picture, report = (tmp_path / name for name in ("fused.nii.gz", "fused.png", "fused.json"))
    code, out, err = finish(
        start(
            "fuse",
            *common,
            "-o",
            grey,
            "--preview",
            picture,
            "--report",
            report,
            "--plane",
            "coronal",
            "--window",
            "0:1000",
        )
    )
    assert code == 0, err
    assert str(grey) in out and all(line.startswith("mmifamin: warning: ") for line in err.splitlines())
    anatomical, fused = read_volume(sources[0]), read_volume(grey)
    assert fused.GetSize() == anatomical.GetSize()
    np.testing.assert_allclose(fused.GetDirection(), anatomical.GetDirection(), atol=1e-6)
    np.testing.assert_allclose(fused.GetOrigin(), anatomical.GetOrigin(), atol=1e-3)
    values = sitk.GetArrayViewFromImage(fused)
    assert values.min() >= 0 and 0.7 < values.max() <= 1
    with Image.open(picture) as image:
        assert image.mode == "RGB" and image.width > 1000
    facts = json.loads(report.read_text())
    assert facts["plane"] == "coronal" and facts["windows"]["anatomical"]["high"] == 1000
    assert facts["anatomical"] == str(sources[0]) and facts["color_table"] == "inferno"

    colored = tmp_path / "rgb.nrrd"
    arguments = ("fuse", *common, "-o", colored, "--rgb", "--color-table", "inferno", "--window", "-100:1000")
    assert main([str(argument) for argument in arguments]) == 0
    capsys.readouterr()
    assert read_volume(colored).GetNumberOfComponentsPerPixel() == 3
    assert {path.name for path in tmp_path.iterdir()} == {"fused.nii.gz", "fused.png", "fused.json", "rgb.nrrd"}


def test_the_functional_weight_is_the_strength_of_the_colours_that_are_written(
    head, tmp_path, untrained_weights, capsys
):
    colourfulness = []
    for weight in ("0", "0.5", "1"):
        arguments = ["fuse", head / "mr.nrrd", head / "pet.nii.gz", "-o", tmp_path / "f.nrrd", "--rgb"]
        arguments += ["--functional-weight", weight, "--color-table", "rainbow", "--weights", untrained_weights]
        assert main([str(argument) for argument in [*arguments, "--preview", tmp_path / "f.png"]]) == 0
        colours = sitk.GetArrayFromImage(read_volume(tmp_path / "f.nrrd")).astype(int)
        with Image.open(tmp_path / "f.png") as picture:
            shown = np.asarray(picture).astype(int)
        last = shown[:, -shown.shape[1] // 4 :]  # the column in colours, with its legend
        colourfulness.append([np.ptp(image, axis=-1).mean() for image in (colours, last)])
    for none, half, all_of_it in zip(*colourfulness):
        assert none < 0.2 and 0.3 * all_of_it < half < 0.7 * all_of_it and all_of_it > 1
    capsys.readouterr()


def test_an_rgb_functional_volume_keeps_its_own_colours(shared, tmp_path, untrained_weights, capsys):
    volumes = shared / "data" / "volumes"
    arguments = [
        "fuse",
        volumes / "spect21_mr.nrrd",
        volumes / "spect21_spect_rgb.nrrd",
        "-o",
        tmp_path / "f.nrrd",
        "--rgb",
    ]
    arguments += ["--report", tmp_path / "f.json", "--weights", untrained_weights]
    assert main([str(argument) for argument in arguments]) == 0
    assert json.loads((tmp_path / "f.json").read_text())["color_table"] == "harvard-spect"
    assert "harvard-spect" in capsys.readouterr().err


def test_pairs_then_metrics(folders, untrained_weights, capsys):
    for folder in ("mr", "pet"):
        for path in sorted((folders / folder).iterdir())[3:]:
            path.unlink()
    (folders / "mr" / "alone.png").write_bytes((folders / "mr" / "000.png").read_bytes())
    sources = ["--anatomical", str(folders / "mr"), "--functional", str(folders / "pet")]
    assert main(["pairs", *sources, "--output", str(folders / "out"), "--weights", str(untrained_weights)]) == 0
    out, err = capsys.readouterr()
    assert "3 images" in out and "alone.png" in err
    assert [path.name for path in sorted((folders / "out").iterdir())] == ["000.png", "001.png", "002.png"]

    table = folders / "scores.csv"
    assert main(["metrics", *sources, "--fused", str(folders / "out"), "--csv", str(table)]) == 0
    out = capsys.readouterr().out
    header, *rows = table.read_text().splitlines()
    assert header.startswith("name,EN,ENfg") and [row.split(",")[0] for row in rows] == ["000", "001", "002"]
    mean = np.mean([float(row.split(",")[1]) for row in rows])
    assert float(re.search(r"EN +([\d.]+)", out)[1]) == pytest.approx(mean, rel=1e-3)


def test_info_tells_versions_device_and_weights(untrained_weights, capsys):
    assert main(["info", "--weights", str(untrained_weights), "--device", "cpu"]) == 0
    out = capsys.readouterr().out
    sha256 = json.loads(untrained_weights.with_suffix(".json").read_text())["sha256"]
    assert __version__ in out and "cpu" in out and sha256 in out


def test_lesions_of_a_baseline(shared, tmp_path, capsys):
    pair = [str(shared / "data" / "volumes" / f"spect21_{name}.nrrd") for name in ("mr", "spect")]
    arguments = ["lesions", "--pair", *pair, "--method", "maximum", "--lesions", "4", "--csv", str(tmp_path / "l.csv")]
    assert main(arguments) == 0
    header, case, overall = (tmp_path / "l.csv").read_text().splitlines()
    assert header.startswith("case,protocol,lesions") and case.startswith("spect21_spect,scalar,4")
    assert "recovery" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments, message",
    [
        ([], "COMMAND"),
        (["fuse"], "ANATOMICAL"),
        (["blend"], "blend"),
        (["fuse", "MR", "missing.nrrd", "-o", "NEW.nrrd"], "missing.nrrd: no such file"),
        (["fuse", "MR", "PET", "-o", "NEW.jpg"], ".nrrd, .nii.gz"),
        (["fuse", "MR", "PET", "-o", "nowhere/x.nrrd"], "no folder"),
        (["fuse", "MR", "PET", "-o", "MR"], "one of the sources"),
        (["fuse", "MR", "PET", "-o", "NEW.nrrd", "--color-table", "sepia"], "sepia"),
        (["fuse", "MR", "PET", "-o", "NEW.nrrd", "--functional-weight", "2"], "from 0 to 1"),
        (["fuse", "MR", "PET", "-o", "NEW.nrrd", "--functional-weight", "much"], "much"),
        (["fuse", "MR", "PET", "-o", "NEW.nrrd", "--plane", "oblique"], "oblique"),
        (["fuse", "MR", "PET", "-o", "NEW.nrrd", "--window", "bright"], "bright"),
        (["fuse", "MR", "PET", "-o", "NEW.nrrd", "--device", "tpu"], "tpu"),
        (["fuse", "MR", "PET", "-o", "NEW.nrrd", "--weights", "missing.safetensors"], "missing.safetensors"),
        (["fuse", "MR", "PET", "-o", "NEW.nrrd", "--preview", "nowhere/x.png"], "no folder"),
        (["pairs", "--anatomical", "nowhere", "--functional", "nowhere", "--output", "NEW"], "nowhere is not a folder"),
        (["metrics", "--anatomical", "HERE", "--functional", "HERE", "--fused", "HERE"], "no PNG, JPG or TIFF"),
        (["train", "--config", "missing.yaml", "--data", "HERE", "--output", "NEW"], "missing.yaml"),
        (["lesions", "--pair", "MR", "PET", "--method", "alchemy"], "alchemy"),
        (["lesions", "--pair", "MR", "PET", "--method", "average"], "different grids"),
        (["lesions", "--pair", "MR", "PET", "--seed", "-1"], "--seed -1: give a number from 0 on"),
        (["bundle", "--output", "MR"], "mr.nrrd"),
        (["data", "harvard", "HERE", "--output", "NEW"], "holds no file of harvard: clone https://github.com/"),
        (["data", "harvard", "nowhere", "--output", "NEW"], "nowhere is not a folder: clone https://github.com/"),
        (["data", "imagenet", "HERE", "--output", "NEW"], "choose one of harvard, roadscene, templates, body"),
    ],
)
def test_errors_are_one_line_and_exit_code_2(head, tmp_path, untrained_weights, capsys, arguments, message):
    places = {"MR": head / "mr.nrrd", "PET": head / "pet.nii.gz", "HERE": tmp_path}
    arguments = [str(places.get(a, a)).replace("NEW", str(tmp_path / "new")) for a in arguments]
    if arguments[:1] in (["fuse"], ["pairs"]) and len(arguments) > 1 and "--weights" not in arguments:
        arguments += ["--weights", str(untrained_weights)]
    before = (head / "mr.nrrd").read_bytes()
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == "" and re.fullmatch(r"mmifamin: error: [^\n]+\n", err) and message in err
    assert list(tmp_path.iterdir()) == [] and (head / "mr.nrrd").read_bytes() == before


def test_an_error_reaches_the_shell_as_exit_code_2(tmp_path):
    code, out, err = finish(start("fuse", tmp_path / "a.nrrd", tmp_path / "b.nrrd", "-o", tmp_path / "c.nrrd"))
    assert (code, out) == (2, "") and re.fullmatch(r"mmifamin: error: [^\n]+\n", err)


def test_an_interrupted_run_leaves_whole_files_only(folders, untrained_weights):
    sources = ["--anatomical", folders / "mr", "--functional", folders / "pet", "--output", folders / "out"]
    process = start("pairs", *sources, "--weights", untrained_weights)
    while not (folders / "out" / "000.png").exists() and process.poll() is None:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    code, out, err = finish(process)
    assert (code, out, err) == (130, "", "mmifamin: interrupted\n")
    written = list((folders / "out").iterdir())
    assert 0 < len(written) < 400
    for path in written:
        assert path.suffix == ".png" and not path.name.startswith(".")
        with Image.open(path) as image:
            image.load()


def test_no_bar_is_drawn_where_nobody_looks_and_one_is_on_a_terminal(capsys, monkeypatch):
    with progress_bar() as progress:
        progress(0.5, "Fusing slice 1 of 2, about 3 s left")
    assert capsys.readouterr() == ("", "")
    monkeypatch.setenv("FORCE_COLOR", "1")
    with progress_bar() as progress:
        progress(0.5, "Fusing slice 1 of 2, about 3 s left")
    out, err = capsys.readouterr()
    assert out == "" and "Fusing slice 1 of 2" in err and "50%" in err and "3 s left" not in err


def test_a_picture_that_is_no_png_is_refused_before_the_fusion(head, tmp_path, capsys):
    output = tmp_path / "fused.nrrd"
    code = main(["fuse", *map(str, head.iterdir()), "-o", str(output), "--preview", str(tmp_path / "x.jpg")])
    assert code == 2 and not list(tmp_path.iterdir())
    assert re.fullmatch(r"mmifamin: error: .*x.jpg: pictures are written as PNG; .*\n", capsys.readouterr().err)


def test_one_slice_has_a_picture(tmp_path, untrained_weights, capsys):
    grid = Grid()
    for name, kind in (("mr", "mr"), ("pet", "pet")):
        values = head_values(grid.points(), kind)[25:26].astype(np.float32)
        sitk.WriteImage(sitk.GetImageFromArray(values), str(tmp_path / f"{name}.nrrd"))
    sources = [str(tmp_path / "mr.nrrd"), str(tmp_path / "pet.nrrd")]
    options = ["-o", str(tmp_path / "fused.nrrd"), "--preview", str(tmp_path / "x.png")]
    assert main(["fuse", *sources, *options, "--weights", str(untrained_weights), "--device", "cpu"]) == 0
    assert np.asarray(Image.open(tmp_path / "x.png")).std() > 20


def test_pairs_that_are_refused_leave_no_folder(tmp_path, untrained_weights, capsys):
    for name, size in (("mr", (40, 48)), ("pet", (48, 40))):
        (tmp_path / name).mkdir()
        Image.new("L", size, 90).save(tmp_path / name / "1.png")
    folders = ["--anatomical", str(tmp_path / "mr"), "--functional", str(tmp_path / "pet")]
    code = main(["pairs", *folders, "--output", str(tmp_path / "fused"), "--weights", str(untrained_weights)])
    assert code == 2 and "equal sizes" in capsys.readouterr().err
    assert not (tmp_path / "fused").exists()


def test_the_time_told_is_the_time_waited(head, tmp_path, untrained_weights, monkeypatch, capsys):
    from MMIFAminLib.commandline import commands

    load = commands.load_fuser

    def slow(options):
        time.sleep(1.5)
        return load(options)

    monkeypatch.setattr(commands, "load_fuser", slow)
    begun = time.perf_counter()
    sources = [str(head / "mr.nrrd"), str(head / "pet.nii.gz")]
    weights = ["--weights", str(untrained_weights), "--device", "cpu"]
    assert main(["fuse", *sources, "-o", str(tmp_path / "fused.nrrd"), *weights]) == 0
    waited = time.perf_counter() - begun
    told = float(re.search(r"fused in ([\d.]+) s", capsys.readouterr().out)[1])
    assert 1.5 <= told <= waited + 0.05


def test_the_time_told_of_the_demo_begins_with_the_loading(tmp_path, monkeypatch, capsys):
    from MMIFAminLib.commandline import commands
    from MMIFAminLib.commandline import demo as heads

    facts = {"slices": 1, "device": "cpu", "precision": "fp32", "slices_per_second": 1.0, "peak_memory_mb": None}
    facts |= {"seconds": {"network": 0.1}, "metrics": {"VIF": 0.0, "Qabf": 0.0, "SSIM": 0.0}}
    monkeypatch.setattr(commands, "load_fuser", lambda options: time.sleep(0.6))
    monkeypatch.setattr(heads, "run_demo", lambda *_, **__: facts)
    assert main(["demo", "--output", str(tmp_path)]) == 0
    assert float(re.search(r"all of it +([\d.]+) s", capsys.readouterr().out)[1]) >= 0.5


def test_truth_compares_ours_with_the_overlay_for_any_pair(head, tmp_path, untrained_weights, capsys):
    lesions, table = tmp_path / "lesions.csv", tmp_path / "truth.csv"
    lesions.write_text("where,x_lps_mm,y_lps_mm,z_lps_mm,fwhm_mm\nbrain,0,0,0,12\n")
    pair = [str(head / "mr.nrrd"), str(head / "pet.nii.gz")]
    arguments = ["truth", *pair, "--lesions", str(lesions), "--csv", str(table), "--weights", str(untrained_weights)]
    assert main([*arguments, "--color-table", "inferno", "--color-table", "rainbow"]) == 0
    header, *rows = table.read_text().splitlines()
    assert header.startswith("case,method,table,reading_uptake") and header.endswith("distance_0_brain")
    assert [row.split(",")[1] for row in rows[:4]] == ["mmif-amin", "overlay 0.3", "overlay 0.5", "overlay 0.7"]
    assert len(rows) == 2 * 4 + 3 and "Truth on the screen: pet" in capsys.readouterr().out
    assert main(["truth", pair[0]]) == 2
    assert "has no partner" in capsys.readouterr().err
    lesions.write_text("where,x_lps_mm,y_lps_mm,z_lps_mm,fwhm_mm\n")
    assert main(arguments) == 2
    assert "lists no lesion" in capsys.readouterr().err
    for line in ("brain,nan,0,0,12", "brain,0,0,0,0", "brain,0,0,0,-5"):
        lesions.write_text(f"where,x_lps_mm,y_lps_mm,z_lps_mm,fwhm_mm\n{line}\n")
        assert main(arguments) == 2
        assert "is no list of lesions" in capsys.readouterr().err


def test_truth_warns_as_fuse_does(head, tmp_path, untrained_weights, capsys):
    """An NRRD that does not tell its space: left and right may be wrong."""
    text = (head / "mr.nrrd").read_bytes()
    assert b"space: left-posterior-superior\n" in text
    (tmp_path / "mr.nrrd").write_bytes(text.replace(b"space: left-posterior-superior\n", b"space dimension: 3\n"))
    pair = [str(tmp_path / "mr.nrrd"), str(head / "pet.nii.gz"), "--weights", str(untrained_weights)]
    assert main(["truth", *pair]) == 0
    warned = [line for line in capsys.readouterr().err.splitlines() if "warning" in line]
    assert main(["fuse", *pair, "-o", str(tmp_path / "f.nrrd")]) == 0
    assert warned and set(warned) <= set(capsys.readouterr().err.splitlines())


def test_the_picture_goes_through_the_place_that_is_named(head, tmp_path, untrained_weights, capsys):
    sources = [str(head / "mr.nrrd"), str(head / "pet.nii.gz"), "--weights", str(untrained_weights)]
    written = ["-o", str(tmp_path / "f.nrrd")]
    pictures = []
    for number, more in enumerate(([], ["--preview-at", "-10,20,5"], ["--preview-overlay"])):
        path = tmp_path / f"{number}.png"
        assert main(["fuse", *sources, *written, "--preview", str(path), *more]) == 0
        pictures.append(np.asarray(Image.open(path)))
    assert (pictures[0] != pictures[1]).any() and pictures[2].shape[1] > pictures[0].shape[1]
    capsys.readouterr()
    for wrong, message in (("1,2", "R,A,S"), ("-3,0,9000", "The place R -3, A 0, S 9000 mm lies outside")):
        asked = ["-o", str(tmp_path / "x.nrrd"), "--preview", str(tmp_path / "x.png"), "--preview-at", wrong]
        assert main(["fuse", *sources, *asked]) == 2
        assert message in capsys.readouterr().err and not list(tmp_path.glob("x.*")), "told before the work"
