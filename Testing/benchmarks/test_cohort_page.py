"""What docs/cohort.md says of scale is what the table of its benchmark says."""

import csv
from statistics import mean


def test_numbers_of_the_page_are_those_of_the_table(repository):
    text = " ".join((repository / "docs" / "cohort.md").read_text(encoding="utf-8").split())
    with open(repository / "Testing" / "benchmarks" / "results" / "cohort.csv", newline="") as file:
        lines = list(csv.DictReader(file))
    parts = {line["part"]: line for line in lines}
    head, trunk = parts["head 256 x 256 x 68"], parts["trunk CT and PET"]
    seconds = float(head["CPU s a row"])
    assert f"takes {seconds:.1f} s of one core for a head of 256 x 256 x 68" in text
    assert f"{float(trunk['CPU s a row']):.1f} s for a trunk CT" in text
    assert f"holds {float(head['peak MB']):.0f} MB at most" in text and float(trunk["peak MB"]) < float(head["peak MB"])

    rounds = {n: [line for line in lines if (line["part"], line["workers"]) == ("efficiency", n)] for n in "12"}
    one, two = (
        sum(int(line["rows"]) for line in rounds[n]) / sum(float(line["seconds"]) for line in rounds[n]) for n in "12"
    )
    efficiency = two / (2 * one)
    assert efficiency >= 0.9 and f"{one:.2f} and {two:.2f} studies a second, an efficiency of {efficiency:.3f}" in text
    assert f"Two workers do {two / one:.2f} times what one does" in text
    busy = [mean(float(line["busy"]) for line in rounds[n]) for n in "12"]
    assert f"is {busy[0]:.3f}".replace("0.", ".") + f" with one worker and {busy[1]:.3f}".replace("0.", ".") in text
    an_hour = round(3600 / seconds * efficiency, -2)
    assert f"about {an_hour:.0f} N such heads an hour" in text and f"{8 * an_hour:,.0f} on 8 cores" in text

    sizes = {int(line["rows"]): line for line in lines if line["part"] == "simulation"}
    first, last = sizes[1000], sizes[10000]
    assert f"take {float(last['seconds']):.0f} s, 1,000 take {float(first['seconds']):.1f} s" in text
    assert f"reading their table {float(last['manifest s']):.1f} s" in text
    held = [float(line["peak MB"]) for line in (first, last)]
    assert f"from {held[0]:.0f} to {held[1]:.0f} MB, {(held[1] - held[0]) * 1024 / 9000:.0f} kB a row" in text
    assert f"cohort.html has {float(last['page MB']):.0f} MB" in text
    assert f"{mean(float(line['CPU ms a row']) for line in sizes.values()):.1f} ms of processor time a row" in text


def test_kills_of_the_page_are_those_of_the_table(repository):
    text = (repository / "docs" / "cohort.md").read_text(encoding="utf-8")
    with open(repository / "Testing" / "benchmarks" / "results" / "faults_cohort.csv", newline="") as file:
        for line in csv.DictReader(file):
            again = "by the campaign" if line["killed"] == "command" else line["said again"]
            shown = (line["killed"], line["struck"], line["cohorts"], again, line["half written"], line["not equal"])
            assert f"| {' | '.join(shown)} |" in text and int(line["struck"]) >= 30
