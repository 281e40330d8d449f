"""Processes here, one for each GPU or with a share of the cores; and jobs of a cluster: the script that dask-jobqueue makes of a
configuration. SLURM itself is not here.
"""

import os
import re
import signal
import subprocess
import sys
import time

import pytest

pytest.importorskip("dask_jobqueue", reason="clusters need dask-jobqueue")

from MMIFAminLib.cohort import clusters
from MMIFAminLib.cohort.clusters import KINDS, connected, job_cluster, read_config
from MMIFAminLib.errors import InputError

CONFIG = """
cores: 8
memory: 16GB
queue: long
walltime: "08:00:00"
job_script_prologue: ["source /opt/mmifamin/bin/activate"]
"""


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "cluster.yaml"
    path.write_text(CONFIG)
    return read_config(path, "slurm")


def test_a_slurm_job_is_one_worker_with_all_its_cores(config):
    with job_cluster("slurm", config | {"account": "lab"}) as made:
        script = made.job_script().splitlines()
    # The form of https://slurm.schedmd.com/sbatch.html and of dask-jobqueue's page "How this works".
    assert script[0] == "#!/usr/bin/env bash"
    assert [line for line in script if line.startswith("#SBATCH")] == [
        "#SBATCH -J dask-worker",
        "#SBATCH -p long",
        "#SBATCH -A lab",
        "#SBATCH -n 1",
        "#SBATCH --cpus-per-task=8",
        "#SBATCH --mem=15G",
        "#SBATCH -t 08:00:00",
    ]
    commands = [line for line in script[1:] if line and not line.startswith("#")]
    assert commands[:2] == ["source /opt/mmifamin/bin/activate", "export OMP_NUM_THREADS=8"]
    assert re.search(r"-m distributed\.cli\.dask_worker tcp://\S+ ", commands[2])
    assert re.findall(r"--nthreads (\d+)", commands[2])[-1] == "1", "the last one counts"
    assert len(commands) == 3


def test_one_line_for_a_list_of_lines_is_one_line(config):
    one = {"job_script_prologue": "source /opt/a/bin/activate", "worker_extra_args": "--no-dashboard"}
    with job_cluster("slurm", config | one) as made:
        commands = [line for line in made.job_script().splitlines() if line and not line.startswith("#")]
    assert commands[0] == "source /opt/a/bin/activate" and " --no-dashboard " in commands[2]


