"""A small volume to write, and the one line with which a file is refused."""

import pytest

from MMIFAminLib.errors import InputError
from MMIFAminLib.files.volumes import read_volume
from support.phantoms import Grid, rotation

SMALL = Grid(size=(20, 24, 18), spacing=(9.0, 9.5, 8.0), direction=tuple(rotation((5, 10, -15)).ravel())).centred_at()


def refusal(path):
    """The one line with which reading ``path`` is refused."""
    with pytest.raises(InputError) as error:
        read_volume(path)
    text = str(error.value)
    assert (
        text.startswith(str(path.parent / path.name.split(".")[0])) and "\n" not in text
    )  # or the data file beside it
    return text
