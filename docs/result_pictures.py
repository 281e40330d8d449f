"""The pictures of docs/results.md and docs/other_tasks.md: best, median and worst pair of each task."""

import shutil
import tempfile
from collections import defaultdict
from pathlib import Path

from MMIFAminLib.evaluation import metrics
from MMIFAminLib.files import images
from MMIFAminLib.files.writing import atomic_path
from pages import DOCS, FUNCTIONAL, OURS, read


def chosen_pairs(rows: list[dict], ours: str) -> dict[str, tuple[str, float]]:
    """Best, median and worst pair of `ours`: name and mean rank among the methods on that pair alone."""
    pairs = defaultdict(dict)
    for row in rows:
        pairs[row["id"]][row["method"]] = {name: float(row[name]) for name in metrics.RANKED}
    ranks = sorted((metrics.rank_methods(scores)[ours], name) for name, scores in pairs.items() if ours in scores)
    picks = {"best": ranks[0], "median": ranks[len(ranks) // 2], "worst": ranks[-1]}
    return {label: (name, rank) for label, (rank, name) in picks.items()}


def draw_panels(path: Path, anatomical: Path, functional: Path, pairs: dict, weights: str | None) -> None:
    """A row for each of `pairs`: both sources and the fused image."""
    from matplotlib.figure import Figure

    from MMIFAminLib.engine.fusion import VolumeFuser

    fuser = VolumeFuser.load(precision="fp32", weights=weights)
    with tempfile.TemporaryDirectory() as scratch:
        folders = [Path(scratch) / name for name in ("a", "b", "fused")]
        for source, folder in zip((anatomical, functional), folders):
            folder.mkdir()
            for match in images.match_folders(source)[0]:
                if match.name in {name for name, _ in pairs.values()}:
                    shutil.copy(match.paths[0], folder)
        images.fuse_folders(fuser, *folders, protocol="ycbcr")
        found = {match.name: match.paths for match in images.match_folders(*folders)[0]}
        shown = {label: [images.read_image(path) for path in found[name]] for label, (name, _) in pairs.items()}
    height = sum(row[0].shape[0] / row[0].shape[1] for row in shown.values())
    figure = Figure(figsize=(9, 3 * height + 0.9), layout="constrained")
    for axes, (label, row) in zip(figure.subplots(len(shown), 3), shown.items()):
        titles = (
            anatomical.name,
            functional.name,
            f"fused, {label} ({pairs[label][0]}, mean rank {pairs[label][1]:.1f})",
        )
        for axis, image, title in zip(axes, row, titles):
            axis.imshow(image, cmap="gray", vmin=0, vmax=255)
            axis.set_title(title, fontsize=8)
            axis.set_axis_off()
    path.parent.mkdir(exist_ok=True)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png", dpi=100)


def draw_pictures(shared: Path, peers: list[dict]) -> None:
    """The pictures of both pages."""
    own = read("scores_harvard.csv")
    for task, functional in FUNCTIONAL.items():
        pairs = chosen_pairs([row for row in own + peers if row["task"] == task], OURS)
        folder = shared / "data" / "harvard" / "val" / task
        draw_panels(DOCS / "pictures" / f"val-{task.lower()}.png", folder / "MRI", folder / functional, pairs, None)
    rows = read("scores_roadscene.csv")
    if rows:
        pairs = chosen_pairs(rows, rows[0]["method"])
        folder = shared / "data" / "roadscene" / "val"
        path = DOCS / "pictures" / "val-roadscene.png"
        draw_panels(path, folder / "VIS", folder / "IR", pairs, "mmif-amin-roadscene")
