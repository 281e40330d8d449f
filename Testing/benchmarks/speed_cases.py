"""The measurements of ``speed.py``, each run in a process of its own: ``python speed_cases.py CASE [JSON options]``.

A case is a generator of rows ``{"case", "measure", "value", "unit", ...}``; they are printed one JSON object a line.
Seconds are the least of several runs. torch is imported inside the cases, so that what it costs can be measured.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import SimpleITK as sitk

MB = 2**20
PAIR = (256, 256)


def best(function, repeats=5):
    """The least seconds of ``repeats`` calls after one to warm up."""
    function()
    seconds = []
    for _ in range(repeats):
        started = time.perf_counter()
        function()
        seconds.append(time.perf_counter() - started)
    return min(seconds)


def row(case, measure, value, unit, **settings):
    return {"case": case, "measure": measure, "value": value, "unit": unit, **settings}


# --- memory ---


def resident_mb():
    return psutil.Process().memory_info().rss / MB


def reset_peak():
    """Let the kernel's record of the peak start again from what is resident now (Linux)."""
    Path("/proc/self/clear_refs").write_text("5")


def peak_mb():
    line = next(text for text in Path("/proc/self/status").read_text().splitlines() if text.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


# --- references ---


def references(repeats=5):
    """What this machine can do at all, and what others cost: convolution peak, four-convolution network, pyramid, copy."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from MMIFAminLib.baselines import laplacian_pyramid

    for precision, kind in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
        layer = torch.nn.Conv2d(32, 32, 3, padding=1).to(kind, memory_format=torch.channels_last)
        rates = []
        for batch in (1, 4, 8):
            x = torch.rand(batch, 32, *PAIR).to(kind, memory_format=torch.channels_last)
            with torch.inference_mode():
                rates.append(batch * 2 * 9 * 32 * 32 * PAIR[0] * PAIR[1] / best(lambda: layer(x), repeats) / 1e9)
        yield row("convolution 3x3, 32 channels", "rate", max(rates), "GFLOP/s", precision=precision)

        network = four_convolutions().to(kind, memory_format=torch.channels_last)
        x = torch.rand(1, 3, *PAIR).to(kind, memory_format=torch.channels_last)
        with torch.inference_mode():
            seconds = best(lambda: network(x, x), repeats)
            with FlopCounterMode(display=False) as counter:
                network(x, x)
        yield row("IFCNN-like network", "time a pair", 1e3 * seconds, "ms", precision=precision)
        yield row("IFCNN-like network", "cost a pair", counter.get_total_flops() / 1e9, "GFLOP", precision=precision)

    a, b = np.random.default_rng(0).random((2, *PAIR), np.float32)
    yield row("Laplacian pyramid", "time a pair", 1e3 * best(lambda: laplacian_pyramid(a, b), repeats), "ms")
    source, target = np.ones((2, 200, 512, 512), np.float32)
    yield row("memory copy", "rate", 2 * source.nbytes / best(lambda: np.copyto(target, source), repeats) / 1e9, "GB/s")


def four_convolutions():
    """Four convolutions of 64 channels at full resolution, laid out and as costly (17 GFLOPs) as IFCNN (Zhang et al., 2020)."""
    import torch

    class Network(torch.nn.Module):
        def __init__(self):
            super().__init__()
            sizes = ((3, 64, 7), (64, 64, 3), (64, 64, 3), (64, 3, 1))
            self.layers = torch.nn.ModuleList(torch.nn.Conv2d(i, o, k, padding=k // 2) for i, o, k in sizes)

        def forward(self, a, b):
            first, second, third, last = self.layers
            a, b = (torch.relu(second(first(x))) for x in (a, b))
            return last(torch.relu(third(torch.maximum(a, b))))

    return Network().eval()


# --- the network ---


def network(weights, repeats=5):
    """The network alone on 256x256 pairs: precisions, layouts, batches, threads in one slice or over slices."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from MMIFAminLib.execution import choose_precision, run_in_threads
    from MMIFAminLib.weights import load_weights

    model, _ = load_weights(weights)
    cores = torch.get_num_threads()
    one, other = torch.rand(2, 1, 1, *PAIR)
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        model(one, other)
    cost = counter.get_total_flops() / 1e9
    yield row("network", "cost a pair", cost, "GFLOP")
    yield row("network", "parameters", sum(p.numel() for p in model.parameters()), "")
    yield row("network", "automatic precision", choose_precision("auto", "cpu"), "")

    @torch.inference_mode()
    def apply(prepared, pair):
        return prepared(*pair)

    def timed(name, seconds, pairs, **settings):
        yield row(name, "time a pair", 1e3 * seconds / pairs, "ms", **settings)
        yield row(name, "rate", cost * pairs / seconds, "GFLOP/s", **settings)

    for precision in ("fp32", "bf16"):
        prepared = model.prepared("cpu", precision)
        pairs = [(one, other)] * 16
        for threads in sorted({1, cores}):
            seconds = best(lambda: run_in_threads(lambda p: apply(prepared, p), pairs, threads, 2 * threads, id), repeats)
            yield from timed("a slice a thread", seconds, 16, precision=precision, threads=threads, batch=1)
        for batch in (1, 2, 4, 8):
            stacked = [x.expand(batch, -1, -1, -1).contiguous() for x in (one, other)]
            seconds = best(lambda: apply(prepared, stacked), repeats)
            yield from timed("all threads on a batch", seconds, batch, precision=precision, threads=cores, batch=batch)
        # Features laid out channel by channel: from the squeeze on, layers keep the layout of their input.
        plain = model.prepared("cpu", precision).to(memory_format=torch.contiguous_format)
        plain.idn.squeeze.register_forward_hook(lambda module, inputs, output: output.contiguous())
        seconds = best(lambda: apply(plain, (one, other)), repeats)
        yield from timed("channels first", seconds, 1, precision=precision, threads=cores, batch=1)
        with torch.inference_mode():  # torch.jit folds, fuses and reorders weights for oneDNN, for one size of slices
            traced = torch.jit.freeze(torch.jit.trace(prepared, (one, other), check_trace=False))
            traced = torch.jit.optimize_for_inference(traced)
        seconds = best(lambda: apply(traced, (one, other)), repeats)
        yield from timed("traced and frozen", seconds, 1, precision=precision, threads=cores, batch=1)


def operations(weights, precision="bf16", repeats=20):
    """Where one slice's time goes on one thread, by operator, as torch.profiler sees it."""
    import torch
    from torch.profiler import ProfilerActivity, profile

    from MMIFAminLib.weights import load_weights

    torch.set_num_threads(1)
    prepared = load_weights(weights)[0].prepared("cpu", precision)
    pair = torch.rand(2, 1, 1, *PAIR)
    runs = []
    with torch.inference_mode():
        prepared(*pair)
        for _ in range(repeats):
            with profile(activities=[ProfilerActivity.CPU]) as profiler:
                prepared(*pair)
            events = [event for event in profiler.events() if event.cpu_parent is None]
            runs.append([(event.name.removeprefix("aten::"), event.cpu_time_total) for event in events])
    least = [(calls[0][0], min(time for _, time in calls)) for calls in zip(*runs)]  # of each call, over the runs
    total = sum(time for _, time in least)
    shares = {}
    for name, time_us in least:
        shares[name] = shares.get(name, 0.0) + time_us
    yield row("operators", "all", total / 1e3, "ms", precision=precision, threads=1)
    for name, time_us in sorted(shares.items(), key=lambda item: -item[1])[:12]:
        yield row("operators", name, 100 * time_us / total, "%", precision=precision, threads=1)


def inferer(weights, slices=40, precision="bf16", repeats=3):
    """MONAI's SliceInferer against our own loop over the slices, on one volume: seconds and memory."""
    import torch
    from monai.inferers import SliceInferer

    from MMIFAminLib.fusion import VolumeFuser

    fuser = VolumeFuser.load("cpu", precision, weights)
    rng = np.random.default_rng(0)
    a, b = (rng.random((2, slices, *PAIR), np.float32) + 1e-3).clip(max=1)
    prepared = fuser._network_on("cpu")
    slice_inferer = SliceInferer(roi_size=PAIR, spatial_dim=0, sw_batch_size=4)

    @torch.inference_mode()
    def by_monai():
        both = torch.from_numpy(np.stack((a, b)))[None]
        return slice_inferer(both, lambda x: prepared(x[:, :1], x[:, 1:], x.new_ones(len(x))))[0, 0].numpy()

    difference = np.abs(by_monai() - fuser.fuse_arrays(a, b)).max()
    yield row("SliceInferer", "largest difference", float(difference), "", precision=precision)
    for name, run in (("SliceInferer", by_monai), ("our loop", lambda: fuser.fuse_arrays(a, b))):
        reset_peak()
        before = resident_mb()
        seconds = best(run, repeats)
        yield row(name, "time a slice", 1e3 * seconds / slices, "ms", precision=precision, threads=fuser.threads)
        yield row(name, "memory above the sources", peak_mb() - before, "MB", precision=precision)


# --- whole volumes ---


def pair_of_images(weights, precision="auto", repeats=10):
    """One 256x256 pair through ``VolumeFuser.fuse_arrays``, as ``mmifamin pairs`` calls it."""
    from MMIFAminLib.fusion import VolumeFuser

    fuser = VolumeFuser.load("cpu", precision, weights)
    a, b = np.random.default_rng(0).random((2, 1, *PAIR), np.float32)
    seconds = best(lambda: fuser.fuse_arrays(a, b), repeats)
    yield row("one 256x256 pair", "time", 1e3 * seconds, "ms", precision=fuser.precision, threads=1)


def volume(weights, anatomical, functional, name, device="cpu", precision="auto", through="fuse", threads=None):
    """A pair of volume files, end to end: seconds by stage and memory above the loaded volumes."""
    images = [sitk.ReadImage(str(path)) for path in (anatomical, functional)]
    loaded = resident_mb()
    import torch

    from MMIFAminLib.fusion import VolumeFuser

    if threads:
        torch.set_num_threads(threads)
    fuser = VolumeFuser.load(device, precision, weights)
    fuser.fuse_arrays(*np.random.default_rng(0).random((2, 2 * fuser.threads, 64, 64), np.float32))  # first calls are slow
    settings = {"device": device, "precision": fuser.precision, "threads": fuser.threads}
    name = f"{name}, {through}"
    run = _through_nodes(images, fuser) if through == "fuse_nodes" else _through_fuse(images, fuser)
    ready = resident_mb()
    reset_peak()
    started = time.perf_counter()
    stages, slices = run()
    total = time.perf_counter() - started
    for stage, seconds in stages.items():
        yield row(name, stage, seconds, "s", **settings)
    yield row(name, "total", total, "s", **settings)
    yield row(name, "around the network", 100 * (1 - stages["network"] / total), "% of the time", **settings)
    yield row(name, "slices", slices, "", **settings)
    yield row(name, "memory above the loaded volumes", peak_mb() - ready, "MB", **settings)
    yield row(name, "memory with the libraries", peak_mb() - loaded, "MB", **settings)


def _through_fuse(images, fuser):
    def run():
        report = fuser.fuse(*images).report
        return report["seconds"], report["slices"]

    return run


def _through_nodes(images, fuser):
    """As Slicer does it: nodes in, a node in colours out."""
    import slicer

    slicer.mrmlScene = slicer.vtkMRMLScene()
    from MMIFAminLib import mrml

    nodes = [_node(slicer, image) for image in images]
    images.clear()  # the nodes hold the volumes now

    def run():
        started = time.perf_counter()
        source = mrml.snapshot(*nodes)
        copied = time.perf_counter()
        fused = mrml.fuse_snapshot(source, fuser)
        made = time.perf_counter()
        mrml.publish(source, fused, slicer.mrmlScene, rgb=True)
        stages = {"copy from nodes": copied - started, **fused.report["seconds"], "colour": time.perf_counter() - made}
        return stages, fused.report["slices"]

    return run


def _node(slicer, image):
    import vtk
    from vtk.util.numpy_support import vtk_to_numpy

    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode")
    array = sitk.GetArrayViewFromImage(image)
    data = vtk.vtkImageData()
    data.SetDimensions(image.GetSize())
    data.AllocateScalars({"int16": vtk.VTK_SHORT, "float32": vtk.VTK_FLOAT}[array.dtype.name], 1)
    vtk_to_numpy(data.GetPointData().GetScalars())[:] = array.ravel()
    node.SetAndObserveImageData(data)
    to_ras = vtk.vtkMatrix4x4()
    for axis, sign in enumerate((-1, -1, 1)):
        to_ras.SetElement(axis, 3, sign * image.GetOrigin()[axis])
        for index in range(3):
            to_ras.SetElement(axis, index, sign * image.GetDirection()[3 * axis + index] * image.GetSpacing()[index])
    node.SetIJKToRASMatrix(to_ras)
    return node


def start(weights):
    """From a fresh Python to the first fused slice."""
    marks = [("Python", time.time() - psutil.Process().create_time())]
    clock = time.perf_counter()

    def mark(name):
        nonlocal clock
        now = time.perf_counter()
        marks.append((name, now - clock))
        clock = now

    import torch  # noqa: F401

    mark("import torch")
    import MMIFAminLib.network  # noqa: F401

    mark("import MONAI's blocks")
    from MMIFAminLib.fusion import VolumeFuser

    fuser = VolumeFuser.load("cpu", weights=weights)
    mark("load the weights")
    fuser.fuse_arrays(*np.random.default_rng(0).random((2, 1, *PAIR), np.float32))
    mark("first slice")
    for name, seconds in marks:
        yield row("start", name, seconds, "s")
    yield row("start", "all", sum(seconds for _, seconds in marks), "s")


CASES = {f.__name__: f for f in (references, network, operations, inferer, pair_of_images, volume, start)}

if __name__ == "__main__":
    chosen, options = sys.argv[1], json.loads(sys.argv[2]) if len(sys.argv) > 2 else {}
    for result in CASES[chosen](**options):
        print(json.dumps(result), flush=True)
