"""What the commands share: the fuser that was asked for."""

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..engine.fusion import VolumeFuser


def load_fuser(options: argparse.Namespace) -> "VolumeFuser":
    """The fuser that the engine options ask for."""
    from ..engine.fusion import VolumeFuser

    return VolumeFuser.load(options.device, options.precision, options.weights)
