"""What was tried to make the fusion faster, measured in one run against what ships.

    python Testing/benchmarks/tried.py [--output Testing/benchmarks/results]

Writes ``tried.csv``: a row for each variant of an experiment, with its time and the ratio to the first variant. Variants
take turns, and the least time of each counts. What lost lives here only.
"""

import argparse
import copy
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import SimpleITK as sitk
import torch

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import phantoms  # noqa: E402
from speed_cases import PAIR, channels_first, warm_up  # noqa: E402

from MMIFAminLib import fusion, geometry  # noqa: E402
from MMIFAminLib.execution import run_in_threads  # noqa: E402
from MMIFAminLib.fusion import VolumeFuser  # noqa: E402
from MMIFAminLib.report import write_csv  # noqa: E402
from MMIFAminLib.weights import load_weights  # noqa: E402

SHIPPED = "what ships"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=HERE / "results", help="folder for tried.csv")
    parser.add_argument("--weights", help="a .safetensors file (default: the shipped weights)")
    parser.add_argument("--rounds", type=int, default=10, help="how often the variants take turns")
    parser.add_argument("--only", nargs="*", help="names of experiments to run")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    rows = []
    for experiment in (one_thread, both_threads, cropping, overlap):
        if not options.only or experiment.__name__ in options.only:
            for row in experiment(options.weights, options.rounds):
                print("{experiment:28} {variant:60} {ms:9.2f} ms  {relative:.2f}".format_map(row), flush=True)
                rows.append(row)
    write_csv(rows, options.output / "tried.csv")


def compared(experiment, variants, rounds, per=1):
    """Rows of the variants (name: call), which take turns; the first is what they are compared with."""
    least = {}
    for name, call in variants.items():
        try:
            for _ in range(3):
                call()
            least[name] = np.inf
        except RuntimeError as error:
            print(f"{name}: does not run ({str(error).splitlines()[0]})", flush=True)
    for _ in range(rounds):
        for name in least:
            started = time.perf_counter()
            variants[name]()
            least[name] = min(least[name], time.perf_counter() - started)
    first = next(iter(least.values()))
    for name, seconds in least.items():
        yield {"experiment": experiment, "variant": name, "ms": 1e3 * seconds / per, "relative": seconds / first}


