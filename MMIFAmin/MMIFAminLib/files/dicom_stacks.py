"""Which frames of a DICOM series are one volume: stacks, time points, echoes, phases and repetitions told apart."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from ..errors import InputError, SeveralVolumes
from .dicom_labels import whole

if TYPE_CHECKING:
    from .dicom_frames import Frame

_SAME_PLACE = 0.02  # of a pixel: frames closer than this lie at one place
OFF_LINE_MM = 0.1  # positions are often rounded to a tenth of a millimetre
MISSING = 1.75  # times the usual distance
_SPARSE = 3.5  # times the smallest distance: where slices usually lie farther apart, a slice too near proves nothing
_ROUNDED = 0.1  # of the smallest distance: positions are rounded, so that whole multiples are nearly whole


def choose(frames: list[Frame], wanted: int | None, warnings: list[str], name: str) -> list[Frame]:
    """The frames of one volume, the ``wanted``-th from 1 where there are several, sorted along the normal of the slices.

    Adds to ``warnings`` what was left out or chosen. Raises :class:`InputError` where ``frames`` are several volumes and none
    is wanted, or none that is there.
    """
    placed = [item for item in frames if item.position is not None and item.axes is not None]
    if not placed and all("slice" in item.labels for item in frames) and len({item.path for item in frames}) == 1:
        placed = frames = [_laid_out(item) for item in frames]
        warnings += _untold(frames[0], name)
    if not placed:
        return _unplaced(frames, wanted, warnings, name)
    if len(placed) < len(frames):
        warnings.append(f"{name}: {len(frames) - len(placed)} images without a place in the patient were left out")
    stacks = _stacks(placed)
    if len(stacks) > 1:
        scouts = [stack for stack in stacks if _is_scout(stack)]
        rest = [stack for stack in stacks if not _is_scout(stack)]
        if len(rest) == 1 and wanted is None:
            stacks = rest
            count = sum(map(len, scouts))
            warnings.append(f"{name}: {count} images of other orientation or size (localizer) were left out")
    volumes, what = [], []
    for stack in stacks:
        parts, label, values = _volumes(stack)
        volumes += parts
        what += [f"{label} {value}".strip() for value in values] if label else [f"stack of {len(stack)} images"]
    if len(volumes) == 1:
        if wanted not in (None, 1):
            raise InputError(f"{name} holds one volume: there is no frame {wanted}")
        return volumes[0]
    listing = ", ".join(f"{number}: {text}" for number, text in enumerate(what[:12], 1))
    listing += ", ..." if len(what) > 12 else ""
    if wanted is None:
        raise SeveralVolumes(
            f"{name} holds several slices at one position or in one direction, {len(volumes)} volumes: {listing}; choose "
            "one with --frame N"
        )
    if not 1 <= wanted <= len(volumes):
        raise InputError(f"{name} holds {len(volumes)} volumes ({listing}): there is no frame {wanted}")
    warnings.append(f"{name}: {what[wanted - 1]} was taken, number {wanted} of {len(volumes)}")
    return volumes[wanted - 1]


def _unplaced(frames, wanted, warnings, name):
    half = len(frames) > 1 and any(item.position is not None for item in frames)  # places without an orientation
    if half or len({item.path for item in frames}) > 1:
        raise InputError(f"{name}: its images do not say where in the patient they lie; convert the series to a volume")
    if len(frames) > 1 and wanted is not None:
        raise InputError(f"{name}: its frames do not say where in the patient they lie, so none can be chosen")
    warnings += _untold(frames[0], name)
    return frames


def _untold(first, name):
    """What to say of an object that does not tell where it lies."""
    said = [f"{name} does not say where in the patient it lies: its orientation is not known"]
    if not (first.dataset.get("SpacingBetweenSlices") or first.thickness):
        said.append(f"{name} does not tell how far its slices are apart: 1 mm was taken")
    return said


def _laid_out(item):
    """A frame of an NM object without a place, by the number of its slice: what else its vectors tell parts volumes."""
    axes = np.eye(3)[:2] if item.axes is None else item.axes
    step = float(item.dataset.get("SpacingBetweenSlices") or item.thickness or 1.0)
    labels = {label: value for label, value in item.labels.items() if label != "slice"}
    return replace(item, axes=axes, position=np.cross(*axes) * step * (int(item.labels["slice"]) - 1), labels=labels)


def _stacks(frames):
    """Frames of one size, spacing and orientation, in the order of their first ones."""
    stacks = []
    for item in frames:
        for stack in stacks:
            first = stack[0]
            if (
                item.size == first.size
                and np.abs(item.axes - first.axes).max() < 1e-3
                and np.allclose(item.spacing, first.spacing, rtol=1e-3)
            ):
                stack.append(item)
                break
        else:
            stacks.append([item])
    return stacks


def _is_scout(stack):
    return len(stack) <= 2 or all("LOCALIZER" in str(item.dataset.get("ImageType")) for item in stack)


def _volumes(stack):
    """``stack`` as volumes with one frame at each place, the label that tells them apart and its values.

    The first label counts that parts the frames into volumes of all places, then a pair of labels, then one that parts
    them into as few volumes as there can be (overlapping stacks); else the order in which the files are numbered.
    """
    stack = sorted(stack, key=lambda item: float(item.position @ np.cross(*stack[0].axes)))
    places = _places(stack)
    if max(Counter(places).values()) == 1:
        return _apart(stack) or ([stack], "", [""])
    names = list(dict.fromkeys(name for item in stack for name in item.labels))
    varying = [name for name in names if len({item.labels.get(name) for item in stack}) > 1]
    pairs = [(a, b) for number, a in enumerate(varying) for b in varying[number + 1 :]]
    most, total = max(Counter(places).values()), places[-1] + 1
    for complete, choices in ((True, [(name,) for name in varying] + pairs), (False, [(name,) for name in varying])):
        for keys in choices:
            parts = {}
            for item, place in zip(stack, places):
                parts.setdefault(tuple(item.labels.get(key, "") for key in keys), []).append((item, place))
            unique = all(len({place for _, place in part}) == len(part) for part in parts.values())
            if unique and (all(len(part) == total for part in parts.values()) if complete else len(parts) == most):
                values = sorted(parts, key=lambda key: [_sortable(value) for value in key])
                volumes = [[item for item, _ in parts[key]] for key in values]
                return volumes, ", ".join(keys), [", ".join(value) for value in values]
    return _repetitions(stack, places)


def _apart(stack):
    """Parallel stacks that an enhanced object names and that are not one row of slices, as :func:`_volumes`; or None."""
    parts = {}
    for item in stack:
        parts.setdefault(item.labels.get("stack", ""), []).append(item)
    if len(parts) < 2 or min(map(len, parts.values())) < 2:
        return None
    positions = np.array([item.position for item in stack])
    along, off_line = along_normal(positions, np.cross(*stack[0].axes))[::2]
    gaps = np.diff(along)
    if off_line <= max(OFF_LINE_MM, 0.1 * min(stack[0].spacing)) and gaps.max() <= MISSING * usual_gap(gaps):
        return None
    values = sorted(parts, key=_sortable)
    return [parts[value] for value in values], "stack", values


def _repetitions(stack, places):
    parts, seen = [], Counter()
    for item, place in sorted(zip(stack, places), key=lambda pair: (instance(pair[0]), pair[0].number)):
        if seen[place] == len(parts):
            parts.append([])
        parts[seen[place]].append((place, item))
        seen[place] += 1
    volumes = [[item for _, item in sorted(part, key=lambda pair: pair[0])] for part in parts]
    return volumes, "repetition", [str(number) for number in range(1, len(parts) + 1)]


def _places(stack):
    """For each frame of a sorted ``stack`` the number of its place."""
    tolerance, places = _SAME_PLACE * min(stack[0].spacing), []
    normal = np.cross(*stack[0].axes)
    for number, item in enumerate(stack):
        near = number and (item.position - stack[number - 1].position) @ normal < tolerance
        places.append(places[-1] + (not near) if number else 0)
    return places


def instance(item: Frame) -> int:
    """The number of the frame's file in its series, 0 where it has none."""
    return whole(item.dataset.get("InstanceNumber")) or 0


def _sortable(value):
    try:
        return (0, float(value), "")
    except ValueError:
        return (1, 0.0, value)


def along_normal(positions: np.ndarray, normal: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """Where slices lie along ``normal``, how they go on per mm of it, and how far they leave the straight line."""
    along = (positions - positions[0]) @ normal
    step = (positions[-1] - positions[0]) / along[-1]
    return along, step, np.linalg.norm(positions - positions[0] - along[:, None] * step, axis=1).max()


def usual_gap(gaps: np.ndarray) -> float:
    """The distance of neighbours: the smallest where all gaps are whole multiples of it (every second slice may be missing
    in most of the stack), else the median."""
    smallest = float(np.median(gaps[gaps < 1.5 * gaps.min()]))
    steps = gaps / smallest
    whole = np.abs(steps - np.rint(steps)).max() <= _ROUNDED
    return smallest if whole and np.median(steps) < _SPARSE else float(np.median(gaps))
