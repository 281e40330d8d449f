from typing import Any

class WithinRange:
    def __init__(self, minimum: float, maximum: float) -> None: ...

def parameterNodeWrapper(classtype: type) -> Any: ...  # a class made with a node; Slicer checks its fields as it runs
