"""The folder of real data beside the checkout, of which a part may be there: a test skips where its own part is not."""

from pathlib import Path

import pytest

from MMIFAminLib.files.datasets import how_to_get

# Part of the folder, and the data set that it comes with; "" where it comes from no public repository.
PARTS = {
    "data/harvard": "harvard",
    "data/volumes": "harvard",
    "data/roadscene": "roadscene",
    "data/templates": "templates",
    "data/body/ct.nrrd": "body",
    "data/body": "",
    "data/suv": "",
    "reference": "",
}


class SharedFolder(type(Path())):
    """A path that skips the test where it leads into a part that is not there; any other missing file is an error."""

    def __truediv__(self, key):
        child = super().__truediv__(key)
        for part, name in PARTS.items():
            before, found, after = f"{child.as_posix()}/".partition(f"/{part}/")
            place = Path(before) / part
            lone = part == "data/body" and after.strip("/") and not Path(child).exists()  # its uptake was simulated
            if found and (lone or not place.exists()):
                data = Path(before) / "data"
                pytest.skip(
                    f"{child} is not there: {how_to_get(name, data) if name else 'it is in no public data set'}"
                )
        return child
