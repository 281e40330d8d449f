"""Brings the measured numbers into the tables of docs/performance.md.

    python docs/make_performance.py            # fills in the tables
    python docs/make_performance.py --check    # fails if a table is not that of the CSVs

The CSVs in Testing/benchmarks/results are made by ``make bench`` (speed.csv) and
``Testing/benchmarks/{tried,precision,gpu,...}.py``. A table stands between ``<!-- NAME -->`` and ``<!-- end -->``; the text
around the tables is written by hand and says no number that a table says.
"""

import statistics

from pages import DOCS, fill_in, read, table

STAGES = ("copy from nodes", "check", "resample", "intensity", "network", "through-plane", "colour")
WEIGHTS = {"mmif-amin": "as shipped", "stirred": "drawn at random for the shipped architecture, which costs the same"}
WAYS = ("a slice a thread", "all threads on a batch", "channels first", "IFCNN-like network")


class Speed:
    """The rows of speed.csv, looked up by case, measure and settings."""

    def __init__(self, rows):
        self.rows = rows

    def __call__(self, case, measure, **settings):
        """The value of the one row that fits, as a number where it is one."""
        for row in self.rows:
            fits = all(row[key] == str(value) for key, value in settings.items())
            if fits and (row["case"], row["measure"]) == (case, measure):
                try:
                    return float(row["value"])
                except ValueError:
                    return row["value"]
        raise KeyError(f"speed.csv has no {measure!r} of {case!r}: run make bench")

    def volumes(self):
        """The rows of the totals of whole volumes, one a run."""
        return [row for row in self.rows if row["measure"] == "total" and row["case"][0].isdigit()]


def machine(speed):
    return (
        f"Processor: {speed('machine', 'processor')}, {speed('machine', 'threads'):.0f} threads; PyTorch "
        f"{speed('machine', 'torch')}; weights {WEIGHTS.get(speed('machine', 'weights'), 'of another name')}, {speed('network', 'parameters'):,.0f} parameters, "
        f"{speed('network', 'cost a pair'):.2f} GFLOP for a 256 x 256 pair; precision chosen by itself: "
        f"{speed('network', 'automatic precision')}. Other programs took "
        f"{speed('machine', 'processor time used by others'):.0f} % of the processors' time during the run."
    )


def targets(speed):
    """What was asked for against what was measured."""
    chosen = speed("network", "automatic precision")
    threads = f"{speed('machine', 'threads'):.0f}"
    volumes = [
        row for row in speed.volumes() if (row["precision"], row["threads"], row["device"]) == (chosen, threads, "cpu")
    ]
    around = [
        (speed(row["case"], "around the network", precision=chosen, threads=threads), row["case"]) for row in volumes
    ]
    largest = [row for row in volumes if row["case"].startswith("512")]
    memory = {row["case"].split(", ")[1]: speed(row["case"], "memory above the loaded volumes") for row in largest}
    pair = speed("a slice a thread", "time a pair", precision=chosen, threads=threads)
    rows = [
        ["network, a 256 x 256 pair", "25 ms", f"{pair:.1f} ms"],
        *(
            [f"network over IFCNN-like network in {other}", "0.5", f"{speed('network', f'time over IFCNN-like in {other}', precision=chosen):.2f}"]
            for other in ("bf16", "fp32")
        ),
        ["utilisation of the convolution peak", "at least 35 %", f"{speed('network', 'of the convolution peak', precision=chosen):.0f} %"],
        ["around the network, share of the total", "35 %", ", ".join(f"{share:.0f} % ({case})" for share, case in around)],
        *([f"memory above the inputs, 512 x 512 x 200, `{through}`", "1000 MB", f"{1.048576 * mb:.0f} MB"] for through, mb in memory.items()),
        ["exponent of time in slices; in pixels", "1", "; ".join(f"{speed(f'time by {kind}', 'exponent'):.2f}" for kind in ("slices", "pixels"))],
    ]  # fmt: skip
    return table(["measured in one run", "at most", "measured"], rows)


