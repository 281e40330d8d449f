"""Makes docs/results.md, docs/other_tasks.md and their pictures from the CSVs in Testing/benchmarks/results.

    python docs/make_results.py --shared ../shared           # the pages and the pictures
    python docs/make_results.py --shared ../shared --check    # fails if the pages are not those of the CSVs

The CSVs are made by ``Testing/benchmarks/{scores,lesions,through_plane}.py`` and ``mmifamin ablate``; a page leaves out
the sections whose CSV is missing.
"""

import argparse
import csv
import math
import sys
from collections import defaultdict
from pathlib import Path

import numpy as np

from MMIFAminLib.engine.weights import load_weights
from MMIFAminLib.errors import InputError
from MMIFAminLib.evaluation import metrics
from MMIFAminLib.files.datasets import require
from MMIFAminLib.losses.adaptive import STEP
from pages import DOCS, FUNCTIONAL, OURS, read
from pages import table as plain_table
from result_field import authors, wider_field
from result_pictures import draw_pictures
from result_tasks import other_tasks
from result_training import learned_section, unseen_section

CLASSICAL = ("average", "maximum", "lappyr", "gff")
OTHERS = ("EN", "CC", "PSNR", "MSSSIM")
DRAWS = 1000  # of resampled pairs

INTRODUCTION = """\
# Results

Made by `docs/make_results.py` from the CSVs in `Testing/benchmarks/results`; nothing here is typed by hand.

One network for all tasks, trained by one command (docs/method.md). Configuration and data of its second part are on its model card in
`MMIFAmin/Resources/Models`:

{weights}

## Validation images of the Harvard atlas

8-bit images as `mmifamin pairs` writes them (ycbcr protocol), scored as `mmifamin metrics` does, against the published
scores of twelve learned methods and four classical ones on the same images. Mean rank is over {ranked}
(1 = best; the first value of a task's table). Nothing is done to an image after the network.
Network and loss learned from the patients of `train` alone; how often these images were looked at, docs/method.md tells.
The ycbcr protocol uses the network as for pictures; the section *Uptake* below uses it as for measured uptake
(docs/method.md).
"""


def means(rows: list[dict]) -> dict[str, dict[str, float]]:
    """Mean of every metric for each method of `rows`."""
    grouped = defaultdict(list)
    for row in rows:
        grouped[row["method"]].append(row)
    names = [metric.name for metric in metrics.METRICS]
    return {m: {k: float(np.mean([float(row[k]) for row in found])) for k in names} for m, found in grouped.items()}


def table(header: list[str], rows: list[list[str]]) -> str:
    """A markdown table; rows whose first cell begins with our name are set in bold."""
    return (
        plain_table(header, [[f"**{cell}**" for cell in row] if row[0].startswith(OURS) else row for row in rows])
        + "\n"
    )


def ranked_table(rows: list[dict]) -> tuple[str, dict[str, float]]:
    """The table of all methods, best mean rank first, and the mean ranks."""
    scores = means(rows)
    ranks = metrics.rank_methods(scores)
    # A metric that is not defined on images of this size (MS-SSIM below 176 pixels) has no column.
    columns = [name for name in (*metrics.RANKED, *OTHERS) if any(math.isfinite(row[name]) for row in scores.values())]
    body = [[m, f"{ranks[m]:.2f}", *(number(column, scores[m][column]) for column in columns)] for m in ranks]
    return table(["method", "mean rank", *columns], body), ranks


def resampled_ranks(rows: list[dict], draws: int) -> list[float]:
    """The 5th, 50th and 95th percentile of our mean rank when as many pairs are drawn from `rows` with repetition."""
    scores = defaultdict(dict)
    for row in rows:
        scores[row["method"]][row["id"]] = [float(row[name]) for name in metrics.RANKED]
    pairs = list(scores[OURS])
    values = {method: np.array([found[pair] for pair in pairs]) for method, found in scores.items()}
    rng, ranks = np.random.default_rng(0), []
    for _ in range(draws):
        drawn = rng.integers(len(pairs), size=len(pairs))
        sample = {method: dict(zip(metrics.RANKED, found[drawn].mean(axis=0))) for method, found in values.items()}
        ranks.append(metrics.rank_methods(sample)[OURS])
    return np.percentile(ranks, (5, 50, 95)).tolist()


