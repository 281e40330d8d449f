"""Total variation along the slice axis, fused over the larger of the two sources, of every pair of the shared volumes.

    python Testing/benchmarks/through_plane.py --data ../shared/data/volumes --output through_plane.csv

Slice by slice work may flicker from one slice to the next: a ratio above 1 shows it. Writes method, case, ratio.
"""

import argparse
from functools import partial
from pathlib import Path

import SimpleITK as sitk

from MMIFAminLib.commandline.data import folder_of
from MMIFAminLib.evaluation.baselines import BASELINES
from MMIFAminLib.files.volumes import read_volume
from MMIFAminLib.files.writing import write_csv
from MMIFAminLib.volume.intensity import choose_window
from MMIFAminLib.volume.through_plane import through_plane_ratio


def read_pairs(folder: Path):
    """Yields case name, the two arrays in [0, 1] through the windows that the product chooses, and whether the second
    shows uptake.
    """
    for anatomical in sorted(folder.glob("*_mr.nrrd")):
        for modality in ("pet", "spect", "ct"):
            functional = anatomical.with_name(anatomical.name.replace("_mr", f"_{modality}"))
            if functional.exists():
                arrays = (sitk.GetArrayFromImage(read_volume(path)) for path in (anatomical, functional))
                roles = ("anatomical", "functional")
                units = (choose_window(x, role=role).to_unit(x) for x, role in zip(arrays, roles))
                yield functional.stem, *units, modality != "ct"


def methods(names, uptake: bool):
    """Name and fusing function; of the network's slices as a volume, and each as it would come out alone."""
    for name in names:
        if name != "network":
            yield name, BASELINES[name]
            continue
        from MMIFAminLib.engine.fusion import VolumeFuser

        fuse = partial(VolumeFuser.load().fuse_arrays, uptake=uptake)
        yield name, partial(fuse, consecutive=True)
        yield "network, slice by slice", fuse


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--data", type=folder_of("harvard"), default="../shared/data/volumes", help="folder of the volumes"
    )
    parser.add_argument("--output", type=Path, default=Path("through_plane.csv"), help="CSV to write")
    parser.add_argument("--methods", nargs="+", choices=["network", *BASELINES], default=["network", *BASELINES])
    options = parser.parse_args()

    rows = []
    for case, a, b, uptake in read_pairs(options.data):
        for method, fuse in methods(options.methods, uptake):
            rows.append({"method": method, "case": case, "ratio": through_plane_ratio(a, b, fuse(a, b))})
            print(f"{case:14} {method:18} {rows[-1]['ratio']:.3f}", flush=True)
    write_csv(rows, options.output)


if __name__ == "__main__":
    main()
