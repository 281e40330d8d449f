"""The page on history tells all stages."""

import re

import pytest


@pytest.fixture(scope="module")
def stages(repository):
    lines = (repository / "docs" / "history.md").read_text(encoding="utf-8").splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if re.match(r"\| \w+-\d", line)]
    return {row[0]: row for row in rows}


def test_seventeen_stages_are_told(stages):
    assert list(stages) == [*(f"medical-{n}" for n in range(1, 16)), "anatomical-1", "anatomical-2"]
