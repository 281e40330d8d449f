"""Scripts that need data that is not there say in one line how to get it, and end."""

import runpy
import sys

import pytest

from MMIFAminLib.commandline import main

SCRIPTS = {
    "Testing/benchmarks/cohort.py": "--data",
    "Testing/benchmarks/lesions.py": "--data",
    "Testing/benchmarks/local_range.py": "--data",
    "Testing/benchmarks/precision.py": "--data",
    "Testing/benchmarks/scores.py": "--data",
    "Testing/benchmarks/spread.py": "--data",
    "Testing/benchmarks/square_pixels.py": "--data",
    "Testing/benchmarks/through_plane.py": "--data",
    "Testing/benchmarks/truth.py": "--shared",
    "docs/make_results.py": "--shared",
    "Resources/make_samples.py": "--shared",
}

SCORED = {"docs/make_results.py": "--shared", "Testing/benchmarks/peers.py": "--scores"}  # by other methods


@pytest.fixture
def last_line(repository, monkeypatch, capsys):
    """Runs a script, sees it end with exit code 2 and nothing printed, and gives the last line of what it complains."""

    def run(script, *arguments):
        monkeypatch.setattr(sys, "argv", [script, *arguments])
        monkeypatch.syspath_prepend(str((repository / script).parent))
        with pytest.raises(SystemExit) as end:
            runpy.run_path(str(repository / script), run_name="__main__")
        out, err = capsys.readouterr()
        assert (end.value.code, out) == (2, "")
        return err.splitlines()[-1]

    return run


@pytest.mark.parametrize("script", SCRIPTS)
def test_scripts_tell_how_to_get_their_data(last_line, tmp_path, script):
    shared = tmp_path
    if script == "docs/make_results.py":  # the scores of other methods are there, the images are not
        (shared / "reference").mkdir()
        (shared / "reference" / "peers_val.csv").write_text("method\n")
    place = shared if script == "docs/make_results.py" else shared / "nowhere"
    line = last_line(script, SCRIPTS[script], str(place))
    name = "body" if script.endswith(("truth.py", "make_samples.py")) else "harvard"
    assert "is not there: clone https://github.com/" in line and f"mmifamin data {name} CLONE" in line


@pytest.mark.parametrize("script", ["Testing/benchmarks/truth.py", "Resources/make_samples.py"])
def test_the_uptake_that_no_clone_holds_is_said_to_be_in_none(last_line, tmp_path, script):
    """What `mmifamin data body` lays out is the CT alone."""
    (tmp_path / "data" / "body").mkdir(parents=True)
    (tmp_path / "data" / "body" / "ct.nrrd").touch()
    line = last_line(script, "--shared", str(tmp_path))
    assert "fdg.nrrd is not there: no clone holds it, for the uptake was simulated once" in line


@pytest.mark.parametrize("script", SCORED)
def test_scores_of_other_methods_are_said_to_be_no_public_data(last_line, tmp_path, script):
    line = last_line(script, SCORED[script], str(tmp_path / "peers_val.csv") if "peers" in script else str(tmp_path))
    assert "peers_val.csv is not there" in line and "no public data set" in line


def test_no_other_script_reads_the_shared_folder(repository):
    folders = ("Testing/benchmarks", "Testing/campaigns", "docs", "Resources")
    scripts = [path for folder in folders for path in (repository / folder).glob("*.py")]
    scripts = [path for path in scripts if not path.name.startswith("test_")]
    reading = {
        str(path.relative_to(repository)) for path in scripts if '"../shared' in path.read_text(encoding="utf-8")
    }
    assert reading == {*SCRIPTS, *SCORED}


@pytest.mark.parametrize("config, name", [("medical", "harvard"), ("roadscene", "roadscene")])
def test_training_tells_how_to_get_its_data(tmp_path, capsys, config, name):
    data, output = str(tmp_path / "data"), tmp_path / "run"
    assert main(["train", "--config", config, "--data", data, "--output", str(output)]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("mmifamin: error: ") and err.count("\n") == 1
    assert err.endswith(f"mmifamin data {name} CLONE --output {data}\n") and not output.exists()
