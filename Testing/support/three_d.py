"""Slicer's own volume rendering without a window: a 3D view's displayable manager, drawn by OpenGL off the screen.

``python -m support.three_d`` prints as JSON how the preset shows a phantom, so that a test survives a machine without OpenGL.
"""

import json

import numpy as np
import slicer
import vtk
from vtk.util.numpy_support import vtk_to_numpy

from MMIFAminLib.mrml.rendering import rendering_preset

from .phantoms import Grid
from .scenes import Application, add_volume, voxels

_BLUE = (0.756863, 0.764706, 0.909804), (0.454902, 0.470588, 0.745098)  # Slicer's, from below to above


class View3D:
    """A 3D view of an application's scene; ``picture`` draws what is volume-rendered in it."""

    def __init__(self, application, size=(300, 272), background=_BLUE):
        self.size, scene = size, application.scene
        self._logic = slicer.vtkSlicerVolumeRenderingLogic()
        self._logic.SetMRMLApplicationLogic(application.logic)
        self._logic.SetMRMLScene(scene)
        node = slicer.vtkMRMLViewNode()
        node.SetLayoutName("1")
        node.SetSingletonTag("1")
        node = scene.AddNode(node)
        self._window, self._renderer = vtk.vtkRenderWindow(), vtk.vtkRenderer()
        self._window.SetOffScreenRendering(1)
        self._window.SetMultiSamples(0)
        self._window.SetSize(*size)
        self._window.AddRenderer(self._renderer)
        self._mouse = vtk.vtkGenericRenderWindowInteractor()  # the manager asks it how fast to draw
        self._mouse.SetRenderWindow(self._window)
        self._renderer.SetBackground(background[0])
        self._renderer.SetBackground2(background[1])
        self._renderer.GradientBackgroundOn()
        self._group = slicer.vtkMRMLDisplayableManagerGroup()
        self._group.SetRenderer(self._renderer)
        manager = slicer.vtkMRMLVolumeRenderingDisplayableManager()
        manager.SetMRMLApplicationLogic(application.logic)
        self._group.AddDisplayableManager(manager)
        self._group.SetMRMLDisplayableNode(node)

    def render(self, volume_node):
        """Volume-render a grey fused volume by the preset, as the module does."""
        display = self._logic.CreateDefaultVolumeRenderingNodes(volume_node)
        preset = rendering_preset(volume_node.GetScene(), voxels(volume_node))
        display.GetVolumePropertyNode().CopyContent(preset)
        display.SetVisibility(True)
        return display

    def picture(self, towards, zoom=1.6):
        """The view from the side ``towards`` (R, A, S): uint8 (height, width, 3), top row first."""
        bounds, camera = [0.0] * 6, self._renderer.GetActiveCamera()
        self._renderer.GetVolumes().GetItemAsObject(0).GetBounds(bounds)
        middle = np.reshape(bounds, (3, 2)).mean(axis=1)
        camera.SetFocalPoint(middle)
        camera.SetPosition(middle + 700 * np.asarray(towards, float))
        camera.SetViewUp(0, 0, 1)
        self._renderer.ResetCamera(bounds)
        camera.Zoom(zoom)
        self._renderer.ResetCameraClippingRange()
        self._window.Render()
        grabbed = vtk.vtkWindowToImageFilter()
        grabbed.SetInput(self._window)
        grabbed.ReadFrontBufferOff()
        grabbed.Update()
        width, height = self.size
        return vtk_to_numpy(grabbed.GetOutput().GetPointData().GetScalars()).reshape(height, width, -1)[::-1, :, :3]


def main():
    """A body with a spine and a lesion behind 60 mm of it: the colours at the lesion, the spine, the body and beside it."""
    grid = Grid(size=(60, 60, 60), spacing=(3.0, 3.0, 3.0)).centred_at((0, 0, 0))
    z, y, x = 3.0 * (np.indices((60, 60, 60)) - 29.5)
    values = np.where(np.hypot(x, y) < 75, 0.3, 0.0)
    values[(np.hypot(x - 40, y) < 15)] = 0.6
    values[np.linalg.norm([x, y - 5, z - 40], axis=0) < 5] = 0.8
    application = Application(8, 8)
    view = View3D(application, (200, 200))
    view.render(add_volume(application.scene, grid.image(values.astype(np.float32)), "grey"))
    picture = view.picture((0, 1, 0), zoom=1.5).astype(int)
    scale = 200 * 1.5 / (2 * np.sqrt(3) * 90)  # of the sphere around the volume, whose middle is the view's
    at = {"lesion": (0, 40), "spine": (40, -20), "body": (-40, -20), "beside": (-84, -20)}  # L, S in mm
    shown = {}
    for name, (left, up) in at.items():
        row, column = round(99.5 - up * scale), round(99.5 + left * scale)
        shown[name] = picture[row - 1 : row + 2, column - 1 : column + 2].mean(axis=(0, 1)).tolist()
    print(json.dumps(shown))


if __name__ == "__main__":
    main()
