"""MMIFAmin's engine: multimodal medical image fusion by MMIF-AMIN, with no dependence on Slicer or Qt.

Each folder is a room, and a room imports only those before it: ``network``, ``volume``, ``display``, ``files``,
``engine``, ``evaluation``, ``losses``, ``training``, ``study``, ``cohort``, ``mrml``, ``module``, ``commandline``. Only
``mrml`` and ``module`` know Slicer.

``from MMIFAminLib import VolumeFuser`` is the way in. Heavy packages (torch, monai) are imported on first use only, so
that Slicer can load the module without them.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .errors import FusionCancelled, GeometryError, InputError, MMIFAminError, WeightsError

if TYPE_CHECKING:
    from .engine import FusedVolume, VolumeFuser
    from .files import read_volume, write_volume

__version__ = "0.2.0"
__all__ = [
    "FusedVolume",
    "FusionCancelled",
    "GeometryError",
    "InputError",
    "MMIFAminError",
    "VolumeFuser",
    "WeightsError",
    "read_volume",
    "write_volume",
]

_ROOM = {"FusedVolume": "engine", "VolumeFuser": "engine", "read_volume": "files", "write_volume": "files"}


def __getattr__(name: str) -> Any:
    if name in _ROOM:
        return getattr(import_module(f".{_ROOM[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))
