"""What ITK does not heed of a file that it reads, and what the file leaves untold of where its voxels lie: ITK takes LPS and
1 mm for it without a word."""

import re
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from ..errors import InputError
from .integrity import head_of, text_fields

_SPACES = {"ras", "las", "lps", "right-anterior-superior", "left-anterior-superior", "left-posterior-superior"}
_PLACED = ("MINCImageIO", "HDF5ImageIO", "Bruker2dseqImageIO", "GE4ImageIO", "GE5ImageIO")  # axes of the patient
_UNITS = {"m": 1000.0, "cm": 10.0, "um": 0.001, "\u00b5m": 0.001, "microns": 0.001}  # in mm; ITK takes each for 1
_SIZED = (*_PLACED, "GiplImageIO", "MRCImageIO", "StimulateImageIO", "LSMImageIO", "BioRadImageIO")


def in_lps(path: Path, image: sitk.Image) -> sitk.Image:
    """``image``, which ITK read from ``path``, in LPS: the world of MINC is RAS, and ITK before 6 hands it on as it is."""
    if sitk.ImageFileReader.GetImageIOFromFileName(str(path)) == "MINCImageIO" and sitk.Version.ITKMajorVersion() < 6:
        flip = np.array([-1.0, -1.0, 1.0])
        image.SetOrigin((flip * image.GetOrigin()).tolist())
        image.SetDirection((flip[:, None] * np.reshape(image.GetDirection(), (3, 3))).ravel().tolist())
    return image


def in_mm(path: Path, image: sitk.Image) -> sitk.Image:
    """``image``, which ITK read from ``path``, in mm where an NRRD or MetaImage tells that its space is in another unit."""
    fields = text_fields(head_of(path))
    told = set(re.findall(r'"([^"]*)"', fields.get("spaceunits", ""))) or {fields.get("DistanceUnits", "")}
    if len(told) == 1 and (scale := _UNITS.get(told.pop())):
        image.SetSpacing([scale * length for length in image.GetSpacing()])
        image.SetOrigin([scale * length for length in image.GetOrigin()])
    return image


def rescaled(path: Path, image: sitk.Image) -> sitk.Image:
    """``image``, which ITK read from ``path``, in the intensities that a MetaImage tells by slope and offset; ITK hands on
    the stored values."""
    fields = text_fields(head_of(path))
    told = [fields.get(f"ElementToIntensityFunction{name}", "").strip() for name in ("Slope", "Offset")]
    try:
        slope, offset = (float(number or default) for number, default in zip(told, (1.0, 0.0)))
    except ValueError:
        slope = offset = np.nan
    if not np.isfinite([slope, offset]).all() or slope == 0:
        raise InputError(f"{path} has a damaged header: ElementToIntensityFunction is {' and '.join(told)}")
    if (slope, offset) == (1, 0):
        return image
    kind = sitk.sitkVectorFloat32 if image.GetNumberOfComponentsPerPixel() > 1 else sitk.sitkFloat32
    return sitk.Cast(image, kind) * slope + offset


def untold(path: Path, image: sitk.Image) -> list[str]:
    """What to say of ``image``, which ITK read from ``path``: that orientation or voxel size (mm) are not told by the
    file, and what was taken instead."""
    placed, sized = _told(path)
    said = []
    if not placed:
        said.append(
            f"{path} does not tell where the patient lies: its orientation is not known, left and right may be wrong; "
            "it was taken for LPS (left, posterior, superior)"
        )
    if not sized:
        size = " x ".join(f"{length:.4g}" for length in image.GetSpacing())
        said.append(f"{path} does not tell how large its voxels are: {size} mm was taken")
    return said


def _told(path):
    """Whether ``path`` tells the orientation, and the voxel size."""
    head, format_ = head_of(path), sitk.ImageFileReader.GetImageIOFromFileName(str(path))
    fields = text_fields(head)
    if format_ == "VTKImageIO":
        return False, any(word in head.upper() for word in (b"SPACING", b"ASPECT_RATIO"))
    if format_ == "NrrdImageIO":
        space, directed = fields.get("space", "").lower(), fields.get("spacedirections", "").count("(") >= 3
        lengths = [length for length in fields.get("spacings", "").split() if length.lower() != "nan"]
        return directed and space.removesuffix("-time") in _SPACES, directed or len(lengths) >= 3
    if format_ == "MetaImageIO":
        placed = not fields.keys().isdisjoint(("TransformMatrix", "Rotation", "Orientation"))
        return placed, not fields.keys().isdisjoint(("ElementSpacing", "ElementSize"))
    return format_ in _PLACED, format_ in _SIZED
