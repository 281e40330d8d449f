"""Scores of whole folders of fused images, by the names that they share with their sources."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..errors import FusionCancelled, InputError
from ..files.images import full_scale, grey_levels, match_folders, read_image
from . import metrics


def score_folders(
    anatomical: str | Path,
    functional: str | Path,
    fused: str | Path,
    *,
    progress: Callable[[float, str], object] | None = None,
) -> tuple[list[dict[str, Any]], list[Path]]:
    """Score the images of equal names in three folders as 8-bit grey (luma where in colours).

    Returns one row ``{"name": name, metric: value, ...}`` for each name and the files left out for want of a partner.
    Raises InputError where the sizes of one name differ.
    """
    matches, lonely = match_folders(anatomical, functional, fused)
    whites = [full_scale(paths) for paths in zip(*(match.paths for match in matches))]
    rows = []
    for count, match in enumerate(matches):
        if progress and progress(count / len(matches), f"Scoring {match.name}") is False:
            raise FusionCancelled(f"Stopped after {count} of {len(matches)} images.")
        levels = [grey_levels(read_image(path), white) for path, white in zip(match.paths, whites)]
        try:
            rows.append({"name": match.name, **metrics.score(*levels)})
        except InputError as error:
            raise InputError(f"{match.name}: {error}") from error
    return rows, lonely
