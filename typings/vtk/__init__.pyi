"""VTK names its parts while it is imported; its own stubs are in vtkmodules."""

from vtkmodules.all import *
