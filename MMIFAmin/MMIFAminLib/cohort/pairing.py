"""Which volumes are fused with each other: every functional one with the anatomical one that is plainly its own."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import Any

from .naming import stem, why_never_by_itself


@dataclass(frozen=True)
class Candidate:
    """A volume: ``what`` stands for it, ``role`` is "anatomical", "functional" or None where nothing tells, and ``group``
    is what lies together (a study, a folder).
    """

    what: Any
    name: str
    role: str | None
    group: Hashable = None


def pair_up(candidates: Iterable[Candidate]) -> tuple[list[tuple[Any, Any]], list[tuple[Candidate, str]]]:
    """The pairs (anatomical, functional), as ``what`` stands for them, and those that are left out, each with the reason.

    A functional volume gets the anatomical one of its group whose name is the same but for the modality; else the only one
    whose name fits (says no more, or no less); else the only one, if that is no other's by its name. No role is guessed.
    """
    groups: dict[Hashable, list[Candidate]] = {}
    left_out = []
    for one in candidates:
        if why := why_never_by_itself(one.name):
            left_out.append((one, f"{why}: choose it yourself"))
        elif one.role is None:
            left_out.append((one, "nothing tells whether it is the anatomical or the functional volume"))
        else:
            groups.setdefault(one.group, []).append(one)
    pairs = []
    for group in groups.values():
        anatomical = [one for one in group if one.role == "anatomical"]
        functional = [one for one in group if one.role == "functional"]
        taken = set()
        for one in functional:
            partner, why = _partner(one, anatomical, functional)
            if partner is None:
                left_out.append((one, why))
            else:
                pairs.append((partner.what, one.what))
                taken.add(id(partner))
        why = "no functional volume is plainly its own" if functional else "there is no PET or SPECT beside it"
        left_out += [(one, why) for one in anatomical if id(one) not in taken]
    return pairs, left_out


def _partner(one: Candidate, anatomical: list[Candidate], functional: list[Candidate]) -> tuple[Candidate | None, str]:
    """The anatomical volume of ``one``, or None and why there is none."""
    if not anatomical:
        return None, "there is no MR or CT beside it"
    same = [other for other in anatomical if stem(other.name) == stem(one.name)]
    fitting = [other for other in anatomical if fit(other, one)]
    for found in (same, fitting):
        if len(found) == 1:
            return found[0], ""
    if len(anatomical) == 1:
        (only,) = anatomical
        owner = next((other for other in functional if fit(only, other)), None)
        if owner is None:
            return only, ""
        return None, f"the only MR or CT beside it, '{only.name}', is that of '{owner.name}' by its name"
    names = ", ".join(f"'{other.name}'" for other in same or fitting or anatomical)
    return None, f"several could be meant: {names}; choose two yourself"


def fit(one: Candidate, other: Candidate) -> bool:
    """Whether the names of two volumes may be of one study: one says no more than the other, but for the modality."""
    first, second = stem(one.name), stem(other.name)
    return first <= second or second <= first
