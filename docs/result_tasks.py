"""What docs/other_tasks.md tells: road scenes, and photographs with different focus."""

from collections.abc import Callable

import numpy as np

from pages import read, table

ROADSCENE = """\
# Other tasks

Made by `docs/make_results.py` from `Testing/benchmarks/results/scores_{{roadscene,multifocus}}.csv`.

## Infrared and visible light

The same engine, trained on the `train` pairs of RoadScene and scored on its {pairs} `val` pairs: luma of the visible image as a,
infrared as b; the medical weights as they are. Ranks are among the methods of the table. `mmifamin train --config roadscene`, the
first part of the recipe of today on these pairs (1,500 steps of 12, seed 0), is followed by the metrics and not by the eye: by day it
takes the sky from the infrared image, dark, although the other shows it bright. So the weights that ship are those of version 0.1's loss; by eye the medical ones keep most of both.
"""

MULTIFOCUS = """\
## Photographs with different focus

One photograph is sharp where the other is blurred. `Testing/benchmarks/multifocus.py` makes the pairs from photographs that a
package ships and scores them; trained by `mmifamin train --config multifocus`, the first part of the recipe on other pairs, and
scored on {pairs} pairs of photographs not trained on. Here the truth is known: *to the truth* is the PSNR to the photograph that is
sharp everywhere, in dB.

{verdict}
"""


def other_tasks(ranked_table: Callable[[list[dict]], tuple[str, dict[str, float]]]) -> str:
    """docs/other_tasks.md."""
    rows = read("scores_roadscene.csv")
    parts = [ROADSCENE.format(pairs=len({row["id"] for row in rows})), ranked_table(rows)[0]]
    parts.append(
        "![Road scenes](pictures/val-roadscene.png)\n\nBest, median and worst pair by the mean rank on that pair.\n"
    )
    if rows := read("scores_multifocus.csv"):
        text, ranks = ranked_table(rows)
        truth = {name: np.mean([float(row["truth"]) for row in rows if row["method"] == name]) for name in ranks}
        best = sorted(truth, key=lambda name: -truth[name])
        verdict = (
            f"The method with the best mean rank is {next(iter(ranks))}, the one nearest to the truth is {best[0]}. "
            "The ranks reward more contrast and\nsharpness than either source has; where both show the same thing, as here, that "
            "is what departs from the truth."
        )
        parts.append(MULTIFOCUS.format(pairs=len({row["id"] for row in rows}), verdict=verdict))
        parts += [text, table(["method", "to the truth"], [[name, f"{truth[name]:.2f}"] for name in best]) + "\n"]
    return "\n".join(parts)