def references(speed):
    rows = []
    for precision in ("fp32", "bf16"):
        rows += [
            [f"3x3 convolution, 32 channels, {precision}", f"{speed('convolution 3x3, 32 channels', 'rate', precision=precision):.0f} GFLOP/s"],
            [f"IFCNN-like network, {precision}", f"{speed('IFCNN-like network', 'time a pair', precision=precision):.0f} ms a pair"],
        ]  # fmt: skip
    rows.append(["Laplacian pyramid", f"{speed('Laplacian pyramid', 'time a pair'):.1f} ms a pair"])
    rows.append(["memory copy, read and written", f"{speed('memory copy', 'rate'):.0f} GB/s"])
    return table(["reference", "measured"], rows)


def volumes(speed):
    """Seconds of each run by stage."""
    measured = [stage for stage in STAGES if any(row["measure"] == stage for row in speed.rows)]
    body = []
    for row in speed.volumes():
        same = {key: row[key] for key in ("device", "precision", "threads")}
        stages = [
            stage for stage in STAGES if any(r["case"] == row["case"] and r["measure"] == stage for r in speed.rows)
        ]
        values = {stage: f"{speed(row['case'], stage, **same):.2f}" for stage in stages}
        volume, through = row["case"].split(", ")
        body.append(
            [volume, f"`{through}`", " ".join([same["device"], same["precision"], f"{same['threads']} thr."])]
            + [values.get(stage, "") for stage in measured]
            + [
                f"**{float(row['value']):.2f}**",
                f"{1.048576 * speed(row['case'], 'memory above the loaded volumes', **same):.0f}",
            ]
        )
    return table(["volumes", "through", "on", *measured, "all, s", "MB above inputs"], body)


def variants(speed):
    body = []
    for row in speed.rows:
        if row["case"] in WAYS and row["measure"] == "time a pair":
            same = {key: row[key] for key in ("precision", "threads", "batch")}
            rate = speed(row["case"], "rate", **same) if row["case"] != "IFCNN-like network" else None
            peak = speed("convolution 3x3, 32 channels", "rate", precision=row["precision"])
            share = (
                f"{100 * rate / peak:.0f} %" if rate and row["threads"] == f"{speed('machine', 'threads'):.0f}" else ""
            )
            body.append(
                [row["precision"], row["case"], row["threads"], row["batch"], f"{float(row['value']):.1f}"]
                + [f"{rate:.0f}" if rate else "", share]
            )
    return table(["", "way", "threads", "batch", "ms a pair", "GFLOP/s", "of the peak"], body)


def parts(speed):
    names = [r["measure"] for r in speed.rows if r["case"] == "part" and r["unit"] == "ms"]
    body = []
    for name in names:
        ms, cost = speed("part", name), max(0.0, speed("part", f"{name}, cost"))
        rate = f"{1e3 * cost / ms:.0f}" if cost >= 0.1 else ""
        body.append([name, f"{cost:.2f}", f"{ms:.2f}", f"{speed('part', f'{name}, share'):.0f}", rate])
    return table(["part", "GFLOP", "ms", "% of the time", "GFLOP/s"], body)


def operators(speed):
    rows = [r for r in speed.rows if r["case"] == "operator" and r["unit"] == "ms"]
    body = [
        [f"`{r['measure']}`", f"{float(r['value']):.2f}", f"{speed('operator', r['measure'] + ', share'):.1f}"]
        for r in rows
    ]
    return table(["operator", "ms", "% of the time"], body)


def start(_speed):
    rows = read("first_slice.csv")
    middle = statistics.median(float(row["ratio"]) for row in rows)
    least, most = (function(float(row["ratio"]) for row in rows) for function in (min, max))
    return table(
        ["from a fresh Python to the first slice", "median", "least to most"],
        [[f"times `import torch` alone, {len(rows)} pairs in turn", f"{middle:.2f}", f"{least:.2f} to {most:.2f}"]],
    )


