"""Work in a thread of its own: how it ends, is cancelled, let go of, and how long it takes."""

import threading
import time

import pytest

from MMIFAminLib.errors import FusionCancelled, InputError
from MMIFAminLib.module.background import PATIENCE, Job, Runner


class TestBackground:
    def run(self, runner):
        for _ in range(2000):
            if not runner.busy:
                return
            runner.poll(0.005)
        raise AssertionError("the runner never ended its job")

    def test_work_runs_elsewhere_and_ends_here(self):
        runner, ended = Runner(), []
        threads = {}

        def work(progress):
            threads["work"] = threading.current_thread()
            assert progress(0.25, "a quarter") is True
            return 42

        job = runner.start(work, lambda job: ended.append((threading.current_thread(), job.result())))
        self.run(runner)
        assert ended == [(threading.main_thread(), 42)] and threads["work"] is not threading.main_thread()
        assert (job.fraction, job.text) == (0.25, "a quarter")

    def test_an_error_arrives_with_its_traceback(self):
        runner, ended = Runner(), []

        def work(progress):
            raise InputError("'MR' is empty; load it again.")

        runner.start(work, ended.append)
        self.run(runner)
        with pytest.raises(InputError, match="'MR' is empty") as raised:
            ended[0].result()
        assert raised.traceback[-1].name == "work"

    def test_cancelled_work_gives_no_result_even_if_it_finished(self):
        runner, ended = Runner(), []
        release = threading.Event()
        runner.start(lambda progress: release.wait(5), ended.append)
        runner.cancel()
        release.set()
        self.run(runner)
        with pytest.raises(FusionCancelled):
            ended[0].result()

    def test_a_stubborn_job_is_let_go_of_and_the_next_waits_for_it(self):
        runner, ended, release, order = Runner(), [], threading.Event(), []

        def stubborn(progress):
            release.wait(30)
            order.append("stubborn")

        first = runner.start(stubborn, ended.append)
        runner.cancel()
        runner._deadline = time.monotonic()  # as if PATIENCE seconds had passed
        runner.poll(0.0)
        assert ended == [first] and not first.finished and not runner.busy and PATIENCE < 1.0
        runner.start(lambda progress: order.append("next"), ended.append)
        runner.poll(0.1)
        assert order == []
        release.set()
        self.run(runner)
        assert order == ["stubborn", "next"]

    def test_two_at_a_time_are_refused_and_dropped_work_never_ends(self):
        runner, ended = Runner(), []
        runner.start(lambda progress: [time.sleep(0.01) for _ in range(50) if progress(0, "")], ended.append)
        with pytest.raises(RuntimeError, match="already"):
            runner.start(lambda progress: None, ended.append)
        runner.drop(5.0)
        runner.poll(0.0)
        assert ended == [] and not runner.busy

    def test_the_time_left_is_told_once_it_can_be(self):
        job = Job(lambda progress: progress(0.0, "Loading") and progress(0.25, "Registering"))
        assert job.wait(5.0) and job.seconds_left is None and job.describe() == "Registering"
        job.fraction, job._pace = 0.75, (job._pace[0] - 20.0, 0.25)
        assert job.seconds_left == pytest.approx(10.0, abs=1.0) and job.describe() == "Registering, about 10 s left"
        job._estimate = False
        assert job.describe() == "Registering"
        job.text = "Fusing slice 3 of 9, about 4 s left"
        assert job.describe() == job.text
        job.cancel()
        assert job.describe() == "Stopping..."
