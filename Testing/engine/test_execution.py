"""Devices by their names, and what happens where one lacks memory or an operation."""

import itertools
import re
import threading
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch

from MMIFAminLib.engine.execution import run_in_threads
from MMIFAminLib.engine.fusion import VolumeFuser
from MMIFAminLib.errors import InputError
from support.heads import voxels


def failing(fuser, fits):
    """Make batches of which ``fits(slices, device)`` is false run out of memory."""
    computing = fuser._computing

    def limited(a, b, kind, device):
        if not fits(len(a), device):
            raise torch.OutOfMemoryError("CUDA out of memory (injected)")
        return computing(a, b, kind, "cpu")

    fuser._computing = limited


def test_smaller_batches_when_memory_runs_out(fuser, pair):
    expected = voxels(fuser.fuse(*pair))
    fuser.batch_pixels = batch = 8 * 32 * 36
    failing(fuser, lambda slices, device: slices <= 2)
    fused = fuser.fuse(*pair)
    assert np.abs(voxels(fused) - expected).max() <= 1e-5
    told = [text for text in fused.report["warnings"] if "Out of memory" in text]
    assert told == [f"Out of memory on cpu: went on with {slices} slices at a time." for slices in (4, 2)]
    assert fuser.batch_pixels == batch, "one fusion's want of memory changed the fuser for all"


def test_gpu_gives_way_to_the_cpu(fuser, pair):
    expected = voxels(fuser.fuse(*pair))
    gpu = VolumeFuser(fuser._network, fuser.weights, "cuda", fuser.precision)
    gpu.batch_pixels = 4 * 32 * 36
    failing(gpu, lambda slices, device: device == "cpu")
    fused = gpu.fuse(*pair)
    assert np.abs(voxels(fused) - expected).max() <= 2 / 255
    told = [text for text in fused.report["warnings"] if "Out of memory" in text]
    ways = ("one slice at a time", "the CPU")  # two slices were looked at together
    assert told == [f"Out of memory on cuda: went on with {way}." for way in ways]


def test_few_threads_hand_work_to_a_gpu(fuser, monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 16)
    threads = {at: VolumeFuser(fuser._network, fuser.weights, at, "fp32").threads for at in ("cpu", "cuda", "cuda:1")}
    assert threads == {"cpu": 16, "cuda": 4, "cuda:1": 4}


@pytest.mark.parametrize(
    "error",
    [
        NotImplementedError("The operator 'aten::x' is not currently implemented for the MPS device. See a page."),
        TypeError("Cannot convert a MPS Tensor to float64 dtype as the MPS framework doesn't support float64."),
        RuntimeError("MPS backend out of memory (MPS allocated: 9.00 GB)"),
    ],
)
def test_an_apple_gpu_that_lacks_something_gives_way_to_the_cpu(fuser, pair, error):
    """With injected errors: there is no such GPU here."""
    expected = voxels(fuser.fuse(*pair))
    apple = VolumeFuser(fuser._network, fuser.weights, "mps", "fp32")
    apple.batch_pixels = 32 * 36
    computing = apple._computing

    def lacking(a, b, kind, device):
        if device == "mps":
            raise error
        return computing(a, b, kind, device)

    apple._computing = lacking
    fused = apple.fuse(*pair)
    assert np.abs(voxels(fused) - expected).max() <= 2 / 255
    told = [text for text in fused.report["warnings"] if "went on with the CPU" in text]
    assert len(told) == 1 and "mps" in told[0]


def test_an_error_that_is_no_lack_of_the_device_comes_out(fuser, pair):
    apple, tried = VolumeFuser(fuser._network, fuser.weights, "mps", "fp32"), set()

    def wrong(a, b, kind, device):
        tried.add(device)
        raise TypeError("a mistake of our own")

    apple._computing = wrong
    with pytest.raises(TypeError, match="of our own"):
        apple.fuse(*pair)
    assert tried == {"mps"}, "the CPU is for what the device lacks"


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's own word on the memory")
def test_the_peak_of_memory_is_in_mebibytes():
    from MMIFAminLib.engine.execution import peak_memory_mb

    kib = int(re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())[1])
    assert peak_memory_mb() == pytest.approx(kib / 1024, rel=0.2)