def one_thread(weights, rounds):
    """One 256x256 pair on one thread, as each of the threads that ship does it."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    model, _ = load_weights(weights)
    pair = torch.rand(2, 1, 1, *PAIR)
    shipped = model.prepared("cpu", "bf16")
    compiled, seconds = compile_frozen(shipped, pair)
    yield {"experiment": "torch.compile", "variant": "seconds before the first slice", "ms": 1e3 * seconds, "relative": np.nan}
    networks = {
        f"{SHIPPED}: bf16, channels last": shipped,
        "fp32, channels last": model.prepared("cpu", "fp32"),
        "bf16, channels first": channels_first(model, "bf16"),
        "fp32, channels first": channels_first(model, "fp32"),
        "bf16, torch.jit traced and frozen": frozen(shipped, pair),
        "bf16, traced, frozen, oneDNN graph fusion": frozen(shipped, pair, onednn=True),
        "fp32, traced, frozen, oneDNN graph fusion": frozen(model.prepared("cpu", "fp32"), pair, onednn=True),
        "bf16, torch.compile (inductor, weights frozen)": compiled,
        "bf16, decoder of depthwise and 1x1 convolutions": depthwise(model).prepared("cpu", "bf16"),
    }
    calls = {name: partial(inferred, network, *pair) for name, network in networks.items()}
    yield from compared("one thread, a slice", calls, rounds)
    for batch in (2, 4, 8):
        stacked = [x.expand(batch, -1, -1, -1).contiguous() for x in pair]
        calls = {SHIPPED: lambda: [inferred(shipped, *pair) for _ in range(batch)]}
        calls[f"batches of {batch}"] = partial(inferred, shipped, *stacked)
        yield from compared("one thread, batches", calls, max(3, rounds // batch), per=batch)
    layers = {
        "dense 3x3, 96 to 96 channels": torch.nn.Conv2d(96, 96, 3, padding=1),
        "depthwise 3x3 and 1x1, 96 to 96 channels": separable(96, 96),
    }
    image = torch.rand(1, 96, 64, 64).to(torch.bfloat16, memory_format=torch.channels_last)
    layers = {name: layer.to(torch.bfloat16, memory_format=torch.channels_last) for name, layer in layers.items()}
    calls = {name: partial(inferred, layer, image) for name, layer in layers.items()}
    yield from compared("one thread, one layer", calls, 5 * rounds)
    torch.set_num_threads(threads)


def both_threads(weights, rounds):
    """All threads on one slice, or a slice a thread."""
    network = load_weights(weights)[0].prepared("cpu", "bf16")
    pair = torch.rand(2, 1, 1, *PAIR)
    threads, items = torch.get_num_threads(), list(range(8))
    calls = {
        f"{SHIPPED}: a slice a thread": lambda: run_in_threads(
            lambda _: inferred(network, *pair), items, threads, len(items), id
        ),
        "all threads on a slice": lambda: [inferred(network, *pair) for _ in items],
        "all threads on batches of 4": lambda: [
            inferred(network, *(x.expand(4, -1, -1, -1).contiguous() for x in pair)) for _ in range(2)
        ],
    }
    yield from compared("all threads", calls, max(3, rounds // 2), per=len(items))


def cropping(weights, rounds):
    """Leaving out empty slices and cropping to the head, on a head with the usual air around it."""
    fuser = VolumeFuser.load("cpu", "auto", weights)
    pair = head_pair((256, 256, 64))
    content = fusion.content

    def whole(sources, multiple):
        shape = sources[0][0].shape
        return list(range(shape[0])), (slice(0, shape[1]), slice(0, shape[2]))

    def slices_only(sources, multiple):
        return content(sources, multiple)[0], whole(sources, multiple)[1]

    def fuse_with(choice):
        fusion.content = choice
        try:
            fuser.fuse(*pair)
        finally:
            fusion.content = content

    variants = {
        f"{SHIPPED}: no empty slices, one box around the head": partial(fuse_with, content),
        "no empty slices": partial(fuse_with, slices_only),
        "every slice, every pixel": partial(fuse_with, whole),
    }
    yield from compared("256x256x64 head with air", variants, 1)


def overlap(weights, rounds):
    """Resampling beside the network: what could be won at most, with the resampled volume given to the network."""
    fuser = VolumeFuser.load("cpu", "auto", weights)
    warm_up(fuser)
    anatomical, functional = head_pair((256, 256, 64))
    resampled, _ = geometry.resample_to(functional, anatomical)

    def one_after_the_other():
        geometry.resample_to(functional, anatomical)
        fuser.fuse(anatomical, resampled)

    def side_by_side():
        with ThreadPoolExecutor(1) as pool:
            job = pool.submit(geometry.resample_to, functional, anatomical)
            fuser.fuse(anatomical, resampled)
            job.result()

    variants = {f"{SHIPPED}: first resampling, then the network": one_after_the_other, "side by side": side_by_side}
    yield from compared("256x256x64 head, overlap", variants, 3)


def head_pair(size):
    """An MR head and its PET on a grid of two thirds of the size, with air around them."""
    mr = phantoms.head(scale=1000.0)
    spacing = [n * s / m for n, s, m in zip(mr.GetSize(), mr.GetSpacing(), size)]
    anatomical = sitk.Resample(mr, size, sitk.Transform(), sitk.sitkLinear, mr.GetOrigin(), spacing, mr.GetDirection())
    coarse, step = [max(8, n * 2 // 3) for n in size], [1.5 * s for s in spacing]
    pet = phantoms.head(kind="pet", scale=20000.0)
    functional = sitk.Resample(pet, coarse, sitk.Transform(), sitk.sitkLinear, pet.GetOrigin(), step, pet.GetDirection())
    return anatomical, functional


@torch.inference_mode()
def inferred(network, *tensors):
    return network(*tensors)


def frozen(network, pair, onednn=False):
    """Traced, weights frozen into the graph, convolutions fused with what follows and packed for oneDNN."""
    torch.jit.enable_onednn_fusion(onednn)
    with torch.inference_mode():
        traced = torch.jit.freeze(torch.jit.trace(network, tuple(pair), check_trace=False))
        if not onednn:
            return torch.jit.optimize_for_inference(traced)
        for _ in range(3):
            traced(*pair)  # the fusion happens in the first calls
    torch.jit.enable_onednn_fusion(False)
    return traced


def compile_frozen(network, pair):
    """Compiled by inductor, with weights frozen and packed for oneDNN; and the seconds that takes."""
    import torch._inductor.config

    torch._inductor.config.freezing = True
    started = time.perf_counter()
    compiled = torch.compile(network)
    with torch.no_grad():  # freezing wants no_grad
        compiled(*pair)
    seconds = time.perf_counter() - started

    @torch.no_grad()
    def call(*tensors):
        return compiled(*tensors)

    return call, seconds


def depthwise(model):
    """The network with the decoder's dense 3x3 convolutions replaced by depthwise ones and 1x1: same shapes, untrained."""
    other = copy.deepcopy(model)
    decoder = other.decoder
    decoder.first = separable(decoder.first.in_channels, decoder.first.out_channels)
    decoder.hidden = torch.nn.ModuleList(separable(c.in_channels, c.out_channels) for c in decoder.hidden)
    return other


def separable(inputs, outputs):
    return torch.nn.Sequential(
        torch.nn.Conv2d(inputs, inputs, 3, padding=1, groups=inputs), torch.nn.Conv2d(inputs, outputs, 1)
    )


if __name__ == "__main__":
    main()