def narrowest_lead(scores: dict[str, dict[str, float]]) -> tuple[str, str, float]:
    """The metric and the method that we are ahead of by least, and by how many of the metric's ``STEP``."""
    leads = [
        (math.log(scores[OURS][metric] / max(values[metric], 1e-3)) / STEP[metric], metric, method)
        for method, values in scores.items()
        for metric in metrics.RANKED
        if values[metric] < scores[OURS][metric]
    ]
    lead, metric, method = min(leads)
    return metric, method, lead


def number(name: str, value: float) -> str:
    """The decimals with which the literature prints a metric."""
    return f"{value:.3f}" if name in ("SCD", "VIF", "Qabf", "SSIM", "CC", "MSSSIM") else f"{value:.2f}"


def harvard_section(peers: list[dict]) -> str:
    """Tables of the three tasks, the overall ranking, and what guards against gaming."""
    own = read("scores_harvard.csv")
    parts, overall, guards, resampled = [], defaultdict(list), [], []
    for task in FUNCTIONAL:
        ours = [row for row in own if row["task"] == task]
        rows = ours + [row for row in peers if row["task"] == task]
        text, ranks = ranked_table(rows)
        parts.append(f"### {task} ({len(ours)} pairs)\n\n{text}\n![{task}](pictures/val-{task.lower()}.png)\n")
        for method, rank in ranks.items():
            overall[method].append(rank)
        scores = means(rows)
        metric, method, lead = narrowest_lead(scores)
        percentiles = (f"{rank:.2f}" for rank in resampled_ranks(rows, DRAWS))
        resampled.append([task, f"{ranks[OURS]:.2f}", *percentiles, f"{lead:.2f} ({metric}, {method})"])
        best = max((m for m in scores if m not in CLASSICAL and m != OURS), key=lambda m: scores[m]["SSIM"])
        background = np.mean([float(row["background"]) for row in ours])
        guards.append([
            task, f"{scores[OURS]['SSIM']:.3f}", f"{scores[best]['SSIM']:.3f} ({best})",
            f"{scores[OURS]['SSIM'] - scores[best]['SSIM']:+.3f}", f"{background:.3f}",
        ])  # fmt: skip
    order = sorted(overall, key=lambda m: np.mean(overall[m]))
    body = [[m, *(f"{rank:.2f}" for rank in overall[m]), f"{np.mean(overall[m]):.2f}"] for m in order]
    parts.append("### Overall\n\n" + table(["method", *FUNCTIONAL, "mean"], body))
    text = (
        "### How firm the ranks are\n\nOur mean rank on the pairs as they are, and its percentiles over "
        f"{DRAWS:,} draws of as many pairs with repetition, every\nmethod on the same draw: a rank that was won by a hair is "
        "lost in many of them.\n*Narrowest lead*: of all that we are ahead of in some metric, how far the nearest is behind, in what "
        "the metric\nmoves from one validation of a training to the next (`STEP` in `losses/adaptive.py`).\n\n"
    )
    parts.append(text + table(["task", "mean rank", "5 %", "median", "95 %", "narrowest lead"], resampled))
    header = ["task", "SSIM", "best SSIM of a learned method", "difference", "background (grey levels)"]
    parts.append("### What an inflated score would show\n\n" + table(header, guards))
    parts.append(
        "Background is the mean fused grey level where both sources are 0. Pictures: best, median and worst pair by "
        "the mean rank on that pair.\n"
    )
    return "\n".join(parts)


def lesion_section() -> str:
    """How truly uptake is shown, and how smooth the volumes are across slices."""
    rows = [row for row in read("lesions.csv") if row["case"] == "all"]
    parts = []
    if rows:
        columns = ["lesions", "right", "hot_right", "cold_right", "recovery", "spearman"]
        body = [
            [OURS if row["method"] == "network" else row["method"], row["protocol"]]
            + [row[c] if c == "lesions" else f"{float(row[c]):.3f}" for c in columns]
            for row in rows
        ]
        text = (
            "## Uptake\n\nSynthetic hot and cold lesions (6 to 15 mm FWHM, 10 to 60 % contrast) in real volumes, fused "
            "with and without\n(`mmifamin lesions`). *right*: lesions of at least 20 % contrast that change the fused "
            "volume in the right direction.\n*recovery*: median share of the contrast that arrives. *spearman*: rank "
            "correlation of fused and uptake in the brain,\nanatomy held fixed. Of MMIF-AMIN, uptake was measured anew with "
            "30 lesions a volume; luma (ycbcr) is as version 0.1\nhad it.\n\n"
        )
        parts.append(text + table(["method", "protocol", *columns], body))
    rows = read("scores_uptake.csv")
    if rows:
        parts.append(
            "The nine metrics when the uptake that the colours stand for, not their luma, is fused as measured uptake "
            "(published methods\nwere not run so; ranks are among the methods of each table). The form of the output leaves room above "
            "anatomy\nfor uptake and moves with it (docs/method.md): these metrics, which know no lesion, count that as lost "
            "contrast.\n"
        )
        for task in dict.fromkeys(row["task"] for row in rows):
            own = [row for row in rows if row["task"] == task]
            parts.append(f"**{task}**\n\n{ranked_table(own)[0]}")
    rows = read("through_plane.csv")
    if rows:
        cases, methods = (list(dict.fromkeys(row[key] for row in rows)) for key in ("case", "method"))
        ratios = {(row["method"], row["case"]): float(row["ratio"]) for row in rows}
        body = [[m.replace("network", OURS), *(f"{ratios[m, c]:.3f}" for c in cases)] for m in methods]
        text = (
            "## Across slices\n\nTotal variation along the slice axis, fused over the larger of the two sources'. The fused volume is "
            "held to 1.05 (docs/method.md);\n*slice by slice* is what the network makes of each slice alone.\n\n"
        )
        parts.append(text + table(["method", *cases], body))
    return "\n".join(parts)