def test_devices_are_named_as_pytorch_names_them(monkeypatch):
    from MMIFAminLib.engine import execution

    usable = set()
    monkeypatch.setattr(execution, "_computes", lambda device: device in usable)
    assert execution.choose_device("auto") == "cpu"
    usable |= {"mps"}
    assert execution.choose_device("auto") == "mps" and execution.choose_precision("auto", "mps") == "fp32"
    usable |= {"cuda", "cuda:1"}
    assert execution.choose_device("auto") == "cuda" and execution.choose_device("cuda:1") == "cuda:1"
    for device, words in (("cuda:7", "number 7"), ("cuda:x", "Unknown"), ("cpu:1", "Unknown"), ("tpu", "Unknown")):
        with pytest.raises(InputError, match=words):
            execution.choose_device(device)
    with pytest.raises(InputError, match="not checked on Apple"):
        execution.choose_precision("fp16", "mps")


@pytest.mark.parametrize("answer, device", [(1.0, "cuda"), (0.0, "cpu"), (RuntimeError("no kernel image"), "cpu")])
def test_a_gpu_that_pytorch_cannot_compute_on_is_not_used(monkeypatch, answer, device):
    """With a GPU that is made up: 1 + 1 must be 2 on it."""
    from MMIFAminLib.engine import execution

    def ones(count, device):
        if isinstance(answer, Exception):
            raise answer
        return torch.full((count,), answer)

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch, "ones", ones)
    assert execution.choose_device("auto") == device


def test_one_slice_after_the_other_when_even_the_cpu_is_full(fuser, pair):
    expected = voxels(fuser.fuse(*pair))
    fuser.threads, at_once, lock = 3, [0], threading.Lock()
    calls, meeting, compute = itertools.count(), threading.Barrier(2), fuser._compute

    def crowded(*batch):
        with lock:
            at_once[0] += 1
        try:
            if next(calls) < 2:
                meeting.wait(60)  # so that two slices are there at once whatever the machine does
            crowd = at_once[0]
            if crowd > 1:
                raise RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory")
            return compute(*batch)
        finally:
            with lock:
                at_once[0] -= 1

    fuser._compute = crowded
    fused = fuser.fuse(*pair)
    assert np.array_equal(voxels(fused), expected)
    assert "Out of memory on cpu: went on with one slice at a time." in fused.report["warnings"]


def test_no_memory_at_all_is_said(fuser, pair):
    failing(fuser, lambda slices, device: False)
    with pytest.raises(MemoryError, match="close other volumes"):
        fuser.fuse(*pair)


def test_other_errors_are_not_taken_for_want_of_memory(fuser, pair):
    def broken(*batch):
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    fuser._compute = broken
    with pytest.raises(RuntimeError, match="mat1"):
        fuser.fuse(*pair)


def test_memory_under_way_is_bounded():
    at_once, most, lock = [0], [0], threading.Lock()

    def work(item):
        with lock:
            at_once[0] += 1
            most[0] = max(most[0], at_once[0])
        threading.Event().wait(0.005)
        with lock:
            at_once[0] -= 1

    ticks = []
    run_in_threads(work, range(40), threads=4, limit=2, tick=ticks.append)
    assert most[0] == 2 and ticks[0] == 0 and ticks[-1] == 40 and ticks == sorted(ticks)


def test_many_fusions_do_not_fill_the_memory(fuser, pair):
    process = psutil.Process()
    for _ in range(6):
        fuser.fuse(*pair)
    before = process.memory_info().rss
    for _ in range(12):
        fuser.fuse(*pair)
    volume = 4 * 32 * 36 * 22
    assert process.memory_info().rss - before < 12 * volume, "each fusion left a volume behind"
