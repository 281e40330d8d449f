"""What the module installs into Slicer, in which order, and what it says when it cannot: no package is touched here."""

import importlib.metadata
import subprocess
import sys
import types
from pathlib import Path

import pytest

from MMIFAminLib.errors import MMIFAminError

slicer = pytest.importorskip("slicer", reason="needs slicer-core")


class Installation:
    """What is installed, and the installers of Slicer and its PyTorch extension as far as they are used: a record."""

    def __init__(self, monkeypatch, versions):
        self.versions, self.calls = dict(versions), []
        self.agree = True
        monkeypatch.setattr(importlib.metadata, "version", self.version)
        extension = types.ModuleType("PyTorchUtils")
        extension.PyTorchUtilsLogic = lambda: self
        self.packaging = types.ModuleType("slicer.packaging")
        self.packaging.load_requirements = lambda path: Path(path).read_text().split("\n")
        self.packaging.pip_ensure = self.pip_ensure
        monkeypatch.setitem(sys.modules, "PyTorchUtils", extension)
        monkeypatch.setitem(sys.modules, "slicer.packaging", self.packaging)
        monkeypatch.setattr(slicer, "packaging", self.packaging, raising=False)

    def version(self, name):
        if name not in self.versions:
            raise importlib.metadata.PackageNotFoundError(name)
        return self.versions[name]

    def torchInstalled(self):
        return "torch" in self.versions

    def installTorch(self, askConfirmation=False, forceComputationBackend=None, torchVersionRequirement=None):
        self.calls.append(("torch", askConfirmation, torchVersionRequirement))
        if not self.agree:
            return None
        self.versions["torch"] = "2.9.0+cu128"
        return object()

    def pip_ensure(self, requirements, constraints=None, requester=None):
        self.calls.append(("pip", Path(constraints).read_text().strip(), requester))
        if not self.agree:
            raise RuntimeError("User declined package installation")
        self.versions |= {"safetensors": "0.6.0"}


class TestPackages:
    complete = {"torch": "2.13.0+cpu", "safetensors": "0.5.0"}

    def ensure(self):
        from MMIFAminLib.module import packages

        packages.ensure_packages()

    def test_nothing_is_asked_when_nothing_is_missing(self, monkeypatch):
        installation = Installation(monkeypatch, self.complete)
        self.ensure()
        assert installation.calls == []

    def test_torch_comes_first_and_is_then_pinned(self, monkeypatch):
        installation = Installation(monkeypatch, {})
        self.ensure()
        assert installation.calls == [("torch", True, ">=2.5"), ("pip", "torch==2.9.0+cu128", "MMIFAmin")]

    def test_an_installed_torch_is_kept(self, monkeypatch):
        installation = Installation(monkeypatch, {"torch": "2.6.0+cu124"})
        self.ensure()
        assert installation.calls == [("pip", "torch==2.6.0+cu124", "MMIFAmin")]

    def test_without_the_extension_the_user_is_told_to_install_it(self, monkeypatch):
        Installation(monkeypatch, {})
        monkeypatch.setitem(sys.modules, "PyTorchUtils", None)
        with pytest.raises(MMIFAminError, match="PyTorch extension.*Extensions Manager"):
            self.ensure()

    @pytest.mark.parametrize("versions, what", [({}, "PyTorch"), ({"torch": "2.9.0"}, "safetensors")])
    def test_declining_is_answered_with_what_that_means(self, monkeypatch, versions, what):
        installation = Installation(monkeypatch, versions)
        installation.agree = False
        with pytest.raises(MMIFAminError, match=f"{what}.* was not installed"):
            self.ensure()

    def test_a_torch_that_is_too_old_is_named(self, monkeypatch):
        installation = Installation(monkeypatch, {"torch": "1.13.1"})
        with pytest.raises(MMIFAminError, match="1.13.1 is too old"):
            self.ensure()
        assert installation.calls == []

    def test_a_failed_download_tells_of_network_and_proxy(self, monkeypatch):
        installation = Installation(monkeypatch, {"torch": "2.9.0"})

        def fail(*arguments, **keywords):
            raise subprocess.CalledProcessError(1, "pip")

        installation.packaging.pip_ensure = fail
        with pytest.raises(MMIFAminError, match="HTTPS_PROXY"):
            self.ensure()

    @pytest.mark.parametrize("error", [ModuleNotFoundError("No module named 'torch'"), OSError(28, "No space left")])
    def test_an_installer_that_fails_is_quoted_with_what_to_do(self, monkeypatch, capsys, error):
        installation = Installation(monkeypatch, {})

        def fail(**keywords):
            print("Looking in indexes", *(f"\nline {number}" for number in range(20)), sep="")
            print("ERROR: No matching distribution found for torch")
            raise error

        installation.installTorch = fail
        with pytest.raises(MMIFAminError) as raised:
            self.ensure()
        text = str(raised.value)
        assert text.startswith("PyTorch was not installed") and "proxy" in text and "disk space" in text
        assert f"Python {sys.version_info[0]}.{sys.version_info[1]}" in text
        assert text.endswith("line 19\nERROR: No matching distribution found for torch") and "line 5\n" not in text
        assert "Looking in indexes" in capsys.readouterr().out, "the console shows it all the same"

    def test_what_is_skipped_in_testing_mode_is_still_missing(self, monkeypatch):
        installation = Installation(monkeypatch, {"torch": "2.9.0"})
        installation.packaging.pip_ensure = lambda *arguments, **keywords: None
        with pytest.raises(MMIFAminError, match="Not installed: safetensors"):
            self.ensure()

    def test_an_older_slicer_is_asked_through_its_pip(self, monkeypatch):
        installation = Installation(monkeypatch, {"torch": "2.9.0"})
        del installation.packaging.pip_ensure
        asked, installed = [], []
        monkeypatch.setattr(slicer.util, "confirmOkCancelDisplay", lambda text, title: asked.append(text) or True)

        def pip_install(requirements):
            installed.append(requirements)
            installation.versions |= {"safetensors": "0.6.0"}

        monkeypatch.setattr(slicer.util, "pip_install", pip_install)
        self.ensure()
        assert (
            "safetensors" in asked[0]
            and installed[0][-2] == "-c"
            and any("safetensors" in word for word in installed[0])
        )

    def test_the_requirements_leave_slicers_own_packages_alone(self):
        from MMIFAminLib.module.packages import REQUIREMENTS

        named = {
            line.split(">")[0].lower() for line in REQUIREMENTS.read_text().splitlines() if line and line[0] != "#"
        }
        assert "safetensors" in named and not named & {"torch", "monai", "torchvision", "simpleitk", "numpy", "vtk"}


@pytest.mark.parametrize(
    "name, late",
    [
        ("module.packages", "importlib.metadata"),
        ("module.sample", "SimpleITK"),
        ("mrml", "MMIFAminLib.evaluation"),
        ("mrml", "torch"),
        ("evaluation", "scipy.stats"),
        ("engine.fusion", "monai"),
        ("engine.fusion", "matplotlib"),
    ],
)
def test_what_is_not_needed_yet_is_not_loaded(name, late):
    """Slicer waits for what the module loads at its start, when a pair is chosen and when it is fused."""
    code = f"import MMIFAminLib.{name}, sys; print({late!r} in sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out == "False\n"
