"""Lesion study and through-plane smoothness of the network and the classical baselines on the shared volumes.

    python Testing/benchmarks/lesions.py --data ../shared/data/volumes --output lesions.csv

Writes one row per method, protocol and case (columns: ``MMIFAminLib.evaluation.lesions.lesion_study``) and prints the rows over
all cases. The lesions are the same for every method.
"""

import argparse
import sys
from functools import partial
from pathlib import Path

from MMIFAminLib.commandline.data import folder_of
from MMIFAminLib.evaluation.baselines import average, laplacian_pyramid, maximum
from MMIFAminLib.evaluation.lesions import PROTOCOLS, lesion_study, load_case
from MMIFAminLib.files.writing import write_csv

CASES = ("pet41_pet", "pet25_pet", "spect3_spect", "spect10_spect", "spect21_spect")
BASELINES = {"average": average, "maximum": maximum, "laplacian_pyramid": laplacian_pyramid}


def read_cases(folder: Path, names):
    for name in names:
        subject, modality = name.split("_")
        paths = (folder / f"{subject}_{part}.nrrd" for part in ("mr", modality))
        yield load_case(*paths, table=f"harvard-{modality}", name=subject)


def methods(names):
    """Name, and the fusing function of each protocol."""
    for name in names:
        if name == "network":
            from MMIFAminLib.engine.fusion import VolumeFuser

            fuser = VolumeFuser.load()
            yield name, {p: partial(fuser.fuse_arrays, uptake=p == "scalar", consecutive=True) for p in PROTOCOLS}
        else:
            yield name, dict.fromkeys(PROTOCOLS, BASELINES[name])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--data", type=folder_of("harvard"), default="../shared/data/volumes", help="folder of the volumes"
    )
    parser.add_argument("--output", type=Path, default=Path("lesions.csv"), help="CSV to write")
    parser.add_argument("--methods", nargs="+", choices=["network", *BASELINES], default=["network", *BASELINES])
    parser.add_argument("--cases", nargs="+", choices=CASES, default=CASES, metavar="CASE", help=", ".join(CASES))
    parser.add_argument("-n", type=int, default=200, help="lesions per case")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()

    cases = list(read_cases(options.data, options.cases))
    rows = []
    for method, fuse in methods(options.methods):
        for protocol in PROTOCOLS:
            study = lesion_study(
                fuse[protocol], cases, n=options.n, seed=options.seed, protocol=protocol, progress=_progress
            )
            rows += [{"method": method, **row} for row in study]
            print(f"\r{method:18} " + "  ".join(_text(key, value) for key, value in study[-1].items()), flush=True)
            write_csv(rows, options.output)


def _text(key, value) -> str:
    if isinstance(value, str):
        return value
    return f"{key} {value:.3f}" if isinstance(value, float) else f"{key} {value}"


def _progress(fraction, case):
    if sys.stderr.isatty():
        print(f"\r{fraction:6.1%} {case:10}", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
