"""Who competes, what is estimated of them where they were not scored, and cross-validation by patients."""

import csv
from dataclasses import replace

import numpy as np
import pytest

from MMIFAminLib.errors import InputError
from MMIFAminLib.evaluation import metrics
from MMIFAminLib.losses.adaptive import STEP
from MMIFAminLib.training import Config
from MMIFAminLib.training.cross_validation import SPREAD, cross_validate, expected_rank, held_out
from MMIFAminLib.training.data import Case
from MMIFAminLib.training.field import Field, _carried, read_peers
from MMIFAminLib.training.validation import standings, summarize
from support.tiny_run import TINY, data  # noqa: F401 (data is a fixture)

NAMES = [metric.name for metric in metrics.METRICS]


def case(name, task="PET", seed=0):
    coarse = np.random.default_rng((seed, int(name))).integers(0, 255, (2, 8, 8), dtype=np.uint8)
    return Case(task, name, *np.kron(coarse, np.ones((1, 8, 8), np.uint8)))


def row(method, name, task="PET", **scores):
    return {"method": method, "task": task, "id": name} | dict.fromkeys(NAMES, "1.0") | scores


def test_published_scores_count_where_all_pairs_are_known():
    field = Field([row("good", "1001", MI="5"), row("good", "1002", MI="3"), row("poor", "1001"), row("poor", "1002")])
    assert {method: scores["MI"] for method, scores in field.on([case("1001"), case("1002")]).items()} == {
        "good": 4.0,
        "poor": 1.0,
    }
    assert set(field.on([case("1001", task="CT")])) == {
        "average",
        "maximum",
        "laplacian_pyramid",
        "guided_filter",
        "pca",
    }


def test_scores_elsewhere_are_carried_over_as_the_classical_fusions_change():
    known, unknown = case("1001"), case("2001")
    classical = {"average": "average", "maximum": "maximum", "laplacian_pyramid": "lappyr", "guided_filter": "gff"}
    alone = Field([])
    scores = {place: alone.on([pair]) for place, pair in (("here", known), ("there", unknown))}
    peers = [
        row(theirs, "1001", **{n: str(scores["here"][ours][n]) for n in metrics.RANKED})
        for ours, theirs in classical.items()
    ]
    peers.append(row("learned", "1001", SD="50", SCD="-0.5"))
    estimated = Field(peers).on([unknown])
    assert set(estimated) == {"learned", *classical.values()}
    assert estimated["gff"] == pytest.approx(scores["there"]["guided_filter"])
    ratio = np.prod([scores["there"][n]["SD"] / scores["here"][n]["SD"] for n in classical]) ** 0.25
    assert estimated["learned"]["SD"] == pytest.approx(50 * ratio)
    shift = np.mean([scores["there"][n]["SCD"] - scores["here"][n]["SCD"] for n in classical])
    assert estimated["learned"]["SCD"] == pytest.approx(-0.5 + shift)


def test_training_needs_no_more_than_the_means_that_come_with_the_code(shared, tmp_path):
    every, means = read_peers(shared / "data"), read_peers(tmp_path)
    assert {row["id"] for row in means} == {"mean"} and len(means) == 48 < len(every)
    for task in ("CT-MRI", "PET-MRI", "SPECT-MRI"):
        unknown = [case("9001", task), case("9002", task)]
        assert Field(means).on(unknown) == Field(every).on(unknown)


def test_estimated_ranks_are_near_the_true_ones(shared):
    """GeSeNet and ReFusion on one SPECT patient, with the field carried over from the other: 0.6 of a rank at most."""
    peers = [peer for peer in read_peers(shared / "data") if peer["task"] == "SPECT-MRI"]
    classical = {"average", "maximum", "lappyr", "gff"}
    for there, here in (("10", "29"), ("29", "10")):
        known = {there: [p for p in peers if p["id"][:-3] == there], here: [p for p in peers if p["id"][:-3] == here]}

        def mean(rows):
            return {n: float(np.mean([float(r[n]) for r in rows])) for n in metrics.RANKED}

        true = {m: mean([p for p in known[here] if p["method"] == m]) for m in {p["method"] for p in peers}}
        old = {m: mean([p for p in known[there] if p["method"] == m]) for m in true}
        new = {m: true[m] if m in classical else _carried(old[m], old, {n: true[n] for n in classical}) for m in true}
        for method in ("GeSeNet", "ReFusion", "MMDRFuse", "IFCNN"):
            rank = metrics.rank_methods(true)[method]
            assert metrics.rank_methods(new | {method: true[method]})[method] == pytest.approx(rank, abs=0.6)


