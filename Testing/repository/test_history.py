"""The page on history tells the stages as their configurations and validations have them."""

import csv
import re

import pytest

from MMIFAminLib.training.config import load_config

PAIRS = {"CT-MRI": 4, "PET-MRI": 5, "SPECT-MRI": 6}


@pytest.fixture(scope="module")
def stages(repository):
    lines = (repository / "docs" / "history.md").read_text(encoding="utf-8").splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if re.match(r"\| \w+-\d", line)]
    return {row[0]: row for row in rows}


def test_seventeen_stages_are_told(stages):
    assert list(stages) == [*(f"medical-{n}" for n in range(1, 16)), "anatomical-1", "anatomical-2"]


def test_steps_batches_and_rates_are_those_of_the_configurations(stages):
    for name, row in stages.items():
        config = load_config(name)
        steps, batch = row[1].replace(",", "").split(" x ")
        assert (int(steps), int(batch), float(row[2])) == (config.steps, config.batch, config.learning_rate), name
        tasks = {task.name for task in config.tasks}
        assert tasks == {task for task, column in PAIRS.items() if row[column]}, name


def test_ranks_are_those_of_the_last_table_of_the_weights(repository, stages):
    text = (repository / "MMIFAmin" / "Resources" / "Models" / "README.md").read_text(encoding="utf-8")
    for name, row in stages.items():
        cells = re.search(rf"^\| {name} \| \S+ x [^|]*\|([^|]*)\|([^|]*)\|([^|]*)\|", text, re.M)
        assert [cell.strip() for cell in cells.groups()] == row[4:7], name


def test_the_logs_of_every_stage_are_kept(repository, stages):
    folder = repository / "Testing" / "benchmarks" / "results" / "training"
    for name in stages:
        with open(folder / f"{name}_validation.csv", newline="") as file:
            assert list(csv.DictReader(file)), name
