"""What a volume shows: CT, MR or uptake; a head or a trunk. What is told counts before what the values seem.

The order of trust: DICOM modality and unit, then the volume's name, then its values and its size in millimetres.
"""

import re
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from .hounsfield import display_window, hounsfield_scale, sample

_GRID_MM = 6.0
_MODALITIES = {
    "CT": "ct",
    "MR": "mr",
    "PT": "uptake",
    "PET": "uptake",
    "NM": "uptake",
    "ST": "uptake",
    "SPECT": "uptake",
}
_NAMES = {  # not "pd": in names of files it is Parkinson's disease as often as proton density
    "ct": {"ct", "cta", "cbct", "ldct"},
    "mr": {
        "mr",
        "mri",
        "t1",
        "t1w",
        "t1c",
        "t1ce",
        "t1gd",
        "t2",
        "t2w",
        "flair",
        "pdw",
        "mprage",
        "dwi",
        "adc",
        "swi",
    },
    "uptake": {"pet", "fdg", "suv", "suvbw", "spect", "nm", "psma", "dotatate", "dotatoc", "uptake", "fet", "amyloid"},
}
_FINEST_VOXEL_MM = 1.6  # PET and SPECT are seldom stored finer, and then are smooth
_SHARP = (
    0.42  # change over 2 mm as a share of that over 10 mm: MR .51 to .65, PET and SPECT resampled to 1 mm .21 to .28
)


@dataclass(frozen=True)
class Hints:
    """What is told of a volume besides its voxels; None is what nobody tells.

    ``modality`` is DICOM's (CT, MR, PT, NM), ``unit`` that of the values (HU, BQML, GML, a UCUM code, SUV), ``name``
    that of the file or node.
    """

    modality: str | None = None
    unit: str | None = None
    name: str | None = None

    @property
    def in_suv(self) -> bool:
        """Whether the unit is SUV, or nobody tells the unit and the name says SUV."""
        return _is_suv(self.unit) or (not self.unit and bool(_words(self.name) & {"suv", "suvbw"}))


NOTHING_TOLD = Hints()


@dataclass(frozen=True)
class Shows:
    """What a volume shows: ``kind`` is "ct", "mr" or "uptake", ``region`` "head", "trunk" or None where not told.

    ``why`` says what told the kind ("modality", "unit", "name", "values", "role"). For a CT, HU = (value - ``offset``) /
    ``scale``, unless ``scale`` is None: then its values are in no known unit. ``suv`` is whether the unit is SUV.
    """

    kind: str
    region: str | None = None
    why: str = "role"
    scale: float | None = None
    offset: float = 0.0
    suv: bool = False


def recognise(
    array: np.ndarray, spacing: tuple[float, float, float] | None, role: str, hints: Hints = NOTHING_TOLD
) -> Shows:
    """What finite ``array`` (K, J, I) with ``spacing`` (mm, in that order) shows, in ``role`` "anatomical" or "functional".

    Without ``spacing`` the region stays unknown.
    """
    told = [
        (_MODALITIES.get((hints.modality or "").strip().upper()), "modality"),
        ("ct" if (hints.unit or "").strip().upper() in ("HU", "[HNSF'U]") else None, "unit"),
        ("uptake" if _is_suv(hints.unit) else None, "unit"),
    ]
    scale = hounsfield_scale(array)
    told += [("ct" if scale == (1.0, 0.0) else None, "values"), (_by_name(hints.name), "name")]
    told.append(("ct" if scale or display_window(array) else None, "values"))
    told += [("mr" if _is_sharp(array, spacing) else None, "values")]
    told.append(("mr" if role == "anatomical" else "uptake", "role"))
    kind, why = next((kind, why) for kind, why in told if kind)
    if kind == "ct":
        if scale is None and why in ("modality", "unit", "name") and array.min() < -100:
            scale = (1.0, 0.0)
        factor, offset = scale or (None, 0.0)
        region = _region_of_ct(array, spacing, factor, offset) if factor and spacing else None
        return Shows(kind, region, why, factor, offset)
    region = _region_of_size(array, spacing) if spacing else None
    return Shows(kind, region, why, suv=kind == "uptake" and hints.in_suv)


def _is_suv(unit):
    text = (unit or "").strip().lower()
    return text == "gml" or "suv" in text or "g/ml" in text


def _words(name):
    return set(re.findall(r"[a-z]+\d?[a-z]*|\d+", (name or "").lower().replace("_", " ")))


def _by_name(name):
    """The kind that the words of a name tell, or None where they tell none or several."""
    kinds = {kind for kind, words in _NAMES.items() if _words(name) & words}
    return kinds.pop() if len(kinds) == 1 else None