def test_mean_rank_is_among_all_competitors():
    field = Field([row("good", "1001", **dict.fromkeys(NAMES, "5")), row("poor", "1001")])
    (summary,) = summarize([{"task": "PET", "id": "1001"} | dict.fromkeys(NAMES, 3.0)], [case("1001")], field)
    assert summary["mean_rank"] == 2 and summary["pairs"] == 1 and summary["VIF"] == 3.0


def test_every_patient_has_a_standing_of_its_own(monkeypatch):
    cases = [case("1001"), case("2001"), case("2002")]
    rows = [{"id": c.name} | dict.fromkeys(NAMES, value) for c, value in zip(cases, (1.0, 2.0, 4.0))]
    monkeypatch.setattr(
        "MMIFAminLib.training.validation.term_means", lambda network, images, names: {"pairs": len(images)}
    )
    first, second = standings(None, cases, rows, Field([]), ["pairs"])
    assert first.own["MI"] == 1.0 and second.own["MI"] == 3.0
    assert (first.values, second.values) == ({"pairs": 1}, {"pairs": 2}) and first.field != second.field


def test_each_patient_is_held_out_once():
    cases = [case(f"{patient}{number:03}") for patient in range(1, 8) for number in range(3)]
    folds = [{c.patient for c in held_out({"PET": cases}, fold, 3)["PET"]} for fold in range(3)]
    assert folds == [{"1", "4", "7"}, {"2", "5"}, {"3", "6"}]


def test_a_patient_of_several_tasks_is_held_out_of_all_of_them_at_once():
    """Twins in the public data: the CT-MRI and SPECT-MRI pairs of two patients share their MR."""
    ct = [case(f"{patient}001", "CT") for patient in (16, 2, 21, 28, 32)]
    spect = [case(f"{patient}001", "SPECT") for patient in (10, 11, 21, 28, 3, 4)]
    alone = [case(f"{patient}001", "PET") for patient in (21, 28)]
    folds = [held_out({"CT": ct, "SPECT": spect, "PET": alone}, fold, 2) for fold in range(2)]
    own = [{one.patient for some in held.values() for one in some} for held in folds]
    assert not own[0] & own[1] and len(own[0] | own[1]) == 9
    assert [[len(some) for some in held.values()] for held in folds] == [[3, 3, 1], [2, 3, 1]]


def test_cross_validation_scores_patients_that_were_not_trained_on(data, tmp_path):  # noqa: F811
    """The names 0, 1, 2 are three patients; validation pairs have two of the same names, and are held out with them."""
    config, told = Config.from_dict(TINY | {"steps": 2, "look_every": 2}), []
    table = cross_validate(config, data, tmp_path, folds=2, progress=lambda fraction, text: told.append(text))
    with open(tmp_path / "patients.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(r["fold"], r["task"], r["patient"], r["pairs"]) for r in rows] == [
        ("0", "CT", "0", "2"), ("0", "CT", "2", "1"), ("0", "PET", "0", "2"), ("0", "PET", "2", "1"),
        ("1", "CT", "1", "2"), ("1", "PET", "1", "2"),
    ]  # fmt: skip
    assert all(1 <= float(r["mean_rank"]) <= 6 for r in rows)
    assert "| CT | 3 |" in table.read_text() and told[0].startswith("fold 1 of 2")
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.safetensors")}
    assert len(before) == 2
    with pytest.raises(InputError, match="1 folds"):
        cross_validate(config, data, tmp_path, folds=1)
    cross_validate(config, data, tmp_path, folds=2)  # finished folds are not trained again
    assert before == {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.safetensors")}
    with pytest.raises(InputError, match="another configuration"):
        cross_validate(replace(config, seed=1), data, tmp_path, folds=2)
    with pytest.raises(InputError, match="without other patients"):
        cross_validate(config, data, tmp_path, folds=3)


def test_an_expected_rank_counts_each_competitor_by_how_likely_it_is_ahead():
    own = dict.fromkeys(STEP, 1.0)

    def ahead(spreads):
        return {metric: float(np.exp(spreads * SPREAD * step)) for metric, step in STEP.items()}

    assert expected_rank(own, {"level": own}) == pytest.approx(1.5)
    assert expected_rank(own, {"far ahead": ahead(20), "far behind": ahead(-20)}) == pytest.approx(2.0)
    likely = expected_rank(own, {"one spread ahead": ahead(1)}) - 1
    assert likely == pytest.approx(0.8455, abs=1e-4)  # of a normal distribution 0.84
    assert expected_rank(own, {"one spread behind": ahead(-1)}) - 1 == pytest.approx(1 - likely)
