"""``fuse -o FOLDER/``: the folder that is asked for, and outputs that do not name the patient."""

import json

import numpy as np
import pydicom
import pytest

from MMIFAminLib.commandline import main
from support.dicom import Written, write_series

SECRET = "Zaphod"


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study") / SECRET
    places = np.array([[-48.0, -48.0, 4.0 * k] for k in range(8)])
    rng = np.random.default_rng(0)
    for modality, top in (("CT", 1000), ("PT", 8000)):
        stored = rng.integers(0, top, (8, 32, 32)).astype(np.int16)
        tags = {"SeriesInstanceUID": f"1.2.3.4{top}", "PatientName": SECRET, "PatientID": SECRET}
        written = Written(stored, places, spacing=(3.0, 3.0), modality=modality, tags=tags)
        write_series(folder / modality, written)
    return folder


def fuse(study, weights, *arguments):
    common = ["--device", "cpu", "--weights", str(weights)]
    return main(["fuse", str(study / "CT"), str(study / "PT"), *common, *map(str, arguments)])


def test_a_unit_in_capitals_is_the_unit():
    from MMIFAminLib.study import default_options, with_options

    assert with_options(default_options(), "--unit SUV-LBM").unit == "suv-lbm"


def test_a_slash_an_empty_folder_or_the_option_ask_for_dicom(study, tmp_path, untrained_weights):
    (tmp_path / "empty").mkdir()
    for arguments in (["-o", f"{tmp_path}/slash/"], ["-o", tmp_path / "empty"], ["--dicom", "-o", tmp_path / "option"]):
        assert fuse(study, untrained_weights, *arguments) == 0
    for name in ("slash", "empty", "option"):
        files = sorted((tmp_path / name).iterdir())
        assert len(files) == 8
        first = pydicom.dcmread(files[0])
        assert first.PatientID == SECRET and first.Modality == "CT" and first.StudyInstanceUID == "1.2.3.1"


def test_a_folder_with_files_is_refused_before_the_work(study, tmp_path, untrained_weights, capsys):
    (tmp_path / "mine.txt").write_text("mine")
    assert fuse(study, untrained_weights, "-o", tmp_path) == 2
    assert "holds files already" in capsys.readouterr().err
    assert fuse(study, untrained_weights, "-o", tmp_path / "f.nrrd", "--uid-root", "1.2") == 2
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_anonymous_outputs_do_not_name_the_patient(study, tmp_path, untrained_weights):
    report = tmp_path / "report.json"
    assert fuse(study, untrained_weights, "-o", f"{tmp_path}/out/", "--rgb", "--report", report, "--anonymous") == 0
    assert SECRET not in report.read_text() and "functional" in json.loads(report.read_text())
    for path in (tmp_path / "out").iterdir():
        assert SECRET.encode() not in path.read_bytes()
