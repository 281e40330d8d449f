"""The studies in a tree of volume files (NRRD, NIfTI, MetaImage): those of a folder that belong together by their names."""

from __future__ import annotations

from pathlib import Path

from .manifest import LeftOut, Row, Studies, folder_ids
from .naming import role_by_name
from .pairing import Candidate, pair_up

_ENDINGS = (".nrrd", ".nhdr", ".nii.gz", ".nii", ".mha", ".mhd")
_RESULTS = ".cohort"  # lies in a folder of results, which are no sources


def volume_studies(root: Path) -> Studies:
    """A row for each PET or SPECT file with the MR or CT of its folder, told by their names; and what is left out.

    Ids are the paths of the functional files. Where there is no volume file there is no row.
    """
    from ..files.folders import walk

    candidates = []
    for place, folders, names in walk(root):
        if _RESULTS in folders:
            folders[:] = []
            continue
        folders.sort()
        for name in sorted(names):
            if name.lower().endswith(_ENDINGS) and not name.startswith("."):
                path = Path(place, name)
                candidates.append(Candidate(path, _name(path), role_by_name(_name(path)), place))
    pairs, left_out = pair_up(candidates)
    ids = folder_ids(root, [functional.with_name(_name(functional)) for _, functional in pairs])
    rows = tuple(Row(id_, *pair) for id_, pair in zip(ids, pairs))
    return Studies(rows, tuple(LeftOut(str(one.what), why) for one, why in left_out))


def _name(path: Path) -> str:
    """The file's name without its ending."""
    ending = next(ending for ending in _ENDINGS if path.name.lower().endswith(ending))
    return path.name[: -len(ending)]