def at_once(_speed):
    rows = read("at_once.csv")
    body = []
    for name in ("first slice", "all three views", "whole volume"):
        seconds = [float(row[name]) for row in rows]
        shares = [float(row[name]) / float(row["whole volume"]) for row in rows]
        body.append(
            [name, f"{statistics.median(seconds):.2f} s", f"{min(seconds):.2f} to {max(seconds):.2f} s"]
            + [f"{100 * statistics.median(shares):.0f} %"]
        )
    loads = [float(row["load"]) for row in rows]
    head = f"{len(rows)} clicks, load {min(loads):.1f} to {max(loads):.1f}"
    return table([head, "median", "least to most", "of the whole"], body)


def gpu_machine(_speed):
    rows = read("gpu.csv")
    told = {row["measure"]: row["value"] for row in rows if row["case"] == "machine"}
    threads = next(row["threads"] for row in rows if row["measure"] == "total")
    return f"GPU: {told['gpu']}; processor beside it: {told['processor']}, {threads} threads; PyTorch {told['torch']}."


def gpu_networks(_speed):
    rows = [row for row in read("gpu.csv") if row["measure"] == "time a pair"]
    batches = list(dict.fromkeys(row["batch"] for row in rows))
    body = []
    for case, precision in dict.fromkeys((row["case"], row["precision"]) for row in rows):
        own = {row["batch"]: row["value"] for row in rows if (row["case"], row["precision"]) == (case, precision)}
        body.append([case, precision, *(f"{float(own[batch]):.2f}" for batch in batches)])
    return table(["ms a 256 x 256 pair", "", *(f"batch of {batch}" for batch in batches)], body)


def gpu_volumes(_speed):
    rows = read("gpu.csv")
    body = []
    for row in rows:
        if row["measure"] == "total":
            volume, settings = row["case"].split(", ")[0], (row["device"], row["precision"])
            own = {
                r["measure"]: float(r["value"])
                for r in rows
                if (r["device"], r["precision"]) == settings and r["case"] in (volume, row["case"])
            }
            apart = f"{own['largest difference']:.2f}" if "largest difference" in own else ""
            memory = f"{1.048576 * own['GPU memory']:.0f}" if "GPU memory" in own else ""
            body.append([volume, " ".join(settings), f"{own['network']:.2f}", f"{own['total']:.2f}", apart, memory])
    return table(["volumes", "on", "network, s", "all, s", "largest difference, of 255", "MB on the GPU"], body)


def inferer(speed):
    body = [
        [name, f"{speed(case, 'time a slice'):.1f} ms", f"{1.048576 * speed(case, 'memory above the sources'):.1f} MB"]
        for name, case in (
            ("MONAI `SliceInferer`, batches of 4", "SliceInferer"),
            ("`VolumeFuser.fuse_arrays`", "our loop"),
        )
    ]
    return table(["24 slices of 256 x 256, full of content", "time a slice", "memory above the sources"], body)


def tried(rows):
    body = []
    for row in rows:
        ratio = "" if row["relative"] == "nan" else f"{float(row['relative']):.2f}"
        name = f"**{row['variant']}**" if row["variant"].startswith("what ships") else row["variant"]
        time = f"{float(row['ms']):.1f} ms" if float(row["ms"]) < 1e4 else f"{float(row['ms']) / 1e3:.1f} s"
        time = "" if row["ms"] == "nan" else time
        body.append([row["experiment"], name, time, ratio])
    return table(["experiment", "variant", "time", "over the first"], body)


def precision(rows):
    names = ("SSIM", "VIF", "Qabf", "SCD", "MI")
    body = [
        [
            row["task"],
            row["pairs"],
            *(f"{float(row[name]):+.4f}" for name in names),
            f"{float(row['largest SSIM']):.4f}",
        ]
        for row in rows
    ]
    return table(["task", "pairs", *names, "largest in SSIM"], body)


def tables():
    """Every table of the page, by name."""
    speed = Speed(read("speed.csv"))
    made = {
        f.__name__: f(speed)
        for f in (machine, targets, references, volumes, variants, parts, operators, start, at_once, inferer)
        + (gpu_machine, gpu_networks, gpu_volumes)
    }
    return made | {"tried": tried(read("tried.csv")), "precision": precision(read("precision.csv"))}


if __name__ == "__main__":
    fill_in(DOCS / "performance.md", tables)
