"""Errors that a person reads: each message says what is wrong, with which volume, and what to do."""


class MMIFAminError(Exception):
    """Base of every error that MMIFAmin raises on purpose. Its text is one clear sentence for the user.

    `typed` is what its cure is called on the command line and in Python: told in brackets behind `plain`, which is for a
    panel, where nobody types.
    """

    def __init__(self, text: str = "", *, typed: str = "") -> None:
        super().__init__(f"{text} ({typed})" if typed else text)
        self.plain = text


class InputError(MMIFAminError, ValueError):
    """An input volume, image, option or path cannot be used."""


class SeveralVolumes(InputError):
    """A file or series holds several volumes (time points, echoes, phases, stacks): one of them is to be chosen."""


class GeometryError(InputError):
    """Two volumes cannot be brought onto one grid (no overlap, singular direction, impossible spacing)."""


class WeightsError(MMIFAminError):
    """Network weights are missing, altered, of another architecture, or in a format that is not safe to load."""


class FusionCancelled(MMIFAminError):
    """The caller's progress callback asked to stop. Nothing was written."""
