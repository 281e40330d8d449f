"""What the name of a volume tells: whether it is the anatomical or the functional one, and whose it is."""

from __future__ import annotations

import re

_FUNCTIONAL_WORD = re.compile(
    r"(wb|fdg|psma|tau)?pet(ac|nac|wb)?|spect|fdg|fet|flt|fmiso|psma|dota(tate|toc|noc)|datscan|amyloid|mibi|hmpao|nm|nac|"
    r"uptake|perf|perfusion|asl|suv(bw|lbm|bsa|ibw|max)?"
)
_ANATOMICAL_WORD = re.compile(
    r"mri?|mrac?|t1(w|c|ce|gd)?|t2w?|pdw|flair|mp2?rage|swi|dwi|adc|ct(wb|ac|a)?|cbct|ldct|mumap|umap"
)
_NEVER_BY_ITSELF = {
    "not corrected, a localizer or a projection": re.compile(
        r"(pet)?nac|uncorrected|locali[sz]er|scout|topogram|surview|mip|mumap|umap"
    ),
    "a label map by its name": re.compile(r"labels?|labelmap|masks?|d?seg|segmentation|segmented"),
}
_NO_IMAGE = {"dose", "rtdose"}
_PART = re.compile(r"[A-Za-z0-9]+")
_WORD = re.compile(
    r"[A-Z]+(?=[A-Z][a-z]{2})|[A-Z]?[a-z]+|[A-Z]+[0-9]*|[a-z]+[0-9]*"
)  # MRHead: MR, Head; CTChest: CT, Chest
_PIECE = re.compile("[a-z]+|[0-9]+")
_WORD_OR_NUMBER = re.compile(f"{_WORD.pattern}|[0-9]+")


def role_by_name(name: str) -> str | None:
    """The role ("functional", "anatomical") that the words of ``name`` tell; None where they tell none or both (CT_for_PET)."""
    words = _words(name)
    if _NO_IMAGE & words or {"wb", "ctac"} <= words:  # Philips' [WB_CTAC] is PET, corrected by CT
        return None
    functional = any(_FUNCTIONAL_WORD.fullmatch(word) for word in words)
    anatomical = any(_ANATOMICAL_WORD.fullmatch(word) for word in words)
    return None if functional == anatomical else "functional" if functional else "anatomical"


def why_never_by_itself(name: str) -> str:
    """Why nobody fuses a volume of this name without saying so, or "": no attenuation correction, a localizer, a projection,
    a label map (whose voxels may be too few to tell)."""
    words = _words(name)
    return next((why for why, word in _NEVER_BY_ITSELF.items() if any(map(word.fullmatch, words))), "")


def stem(name: str) -> frozenset[str]:
    """The words and numbers of ``name``, in small letters, that tell no modality: whose volume it is, or of what.

    "Head MR" and "PETHead" have one stem, "patient1_ct" and "patient2_pet" two.
    """
    found: set[str] = set()
    for part in _PART.findall(name):
        words = [part] if _tells_modality(part) else _WORD_OR_NUMBER.findall(part)
        found |= {piece for word in words for piece in _PIECE.findall(_without_modality(word.lower()))}
    return frozenset(found)


def _without_modality(word: str) -> str:
    """What of a word in small letters tells no modality: of "pet2" the number, of "t2" nothing."""
    letters = word.rstrip("0123456789")
    return "" if _is_modality(word) else word[len(letters) :] if _is_modality(letters) else word


def _tells_modality(word: str) -> bool:
    return _without_modality(word.lower()) != word.lower()


def _is_modality(word: str) -> bool:
    return bool(_FUNCTIONAL_WORD.fullmatch(word) or _ANATOMICAL_WORD.fullmatch(word))


def _words(name: str) -> set[str]:
    words = set()
    for part in _PART.findall(name):
        words |= {part.lower(), part.lower().rstrip("0123456789")} | {word.lower() for word in _WORD.findall(part)}
    return words