def truth_section() -> str:
    """What can be read off the colours, and how far lesions stand out, from ``mmifamin truth``."""
    rows = read("truth.csv")
    if not rows:
        return ""
    names = [name for name in rows[0] if name.startswith("distance_")]
    coloured = [row for row in rows if row["reading_ratio"] and row["method"] in ("mmif-amin", "overlay 0.5")]

    def shown(value: str, digits: int) -> str:
        return f"{float(value):.{digits}f}" if value not in ("", "nan", "inf") else "-"

    def name_of(row: dict) -> str:
        return OURS if row["method"] == "mmif-amin" else row["method"]

    readings = [
        [name_of(row), row["case"], row["table"] or "grey"]
        + [shown(row[column], 4) for column in ("reading_uptake", "reading_anatomy")]
        + [shown(row["reading_ratio"], 2), shown(row["between_slices"], 4), shown(row["saturation"], 4)]
        for row in rows
        if row in coloured or not row["table"]
    ]
    orders = [
        [name_of(row), row["table"], *(shown(row[column], 1) for column in ("fall", "cold", "neutral"))]
        + [shown(row[name], 0) for name in names]
        for row in coloured
        if row[names[0]]
    ]
    text = (
        "## Truth on the screen\n\n"
        "Made by `Testing/benchmarks/truth.py`, as `mmifamin truth` measures any pair. Reading: the mean error, in parts of the\n"
        "window, of uptake and anatomy read off the\n"
        "colours of the picture, and the sum of both relative to the 50 % overlay's in the same table. Between slices: how far\n"
        "the same tissue differs between slices. White: the share of voxels at white below 95 % of the uptake's window.\n"
        "The maximum, the Laplacian pyramid and PCA make grey pictures. `evaluation/truth.py` has the definitions; the colours\n"
        "were designed on these very volumes.\n\n"
    )
    text += table(
        ["method", "volume", "colours", "uptake", "anatomy", "of overlay", "between slices", "white"], readings
    )
    text += (
        "\nThe trunk. Fall: the largest fall of chroma while uptake rises to the table's most chromatic colour. Cold: the\n"
        "largest chroma below 3 % of the window. Neutral: the least chroma above 50 % at a lightness that anatomy can have (-:\n"
        "no such colour is that dark). Then the CIELAB distance of each lesion to the same tissue around it. Our chroma never\n"
        "falls by the map itself: what is left is rounding to 8 bits a channel.\n\n"
    )
    headings = [name.removeprefix("distance_").replace("_", " ") for name in names]
    text += table(["method", "colours", "fall", "cold", "neutral", *headings], orders)
    return text + "\n![Every lesion of the trunk: CT, PET, overlay, fused](pictures/truth-trunk.png)\n"


