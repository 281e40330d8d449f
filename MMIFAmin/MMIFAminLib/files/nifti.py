"""NIfTI-1, NIfTI-2, Analyze 7.5 and FreeSurfer's MGH through nibabel, known by their first bytes, not by their names.

The affine is the sform where its code is set, else the qform (https://nifti.nimh.nih.gov/nifti-1, "METHOD 3" and "METHOD
2"), in the header's unit of length; ITK takes the qform when both are set.
"""

from __future__ import annotations

import gzip
import struct
from math import prod
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from ..errors import InputError, SeveralVolumes
from .dicom_frames import line
from .integrity import check_complete, head_of, pair_of

_RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
_MM = {"meter": 1000.0, "micron": 0.001}
_MGH_HEADER = struct.Struct(">7i")
_HEADER_BYTES = {"NIfTI-1": 348, "NIfTI-2": 540, "MGH": 284}
_DIFFERENT_MM = 0.5
_SHEAR = 1e-3
RGB24 = np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")])


def kind_of(path: Path) -> str | None:
    """ "NIfTI-1", "NIfTI-2", "Analyze" or "MGH", by the first bytes of ``path`` (decompressed); None for others."""
    pair = pair_of(path)
    head = head_of(pair[0] if pair and pair[0].is_file() else path)
    for order in "<>":
        size = struct.unpack_from(order + "i", head)[0] if len(head) >= 348 else 0
        if size == 348:
            return "NIfTI-1" if head[344:347] in (b"n+1", b"ni1") else "Analyze" if _is_analyze(head, order) else None
        if size == 540 and head[4:7] in (b"n+2", b"ni2"):
            return "NIfTI-2"
    if (
        len(head) >= 90
        and path.name.lower().endswith((".mgz", ".mgh", ".mgh.gz"))
        and _MGH_HEADER.unpack_from(head)[0] == 1
    ):
        return "MGH"
    return None


def read_nifti(path: Path, kind: str, limit: int, frame: int | None = None) -> tuple[sitk.Image, list[str]]:
    """The volume in ``path`` of ``kind`` (see :func:`kind_of`), with at most ``limit`` voxels, and what to say of it.

    ``frame`` counts from 1 and chooses a time point of a 4D file. Raises :class:`InputError` for damaged, sheared,
    oversized and higher-dimensional files.
    """
    opened = _open(path, kind)
    shape = tuple(int(n) for n in opened.header.get_data_shape())
    declared = " x ".join(map(str, shape))
    if min(shape, default=0) < 1:
        raise InputError(f"{path} has a damaged header: it declares {declared or 'no'} voxels")
    if prod(shape) > limit:
        raise InputError(f"{path} declares {declared} voxels, more than the {limit:,} that are read: damaged header?")
    if kind != "MGH":
        check_complete(path, prod(shape) * opened.header.get_data_dtype().itemsize)
    values = _values(opened, path, kind, shape, frame)
    affine, warnings = _affine(opened, kind, path)
    scale = _spm_scale(path) if kind == "Analyze" and values.ndim == 3 else 1.0
    if scale != 1:
        values = (values * scale).astype(np.float32)
        warnings.append(f"{path}: its values were multiplied by {scale:g}, the scale that SPM writes into Analyze")
    image = sitk.GetImageFromArray(np.ascontiguousarray(values), isVector=values.ndim == 4)
    if image.GetDimension() == 3:
        _locate(image, affine, path)
    if kind.startswith("NIfTI"):
        image.SetMetaData("intent_code", str(int(opened.header["intent_code"])))
    return image, warnings


def _is_analyze(head, order):
    dims = struct.unpack_from(order + "8h", head, 40)
    return 1 <= dims[0] <= 7 and all(n > 0 for n in dims[1 : 1 + dims[0]])


def _spm_scale(path):
    """What SPM and others multiply the voxels of an Analyze file by: a number in a field (funused1) that is else 0 or 1."""
    pair = pair_of(path)
    head = head_of(pair[0] if pair and pair[0].is_file() else path)
    order = "<" if struct.unpack_from("<i", head)[0] == 348 else ">"
    (scale,) = struct.unpack_from(order + "f", head, 112)
    return float(scale) if np.isfinite(scale) and 1e-20 < abs(scale) < 1e20 else 1.0


