"""What was tried to make the fusion faster, measured in one run against what ships.

    python Testing/benchmarks/tried.py [--output Testing/benchmarks/results]

Writes ``tried.csv``: a row for each variant of an experiment, with its time and the ratio to the first variant.
Variants take turns, and the least time of each counts. What lost lives here only.
"""

import argparse
import copy
import csv
import os
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import torch

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

from speed_cases import PAIR, channels_first, warm_up

from MMIFAminLib.engine import fusion
from MMIFAminLib.engine.fusion import VolumeFuser
from MMIFAminLib.engine.weights import load_weights
from MMIFAminLib.files.writing import write_csv
from MMIFAminLib.volume import resampling
from support import phantoms

SHIPPED = "what ships"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=HERE / "results", help="folder for tried.csv")
    parser.add_argument("--weights", help="a .safetensors file (default: the shipped weights)")
    parser.add_argument("--rounds", type=int, default=10, help="how often the variants take turns")
    parser.add_argument(
        "--only", nargs="*", choices=["one_thread", "cropping", "overlap"], help="keep the others' rows"
    )
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    rows, path = [], options.output / "tried.csv"
    for experiment in (one_thread, cropping, overlap):
        if not options.only or experiment.__name__ in options.only:
            for row in experiment(options.weights, options.rounds):
                print("{experiment:28} {variant:60} {ms:9.2f} ms  {relative:.2f}".format_map(row), flush=True)
                rows.append(row)
    if options.only and path.is_file():
        again = {row["experiment"] for row in rows}
        with open(path, newline="", encoding="utf-8") as file:
            rows = [row for row in csv.DictReader(file) if row["experiment"] not in again] + rows
    write_csv(rows, path)


def compared(experiment, variants, rounds, per=1, clock=time.perf_counter):
    """Rows of the variants (name: call), which take turns; the first is what they are compared with."""
    least = {}
    for name, call in variants.items():
        call()
        least[name] = np.inf
    for _ in range(rounds):
        for name in least:
            started = clock()
            variants[name]()
            least[name] = min(least[name], clock() - started)
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
    yield {
        "experiment": "torch.compile",
        "variant": "seconds before the first slice",
        "ms": 1e3 * seconds,
        "relative": np.nan,
    }
    single = model.prepared("cpu", "fp32")
    networks = {
        f"{SHIPPED}: bf16, channels last": lambda: shipped,
        "fp32, channels last": lambda: single,
        "bf16, channels first": lambda: channels_first(model, "bf16"),
        "fp32, channels first": lambda: channels_first(model, "fp32"),
        "bf16, torch.jit traced, frozen, optimized": lambda: frozen(shipped, pair),
        "fp32, torch.jit traced, frozen, optimized": lambda: frozen(single, pair),
        "bf16, torch.jit traced, frozen, oneDNN graph fusion": lambda: frozen(shipped, pair, onednn=True),
        "fp32, torch.jit traced, frozen, oneDNN graph fusion": lambda: frozen(single, pair, onednn=True),
        "bf16, torch.compile (inductor), frozen": lambda: compiled,
        "bf16, decoder of depthwise and 1x1 convolutions": lambda: depthwise(model).prepared("cpu", "bf16"),
    }
    calls = {}
    for name, make in networks.items():
        try:
            calls[name] = partial(inferred, make(), *pair)
        except RuntimeError:  # some ways of PyTorch do not take this network
            yield {"experiment": "one thread, a slice", "variant": f"{name}: fails", "ms": np.nan, "relative": np.nan}
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


def cropping(weights, rounds):
    """Leaving out empty slices and cropping to the head, on a head with the usual air around it."""
    fuser = VolumeFuser.load("cpu", "auto", weights)
    warm_up(fuser)
    pair = head_pair()
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
    yield from compared("256x256x32 head with air, CPU time", variants, 2, clock=time.process_time)


def overlap(weights, rounds):
    """Resampling beside the network: what could be won at most, with the resampled volume given to the network."""
    fuser = VolumeFuser.load("cpu", "auto", weights)
    warm_up(fuser)
    anatomical, functional = head_pair()
    resampled, _ = resampling.resample_to(functional, anatomical)

    def one_after_the_other():
        resampling.resample_to(functional, anatomical)
        fuser.fuse(anatomical, resampled)

    def side_by_side():
        with ThreadPoolExecutor(1) as pool:
            job = pool.submit(resampling.resample_to, functional, anatomical)
            fuser.fuse(anatomical, resampled)
            job.result()

    variants = {f"{SHIPPED}: first resampling, then the network": one_after_the_other, "side by side": side_by_side}
    yield from compared("256x256x32 head, overlap", variants, 3)


def head_pair():
    """An MR head and its PET, half as fine, with the usual air around: 256 x 256 x 192 mm in 32 slices."""
    fine = phantoms.Grid((256, 256, 32), (1.0, 1.0, 6.0)).centred_at()
    coarse = phantoms.Grid((128, 128, 32), (2.0, 2.0, 6.0)).centred_at()
    return phantoms.head(fine, scale=1000.0), phantoms.head(coarse, "pet", 20000.0)


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
        try:
            for _ in range(3):
                traced(*pair)  # the fusion happens in the first calls
        finally:
            torch.jit.enable_onednn_fusion(False)
    return traced


def compile_frozen(network, pair):
    """Compiled by inductor, with weights frozen and packed for oneDNN; and the seconds that takes."""
    import torch._inductor.config

    torch._inductor.config.freezing = True
    with tempfile.TemporaryDirectory() as folder:  # nothing is left over from an earlier run
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = folder
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
    """The network with the decoder's dense 3x3 convolutions replaced by depthwise ones and 1x1: same shapes,
    untrained.
    """
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
