"""Of the PyTorch extension."""

from typing import Any

class PyTorchUtilsLogic:
    def torchInstalled(self) -> bool: ...
    def installTorch(self, askConfirmation: bool = ..., torchVersionRequirement: str | None = ...) -> Any: ...