def _open(path, kind):
    import nibabel as nib
    from nibabel.fileholders import FileHolder

    classes = {"NIfTI-1": nib.Nifti1Image, "NIfTI-2": nib.Nifti2Image, "Analyze": nib.AnalyzeImage, "MGH": nib.MGHImage}
    magic = head_of(path)
    single = kind == "MGH" or magic[344:347] == b"n+1" or magic[4:7] == b"n+2"
    try:
        if single:
            opened = classes[kind].from_file_map({"image": FileHolder(fileobj=_stream(path))})
            if opened.dataobj.offset < _HEADER_BYTES[kind]:  # nibabel takes 0 by its word, other readers do not
                raise InputError(f"{path} has a damaged header: its voxels would begin inside the header")
            return opened
        pair = {"NIfTI-1": nib.Nifti1Pair, "NIfTI-2": nib.Nifti2Pair}.get(kind, classes[kind])
        header, image = pair_of(path) or (path.with_suffix(".hdr"), path.with_suffix(".img"))
        if not (header.is_file() and image.is_file()):
            raise InputError(f"{path} cannot be read: the data file beside it (.img, .hdr) is missing")
        return pair.from_file_map(
            {"header": FileHolder(fileobj=_stream(header)), "image": FileHolder(fileobj=_stream(image))}
        )
    except InputError:
        raise
    except MemoryError:
        raise
    except Exception as error:  # nibabel raises many kinds for damaged headers
        raise InputError(f"{path} cannot be read: its header is damaged ({line(error)})") from None


def _stream(path):
    with open(path, "rb") as file:
        compressed = file.read(2) == b"\x1f\x8b"
    return gzip.open(path) if compressed else open(path, "rb")


def _values(opened, path, kind, shape, frame):
    """The voxels (K, J, I), or (K, J, I, 3) of colours, of the chosen time point."""
    dtype = opened.header.get_data_dtype()
    extra = list(shape[3:])
    colours = len(extra) == 2 and extra[0] == 1 and extra[1] == 3 and dtype == np.uint8  # as ITK writes RGB
    steps = 1 if colours else prod(extra)
    if len([n for n in extra if n > 1]) > 1 or (len(extra) > 1 and steps > 1 and extra[0] == 1):
        raise InputError(
            f"{path} is a {kind} with {len(shape)} dimensions ({' x '.join(map(str, shape))}): not a volume"
        )
    if steps > 1 and frame is None:
        raise SeveralVolumes(
            f"{path} is a {kind} with 4 dimensions ({steps} time points); choose one of them with --frame 1 to {steps}"
        )
    if frame is not None and not 1 <= frame <= steps:
        raise InputError(f"{path} has {steps} time points: there is no frame {frame}")
    if dtype.kind == "c":
        raise InputError(f"{path} holds complex numbers; take the magnitude first")
    place = () if colours else tuple((frame or 1) - 1 if n > 1 else 0 for n in extra)
    try:
        values = np.asanyarray(opened.dataobj[(..., *place)] if place else opened.dataobj)
    except MemoryError:
        raise
    except Exception as error:  # the data are cut short, or what the header says of them is impossible
        raise InputError(f"{path} is truncated or damaged ({line(error)})") from None
    if colours:
        return values[:, :, :, 0].transpose(2, 1, 0, 3)
    if values.dtype.names:
        values = np.stack([values[name] for name in values.dtype.names], axis=-1)
        return values.transpose(2, 1, 0, 3)
    if values.dtype.kind == "f" and dtype != np.float64:
        values = values.astype(np.float32)
    if values.dtype.itemsize > 8:
        values = values.astype(np.float64)
    return values.astype(values.dtype.newbyteorder("=")).T


