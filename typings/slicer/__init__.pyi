"""What MMIFAmin uses of the application: see typings/README.md."""

from collections.abc import Callable
from typing import Any

from . import util as util

class vtkMRMLNode:
    def __getattr__(self, name: str) -> Any: ...

class vtkMRMLApplicationLogic:
    def __getattr__(self, name: str) -> Any: ...

class vtkMRMLColorNode(vtkMRMLNode): ...

class vtkMRMLLayoutNode(vtkMRMLNode):
    SlicerLayoutFourUpView: int

class vtkCodedEntry:
    def SetValueSchemeMeaning(self, value: str, scheme: str, meaning: str) -> None: ...

class vtkMRMLPlotChartNode(vtkMRMLNode): ...

class vtkMRMLTransformableNode(vtkMRMLNode):
    TransformModifiedEvent: int

class vtkMRMLLinearTransformNode(vtkMRMLTransformableNode): ...

class vtkMRMLSliceNode(vtkMRMLNode):
    OffsetJumpSlice: int
    @staticmethod
    def JumpAllSlices(scene: vtkMRMLScene, r: float, a: float, s: float, jumpMode: int = ...) -> None: ...

class vtkMRMLVolumeNode(vtkMRMLTransformableNode):
    ImageDataModifiedEvent: int

class vtkMRMLScalarVolumeNode(vtkMRMLVolumeNode): ...
class vtkMRMLVectorVolumeNode(vtkMRMLScalarVolumeNode): ...

class vtkMRMLScene:
    def __getattr__(self, name: str) -> Any: ...

class _Application:
    temporaryPath: str
    def applicationLogic(self) -> Any: ...
    def connect(self, signal: str, slot: Callable) -> bool: ...
    def layoutManager(self) -> Any: ...
    def userSettings(self) -> Any: ...
    def processEvents(self, flags: int = ...) -> None: ...

class _Modules:
    """A module is there under its name once Slicer has loaded it."""

    def __getattr__(self, name: str) -> Any: ...

app: _Application
modules: _Modules
mrmlScene: vtkMRMLScene
