"""The cases of the module's self-test: they run inside Slicer and, in the project's own tests, on the widget bench."""


class SelfTestCases:
    pass