def _affine(opened, kind, path):
    """The affine (LPS mm) and what to say of it."""
    header, warnings = opened.header, []
    unknown = f"{path}: {kind} {{}}: its orientation is not known, left and right may be wrong; it was taken as stored"
    if kind == "Analyze":
        return _RAS_TO_LPS @ _no_affine(header), [unknown.format("does not tell where the patient lies")]
    if kind == "MGH":
        known = int(header["goodRASFlag"])
        return _RAS_TO_LPS @ opened.affine, [] if known else [unknown.format("without direction cosines")]
    try:
        (sform, s_code), (qform, q_code) = header.get_sform(coded=True), header.get_qform(coded=True)
    except Exception:  # a quaternion that is no rotation
        (sform, s_code), (qform, q_code) = header.get_sform(coded=True), (None, 0)
    if not s_code and not q_code:
        warnings.append(unknown.format("with neither sform nor qform"))
    affine = sform if s_code else qform if q_code else _no_affine(header)
    scale = _MM.get(_length_unit(header), 1.0)
    if s_code and q_code and qform is not None:
        far = _farthest(sform, qform, header.get_data_shape()) * scale
        if far > _DIFFERENT_MM:
            warnings.append(f"{path}: its sform (used) and its qform place voxels up to {far:.0f} mm apart")
    return _RAS_TO_LPS @ np.diag([scale, scale, scale, 1.0]) @ affine, warnings


def _no_affine(header):
    """Where nothing is told: axes to the left, the back and up as in DICOM, and the middle at the origin as SPM has it."""
    zooms = np.array([*header.get_zooms(), 1.0, 1.0])[:3] * _RAS_TO_LPS.diagonal()[:3]
    affine = np.diag([*zooms, 1.0])
    affine[:3, 3] = -zooms * (np.array([*header.get_data_shape(), 1, 1])[:3] - 1) / 2
    return affine


def _length_unit(header):
    try:
        return header.get_xyzt_units()[0]
    except KeyError:
        return "unknown"


def _farthest(one, other, shape):
    ends = [(0, n - 1) for n in (*shape, 1, 1)[:3]]
    corners = np.array([(i, j, k, 1) for i in ends[0] for j in ends[1] for k in ends[2]], float).T
    return float(np.linalg.norm(((one - other) @ corners)[:3], axis=0).max())


def _locate(image, affine, path):
    if not np.isfinite(affine).all():
        raise InputError(f"{path} has a damaged header: its affine holds values that are not numbers")
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    if spacing.min() <= 0:
        raise InputError(f"{path} cannot be read: its voxel spacing is not above 0; correct its header")
    direction = affine[:3, :3] / spacing
    if abs(np.linalg.det(direction)) > 1e-2 and np.abs(direction.T @ direction - np.eye(3)).max() > _SHEAR:
        raise InputError(
            f"{path} cannot be read: its axes are not at right angles; resample it to a regular grid first"
        )
    image.SetSpacing(spacing.tolist())
    image.SetOrigin(affine[:3, 3].tolist())
    try:
        image.SetDirection(direction.ravel().tolist())
    except RuntimeError:
        raise InputError(f"{path} has a singular direction matrix; correct its header") from None


def write_rgb_nifti(image: sitk.Image, path: Path) -> None:
    """Write uint8 RGB ``image`` as NIfTI-1 of type RGB24, which viewers show in colours, with sform and qform."""
    import nibabel as nib

    values = sitk.GetArrayViewFromImage(image).transpose(2, 1, 0, 3)
    affine = np.eye(4)
    affine[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * np.array(image.GetSpacing())
    affine[:3, 3] = image.GetOrigin()
    colours = np.ascontiguousarray(values).view(RGB24)[..., 0]
    made = nib.Nifti1Image(colours, _RAS_TO_LPS @ affine)
    made.header.set_xyzt_units("mm")
    made.set_sform(_RAS_TO_LPS @ affine, 1)
    made.set_qform(_RAS_TO_LPS @ affine, 1)
    data = made.to_bytes()
    with open(path, "wb") as file:
        if path.name.lower().endswith(".gz"):
            # Neither a time nor the name, which is a temporary one: equal volumes are equal files.
            with gzip.GzipFile("", fileobj=file, mode="wb", compresslevel=1, mtime=0) as packed:
                packed.write(data)
        else:
            file.write(data)