def _is_sharp(array, spacing):
    """Whether there is detail finer than PET or SPECT shows: edges, not noise, which a median filter takes away."""
    if spacing is None or array.ndim != 3:
        return False
    axes = [axis for axis in np.argsort(spacing, kind="stable")[:2] if array.shape[axis] > 1]
    if len(axes) < 2 or max(spacing[axis] for axis in axes) > _FINEST_VOXEL_MM:
        return False
    across = ({0, 1, 2} - {int(axis) for axis in axes}).pop()
    middle = np.linspace(0.3, 0.7, min(5, array.shape[across])) * (array.shape[across] - 1)
    slices = np.take(array, middle.astype(int), axis=across).astype(np.float32)
    low, high = np.percentile(slices, (0.5, 99.8))
    if not low < high:
        return False
    slices = np.clip((slices - low) / (high - low), 0, 1)
    slices = ndimage.median_filter(slices, size=tuple(1 if axis == across else 3 for axis in range(3)))
    return min(_detail(np.moveaxis(slices, axis, 0), spacing[axis]) for axis in axes) >= _SHARP


def _detail(lines, spacing):
    def change(distance):
        steps = max(1, round(distance / spacing))
        first, second = lines[:-steps], lines[steps:]
        inside = (first > 0.08) & (second > 0.08)
        return float(np.abs(first - second)[inside].mean()) if np.count_nonzero(inside) > 100 else 0.0

    coarse = change(10.0)
    return change(2.0) / coarse if coarse > 0 else 0.0


def _coarse(array, spacing):
    steps = tuple(max(1, round(_GRID_MM / s)) for s in spacing)
    return array[tuple(slice(None, None, step) for step in steps)], np.array(spacing) * steps


def _body(mask):
    """The largest connected part of ``mask``."""
    labels = np.empty(mask.shape, np.int32)
    count = ndimage.label(mask, output=labels)
    return labels == 1 + np.bincount(labels.reshape(-1))[1:].argmax() if count else mask


def _extents(body, spacing):
    """The sizes (mm) of the box around ``body``, the smallest first."""
    where = np.nonzero(body)
    return sorted((axis.max() - axis.min() + 1) * s for axis, s in zip(where, spacing)) if where[0].size else [0.0] * 3


def _region_of_ct(array, spacing, scale, offset):
    """A head is small, bony and holds little air or fat; whatever is larger than one, or has lungs or fat, is a trunk."""
    coarse, spacing = _coarse(array, spacing)
    hu = (coarse.astype(np.float32) - np.float32(offset)) / np.float32(scale)
    body = _body(hu > -300)
    size = np.count_nonzero(body)
    if size < 50:
        return None
    _, middle, largest = _extents(body, spacing)
    if largest > 320 or middle > 270:
        return "trunk"
    # Lungs are closed off by the body in every direction within a section across some axis.
    filled = np.zeros_like(body)
    for axis in range(3):
        for plane, section in zip(np.moveaxis(filled, axis, 0), np.moveaxis(body, axis, 0)):
            plane |= ndimage.binary_fill_holes(section)
    lung = np.count_nonzero(filled & (hu < -300)) / max(1, np.count_nonzero(filled))
    fat = np.count_nonzero(body & (hu > -150) & (hu < -50)) / size
    bone = np.count_nonzero(body & (hu > 300)) / size
    if lung > 0.12 or fat > 0.25 or (bone < 0.05 and fat > 0.12):
        return "trunk"
    return "head"


def above_air(array: np.ndarray) -> np.ndarray:
    """A sample of the values of ``array`` above 0, without those of air: it is seldom exactly 0, and most of a large field.

    Told apart where the logarithms of the values fall into two groups best (Otsu, IEEE SMC 1979).
    """
    values = sample(array)
    values = values[values > 0].astype(np.float64)
    if not values.size:
        return values
    logs = np.log(np.maximum(values, 1e-4 * np.percentile(values, 99.9)))
    counts, edges = np.histogram(logs, 128)
    share, mean = (np.cumsum(x) / counts.sum() for x in (counts, counts * (edges[1:] + edges[:-1]) / 2))
    apart = (mean[-1] * share - mean) ** 2 / np.maximum(share * (1 - share), 1e-12)
    above = logs >= edges[apart.argmax() + 1]
    if not 0.02 < above.mean() < 1 or np.median(logs[above]) - np.median(logs[~above]) < np.log(10):
        return values  # a bladder above the body is not a body above air
    return values[above]


def _region_of_size(array, spacing):
    """Head or trunk by the size of what is above a twentieth of the bright end that a few hot voxels cannot set."""
    inside = above_air(array)
    if not inside.size:
        return None
    bright = float(np.percentile(inside, 75))
    coarse, spacing = _coarse(array, spacing)
    body = _body(ndimage.median_filter(coarse.astype(np.float32), size=min(3, *coarse.shape)) > 0.2 * bright)
    _, middle, largest = _extents(body, spacing)
    return "trunk" if largest > 320 or middle > 270 else "head"
