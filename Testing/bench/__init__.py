"""A workbench for the module's widget: the real `.ui` file and widget class, driven without Slicer.

What Slicer's application adds to the MRML libraries of `slicer-core` is given here by small working parts on PySide6:
`qt` and `ctk` as PythonQt shows them (`pythonqt`), the ctk and qMRML widgets that the `.ui` file names (`widgets`),
the loader of `.ui` files (`ui`), `slicer.parameterNodeWrapper` (`parameter_node`), and the application with its module
classes (`application`). The parts are stricter than the originals: whatever the originals take in silence and get
wrong (unknown signals, strings for booleans, a missing scene link) raises here.
"""
