"""The frames of DICOM objects: where each lies, what its numbers mean, and its pixel values, for single-frame and
enhanced multi-frame objects alike (DICOM PS3.3: C.7.6.2 Image Plane, C.7.6.16 Functional Groups, C.8.4.9 NM Multi-frame,
C.11.1 Modality LUT, C.7.6.16.2.11 Real World Value Mapping).
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InputError
from ..volume.hounsfield import AIR_HU
from .dicom_labels import labels, many, vectors
from .dicom_values import Mapping, groups_of, mapping_of, number_in, numbers_in
from .integrity import MAX_VOXELS

if TYPE_CHECKING:
    from pydicom import Dataset


@dataclass(frozen=True)
class Frame:
    """One slice. ``position`` (3,) is the centre of its first voxel and ``axes`` (2, 3) the directions in which columns
    and rows are counted, LPS, mm; both None where the object does not tell. ``spacing`` is the distance in mm between
    columns and between rows, ``thickness`` that of the slice. ``mapping`` gives real values in ``unit``; ``rescale`` is what
    slope and intercept alone would give. ``labels`` tell frames at one place apart."""

    dataset: Dataset
    path: Path
    number: int
    position: np.ndarray | None
    axes: np.ndarray | None
    spacing: tuple[float, float]
    thickness: float | None
    mapping: Mapping
    rescale: Mapping
    unit: str | None
    labels: dict[str, str]

    @property
    def size(self) -> tuple[int, int]:
        """Columns and rows."""
        return int(self.dataset.Columns), int(self.dataset.Rows)


def frames_of(dataset: Dataset, path: Path) -> list[Frame]:
    """The frames that the object with header ``dataset`` in file ``path`` holds, in stored order.

    Raises :class:`InputError` for an object whose frames do not lie in the patient one by one (projections, mosaics).
    """
    image_type = [str(part).upper() for part in many(dataset.get("ImageType"))]
    if dataset.get("Modality") == "NM" and {"TOMO", "GATED TOMO"} & set(image_type) and "RECON TOMO" not in image_type:
        raise InputError(f"{path} holds projections of a SPECT that is not reconstructed; choose the reconstruction")
    if "MOSAIC" in image_type:  # Siemens' fMRI, diffusion and perfusion; its position is that of the whole picture
        raise InputError(
            f"{path} is a mosaic: the slices of a volume side by side in one picture; convert it to NIfTI (dcm2niix)"
        )
    count = int(dataset.get("NumberOfFrames") or 1)
    length, groups = path.stat().st_size, dataset.get("PerFrameFunctionalGroupsSequence")
    syntax = dataset.file_meta.get("TransferSyntaxUID") if hasattr(dataset, "file_meta") else None
    packed = syntax is not None and (syntax.is_compressed or syntax.is_deflated or syntax.is_private)
    least = 0 if syntax is not None and syntax.is_deflated else 8 * count  # of a compressed frame, in bytes
    if groups and len(groups) != count:
        raise InputError(f"{path} declares {count} frames and describes {len(groups)}: it is truncated or damaged")
    if count < 1 or least > length:
        raise InputError(f"{path} declares {count} frames that are not there: it is truncated or damaged")
    voxels = int(dataset.Rows) * int(dataset.Columns) * count
    if not 0 < voxels <= MAX_VOXELS:
        raise InputError(f"{path} declares {voxels:,} voxels: its header is damaged")
    if not packed and voxels * int(dataset.get("BitsAllocated") or 8) // 8 > length:
        raise InputError(f"{path} is truncated: {length:,} bytes are there, its header declares more; copy it again")
    return [_frame(dataset, path, number) for number in range(count)]


def unit_of(dataset: Dataset, path: Path) -> str:
    """The unit of the first frame of the object with header ``dataset``, as :class:`Frame` has it; "" where none is told."""
    return mapping_of(dataset, 0, path)[2] or ""


def _frame(dataset, path, number):
    group = groups_of(dataset, number)

    def value(name, *groups):
        """Attribute ``name`` of the first of the functional ``groups`` that has it, else of the object."""
        for source in (*map(group, groups), dataset):
            if source is not None and source.get(name) not in (None, ""):
                return source.get(name)
        return None

    position = numbers_in(value("ImagePositionPatient", "PlanePositionSequence"), 3)
    axes = numbers_in(value("ImageOrientationPatient", "PlaneOrientationSequence"), 6)
    thickness = number_in(value("SliceThickness", "PixelMeasuresSequence"))
    steps = {}
    if dataset.get("Modality") == "NM" and "DetectorInformationSequence" in dataset:
        detector = dataset.DetectorInformationSequence[0] if dataset.DetectorInformationSequence else {}
        position = numbers_in(detector.get("ImagePositionPatient"), 3) if position is None else position
        axes = numbers_in(detector.get("ImageOrientationPatient"), 6) if axes is None else axes
    if axes is not None:
        axes = _unit_axes(axes, path)
    if "PerFrameFunctionalGroupsSequence" not in dataset and int(dataset.get("NumberOfFrames") or 1) > 1:
        steps = vectors(dataset, number)
        step = number_in(dataset.get("SpacingBetweenSlices")) or thickness
        if position is not None and axes is not None and step:  # C.8.4.15: the first slice's place, and how it goes on
            first = min(map(int, many(dataset.get("SliceVector"))), default=1)
            position = position + np.cross(*axes) * step * (steps.pop("slice", number + first) - first)
        else:
            position = None
    mapping, rescale, unit = mapping_of(dataset, number, path)
    spacing = numbers_in(value("PixelSpacing", "PixelMeasuresSequence"), 2)
    if spacing is None:
        spacing = numbers_in(value("ImagerPixelSpacing"), 2)
    if spacing is None and position is not None and axes is not None:
        raise InputError(f"{path} does not say how large its pixels are (0028,0030); export the series again")
    if spacing is not None and spacing.min() <= 0:
        raise InputError(f"{path} is damaged: its pixels are {spacing[0]:g} x {spacing[1]:g} mm (0028,0030)")
    return Frame(
        dataset=dataset,
        path=path,
        number=number,
        position=position,
        axes=axes,
        spacing=(1.0, 1.0) if spacing is None else (float(spacing[1]), float(spacing[0])),
        thickness=thickness,
        mapping=mapping,
        rescale=rescale,
        unit=unit,
        labels={name: str(label) for name, label in (labels(value) | steps).items() if label is not None},
    )


def _unit_axes(numbers, path):
    axes = numbers.reshape(2, 3)
    lengths = np.linalg.norm(axes, axis=1)
    if np.abs(lengths - 1).max() > 0.01 or abs(axes[0] @ axes[1]) > 0.01:
        raise InputError(f"{path} is damaged: its rows and columns are not at right angles (0020,0037)")
    row = axes[0] / lengths[0]
    column = axes[1] - (axes[1] @ row) * row
    return np.stack([row, column / np.linalg.norm(column)])


# --- pixel values ---


def stored_values(path: Path, header: Dataset) -> np.ndarray:
    """The stored values of all frames of ``path`` (frames, rows, columns), or (..., 3) where they are colours.

    Compressed syntaxes are decoded, bits beyond those stored removed. Raises :class:`InputError` when pixel data are
    missing, cut short, or cannot be decoded.
    """
    import pydicom
    from pydicom.pixels.utils import pixel_array
    from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian, RLELossless

    dataset = pydicom.dcmread(path, force=True)
    dataset.file_meta = getattr(dataset, "file_meta", None) or header.file_meta
    if not any(keyword in dataset for keyword in ("PixelData", "FloatPixelData", "DoubleFloatPixelData")):
        raise InputError(f"{path} is truncated or damaged: it ends before its pixel data; copy the series again")
    if "TransferSyntaxUID" not in dataset.file_meta:
        implicit, little = dataset.original_encoding
        plain = ExplicitVRLittleEndian if little else ExplicitVRBigEndian
        dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else plain
    syntax = dataset.file_meta.TransferSyntaxUID
    if not syntax.is_transfer_syntax or syntax.is_private:
        raise InputError(f"{path} has a transfer syntax that is not known ({syntax}); export it again uncompressed")
    if syntax.is_encapsulated and "PixelData" in dataset:
        _check_encapsulated(dataset, path)
    count, colours = int(dataset.get("NumberOfFrames") or 1), int(dataset.get("SamplesPerPixel") or 1)
    whole = colours == 1 and (not syntax.is_encapsulated or syntax == RLELossless)  # with the bits above those stored
    options: dict[str, Any] = {"correct_unused_bits": False} if whole else {}
    try:
        array = pixel_array(dataset, raw=colours == 1, **options)
    except (NotImplementedError, AttributeError) as error:
        raise InputError(f"{path} cannot be decoded ({syntax.name}): {line(error)}") from None
    except (MemoryError, KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # the RLE decoder, in Rust, panics with an exception of its own
        raise InputError(f"{path} is truncated or damaged ({line(error)}); copy the series again") from None
    shape = (count, int(dataset.Rows), int(dataset.Columns), *((colours,) if colours > 1 else ()))
    if array.size != np.prod(shape):
        raise InputError(f"{path} is truncated or damaged: {array.shape} pixels are there, its header declares {shape}")
    array = np.ascontiguousarray(array.reshape(shape), array.dtype.newbyteorder("="))
    if array.dtype.kind in "iu" and whole:
        array = _only_stored_bits(array, dataset)
    return array


def _check_encapsulated(dataset, path):
    """A compressed value that ends early is short of its end: fewer frames, or a last fragment cut off."""
    from pydicom.encaps import parse_fragments

    try:
        fragments, _ = parse_fragments(dataset.PixelData)
    except Exception:
        fragments = 0
    if not fragments:
        raise InputError(f"{path} is truncated or damaged: its compressed pixel data are cut short")


def _only_stored_bits(array, dataset):
    """``array`` without what lies above the high bit (overlays of old scanners), sign extended where it is signed; padding
    that is too large for the stored bits stays as it is."""
    allocated = array.dtype.itemsize * 8
    stored = int(dataset.get("BitsStored") or allocated)
    high = int(dataset.get("HighBit") if dataset.get("HighBit") is not None else stored - 1)
    if not (1 <= stored <= allocated and stored - 1 <= high < allocated) or (stored == allocated):
        return array
    signed = bool(dataset.get("PixelRepresentation"))
    bits = array.view(np.dtype(f"u{array.dtype.itemsize}")) << (allocated - 1 - high)  # the high bit to the top
    values = (bits.view(np.dtype(f"i{array.dtype.itemsize}")) if signed else bits) >> (allocated - stored)
    padded = padding_mask(array, dataset) if high == stored - 1 else None
    return values if padded is None else np.where(padded, array, values)


def padding_mask(stored: np.ndarray, dataset: Dataset) -> np.ndarray | None:
    """Where ``stored`` is padding (C.7.5.1.1.2, C.7.6.24.1), or None where the object declares none.

    A value beyond the stored bits is padding where a pixel has all its bits, never where its lower ones are alike: stored
    0, which may be water, is not -32768.
    """
    prefix = {4: "Float", 8: "DoubleFloat"}[stored.dtype.itemsize] if stored.dtype.kind == "f" else ""
    value = number_in(dataset.get(f"{prefix}PixelPaddingValue"))
    limit = number_in(dataset.get(f"{prefix}PixelPaddingRangeLimit"))
    if value is None:
        return None
    bits, signed = 8 * stored.dtype.itemsize, stored.dtype.kind == "i"
    of_pixel = min(bits, int(dataset.get("BitsStored") or bits))

    def wrapped(number):  # writers confuse signed and unsigned: the same bits mean the same padding
        if prefix:
            return stored.dtype.type(number)
        bare = int(number) % (1 << bits)
        width = bits if bare >> of_pixel else of_pixel  # told in the bits of a pixel, or in those of its word
        return bare - (1 << width) if signed and bare >> (width - 1) else bare

    ends = sorted((wrapped(value), wrapped(value if limit is None else limit)))
    return (stored >= ends[0]) & (stored <= ends[1])


def real_values(frame: Frame, stored: np.ndarray, exact: bool) -> np.ndarray:
    """Real values of the ``stored`` ones (rows, columns): int64 when ``exact``, else float64.

    Padding becomes background: air in HU; elsewhere 0, or the least value where 0 means nothing.
    """
    if frame.mapping.slope == 0 and frame.mapping.table is None and stored.any():
        raise InputError(f"{frame.path} is damaged: its rescale slope is 0, so its values are lost; export it again")
    values = stored.astype(np.int64) + int(frame.mapping.intercept) if exact else frame.mapping(stored)
    padded = padding_mask(stored, frame.dataset)
    if padded is not None and padded.any():
        rest = values[~padded]
        meaningless = rest.size and (frame.dataset.get("Modality") == "CT" or rest.max() <= 0)
        values[padded] = AIR_HU if frame.unit == "HU" else rest.min() if meaningless else 0
    return values


# --- small change ---


@contextmanager
def quiet() -> Iterator[None]:
    """Silence what pydicom and nibabel log and warn about malformed headers: what matters is checked here."""
    import logging

    loggers = [logging.getLogger(name) for name in ("pydicom", "nibabel.global")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels):
            logger.setLevel(level)


def line(error: BaseException) -> str:
    """One line of what ``error`` says, the first that means something."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    if len(lines) > 1 and lines[0].endswith(
        "all available plugins:"
    ):  # pydicom's: what the first decoder met says more
        lines = lines[1:]
    return lines[0].strip()[:150].rstrip(" .:;")
