from collections.abc import Callable, Sequence
from typing import Any

class SampleDataLogic:
    @staticmethod
    def registerCustomSampleDataSource(
        *,
        category: str,
        sampleName: str,
        thumbnailFileName: str,
        uris: str | Sequence[str] = ...,
        fileNames: str | Sequence[str] = ...,
        nodeNames: str | Sequence[str] = ...,
        customDownloader: Callable[[Any], Any] | None = ...,
    ) -> None: ...
