"""PyTorch inside Slicer: what is missing is installed on the first fusion, with the user's consent."""

from __future__ import annotations

import importlib
import sys
import tempfile
from collections import deque
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..errors import MMIFAminError

REQUIREMENTS = Path(__file__).resolve().parents[2] / "Resources" / "requirements.txt"
FOLDERS = REQUIREMENTS.with_name("requirements-folders.txt")
"""What reading files needs besides."""

TORCH = ">=2.5"
"""The oldest PyTorch that the engine runs on."""


_LAST_LINES = 6
_DECLINED = "{what} was not installed, and the fusion cannot run without it. Click Fuse to try again."


class PackagesError(MMIFAminError):
    """A Python package is missing or too old and was not installed."""


def missing(requirements: str | Path = REQUIREMENTS) -> list[str]:
    """The requirements of a file (and PyTorch) that the running Python does not meet; imports nothing."""
    lines = (line.split("#")[0].strip() for line in Path(requirements).read_text().splitlines())
    wanted = [f"torch{TORCH}", *(line for line in lines if line and not line.startswith("-"))]
    return [requirement for requirement in wanted if not _met(requirement)]


def ensure_packages(requirements: str | Path = REQUIREMENTS) -> None:
    """Install what is missing: PyTorch through the PyTorch extension (right build for the GPU), the rest through pip.

    Main thread only, in Slicer only; asks the user first. Raises PackagesError with what to do when something is
    missing afterwards.
    """
    if not missing(requirements):
        return
    what = missing(requirements)[0].split(">")[0].replace("torch", "PyTorch")
    try:
        with _listening() as said:
            _install(requirements)
    except MMIFAminError:
        raise
    except Exception as error:  # an installer may end in anything: a failed process, a module that is not there
        raise PackagesError(_failure(what, error, said)) from error
    importlib.invalidate_caches()
    left = missing(requirements)
    if left:
        raise PackagesError(
            f"Not installed: {', '.join(left)}. Click Fuse again and agree to the installation, or install by hand in "
            "the Python console: slicer.util.pip_install(...)."
        )


def _install(requirements) -> None:
    _ensure_torch()
    with tempfile.TemporaryDirectory() as folder:
        # A package may name torch as a dependency: pin it, or pip might replace the GPU build by another one.
        constraints = Path(folder) / "constraints.txt"
        constraints.write_text(f"torch=={_version('torch')}\n")
        _ensure_rest(requirements, constraints)


@contextmanager
def _listening():
    """The last lines that are printed meanwhile: installers tell what went wrong there and nowhere else."""
    said: deque[str] = deque(maxlen=_LAST_LINES)
    before = sys.stdout
    sys.stdout = _Tee(before, said)
    try:
        yield said
    finally:
        sys.stdout = before


class _Tee:
    """A stream that passes on what is written, and keeps its last lines."""

    def __init__(self, stream, lines) -> None:
        self._stream, self._lines = stream, lines

    def write(self, text):
        self._lines.extend(line.strip() for line in text.splitlines() if line.strip())
        return self._stream.write(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _failure(what: str, error: Exception, said) -> str:
    version = ".".join(map(str, sys.version_info[:2]))
    lines = "\n".join(said) or str(error)
    return (
        f"{what} was not installed, and the fusion cannot run without it. Check the network (behind a proxy, set "
        f"HTTPS_PROXY before starting Slicer), the free disk space, and that there is a build for Python {version} on "
        f"this system; then click Fuse again.\n\nThe installer's last lines:\n{lines}"
    )


def _ensure_torch() -> None:
    try:
        import PyTorchUtils
    except ModuleNotFoundError:
        raise PackagesError(
            "MMIFAmin needs the PyTorch extension: open the Extensions Manager (Ctrl+4), install 'PyTorch', restart "
            "Slicer and click Fuse again."
        ) from None
    logic = PyTorchUtils.PyTorchUtilsLogic()
    if not logic.torchInstalled():
        if logic.installTorch(askConfirmation=True, torchVersionRequirement=TORCH) is None:
            raise PackagesError(_DECLINED.format(what="PyTorch"))
    elif not _met(f"torch{TORCH}"):
        raise PackagesError(
            f"PyTorch {_version('torch')} is too old ({TORCH} is needed): uninstall it in the "
            "PyTorch Utils module, restart Slicer and click Fuse again."
        )


def _ensure_rest(requirements, constraints) -> None:
    import slicer

    try:
        import slicer.packaging

        pip_ensure, load = slicer.packaging.pip_ensure, slicer.packaging.load_requirements
    except (ImportError, AttributeError):  # before Slicer 5.11
        wanted = missing(requirements)
        question = f"MMIFAmin needs these Python packages: {', '.join(wanted)}.\n\nInstall them now?"
        if wanted and slicer.util.confirmOkCancelDisplay(question, "MMIFAmin"):
            slicer.util.pip_install([*wanted, "-c", str(constraints)])
        return
    try:
        pip_ensure(load(str(requirements)), constraints=str(constraints), requester="MMIFAmin")
    except RuntimeError as error:  # the user declined
        raise PackagesError(_DECLINED.format(what=", ".join(missing(requirements)))) from error


def _met(text: str) -> bool:
    from packaging.requirements import Requirement

    requirement = Requirement(text)
    version = _version(requirement.name)
    return version is not None and requirement.specifier.contains(version, prereleases=True)


def _version(name: str) -> str | None:
    """The installed version of a package, None without."""
    from importlib import metadata  # takes as long as all the rest of this file, and is needed when fusion starts

    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