def test_ctrl_c_stays_the_commands(config):
    """Importing dask_jobqueue makes it end the process, with exit code 0 and without a word."""
    code = (
        "import signal; from MMIFAminLib.cohort.clusters import job_cluster;"
        f"before = signal.getsignal(signal.SIGINT); job_cluster('slurm', {config!r}).close();"
        "print(signal.getsignal(signal.SIGINT) is before)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "True\n"


def test_two_clusters_at_once_are_quiet(config, recwarn):
    with job_cluster("slurm", config) as first, job_cluster("slurm", config) as second:
        assert first.scheduler_address != second.scheduler_address
    assert [str(one.message) for one in recwarn if "already in use" in str(one.message)] == []


def test_the_form_of_dasks_own_configuration_says_the_same(config, tmp_path):
    """As on dask-jobqueue's page "Configuration", and in its jobqueue.yaml: hyphens, and null for what is not set."""
    path = tmp_path / "jobqueue.yaml"
    lines = ["name: fuse", "cores: 8", "processes: null", *CONFIG.replace("_", "-").splitlines()[2:]]
    path.write_text("jobs: 4\njobqueue:\n  slurm:\n    " + "\n    ".join(lines) + "\n  pbs:\n    cores: 1\n")
    told = read_config(path, "slurm")
    assert told == config | {"job_name": "fuse", "jobs": 4}
    with job_cluster("slurm", config | {"job_name": "fuse"}) as made:
        assert "#SBATCH -J fuse" in made.job_script()


@pytest.mark.parametrize("jobs", ["2", None, -1, 0, True, 1.5])
def test_a_number_of_jobs_that_is_none(config, jobs):
    with pytest.raises(InputError, match="at least 1"), connected(cluster="slurm", config=config | {"jobs": jobs}):
        pass


@pytest.mark.parametrize("kind,mark", [("pbs", "#PBS"), ("lsf", "#BSUB"), ("sge", "#$")])
def test_the_other_clusters_have_a_script_each(kind, mark, config):
    with job_cluster(kind, config) as made:
        script = made.job_script()
    assert mark in script and "OMP_NUM_THREADS=8" in script and kind in KINDS


@pytest.mark.parametrize(
    "text,message",
    [
        ("cores: 8", "has no 'memory'"),
        ("cores: 8\nmemory: 1GB\nqueu: long", "cannot be used: .*queu"),
        ("- cores", "holds no settings"),
        ("cores: [", "cannot be read"),
        ("jobqueue:\n  pbs:\n    cores: 8", "holds no settings for slurm under 'jobqueue'"),
        ("cores: 8\nmemory: 1GB\nn_workers: 3", "has 'n_workers': say 'jobs' instead"),
        ("cores: 8\nmemory: 1GB\nprocesses: 4", "has processes: 4; leave it out"),
    ],
)
def test_a_configuration_that_cannot_be_used(tmp_path, text, message):
    path = tmp_path / "cluster.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        job_cluster("slurm", read_config(path, "slurm"))


def test_a_cluster_that_is_not_known():
    with pytest.raises(InputError, match="there is no cluster 'cloud': choose one of slurm, pbs, lsf, sge"):
        job_cluster("cloud", {})


def test_processes_here_have_a_gpu_and_their_share_of_the_cores_each(monkeypatch):
    from dask.system import CPU_COUNT

    monkeypatch.setattr(clusters, "_gpus", lambda device: [{"CUDA_VISIBLE_DEVICES": name} for name in "35"])
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    with connected() as client:
        client.wait_for_workers(2, timeout=120)
        assert sorted(client.run(os.getenv, "CUDA_VISIBLE_DEVICES").values()) == ["3", "5"]
        assert set(client.run(os.getenv, "OMP_NUM_THREADS").values()) == {str(max(1, CPU_COUNT // 2))}
        assert list(client.nthreads().values()) == [1, 1], "one row at a time"
        assert set(client.run(signal.getsignal, signal.SIGINT).values()) == {signal.SIG_IGN}, "Ctrl-C is the command's"


@pytest.mark.parametrize(
    "device,visible,found",
    [
        ("auto", None, [{"CUDA_VISIBLE_DEVICES": name} for name in "01"]),
        ("cuda", "GPU-a,GPU-b", [{"CUDA_VISIBLE_DEVICES": "GPU-a"}, {"CUDA_VISIBLE_DEVICES": "GPU-b"}]),
        ("cuda:1", None, [{}]),
        ("mps", None, [{}]),
        ("cpu", None, []),
    ],
)
def test_one_worker_for_each_gpu_that_is_meant(device, visible, found, monkeypatch):
    import torch

    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert clusters._gpus(device) == found


def test_the_share_of_the_cores_is_that_of_each_cohort(monkeypatch):
    """dask sets its workers' variables in this process, too: the second cohort was given the threads of the first."""
    from dask.system import CPU_COUNT

    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    for workers in (1, 2):
        with connected(workers=workers, device="cpu") as client:
            client.wait_for_workers(workers, timeout=120)
            assert set(client.run(os.getenv, "OMP_NUM_THREADS").values()) == {str(max(1, CPU_COUNT // workers))}
        assert "OMP_NUM_THREADS" not in os.environ


def on_path(folder, monkeypatch, **commands):
    """Put commands of a shell before all others."""
    for name, script in commands.items():
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")


@pytest.mark.skipif(os.name != "posix", reason="needs a shell")
def test_a_job_that_is_run_becomes_a_worker(tmp_path, monkeypatch):
    """What stands in for SLURM runs the script that it is given at once: there is none here."""
    job, log = tmp_path / "job.sh", tmp_path / "job.log"
    start = f'cp "$1" {job}; setsid sh {job} > {log} 2>&1 & echo "Submitted batch job $!"'
    on_path(tmp_path, monkeypatch, sbatch=start, scancel='kill -- "-$1"')
    config = {"cores": 2, "memory": "2GB", "interface": "lo", "jobs": 1}
    with connected(cluster="slurm", config=config) as client:
        client.wait_for_workers(1, timeout=60)
        assert list(client.nthreads().values()) == [1], "one row at a time"
        assert list(client.run(os.getenv, "OMP_NUM_THREADS").values()) == ["2"], "with all cores of the job"


@pytest.mark.skipif(os.name != "posix", reason="needs a shell")
def test_a_job_that_has_ended_before_the_cohort_is_submitted_again(tmp_path, monkeypatch):
    """As at the end of its walltime."""
    from dask import config as dask_config

    start = f'cp "$1" {tmp_path}/job.sh; setsid sh {tmp_path}/job.sh > {tmp_path}/job.log 2>&1 &'
    start += f' echo $! >> {tmp_path}/jobs; echo "Submitted batch job $!"'
    on_path(tmp_path, monkeypatch, sbatch=start, scancel='kill -- "-$1"')
    monkeypatch.setattr(clusters, "SUBMIT_AGAIN", 0.2)
    config = {"cores": 1, "memory": "2GB", "interface": "lo", "jobs": 1}
    with (
        dask_config.set({"distributed.deploy.lost-worker-timeout": "0.2s"}),
        connected(cluster="slurm", config=config) as client,
    ):
        client.wait_for_workers(1, timeout=60)
        (first,) = client.nthreads()
        os.killpg(int((tmp_path / "jobs").read_text()), signal.SIGKILL)
        deadline = time.monotonic() + 60
        while set(client.nthreads()) <= {first} and time.monotonic() < deadline:
            time.sleep(0.05)
        (second,) = client.nthreads()
    assert second != first and len((tmp_path / "jobs").read_text().split()) == 2


@pytest.mark.skipif(os.name != "posix", reason="needs a shell")
def test_a_cluster_that_takes_no_jobs_says_why(tmp_path, monkeypatch):
    config = {"cores": 2, "memory": "2GB", "jobs": 2}
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match="there is no 'sbatch' here"), connected(cluster="slurm", config=config):
        pass
    monkeypatch.undo()
    on_path(tmp_path, monkeypatch, sbatch='echo "sbatch: error: invalid account" >&2; exit 1', scancel="exit 0")
    with (
        pytest.raises(InputError, match="takes no job: sbatch: error: invalid"),
        connected(cluster="slurm", config=config),
    ):
        pass
