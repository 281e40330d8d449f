"""Small cohorts: pairs of phantom volumes and a table of them."""

import numpy as np
import SimpleITK as sitk

from support import phantoms

MR = phantoms.Grid((24, 28, 20), (8.0, 8.0, 8.5)).centred_at()
PET = phantoms.Grid((18, 20, 16), (11.0, 11.0, 11.5)).centred_at()


def make_cohort(folder, count, extra=()):
    """A table ``studies.csv`` of ``count`` pairs s000, s001, ... that differ, and of ``extra`` lines; its path."""
    lines = ["id,anatomical,functional,options"]
    for number in range(count):
        for name, grid, kind, scale in (("mr", MR, "mr", 900.0), ("pet", PET, "pet", 8.0)):
            image = phantoms.head(grid, kind, scale * (1 + number / 100))
            sitk.WriteImage(image, str(folder / f"{name}{number:03}.nrrd"))
        lines.append(f"s{number:03},mr{number:03}.nrrd,pet{number:03}.nrrd,")
    table = folder / "studies.csv"
    table.write_text("\n".join([*lines, *extra]) + "\n")
    return table


def voxels(path):
    """The voxels of a file."""
    return np.asarray(sitk.GetArrayFromImage(sitk.ReadImage(str(path))))
