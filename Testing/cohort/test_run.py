"""Cohorts on a real dask scheduler with two workers, each a process of its own on the loopback."""

import csv
import json
import time

import pytest

Client = pytest.importorskip("distributed", reason="cohorts need dask").Client

from MMIFAminLib.cohort import Row, Studies, clusters, fuse_row, run_cohort
from MMIFAminLib.cohort.results import folder_of_results
from MMIFAminLib.cohort.run import _busy
from MMIFAminLib.engine import VolumeFuser
from MMIFAminLib.errors import InputError, MMIFAminError
from MMIFAminLib.study import default_options
from support.cohorts import address, engine_here, make_cohort, start_dask, stop, stub


@pytest.fixture(scope="module")
def scheduler(tmp_path_factory):
    """The address of a scheduler with two workers."""
    folder = tmp_path_factory.mktemp("dask")
    processes = [start_dask(folder, "scheduler")]
    where = address(folder)
    processes += [start_dask(folder, "worker", "--name", name, threads=2) for name in ("one", "two")]
    yield where
    stop(processes[::-1])


def stubs(folder, *kinds):
    return Studies(
        tuple(Row(f"r{number}", folder / f"mark{number}", options=kind) for number, kind in enumerate(kinds))
    )


def lines(folder):
    with open(folder / "cohort.csv", newline="") as file:
        return list(csv.DictReader(file))


def test_a_cohort_is_fused_as_one_by_one_and_goes_on_where_it_stopped(scheduler, tmp_path, stirred_weights):
    table = make_cohort(tmp_path, 3, ["missing,mr000.nrrd,none.nrrd,"])
    options = default_options(device="cpu", precision="fp32", weights=str(stirred_weights))
    out, log = tmp_path / "out", tmp_path / "log.json"
    done = run_cohort(table, out, options=options, scheduler=scheduler, log=log)
    assert done.counts == {"fused": 3, "refused": 1}
    told = lines(out)
    assert [line["status"] for line in told] == ["fused", "fused", "fused", "refused"]
    assert told[3]["reason"] == f"{tmp_path / 'none.nrrd'}: no such file or folder"
    assert 0 < float(told[0]["SSIM"]) <= 2 and {line["worker"].split(":")[1] for line in told[:3]} <= {"one", "two"}
    logged = [json.loads(line) for line in log.read_text().splitlines()]
    assert sorted(line["id"] for line in logged) == ["missing", "s000", "s001", "s002"]

    fuser = VolumeFuser.load("cpu", "fp32", stirred_weights)
    row = Row("s001", tmp_path / "mr001.nrrd", tmp_path / "pet001.nrrd")
    alone = fuse_row(row, tmp_path / "alone", options, lambda: fuser)
    assert (out / "s001" / "fused.nrrd").read_bytes() == (tmp_path / "alone" / "s001" / "fused.nrrd").read_bytes()
    assert alone.hashes["fused"] == told[1]["fused_sha256"] and alone.metrics == done.results["s001"].metrics

    with Client(scheduler) as client:
        engines = [told for told in client.run(engine_here).values() if told[0]]
    assert set(engines) == {(1, 2, 2)}, (
        "weights are loaded once a worker; PyTorch and ITK have its cores, no more, no less"
    )

    (out / "s002" / "fused.nrrd").unlink()
    again = run_cohort(table, out, options=options, scheduler=scheduler)
    assert {id_: result.status for id_, result in again.results.items()} == {
        "s000": "kept",
        "s001": "kept",
        "s002": "fused",
        "missing": "refused",
    }
    assert [line["fused_sha256"] for line in lines(out)] == [line["fused_sha256"] for line in told]


def test_other_weights_under_the_same_name_are_noticed_by_workers_that_live_on(scheduler, tmp_path):
    from MMIFAminLib.engine.weights import save_weights
    from MMIFAminLib.network import MMIFAMIN
    from support.networks import stirred

    table, weights = make_cohort(tmp_path, 1), tmp_path / "mine.safetensors"
    options = default_options(device="cpu", precision="fp32", weights=str(weights))
    hashes = set()
    for seed, status in ((0, "fused"), (1, "fused"), (None, "kept")):
        if seed is not None:
            save_weights(stirred(MMIFAMIN(), seed), weights, {})
        done = run_cohort(table, tmp_path / "out", options=options, scheduler=scheduler).results["s000"]
        assert done.status == status
        hashes.add(done.hashes["weights"])
    assert len(hashes) == 2


def test_a_row_ends_when_nobody_waits_for_it_any_more(scheduler, tmp_path):
    def watch(state):
        if state.busy and (tmp_path / "mark0").exists():
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_cohort(stubs(tmp_path, "until unwanted"), tmp_path / "out", scheduler=scheduler, work=stub, watch=watch)
    deadline = time.monotonic() + 60
    while (tmp_path / "mark0").read_text() != "let go" and time.monotonic() < deadline:
        time.sleep(0.05)
    assert (tmp_path / "mark0").read_text() == "let go"
    done = run_cohort(stubs(tmp_path, ""), tmp_path / "out", scheduler=scheduler, work=stub)
    assert done.counts == {"fused": 1}


