"""``mmifamin series`` and the sources of ``mmifamin fuse``: whose volumes they are and where."""

import os
import subprocess
import sys
from argparse import Namespace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from MMIFAminLib.commandline.parser import main
from MMIFAminLib.errors import InputError
from MMIFAminLib.study.sources import read_sources
from support.dicom import Written, suv_tags, write_series
from support.phantoms import Grid, head

GRID = Grid(size=(24, 28, 22), spacing=(8.0, 8.0, 8.0)).centred_at()
CORRECTED = suv_tags()


def write_head(folder, modality, number, **tags):
    values = sitk.GetArrayFromImage(head(GRID, "pet" if modality == "PT" else "mr", 1000, np.int16))
    positions = np.array(GRID.origin) + np.arange(len(values))[:, None] * np.array([0, 0, 8.0])
    tags = {"SeriesInstanceUID": f"1.2.9.{number}", "SeriesNumber": number, "SeriesDescription": f"s{number}"} | tags
    written = Written(values, positions, spacing=(8.0, 8.0), modality=modality, tags=tags, thickness=8.0)
    write_series(folder, written, name=f"{modality}{number}_{{}}")
    return folder


def sources(anatomical, functional=None, **options):
    asked = {"unit": None, "frame": None, "different_patients": False, "second": None} | options
    return read_sources(Namespace(anatomical=Path(anatomical), functional=functional and Path(functional), **asked))


def test_series_are_listed(tmp_path, capsys):
    write_head(tmp_path, "CT", 1, RescaleSlope=1, RescaleIntercept=0)
    write_head(tmp_path, "PT", 2, Units="BQML", CorrectedImage="DECY")
    assert main(["series", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    for word in ("#1", "#2", "P1", "CT", "PT", "s1", "s2", "22", "24 x 28", "HU", "BQML", "not corrected"):
        assert word in out
    assert main(["series", str(tmp_path / "nothing")]) == 2


def test_one_series_given_twice_is_refused(tmp_path):
    write_head(tmp_path, "CT", 1)
    write_head(tmp_path, "PT", 2, Units="BQML", CorrectedImage=["ATTN"])
    one, another, *_, pet = sorted(tmp_path.iterdir())
    for other in (another, Path(f"{tmp_path}::#1")):
        with pytest.raises(InputError, match="one and the same DICOM series; give two volumes"):
            sources(one, other)
    with pytest.raises(InputError, match="'::#7' chooses among the series of a folder"):
        sources(f"{one}::#7", pet)


def test_a_folder_without_dicom_has_no_series_to_list(tmp_path, capsys):
    (tmp_path / "notes.txt").write_text("x")
    assert main(["series", str(tmp_path)]) == 2
    out, err = capsys.readouterr()
    assert not out and err.count("\n") == 1 and f"{tmp_path} holds no DICOM images; choose" in err


def test_one_folder_stands_for_both_where_the_roles_are_plain(tmp_path):
    write_head(tmp_path, "PT", 1, **CORRECTED)
    write_head(tmp_path, "MR", 2)
    names, volumes, warnings = sources(tmp_path)
    assert [volume.about.modality for volume in volumes] == ["MR", "PT"]
    assert [str(name) for name in names] == [f"{tmp_path}::#2", f"{tmp_path}::#1"]
    assert not warnings
    with pytest.raises(InputError, match="both the anatomical and the functional"):
        sources(tmp_path, tmp_path)
    again = sources(f"{tmp_path}::#2", f"{tmp_path}::#1")[1]
    assert [volume.about.series_uid for volume in again] == ["1.2.9.2", "1.2.9.1"]


def test_another_patient_is_refused_unless_it_is_meant(tmp_path):
    mr, pet = write_head(tmp_path / "mr", "MR", 1), write_head(tmp_path / "pet", "PT", 2, PatientID="P2", **CORRECTED)
    with pytest.raises(InputError, match=r"different patients.*--different-patients"):
        sources(mr, pet)
    assert "different patients" in sources(mr, pet, different_patients=True)[2][0]
    same, ct = write_head(tmp_path / "same", "PT", 3, **CORRECTED), write_head(tmp_path / "ct", "CT", 4, PatientID="P3")
    with pytest.raises(InputError, match=r"mr and .*ct are of different patients"):
        sources(mr, same, second=ct)
    names, volumes, warnings = sources(mr, same, second=ct, different_patients=True)
    assert len(names) == len(volumes) == 3 and len(warnings) == 2  # the second differs from either
    assert sources(tmp_path / "mr", same, second=write_head(tmp_path / "own", "CT", 5))[2] == []


def test_another_frame_of_reference_is_said_with_the_answer_of_the_alignment_check(tmp_path):
    mr = write_head(tmp_path / "mr", "MR", 1)
    pet = write_head(tmp_path / "pet", "PT", 2, FrameOfReferenceUID="1.9", **CORRECTED)
    (warning,) = sources(mr, pet)[2]
    assert "different frames of reference" in warning
    assert "'pet' covers" in warning and "aligned" in warning.split(";")[-1]


def test_a_frame_is_chosen_where_there_are_several_and_only_there(tmp_path):
    mr = write_head(tmp_path / "mr", "MR", 1)
    sitk.WriteImage(sitk.JoinSeries([head(GRID, "pet"), head(GRID, "pet") * 2]), str(tmp_path / "4d.nii.gz"))
    sitk.WriteImage(head(GRID, "pet"), str(tmp_path / "3d.nii.gz"))
    with pytest.raises(InputError, match="--frame 1 to 2"):
        sources(mr, tmp_path / "4d.nii.gz")
    first, second = (sources(mr, tmp_path / "4d.nii.gz", frame=n)[1][1].image for n in (1, 2))
    np.testing.assert_allclose(sitk.GetArrayFromImage(second), 2 * sitk.GetArrayFromImage(first))
    with pytest.raises(InputError, match="leave out --frame"):
        sources(mr, tmp_path / "3d.nii.gz", frame=2)


def test_brackets_in_a_description_are_no_markup(tmp_path, capsys):
    write_head(tmp_path, "CT", 1, SeriesDescription="WB [ac] :brain:")
    write_head(tmp_path, "PT", 2, SeriesDescription="PET [/wb]")
    assert main(["series", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert "WB [ac] :brain:" in out and "PET [/wb]" in out


def test_a_folder_whose_name_is_no_utf_8(tmp_path):
    folder = write_head(Path(os.fsdecode(os.fsencode(tmp_path) + b"/M\xfcller")), "CT", 1)
    command = [sys.executable, "-m", "MMIFAminLib", "series", folder]
    environment = os.environ | {"PYTHONIOENCODING": "utf-8:strict"}
    said = subprocess.run(command, env=environment, capture_output=True)
    assert said.returncode == 0 and b"M\\udcfcller" in said.stdout and not said.stderr
