"""The measurements of ``speed.py``, each run in a process of its own: ``python speed_cases.py CASE [JSON options]``.

A case is a generator of rows ``{"case", "measure", "value", "unit", ...}``; they are printed one JSON object a line.
Seconds are the least of several runs. torch is imported inside the cases, so that what it
costs can be measured.
"""

import ctypes
import gc
import json
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import SimpleITK as sitk

MB = 2**20
PAIR = (256, 256)
PRECISIONS = ("fp32", "bf16")


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
    """Let the kernel's record of the peak start again from what is in use now (Linux)."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")


def peak_mb():
    line = next(text for text in Path("/proc/self/status").read_text().splitlines() if text.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


# --- references ---


def references(repeats=3):
    """What this machine can do at all, and what others cost: convolution peak, four-convolution network, pyramid,
    copy.
    """
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from MMIFAminLib.evaluation.baselines import laplacian_pyramid

    for precision in PRECISIONS:
        layer, image = channels_last(torch.nn.Conv2d(32, 32, 3, padding=1), torch.rand(1, 32, *PAIR), precision)
        seconds = least_an_image(layer, image, 5 * repeats)
        rate = 2 * 9 * 32 * 32 * PAIR[0] * PAIR[1] / seconds / 1e9
        yield row("convolution 3x3, 32 channels", "rate", rate, "GFLOP/s", precision=precision)

        network, image = channels_last(four_convolutions(), torch.rand(1, 6, *PAIR), precision)
        yield row(
            "IFCNN-like network",
            "time a pair",
            1e3 * least_an_image(network, image, repeats),
            "ms",
            precision=precision,
        )
        with torch.inference_mode(), FlopCounterMode(display=False) as counter:
            network(image)
        yield row("IFCNN-like network", "cost a pair", counter.get_total_flops() / 1e9, "GFLOP", precision=precision)

    a, b = np.random.default_rng(0).random((2, *PAIR), np.float32)
    yield row("Laplacian pyramid", "time a pair", 1e3 * best(lambda: laplacian_pyramid(a, b), repeats), "ms")
    source, target = np.ones((2, 200, 512, 512), np.float32)
    yield row("memory copy", "rate", 2 * source.nbytes / best(lambda: np.copyto(target, source), repeats) / 1e9, "GB/s")


def channels_last(*things):
    """A module and a tensor, in the precision named last, channels last."""
    import torch

    *things, precision = things
    kind = {"fp32": torch.float32, "bf16": torch.bfloat16}[precision]
    return [thing.to(dtype=kind, memory_format=torch.channels_last) for thing in things]


def least_an_image(module, image, repeats):
    """The least seconds an image, whichever way of using all threads is faster: an image a thread or all on a batch."""
    import torch

    from MMIFAminLib.engine.execution import run_in_threads

    @torch.inference_mode()
    def apply(batch):
        module(batch)

    threads = torch.get_num_threads()
    images = [image] * (4 * threads)
    seconds = [best(lambda: run_in_threads(apply, images, threads, len(images), id), repeats) / len(images)]
    for size in (1, 4):
        batch = image.expand(size, -1, -1, -1).contiguous(memory_format=torch.channels_last)
        seconds.append(best(lambda: apply(batch), repeats) / size)
    return min(seconds)


def four_convolutions():
    """Four convolutions of 64 channels at full resolution, laid out and as costly (17 GFLOPs) as IFCNN (Zhang et al.,
    2020).

    Takes two images of three channels as one of six.
    """
    import torch

    class Network(torch.nn.Module):
        def __init__(self):
            super().__init__()
            sizes = ((3, 64, 7), (64, 64, 3), (64, 64, 3), (64, 3, 1))
            self.layers = torch.nn.ModuleList(torch.nn.Conv2d(i, o, k, padding=k // 2) for i, o, k in sizes)

        def forward(self, pair):
            first, second, third, last = self.layers
            a, b = (torch.relu(second(first(x))) for x in pair.split(3, dim=1))
            return last(torch.relu(third(torch.maximum(a, b))))

    return Network().eval()


# --- the network ---


def network(weights, repeats=3):
    """The network on 256x256 pairs: precisions, layouts, batches, threads in one slice or over slices; one pair end to
    end.
    """
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from MMIFAminLib.engine.execution import choose_precision, run_in_threads
    from MMIFAminLib.engine.fusion import VolumeFuser
    from MMIFAminLib.engine.weights import load_weights

    fuser = VolumeFuser.load("cpu", "auto", weights)
    a, b = np.random.default_rng(0).random((2, 1, *PAIR), np.float32)
    seconds = best(lambda: fuser.fuse_arrays(a, b), 3 * repeats)
    yield row("one 256x256 pair", "time", 1e3 * seconds, "ms", precision=fuser.precision, threads=1)

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

    for precision in PRECISIONS:
        prepared = model.prepared("cpu", precision)
        pairs = [(one, other)] * 16
        for threads in sorted({1, cores}):
            seconds = best(
                lambda: run_in_threads(lambda p: apply(prepared, p), pairs, threads, 2 * threads, id), repeats
            )
            yield from timed("a slice a thread", seconds, 16, precision=precision, threads=threads, batch=1)
        for batch in (1, 2, 4, 8):
            stacked = [x.expand(batch, -1, -1, -1).contiguous() for x in (one, other)]
            seconds = best(lambda: apply(prepared, stacked), repeats)
            yield from timed("all threads on a batch", seconds, batch, precision=precision, threads=cores, batch=batch)
        plain = channels_first(model, precision)
        seconds = best(lambda: run_in_threads(lambda p: apply(plain, p), pairs, cores, 2 * cores, id), repeats)
        yield from timed("channels first", seconds, 16, precision=precision, threads=cores, batch=1)


def channels_first(model, precision):
    """The network with features laid out channel by channel: from the squeeze on, layers keep the layout of their
    input.
    """
    import torch

    plain = model.prepared("cpu", precision).to(memory_format=torch.contiguous_format)
    plain.idn.squeeze.register_forward_hook(lambda module, inputs, output: output.contiguous())
    return plain


def profile(weights, precision="bf16", repeats=20):
    """Where one slice's time goes on one thread, by part of the network and by operator, as torch.profiler sees it."""
    from network_profile import operators, parts

    from MMIFAminLib.engine.weights import load_weights

    model = load_weights(weights)[0].prepared("cpu", precision)
    for name, gflop, ms, share in parts(model, PAIR, repeats):
        yield row("part", name, ms, "ms", precision=precision, threads=1)
        yield row("part", f"{name}, share", share, "%", precision=precision, threads=1)
        yield row("part", f"{name}, cost", gflop, "GFLOP", precision=precision, threads=1)
    for name, ms, share in operators(model, PAIR, repeats)[:12]:
        yield row("operator", name, ms, "ms", precision=precision, threads=1)
        yield row("operator", f"{name}, share", share, "%", precision=precision, threads=1)


