"""``mmifamin mip`` and ``mmifamin hottest``."""

import csv
import re

import pytest
import SimpleITK as sitk
from PIL import Image

from MMIFAminLib.commandline.parser import main
from support.phantoms import BALLS, Grid, head


@pytest.fixture(scope="module")
def pet(tmp_path_factory):
    path = tmp_path_factory.mktemp("reading") / "pet.nrrd"
    sitk.WriteImage(head(Grid(), "pet", 8.0), str(path))
    return path


def test_the_film_has_as_many_views_as_asked(pet, tmp_path, capsys):
    film = tmp_path / "turn.gif"
    assert main(["mip", str(pet), "-o", str(film), "--angles", "5", "--height", "64"]) == 0
    with Image.open(film) as made:
        assert made.n_frames == 5 and made.height > 64
    assert "5 views" in capsys.readouterr().out
    assert (
        main(["mip", str(pet), "-o", str(tmp_path / "turn"), "--angles", "2", "--height", "64", "--suv-max", "4"]) == 0
    )
    assert len(list((tmp_path / "turn").iterdir())) == 2


def test_the_spots_are_listed(pet, tmp_path, capsys):
    table = tmp_path / "spots.csv"
    assert main(["hottest", str(pet), "--count", "2", "--csv", str(table)]) == 0
    with open(table, encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["spot"] for row in rows] == ["1", "2"]
    x, y, z = BALLS["right posterior inferior"][0]
    place = [float(rows[0][f"{axis}_mm"]) for axis in "RAS"]
    assert place == pytest.approx([-x, -y, z], abs=4.0) and float(rows[0]["maximum"]) == pytest.approx(8.0, rel=0.01)
    assert float(rows[0]["peak_1ml"]) == pytest.approx(7.9, abs=0.1)
    assert "peak of 1 ml" in capsys.readouterr().out


def test_activities_are_written_out(tmp_path, capsys):
    """A PET in Bq/ml: 40,000 at the hottest, which is no 4e+04."""
    sitk.WriteImage(head(Grid(), "pet", 40_000.0), str(tmp_path / "pet.nrrd"))
    assert main(["hottest", str(tmp_path / "pet.nrrd"), "--count", "1"]) == 0
    assert main(["mip", str(tmp_path / "pet.nrrd"), "-o", str(tmp_path / "t.gif"), "--suv-max", "10"]) == 2
    told = capsys.readouterr()
    assert "e+0" not in told.out + told.err and re.search(r"\b[34]\d{4}\b", told.out)
    assert re.search(r"where [34]\d{4} would show it", told.err)


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["mip", "{pet}", "-o", "{here}/turn.avi"], "ends in .gif"),
        (["mip", "{pet}", "-o", "{here}/turn.gif", "--angles", "0"], "1 to 360"),
        (["mip", "{pet}", "-o", "{here}/turn.gif", "--suv-max", "-3"], "intensity window"),
        (["mip", "{pet}", "-o", "{here}/turn.gif", "--suv-max", "0.01"], "leaves the MIP black"),
        (["mip", "{pet}", "-o", "{here}/turn.gif", "--suv-max", "30000"], "leaves the MIP blank"),
        (["mip", "{pet}", "-o", "{here}/turn.gif", "--height", "2"], "16 to 4096"),
        (["mip", "{pet}", "-o", "{here}/turn.gif", "--unit", "suv"], "DICOM headers"),
        (["hottest", "{here}/none.nrrd"], "no such file"),
        (["hottest", "{pet}", "--count", "0"], "at least 1"),
        (["hottest", "{pet}", "--csv", "{pet}"], "one of the sources"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(pet, tmp_path, capsys, arguments, words):
    assert main([text.format(pet=pet, here=tmp_path) for text in arguments]) == 2
    said = capsys.readouterr().err
    assert words in said and said.count("\n") == 1
    assert not list(tmp_path.iterdir())
