"""The studies in a BIDS dataset: every PET with the anatomical image of its subject and session."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from .manifest import LeftOut, Row, Studies, checked

if TYPE_CHECKING:
    from bids.layout import BIDSImageFile

_SIDES = {"anatomical": {"datatype": "anat", "suffix": "T1w"}, "functional": {"datatype": "pet", "suffix": "pet"}}
_KEPT = (
    "task",
    "tracer",
    "reconstruction",
    "run",
)  # of a PET's entities, in BIDS' order, what its derivative is told by
_LABELS = {"tracer": "trc", "reconstruction": "rec"}


def bids_studies(root: Path, filters: Sequence[str] = ()) -> Studies:
    """A row for each PET, with the T1w of its session or, where that has none, the subject's only one; and what is left out.

    ``filters`` are entities of pybids: "subject=01,02" of both images, "anatomical:suffix=T2w" of one. Raises InputError
    for a filter that cannot be used, for what is no BIDS dataset, and where nothing can be fused.
    """
    try:
        from bids import BIDSLayout
        from bids.layout import BIDSLayoutIndexer
    except ImportError:
        raise InputError('BIDS datasets need pybids: pip install ".[cohort]" in a checkout') from None
    wanted = _filters(filters)
    logging.getLogger("bids").setLevel(logging.ERROR)
    try:
        layout = BIDSLayout(root, indexer=BIDSLayoutIndexer(index_metadata=False))
        images: dict[str, list[Any]] = {}
        for side, usual in _SIDES.items():
            asked: dict[str, Any] = {"extension": [".nii", ".nii.gz"], **usual, **wanted[side]}
            images[side] = layout.get(**asked)
    except (ValueError, OSError, TypeError) as error:  # of pybids: no dataset, a filter of an unknown entity
        raise InputError(f"{root} is no BIDS dataset that can be read: {' '.join(str(error).split())}") from None
    rows, left_out = [], []
    for pet in images["functional"]:
        anatomical, why = _partner(pet, images["anatomical"])
        if anatomical is None:
            left_out.append(LeftOut(pet.relpath, why))
        else:
            rows.append(_row(pet, anatomical))
    subjects = {pet.entities["subject"] for pet in images["functional"]}
    for image in images["anatomical"]:
        if image.entities["subject"] not in subjects:
            left_out.append(LeftOut(image.relpath, "the subject has no PET"))
    if not rows:
        why = f": {left_out[0].what}: {left_out[0].why}" if left_out else ", by these filters" if filters else ""
        raise InputError(f"{root} holds no study to fuse{why}")
    return Studies(checked(rows, str(root)), tuple(left_out), root)


def _filters(filters: Sequence[str]) -> dict[str, dict[str, Any]]:
    """For each of the two images, the values wanted of its entities."""
    wanted: dict[str, dict[str, Any]] = {side: {} for side in _SIDES}
    for text in filters:
        side, _, rest = text.rpartition(":")
        entity, sign, values = rest.partition("=")
        if not sign or not entity or side not in ("", *_SIDES):
            raise InputError(
                f"--filter {text}: say entity=value or entity=value,value, with anatomical: or functional: before it"
            )
        chosen = values.split(",")
        for one in [side] if side else _SIDES:
            wanted[one][entity] = [int(value) if entity == "run" and value.isdigit() else value for value in chosen]
    return wanted


def _partner(pet: BIDSImageFile, images: Sequence[BIDSImageFile]) -> tuple[BIDSImageFile | None, str]:
    """The anatomical image that belongs to ``pet``, or None and why there is none."""
    of_subject = [one for one in images if one.entities["subject"] == pet.entities["subject"]]
    of_session = [one for one in of_subject if one.entities.get("session") == pet.entities.get("session")]
    found = of_session or of_subject
    if len(found) == 1:
        return found[0], ""
    if not found:
        return None, "the subject has no anatomical image"
    names = ", ".join(Path(str(one.path)).name for one in found)
    return None, f"several anatomical images could be meant: {names}; choose with --filter anatomical:entity=value"


def _row(pet: BIDSImageFile, anatomical: BIDSImageFile) -> Row:
    entities = pet.entities
    parts = [f"sub-{entities['subject']}"] + ([f"ses-{entities['session']}"] if "session" in entities else [])
    folder = "/".join([*parts, "pet"])
    parts += [f"{_LABELS.get(name, name)}-{entities[name]}" for name in _KEPT if name in entities]
    space = anatomical.entities["suffix"]
    return Row(
        "_".join(parts),
        Path(str(anatomical.path)),
        Path(str(pet.path)),
        derivative=f"{folder}/{'_'.join(parts)}_space-{space}_desc-fused",
        sources=(anatomical.relpath, pet.relpath),
    )
