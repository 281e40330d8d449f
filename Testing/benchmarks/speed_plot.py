"""The picture of a run of ``speed.py``: volumes by stage, variants of the network, growth of time and memory."""

import matplotlib

matplotlib.use("Agg")

from matplotlib import pyplot as plt
from speed import SCALING, growth

STAGES = {  # and their colours
    "copy from nodes": "tab:purple",
    "check": "tab:red",
    "resample": "tab:orange",
    "intensity": "tab:green",
    "network": "#7fa8d1",
    "through-plane": "tab:cyan",
    "colour": "tab:brown",
}
NETWORK = ("a slice a thread", "all threads on a batch", "channels first", "IFCNN-like network")


def draw(rows, path):
    """Write the picture of ``rows``, as ``speed.py`` measures them, to ``path``."""
    figure, ((stages, variants), (times, memory)) = plt.subplots(2, 2, figsize=(14, 10), layout="constrained")
    draw_stages(stages, rows)
    draw_variants(variants, rows)
    draw_growth(times, memory, rows)
    figure.savefig(path, dpi=100)
    plt.close(figure)


def draw_stages(axes, rows):
    """Seconds of the whole volumes, a bar each, by stage."""
    volumes = [row for row in rows if row["measure"] == "total" and row["case"][0].isdigit()]
    labels = []
    for number, volume in enumerate(volumes):
        same = {key: volume[key] for key in ("device", "precision", "threads")}
        stages = [
            row for row in rows
            if row["case"] == volume["case"] and row["unit"] == "s" and row["measure"] != "total"
            and all(row[key] == value for key, value in same.items())
        ]  # fmt: skip
        left = 0.0
        for row in stages:
            axes.barh(number, row["value"], left=left, color=STAGES[row["measure"]])
            left += row["value"]
        axes.text(left, number, f" {left:.1f} s", va="center", fontsize=8)
        volume_name, through = volume["case"].split(", ")
        labels.append(f"{volume_name}\n{through}, {same['device']}, {same['precision']}, {same['threads']} threads")
    axes.set_yticks(range(len(labels)), labels, fontsize=8)
    axes.invert_yaxis()
    axes.margins(x=0.12)
    for name, color in STAGES.items():
        axes.bar(0, 0, color=color, label=name)
    axes.set_xlim(left=0)
    axes.legend(fontsize=8, loc="upper right")
    axes.set(xlabel="seconds", title="Whole volumes, by stage")


def draw_variants(axes, rows):
    """Time of one pair in each variant of the network, and in the network it is compared with."""
    bars = [row for row in rows if row["case"] in NETWORK and row["measure"] == "time a pair"]
    bars.sort(
        key=lambda row: (row["precision"], NETWORK.index(row["case"]), row.get("threads", 0), row.get("batch", 0))
    )
    labels = []
    for row in bars:
        details = {
            "a slice a thread": f", {row.get('threads')} threads",
            "all threads on a batch": f" of {row.get('batch')}",
        }
        labels.append(
            f"{row['precision']}, {row['case']}{details.get(row['case'], '')}".replace(" 1 threads", " 1 thread")
        )
    colors = [
        "0.65" if row["case"] == "IFCNN-like network" else {"bf16": "#7fa8d1", "fp32": "#e2b07a"}[row["precision"]]
        for row in bars
    ]
    axes.barh(range(len(bars)), [row["value"] for row in bars], color=colors)
    for number, row in enumerate(bars):
        axes.text(row["value"], number, f" {row['value']:.0f}", va="center", fontsize=8)
    axes.set_yticks(range(len(bars)), labels, fontsize=8)
    axes.invert_yaxis()
    axes.margins(x=0.1)
    axes.set(xlabel="ms for a 256 x 256 pair", title="The network")


def draw_growth(times, memory, rows):
    """Time and memory of volumes of more and more slices, and of larger and larger ones, relative to the smallest."""
    ticks = {1}
    for kind, marker in zip(SCALING, ("o-", "s-")):
        counts, seconds, beyond = growth(rows, kind)
        scale = [count / counts[0] for count in counts]
        ticks.update(scale)
        width, slices = SCALING[kind][0]
        label = f"{kind}, from {slices} slices of {width} x {width}"
        times.loglog(scale, [value / seconds[0] for value in seconds], marker, label=label)
        memory.plot(scale, beyond, marker, label=label)
    times.loglog([1, max(ticks)], [1, max(ticks)], "k:", lw=1, label="linear")
    times.set(ylabel="seconds of the network, times those of the smallest", title="Time grows linearly or less")
    memory.set(ylabel="MB beyond the fused volumes", title="Working memory beside the volumes")
    memory.set_ylim(bottom=0)
    for axes in (times, memory):
        axes.set_xticks(sorted(ticks), [f"{tick:g}" for tick in sorted(ticks)], minor=False)
        axes.set_xlabel("voxels, times those of the smallest")
        axes.legend()
        axes.grid(alpha=0.3)
    times.set_yticks(sorted(ticks), [f"{tick:g}" for tick in sorted(ticks)], minor=False)
    times.minorticks_off()
