"""MMIFAmin's engine: multimodal medical image fusion by MMIF-AMIN, with no dependence on Slicer or Qt.

Two rooms are for Slicer alone, and nothing else imports them: ``mrml`` (nodes) and ``module`` (all but the widgets).

``from MMIFAminLib import VolumeFuser`` is the way in. Heavy packages (torch, monai) are imported on first use only, so
that Slicer can load the module without them.
"""

from .errors import FusionCancelled, GeometryError, InputError, MMIFAminError, WeightsError

__version__ = "0.1.0"
__all__ = [
    "FusedVolume",
    "FusionCancelled",
    "GeometryError",
    "InputError",
    "MMIFAminError",
    "VolumeFuser",
    "WeightsError",
]


def __getattr__(name):
    if name in ("VolumeFuser", "FusedVolume"):
        from . import fusion

        return getattr(fusion, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
