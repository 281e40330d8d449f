"""The page on history tells all stages, as the page on the weights does."""

import re

import pytest


@pytest.fixture(scope="module")
def stages(repository):
    lines = (repository / "docs" / "history.md").read_text(encoding="utf-8").splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if re.match(r"\| \w+-\d", line)]
    return {row[0]: row for row in rows}


def test_seventeen_stages_are_told(stages):
    assert list(stages) == [*(f"medical-{n}" for n in range(1, 16)), "anatomical-1", "anatomical-2"]


def test_ranks_are_those_of_the_last_table_of_the_weights(repository, stages):
    text = (repository / "MMIFAmin" / "Resources" / "Models" / "README.md").read_text(encoding="utf-8")
    for name, row in stages.items():
        cells = re.search(rf"^\| {name} \| \S+ x [^|]*\|([^|]*)\|([^|]*)\|([^|]*)\|", text, re.M)
        assert [cell.strip() for cell in cells.groups()] == row[4:7], name
