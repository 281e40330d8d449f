"""From the click on Fuse to the first fused slices in the views, against the whole fusion: ratios for noisy machines.

The panel runs on the widget bench, warm, with the shipped weights and a head of 256 x 256 x 160 voxels; nothing is drawn.
``load`` is how many processes wanted the processor in the minute before, this one included: above the number of its cores
the times are too long.

python Testing/benchmarks/at_once.py [--runs 5] [--output Testing/benchmarks/results/at_once.csv]
"""

import argparse
import os
import sys
import time
from pathlib import Path

import numpy as np

from MMIFAminLib.files import write_csv

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

ALONG, VIEWS, WHOLE = "first slice", "all three views", "whole volume"


def head_pair():
    """MR and PET nodes of the phantom's head, shown in the views."""
    import slicer

    from MMIFAminLib.module.selftest_base import add_volume
    from support.phantoms import Grid, head

    fine = Grid((256, 256, 160), (0.9, 0.9, 1.1)).centred_at()
    coarse = Grid((128, 128, 80), (2.0, 2.0, 2.2)).centred_at()
    images = (head(fine, scale=1000.0, dtype=np.int16), head(coarse, "pet", 12.0))
    nodes = [add_volume(image, name) for image, name in zip(images, ("MR", "PET"))]
    slicer.util.setSliceViewerLayers(background=nodes[0], fit=True)
    return nodes


def measure(bench, panel):
    """Seconds from one click to the slice along the plane, to those of all views, and to the fused volume."""
    times, started = {}, time.perf_counter()
    panel.ui.fuseButton.click()
    places = panel.logic._at_once.growing.looked_at()
    while panel._job.busy:
        bench.app.processEvents()
        rgba = panel.logic._at_once.growing._rgba if panel.logic._at_once else np.zeros(0)
        if rgba.size and VIEWS not in times:
            seen = [rgba[..., 3].take(index, axis).mean() > 128 for axis, index in places]  # more than a line
            times |= {ALONG: time.perf_counter() - started} if seen[0] and ALONG not in times else {}
            times |= {VIEWS: time.perf_counter() - started} if all(seen) else {}
        time.sleep(0.002)
    return times | {WHOLE: time.perf_counter() - started}


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--output", type=Path, default=Path(__file__).resolve().parent / "results" / "at_once.csv")
    options = parser.parse_args()
    from bench.application import Bench

    bench = Bench()
    panel = bench.open()
    panel.ui.anatomicalSelector.setCurrentNode(None)
    nodes = head_pair()
    panel.ui.anatomicalSelector.setCurrentNode(nodes[0])
    panel.ui.functionalSelector.setCurrentNode(nodes[1])
    bench.wait(lambda: "overlap" in panel.ui.alignmentLabel.text and not panel._loading.busy)
    measure(bench, panel)  # to warm up
    rows = []
    for _ in range(options.runs):
        times = measure(bench, panel)
        rows.append(times | {"ratio": times[VIEWS] / times[WHOLE], "load": os.getloadavg()[0]})
        print({name: round(value, 3) for name, value in rows[-1].items()}, flush=True)
    write_csv(rows, options.output)
    print(f"median ratio {sorted(row['ratio'] for row in rows)[len(rows) // 2]:.3f}")
    bench.close()


if __name__ == "__main__":
    main()