def ablation_section() -> str:
    """The ablation tables: the method's parts left out of the recipe, and what version 0.1's recipe showed in longer trainings."""
    from MMIFAminLib.training.ablation import to_markdown

    parts = [
        "## Ablation\n\nRanks are among the published methods, each variant on its own; all networks of a table had the same batches and "
        "steps.\n`mmifamin ablate` makes the first table, with the first part of the recipe (docs/method.md) in batches of 14; the others "
        "are of\nversion 0.1, whose loss learned on `val` ([history.md](history.md)).\n"
    ]
    for name, heading, start in (
        ("ablation", "### Each part left out", "from scratch"),
        ("ablation-short", "### Each part left out (version 0.1)", "from scratch"),
        ("ablation-long", "### IDN and MCFEM in a longer training (version 0.1)", "from scratch"),
        ("ablation-loss", "### The loss (version 0.1)", "from trained weights, on whole images"),
        (
            "ablation-sets",
            "### One set of weights or several (version 0.1)",
            "from trained weights (sets of their own: a third of the steps)",
        ),
    ):
        rows = read(f"{name}.csv")
        if rows:
            steps = max(int(row["steps"]) for row in rows)
            text = f"{heading}\n\nEach network was trained for {steps:,} steps {start}.{worth_of_parts(name, rows)}\n\n"
            parts.append(text + to_markdown([typed(row) for row in rows]))
    return "\n".join(parts)


def worth_of_parts(name: str, rows: list[dict]) -> str:
    """In a sentence, by how much the mean rank rises without each part, and by how much the full method's seeds differ."""
    if name != "ablation":
        return ""
    ranks: dict[str, dict[str, list[float]]] = {}
    for row in rows:
        ranks.setdefault(row["variant"], {}).setdefault(row["seed"], []).append(float(row["mean_rank"]))
    means = {variant: [np.mean(own) for own in seeds.values()] for variant, seeds in ranks.items()}
    full = means.pop("full")
    told = "; ".join(f"{variant} {np.mean(own) - np.mean(full):+.2f}" for variant, own in means.items())
    return f" Mean rank beside the full method, whose\nseeds differ by {max(full) - min(full):.2f}: {told}."


def typed(row: dict) -> dict:
    """A row of an ablation's CSV with numbers for texts."""
    texts = ("variant", "seed", "task")
    return {key: value if key in texts else float(value) for key, value in row.items()} | {
        "parameters": int(row["parameters"])
    }


def results_page(peers: list[dict], reference: Path) -> str:
    """docs/results.md; ``reference`` is the folder of what was measured of other methods."""
    info = load_weights()[1]
    own = read("scores_harvard.csv")
    if {row["weights"] for row in own} != {info.sha256[:12]}:
        sys.exit(
            "scores_harvard.csv was made with other weights than the shipped ones: run Testing/benchmarks/scores.py"
        )
    card = info.card
    header = ["weights", "SHA-256", "parameters", "steps", "batch", "seed", "date"]
    body = [
        [f"`{info.name}`", f"`{info.sha256[:12]}`", f"{card['parameters']:,}", f"{card['steps']:,}"]
        + [f"{card['config']['batch']}", f"{card['seed']}", card["date"]]
    ]
    introduction = INTRODUCTION.format(weights=plain_table(header, body), ranked=", ".join(metrics.RANKED))
    sections = (
        introduction,
        harvard_section(peers),
        wider_field(own, peers, read_scores(reference / "peers_more_val.csv"), ranked_table),
        authors(own, peers, read_scores(reference / "authors_val.csv"), ranked_table),
        lesion_section(),
        truth_section(),
        unseen_section(),
        ablation_section(),
        learned_section(card),
    )
    return "\n".join(section for section in sections if section)


def read_scores(path: Path) -> list[dict]:
    """The rows of a CSV; none where it is missing."""
    if not path.is_file():
        return []
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shared", type=Path, default=Path("../shared"), help="folder of data and reference")
    parser.add_argument("--check", action="store_true", help="only say whether the pages are up to date")
    options = parser.parse_args()
    scores = options.shared / "reference" / "peers_val.csv"
    if not scores.is_file():
        parser.error(
            f"{scores} is not there: the other methods' scores, measured elsewhere, belong to no public data set"
        )
    if not options.check:
        for name in ("harvard", "roadscene"):
            try:
                require(options.shared / "data" / name / "val", name, options.shared / "data")
            except InputError as error:
                parser.error(str(error))
    peers = read_scores(scores)
    pages = {DOCS / "results.md": results_page(peers, scores.parent)}
    if read("scores_roadscene.csv"):
        pages[DOCS / "other_tasks.md"] = other_tasks(ranked_table)
    if options.check:
        old = [
            path.name for path, text in pages.items() if not path.is_file() or path.read_text(encoding="utf-8") != text
        ]
        sys.exit(f"{', '.join(old)}: not up to date, run docs/make_results.py" if old else 0)
    draw_pictures(options.shared, peers)
    for path, text in pages.items():
        path.write_text(text, encoding="utf-8")
        print(path.name)


if __name__ == "__main__":
    main()
