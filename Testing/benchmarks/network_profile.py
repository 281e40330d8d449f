"""Where the time of one slice goes, as torch.profiler sees it: by part of the network and by operator, on one thread.

    python Testing/benchmarks/network_profile.py [--precision fp32|bf16] [--size 256] [--weights FILE]

``speed.py`` runs it too and keeps the numbers. The time of an operator is the least of all runs at that place in the
network, so what disturbs one run is left out.
"""

import argparse
from collections import defaultdict

import torch
from torch.profiler import ProfilerActivity, profile, record_function
from torch.utils.flop_counter import FlopCounterMode

PARTS = {
    "Haar squeeze": ("idn.squeeze",),
    "IDN: coupling blocks": ("idn.blocks.*",),
    "MCFEM: projection, multi-scale convolutions": ("mcfem.project", "mcfem.scales"),
    "MCFEM: hybrid attention": ("mcfem.attention",),
    "MCFEM: Transformer blocks": ("mcfem.transformer.*",),
    "decoder": ("decoder",),
}
REST = "image arithmetic, copies"


def parts(network, size=(256, 256), repeats=20):
    """A list of ``(part, GFLOP, ms, share in %)``; the last is the whole."""
    costs = _costs(network, size)
    times = defaultdict(float)
    for part, _, ms in _least_calls(network, size, repeats):
        times[part] += ms
    total, cost = sum(times.values()), costs.pop("all")
    costs[REST] = cost - sum(costs.values())
    rows = [(name, costs[name], times[name], 100 * times[name] / total) for name in (*PARTS, REST)]
    return [*rows, ("all", cost, total, 100.0)]


def operators(network, size=(256, 256), repeats=20):
    """A list of ``(operator, ms, share in %)``, the longest first."""
    times = defaultdict(float)
    for _, name, ms in _least_calls(network, size, repeats):
        times[name] += ms
    total = sum(times.values())
    return [(name, ms, 100 * ms / total) for name, ms in sorted(times.items(), key=lambda item: -item[1])]


def _least_calls(network, size, repeats):
    """For each call of an operator in one slice: the part it belongs to, its name, and the least ms of all runs."""
    pair = torch.rand(2, 1, 1, *size)
    hooks = [hook for name, module in _modules(network) for hook in _mark(module, name)]
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    runs = []
    try:
        with torch.inference_mode():
            network(*pair)
            for _ in range(repeats):
                with profile(activities=[ProfilerActivity.CPU]) as profiler:
                    network(*pair)
                runs.append(_outermost(profiler.events()))
    finally:
        torch.set_num_threads(threads)
        for hook in hooks:
            hook.remove()
    return [(*calls[0][:2], min(ms for *_, ms in calls)) for calls in zip(*runs)]


def _outermost(events):
    """The operators that no other operator calls, in their order: part, name, ms."""
    found = []
    for event in sorted(events, key=lambda event: event.time_range.start):
        parent = event.cpu_parent.name if event.cpu_parent is not None else REST
        if event.name not in PARTS and (parent in PARTS or parent == REST):
            found.append((parent, event.name.removeprefix("aten::"), event.cpu_time_total / 1e3))
    return found


def _costs(network, size):
    """GFLOPs of each part and of all, for one pair."""
    pair = torch.rand(2, 1, 1, *size)
    costs = dict.fromkeys(PARTS, 0.0)
    counters, hooks = [], []

    def begin(*_):
        counters.append(FlopCounterMode(display=False).__enter__())

    def end(name):
        def add(*_):
            counter = counters.pop()
            counter.__exit__(None, None, None)
            costs[name] += counter.get_total_flops() / 1e9

        return add

    for name, module in _modules(network):
        hooks += [module.register_forward_pre_hook(begin), module.register_forward_hook(end(name))]
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        network(*pair)
    for hook in hooks:
        hook.remove()
    return costs | {"all": counter.get_total_flops() / 1e9}


def _mark(module, name):
    """Let the profiler see a module's calls under a name; returns the hooks."""
    begun = []

    def begin(*_):
        begun.append(record_function(name).__enter__())

    def end(*_):
        begun.pop().__exit__(None, None, None)

    return module.register_forward_pre_hook(begin), module.register_forward_hook(end)


def _modules(network):
    for name, paths in PARTS.items():
        for path in paths:
            try:
                module = network.get_submodule(path.removesuffix(".*"))
            except AttributeError:
                continue  # a part that an ablation leaves out
            for part in module.children() if path.endswith(".*") else [module]:
                yield name, part


def main():
    from MMIFAminLib.engine.weights import load_weights

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--precision", default="bf16", choices=("fp32", "bf16"))
    parser.add_argument("--size", type=int, default=256, help="rows and columns of the slice")
    parser.add_argument("--weights", help="a .safetensors file (default: the shipped weights)")
    options = parser.parse_args()
    network = load_weights(options.weights)[0].prepared("cpu", options.precision)
    size = (options.size, options.size)
    print(f"{'part':46}{'GFLOP':>8}{'ms':>8}{'%':>7}{'GFLOP/s':>9}")
    for name, gflop, ms, share in parts(network, size):
        print(f"{name:46}{gflop:8.3f}{ms:8.2f}{share:7.1f}{1e3 * gflop / ms:9.0f}")
    print(f"\n{'operator':46}{'ms':>16}{'%':>7}")
    for name, ms, share in operators(network, size):
        print(f"{name:46}{ms:16.2f}{share:7.1f}")


if __name__ == "__main__":
    main()
