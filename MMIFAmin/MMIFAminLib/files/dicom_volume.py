"""From the frames of a DICOM series to one regular grid, with what had to be corrected said.

Each frame keeps the place that the object gives it (PS3.3 C.7.6.2.1.1). Frames whose row of first voxels leaves the
normal of the slices (gantry tilt), or that are unevenly spaced, are resampled linearly onto a regular grid; what cannot be
one volume (missing slices, time points, echoes, phases, stacks) is refused by its name, and one can be chosen.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..errors import InputError
from ..volume.hounsfield import AIR_HU
from .about import About, VolumeFile
from .dicom_frames import Frame, frames_of, line, real_values, stored_values
from .dicom_grid import between, even_count, placed, upright
from .dicom_index import Series
from .dicom_labels import whole
from .dicom_stacks import MISSING, OFF_LINE_MM, along_normal, choose, instance, usual_gap
from .integrity import MAX_VOXELS


def read_series(series: Series, frame: int | None = None) -> VolumeFile:
    """The volume that ``series`` is, in real values (HU, Bq/ml, ...): integers where they are exact, else float32.

    ``frame`` counts from 1 and chooses where the series holds several volumes. Raises :class:`InputError` or
    :class:`GeometryError` for a series that is not one volume, cannot be decoded, or is damaged.
    """
    name = _name(series)
    try:
        return _read(series, frame, name)
    except (InputError, MemoryError):
        raise
    except Exception as error:  # whatever pydicom and its decoders meet in damaged files
        if isinstance(error, OSError) and error.errno is not None:  # the disk's own; pydicom raises others
            raise
        raise InputError(f"{name} is damaged, or no valid DICOM ({line(error)}); copy the series again") from None


def _read(series, frame, name):
    warnings = []
    _check_parts(series, name)
    frames = [item for header, path in zip(series.headers, series.files) for item in frames_of(header, path)]
    _check_size(frames, name)
    if series.aside:
        warnings.append(f"{name} was chosen although it is set aside: {series.aside}")
    reader = _Reader()
    frames = _without_copies(frames, reader, warnings, name)
    frames = choose(frames, frame, warnings, name)
    image = _image(frames, reader, warnings, name)
    _check_declared(series, frames, warnings, name)
    first = frames[0]
    image.SetMetaData("0008|0060", series.modality)
    about = About(
        modality=series.modality or None,
        unit=first.unit,
        patient_id=series.patient_id or None,
        study_uid=series.study_uid or None,
        series_uid=series.uid,
        frame_of_reference_uid=series.frame_of_reference_uid or None,
        description=series.description or None,
        region=str(first.dataset.get("BodyPartExamined") or "") or None,
        datasets=tuple({id(item.dataset): item.dataset for item in frames}.values()),
    )
    return VolumeFile(image, about, tuple(warnings))


def _name(series):
    return str(series.files[0] if len(series.files) == 1 else series.files[0].parent)


def _check_size(frames, name):
    columns, rows = frames[0].size
    if min(columns, rows) < 1 or columns * rows * len(frames) > MAX_VOXELS:
        raise InputError(f"{name} declares {columns} x {rows} x {len(frames)} voxels: its header is damaged")


class _Reader:
    """Stored values of frames; an object of many frames is decoded once."""

    def __init__(self) -> None:
        self._path: Path | None = None
        self._values = np.empty(0)

    def __call__(self, frame: Frame) -> np.ndarray:
        if frame.path != self._path:
            self._path, self._values = frame.path, stored_values(frame.path, frame.dataset)
        return self._values[frame.number]


# --- which frames are one volume ---


def _without_copies(frames, reader, warnings, name):
    """The frames without those that another file repeats: the same pixels of one instance, or of one
    place, number and labels."""
    groups, again = {}, set()
    for item in frames:
        place = None if item.position is None else tuple(np.round(item.position, 2))
        # The place, too: some anonymizers give all slices one UID, and those without tissue are alike.
        groups.setdefault((str(item.dataset.SOPInstanceUID), item.number, place), []).append(item)
        if place is not None:
            # The number, too: empty slices at the ends of repetitions are alike, and no copies.
            number = instance(item), item.number
            groups.setdefault((item.size, place, str(item.axes), str(item.labels), number), []).append(item)
    for group in groups.values():
        for item in group[1:]:
            if item is not group[0] and np.array_equal(reader(item), reader(group[0])):
                again.add(id(item))
    if again:
        warnings.append(
            f"{name} holds {len(again)} {'slice' if len(again) == 1 else 'slices'} twice (copies of a file): taken once"
        )
    return [item for item in frames if id(item) not in again]


def _check_declared(series, frames, warnings, name):
    """PET tells how many slices a volume has (0054,0081): slices that are missing at an end show only there."""
    declared = whole(series.headers[0].get("NumberOfSlices")) if series.modality == "PT" else None
    if declared and len(series.files) > 1 and len(frames) < declared:
        warnings.append(f"{name} declares {declared} slices, {len(frames)} are there: the rest is missing")


def _check_parts(series, name):
    """The parts that an object was cut into (concatenation, PS3.3 C.7.6.16.2.2.4) are all there, as far as they tell."""
    parts = {}
    for header in series.headers:
        if header.get("ConcatenationUID") and (number := whole(header.get("InConcatenationNumber"))):
            parts.setdefault(str(header.ConcatenationUID), {})[number] = header
    for there in parts.values():
        total = max(*there, *(whole(header.get("InConcatenationTotalNumber")) or 0 for header in there.values()))
        missing = next((number for number in range(1, total + 1) if number not in there), None)
        if missing is not None:
            raise InputError(f"{name}: part {missing} of {total} of its frames is missing; copy the series again")


# --- the regular grid ---


def _image(frames, reader, warnings, name):
    """The frames, sorted along their normal, on a regular grid."""
    first = frames[0]
    values = _values(frames, reader, name)
    if first.position is None or len(frames) == 1:
        origin = np.zeros(3) if first.position is None else first.position
        axes = np.eye(3)[:2] if first.axes is None else first.axes
        distance = first.dataset.get("SpacingBetweenSlices") or first.thickness or 1.0
        return placed(values, axes, np.cross(*axes), (*first.spacing, abs(float(distance))), origin)
    positions = np.array([item.position for item in frames])
    normal = np.cross(*first.axes)
    along, step, off_line = along_normal(positions, normal)
    if off_line > max(OFF_LINE_MM, 0.1 * min(first.spacing)):
        raise InputError(
            f"{name}: its slices are shifted against each other by up to {off_line:.1f} mm; export it as one regular volume"
        )
    gaps = np.diff(along)
    _check_missing(frames, gaps, name)
    count = even_count(gaps)
    spacing = along[-1] / (count - 1)
    even = np.linspace(0, along[-1], count)
    if count != len(along) or np.abs(even - along).max() > max(OFF_LINE_MM, 0.02 * spacing):
        values = between(values, along, even)
        warnings.append(
            f"{name}: slices are {gaps.min():.3g} to {gaps.max():.3g} mm apart: resampled to {count} slices, "
            f"{spacing:.3g} mm apart"
        )
    drift = np.linalg.norm(step - normal) * along[-1]
    if drift <= max(OFF_LINE_MM, 0.02 * min(first.spacing)):
        return placed(values, first.axes, normal, (*first.spacing, spacing), positions[0])
    angle = np.degrees(np.arctan(np.linalg.norm(step - normal)))
    background = AIR_HU + 100 if first.unit == "HU" else None
    image = upright(values, first.axes, first.spacing, step * spacing, positions[0], background)
    warnings.append(
        f"{name}: the slices are tilted by {angle:.1f} degrees (gantry tilt): resampled onto a grid at right angles"
    )
    return image


def _values(frames: list[Frame], reader: _Reader, name: str) -> np.ndarray:
    """Real values (K, J, I), or (K, J, I, 3) of colours."""
    exact = all(item.mapping.is_integer for item in frames)
    units = {item.unit for item in frames}
    if len(units) > 1:
        words = " and ".join(sorted(unit or "an unknown unit" for unit in units))
        raise InputError(f"{name} mixes slices in {words}; export them as one series")
    volume = None
    for number, item in enumerate(frames):
        stored = reader(item)
        if stored.ndim == 3:
            if stored.dtype != np.uint8 or stored.shape[2] != 3:
                raise InputError(f"{name} holds colours of {stored.dtype}; only 8-bit RGB is read")
            part = stored
        elif str(item.dataset.get("PhotometricInterpretation")) == "PALETTE COLOR":
            raise InputError(f"{name} holds colours of a palette, not measured values; choose the original series")
        else:
            part = real_values(item, stored, exact and stored.dtype.kind in "iu")
            if not np.isfinite(part).all() and stored.dtype.kind in "iu":
                raise InputError(f"{item.path} is damaged: its rescale slope {item.mapping.slope:g} gives no numbers")
        if volume is None:
            kind = np.float64 if part.dtype.kind == "f" and stored.dtype == np.float64 else np.float32
            dtype = part.dtype if part.dtype.kind in "iu" else kind
            volume = np.empty((len(frames), *part.shape), dtype)
        if part.shape != volume.shape[1:] or (part.dtype.kind == "f") != (volume.dtype.kind == "f"):
            raise InputError(f"{name} mixes slices of different pixel types; export them as one series")
        volume[number] = part
    assert volume is not None  # there is at least one frame
    return _narrow(volume)


def _narrow(values: np.ndarray) -> np.ndarray:
    """Integers in the smallest type that holds them and that files and tools expect."""
    if values.dtype != np.int64:
        return values
    low, high = int(values.min()), int(values.max())
    for dtype in (np.int16, np.uint16, np.int32, np.uint32):
        if np.iinfo(dtype).min <= low and high <= np.iinfo(dtype).max:
            return values.astype(dtype)
    return values


def _check_missing(frames, gaps, name):
    """Refuse gaps in which slices are missing; thick slices that fill their gap are only unevenly spaced."""
    usual = usual_gap(gaps)
    missing = [
        number
        for number, gap in enumerate(gaps)
        if gap > MISSING * usual and gap > 1.25 * min(frames[n].thickness or 0 for n in (number, number + 1))
    ]
    if missing:
        count = sum(max(1, round(gaps[number] / usual) - 1) for number in missing)
        raise InputError(
            f"{name}: slices are {gaps.min():.3g} to {gaps.max():.3g} mm apart: {count} missing, the first after slice "
            f"{missing[0] + 1} of {len(frames)}; copy the series again"
        )