def test_a_row_whose_worker_dies_is_tried_on_another_and_stops_no_other(scheduler, tmp_path):
    studies = stubs(tmp_path, "dies once", "", "raises", "dies", "")
    done = run_cohort(studies, tmp_path / "out", scheduler=scheduler, work=stub)
    assert [done.results[f"r{number}"].status for number in range(5)] == ["fused", "fused", "failed", "failed", "fused"]
    assert done.results["r2"].reason == "RuntimeError: a fault of ours"
    assert "workers died" in done.results["r3"].reason


def test_what_stops_the_command_keeps_what_is_done(scheduler, tmp_path):
    def watch(state):
        if state.done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_cohort(
            stubs(tmp_path, *["slow"] * 9), tmp_path / "out", options=default_options(), scheduler=scheduler,
            work=stub, watch=watch,
        )  # fmt: skip
    counts = [line["status"] for line in lines(tmp_path / "out")]
    assert sorted(counts) == ["fused"] * 2 + ["waiting"] * 7
    assert "9 studies: 7 waiting, 2 fused" in (tmp_path / "out" / "cohort.html").read_text()
    run_cohort(stubs(tmp_path, *["slow"] * 9), tmp_path / "out", scheduler=scheduler, work=stub)
    assert [line["status"] for line in lines(tmp_path / "out")] == ["fused"] * 9


def test_the_watcher_is_told_of_rows_and_workers(scheduler, tmp_path):
    seen = []
    run_cohort(stubs(tmp_path, *["slow"] * 6), tmp_path / "out", scheduler=scheduler, work=stub, watch=seen.append)
    assert [state.done for state in seen if state.result] == [1, 2, 3, 4, 5, 6]
    assert seen[-1].seconds_left == 0 and all(state.total == 6 for state in seen)
    assert any(set(state.busy.values()) & {f"r{number}" for number in range(6)} for state in seen)
    assert {state.workers for state in seen if not state.result} == {2}


def test_the_watcher_is_told_that_there_is_no_worker(tmp_path, monkeypatch):
    monkeypatch.setattr("MMIFAminLib.cohort.run._TICK", 0.1)
    processes, seen = [start_dask(tmp_path, "scheduler")], []

    def watch(state):
        seen.append(state.workers)
        if seen == [0]:
            processes.append(start_dask(tmp_path, "worker"))

    try:
        run_cohort(stubs(tmp_path, ""), tmp_path / "out", scheduler=address(tmp_path), work=stub, watch=watch)
    finally:
        stop(processes[::-1])
    assert seen[0] == 0 and seen[-1] in (1, None)


def test_a_worker_is_at_the_first_of_its_rows_and_tasks_of_others_are_passed_over():
    given = {"a": [("row-1", "s2"), ("row-1", "s10")], "b": ["theirs", ("sum-5", 0, 1), ("row-1", "s9")], "c": []}
    assert _busy(given, {"s10": 0, "s9": 1, "s2": 2}) == {"a": "s10", "b": "s9", "c": None}


def test_a_scheduler_that_is_lost_is_told_of_and_costs_nothing(tmp_path):
    processes = [start_dask(tmp_path, "scheduler")]
    where = address(tmp_path)
    processes.append(start_dask(tmp_path, "worker", "--no-nanny"))

    def watch(state):
        if state.done == 2:
            processes[0].kill()

    try:
        with pytest.raises(MMIFAminError, match="scheduler is lost"):
            run_cohort(stubs(tmp_path, *["slow"] * 60), tmp_path / "out", scheduler=where, work=stub, watch=watch)
    finally:
        stop(processes)
    assert 2 <= [line["status"] for line in lines(tmp_path / "out")].count("fused") < 60


def test_what_cannot_begin_is_told_in_one_sentence(scheduler, tmp_path, monkeypatch):
    monkeypatch.setattr(clusters, "ANSWERS_WITHIN", "1s")
    with pytest.raises(InputError, match="no dask scheduler answers at tcp://127.0.0.1:9"):
        run_cohort(stubs(tmp_path, ""), tmp_path / "out", scheduler="tcp://127.0.0.1:9", work=stub)
    with pytest.raises(InputError, match="no dask scheduler answers at nonsense"):
        run_cohort(stubs(tmp_path, ""), tmp_path / "out", scheduler="nonsense://", work=stub)
    with pytest.raises(InputError, match="No weights named 'nothere'"):
        run_cohort(
            stubs(tmp_path, ""), tmp_path / "out", options=default_options(weights="nothere"), scheduler=scheduler
        )
    with pytest.raises(InputError, match="there is no folder"):
        run_cohort(stubs(tmp_path, ""), tmp_path / "out", scheduler=scheduler, work=stub, log=tmp_path / "none" / "log")
    with (
        folder_of_results(Studies(()), tmp_path / "out", False),
        pytest.raises(InputError, match="another command is at work"),
    ):
        run_cohort(stubs(tmp_path, ""), tmp_path / "out", work=stub)
    with pytest.raises(InputError, match="no such file or folder"):
        run_cohort(tmp_path / "none", tmp_path / "out")
    assert not (tmp_path / "out").exists()
