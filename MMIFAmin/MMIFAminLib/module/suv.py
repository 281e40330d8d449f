"""*Show as SUV*: the factor from the DICOM headers that Slicer's database holds of a PET volume."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import slicer
from slicer.i18n import tr as _

from ..errors import InputError
from . import roles, units

if TYPE_CHECKING:
    from pydicom import Dataset
    from slicer import vtkMRMLScalarVolumeNode

    from ..engine.progress import Progress

_UIDS = "DICOM.instanceUIDs"


def why_not(node: vtkMRMLScalarVolumeNode | None) -> str:
    """Why a functional volume cannot be shown as SUV, as far as the node tells, or ""."""
    if node is None:
        return _("Choose a functional volume.")
    name = node.GetName()
    if "SUV" in units.in_words(units.code_of(node)).upper():
        return _("'{name}' is in SUV.").format(name=name)
    modality = roles.modality_of(node)
    if modality not in ("", "PT"):
        return _("SUV is for PET; '{name}' is {modality}.").format(name=name, modality=modality)
    if not (node.GetAttribute(_UIDS) or "").split():
        return _(
            "'{name}' does not come from Slicer's DICOM database, so nothing tells dose, weight and times."
        ).format(name=name)
    return ""


def header_paths(node: vtkMRMLScalarVolumeNode) -> list[str]:
    """The files of the volume's DICOM instances in Slicer's database; main thread. Raises InputError without them."""
    reason = why_not(node)
    if reason:
        raise InputError(reason)
    uids, database = node.GetAttribute(_UIDS).split(), getattr(slicer, "dicomDatabase", None)
    if database is None or not database.isOpen:
        raise InputError("SUV cannot be given: Slicer's DICOM database is not open (DICOM module).")
    paths = [database.fileForInstance(uid) for uid in uids]
    if missing := sum(not path for path in paths):
        raise InputError(
            f"SUV cannot be given: {missing} of the {len(uids)} DICOM images of '{node.GetName()}' are no longer in "
            "Slicer's database; import them again (DICOM module)."
        )
    return list(dict.fromkeys(paths))


def read_headers(paths: list[str], progress: Progress) -> list[Dataset]:
    """The headers (pydicom Datasets, without pixels) of DICOM files; any thread. Raises InputError for what is none."""
    import pydicom
    from pydicom.errors import InvalidDicomError

    headers = []
    for index, path in enumerate(paths):
        progress(index / len(paths), "Reading the DICOM headers")
        try:
            headers.append(pydicom.dcmread(path, stop_before_pixels=True))
        except (OSError, InvalidDicomError) as error:
            raise InputError(f"SUV cannot be given: {path} cannot be read ({error}).") from error
    return headers


def unit_of(headers: list[Dataset], paths: list[str]) -> str | None:
    """The unit that the frames of enhanced PET give their values; None for single-frame images, which have theirs in Units.

    Raises InputError where Slicer's DICOM reader, which scales all frames of an object alike and knows rescale slopes only,
    gave the volume other values than those in this unit.
    """
    from ..files.dicom_frames import frames_of

    enhanced = [one for one in zip(headers, paths) if "PerFrameFunctionalGroupsSequence" in one[0]]
    frames = [frame for header, path in enhanced for frame in frames_of(header, Path(path))]
    if any(frame.mapping != frame.rescale for frame in frames) or len({frame.mapping for frame in frames}) > 1:
        raise InputError(
            "SUV cannot be given: the frames of this enhanced PET have scales of their own, which Slicer's DICOM reader "
            "does not keep; fuse its folder with the command line, `mmifamin fuse`, which does."
        )
    return frames[0].unit if frames else None


def check_slopes(node: vtkMRMLScalarVolumeNode, headers: list[Dataset]) -> None:
    """Raise InputError where the slices have slopes of their own but the volume holds whole numbers: those are wrong."""
    slopes = {str(header.get("RescaleSlope", "1")) for header in headers}
    if len(slopes) > 1 and node.GetImageData().GetScalarTypeAsString() not in ("float", "double"):
        raise InputError(
            f"SUV cannot be given: the slices of '{node.GetName()}' have different rescale slopes, but the volume holds "
            "whole numbers, which lost them; load it again with another DICOM reader (DICOM module, Advanced)."
        )
