"""The page on reliability shows what the long campaigns counted; what they counted is enough, and nothing was lost."""

import csv
import json
import re
import subprocess
import sys

import numpy as np
import pytest

from MMIFAminLib.engine.weights import DEFAULT


@pytest.fixture(scope="module")
def results(repository):
    def read(name):
        with open(repository / "Testing" / "benchmarks" / "results" / name, newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))

    return read


def test_the_committed_tables_are_those_of_the_campaigns(repository):
    command = [sys.executable, "docs/make_reliability.py", "--check"]
    result = subprocess.run(command, cwd=repository, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


def test_every_test_that_the_page_names_exists(repository):
    page = (repository / "docs" / "reliability.md").read_text(encoding="utf-8")
    files = {path.name: path.read_text(encoding="utf-8") for path in (repository / "Testing").rglob("test_*.py")}
    assert set(re.findall(r"\btest_\w+\.py", page)) <= set(files)
    named = re.findall(r"(?:(test_\w+\.py)::)?(\btest_\w+\b)(?!\.py)", page)
    assert len(named) > 10
    for file, name in named:
        assert f"def {name}(" in (files[file] if file else "".join(files.values())), f"{file} has no {name}"


def test_the_committed_campaigns_were_long_and_lost_nothing(results):
    fuzz = {(row["campaign"], row["outcome"]): int(row["examples"]) for row in results("fuzz.csv")}
    assert fuzz["volumes", "fused"] >= 1000 and fuzz["headers", "fused"] + fuzz["headers", "refused"] >= 200
    faults = {f"{row['campaign']} {row['signal']}".strip(): row for row in results("faults.csv")}
    for name in ("fuse SIGKILL", "pairs SIGKILL", "train SIGKILL", "fuse SIGINT"):
        row = faults[name]
        assert int(row["struck"]) >= 30 and (row["corrupt"], row["rerun failed"]) == ("0", "0")
    assert int(faults["cancel in the scene"]["runs"]) >= 100 and faults["cancel in the scene"]["corrupt"] == "0"
    assert int(faults["growth"]["runs"]) >= 200 and float(faults["growth"]["MB grown"]) < 50


def test_the_committed_search_of_three_at_once_found_nothing_hidden(results):
    rows = results("three.csv")
    assert [row["weights"] for row in rows] == ["shipped", "random"]
    for row in rows:
        assert int(row["triples"]) >= 2000 and float(row["below"]) <= 1 / 255
        assert float(row["headroom"]) <= 0.61 and float(row["gain"]) >= 0.25
    assert float(rows[0]["bright_50"]) > 0.9 and float(rows[0]["bright_10"]) > 0, "what docs/method.md says of them"


def test_the_committed_search_found_no_lesion_hidden(repository, results):
    card = json.loads(
        (repository / "MMIFAmin" / "Resources" / "Models" / f"{DEFAULT}.json").read_text(encoding="utf-8")
    )
    at_random, adversary = results("bounds.csv")
    assert int(at_random["pairs"]) >= 20_000 and int(adversary["pairs"]) >= 50
    for row in (at_random, adversary):
        assert row["weights"] == card["sha256"][:12], "run Testing/campaigns/bounds.py, then docs/make_reliability.py"
        assert float(row["gain"]) >= 0.25 and float(row["below"]) <= 1 / 255


def test_a_short_search_runs(repository, tmp_path):
    command = [sys.executable, repository / "Testing" / "campaigns" / "bounds.py", "--pairs", "50", "--starts", "2"]
    command += ["--steps", "2", "--output", tmp_path / "bounds.csv"]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0 and (tmp_path / "bounds.csv").is_file(), result.stderr


def test_the_committed_local_range_is_that_of_the_weights_that_ship(repository, results):
    path = repository / "MMIFAmin" / "Resources" / "Models" / f"{DEFAULT}.json"
    card = json.loads(path.read_text(encoding="utf-8"))
    measured = {row["weights"] for row in results("local_range.csv") if row["method"] == "MMIF-AMIN"}
    assert measured == {card["sha256"][:12]}, "run Testing/benchmarks/local_range.py, then docs/make_reliability.py"


def test_the_words_on_the_local_range_fit_its_table(results):
    """More than a Laplacian pyramid leaves the range, nearly always upwards: where that changes, the page must, too."""
    rows = {(row["task"], row["method"]): row for row in results("local_range.csv")}
    for task in {task for task, method in rows}:
        ours, pyramid = rows[task, "MMIF-AMIN"], rows[task, "laplacian_pyramid"]
        assert float(ours["% outside by more than 5"]) > float(pyramid["% outside by more than 5"])
        assert float(ours["% darker by more than 5"]) < 0.3


def test_the_weights_that_ship_invent_no_texture(results):
    """A network that hatched saturated bone to win in sharpness had 2.8 grey levels on CT-MR, a Laplacian pyramid
    0.1.
    """
    rows = [row for row in results("local_range.csv") if row["method"] == "MMIF-AMIN"]
    assert rows and all(float(row["invented texture"]) < 0.3 for row in rows)


def test_the_local_range_is_that_of_both_sources_around_a_pixel(repository, monkeypatch):
    monkeypatch.syspath_prepend(str(repository / "Testing" / "benchmarks"))
    from local_range import excess

    a, b = np.zeros((2, 9, 9))
    a[2, 2], b[6, 6] = 0.5, 0.8
    for inside in (a, b, np.maximum(a, b), (a + b) / 2, np.roll(a, 1, axis=1), np.roll(b, (1, -1), axis=(0, 1))):
        assert not excess(a, b, inside).any()
    invented = np.zeros((9, 9))
    invented[2, 2], invented[2, 4], invented[6, 6] = 0.75, 0.1, 0.8
    expected = np.zeros((9, 9))
    expected[2, 2], expected[2, 4] = 0.25, 0.1
    np.testing.assert_allclose(excess(a, b, invented), expected)
    assert excess(a + 0.3, b + 0.4, invented)[0, 0] == pytest.approx(-0.3), "darker than both sources"