def inferer(weights, slices=40, precision="bf16", repeats=3):
    """MONAI's SliceInferer against our own loop over the slices, on one volume: seconds and memory."""
    import torch
    from monai.inferers import SliceInferer

    from MMIFAminLib.engine.fusion import VolumeFuser

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


def volume(
    weights, anatomical, functional, name, device="cpu", precision="auto", through="fuse", threads=None, repeats=1
):
    """A pair of volume files, end to end: seconds by stage in the fastest run, memory above the loaded volumes in the
    first.
    """
    images = [sitk.ReadImage(str(path)) for path in (anatomical, functional)]
    loaded = resident_mb()
    import torch

    from MMIFAminLib.engine.fusion import VolumeFuser

    if threads:
        torch.set_num_threads(threads)
        sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(threads)
    fuser = Watched(VolumeFuser.load(device, precision, weights))
    warm_up(fuser.fuser)
    run = _through_nodes(images, fuser) if through == "fuse_nodes" else lambda: fuser.fuse(*images)
    if device != "cpu":
        run()  # what a GPU does for the first time takes long
    reset_peak()
    ready = resident_mb()
    result, total, stages = _timed(run, fuser)
    peak, report = peak_mb(), fuser.report
    for _ in range(repeats - 1):
        _, seconds, again = _timed(run, fuser)
        total, stages = min((total, stages), (seconds, again), key=lambda pair: pair[0])
    settings = {"device": device, "precision": report["precision"], "threads": report["threads"]}
    name = f"{name}, {through}"
    for stage, seconds in stages.items():
        yield row(name, stage, seconds, "s", **settings)
    yield row(name, "total", total, "s", **settings)
    yield row(name, "around the network", 100 * (1 - stages["network"] / total), "% of the time", **settings)
    yield row(name, "slices", report["slices"], "", **settings)
    yield row(name, "memory above the loaded volumes", peak - ready, "MB", **settings)
    if through == "fuse":
        arrays = sum(image.GetNumberOfPixels() * 4 / MB for image in (result.image, result.functional))
        yield row(name, "memory beyond the fused volumes", peak - ready - arrays, "MB", **settings)
    yield row(name, "memory with the libraries", peak - loaded, "MB", **settings)


def _timed(run, fuser):
    """What ``run()`` returns, its seconds, and those of its stages."""
    started = time.perf_counter()
    result = run()
    ended = time.perf_counter()
    around = {"copy from nodes": fuser.started - started}, {"colour": ended - fuser.ended}
    stages = fuser.report["seconds"]
    return result, ended - started, stages if hasattr(result, "report") else around[0] | stages | around[1]


class Watched:
    """A ``VolumeFuser`` that keeps when its last fusion began and ended, and its report."""

    def __init__(self, fuser):
        self.fuser = fuser

    def fuse(self, *images, **options):
        self.started = time.perf_counter()
        fused = self.fuser.fuse(*images, **options)
        self.ended, self.report = time.perf_counter(), fused.report
        return fused


def warm_up(fuser):
    """Fuse something small: first calls are slow."""
    fuser.fuse_arrays(*np.random.default_rng(0).random((2, 2 * fuser.threads, 64, 64), np.float32))


def _through_nodes(images, fuser):
    """As Slicer does it: nodes in, a node in colours out."""
    import slicer

    slicer.mrmlScene = slicer.vtkMRMLScene()
    from MMIFAminLib import mrml

    nodes = [_node(slicer, image) for image in images]
    images.clear()  # the nodes hold the volumes now
    return lambda: mrml.fuse_nodes(*nodes, rgb=True, fuser=fuser)


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


CASES = {f.__name__: f for f in (references, network, profile, inferer, volume)}

if __name__ == "__main__":
    chosen, options = sys.argv[1], json.loads(sys.argv[2]) if len(sys.argv) > 2 else {}
    for result in CASES[chosen](**options):
        print(json.dumps(result), flush=True)
