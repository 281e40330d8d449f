"""Damage DICOM files and read them: each gives a volume or one clear line, nothing else.

    python Testing/campaigns/damaged_dicom.py [--count 600] [--seed 0] [--csv FILE]

Cut short, bytes changed, bytes lost or doubled, in single-frame and multi-frame objects, plain and compressed. Exit code
1 if any reading ended in another way, printed on the error stream, or took longer than 20 s.
"""

import argparse
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np
from pydicom.uid import JPEG2000Lossless, JPEGLSLossless, RLELossless

sys.path.insert(0, str(Path(__file__).parents[1]))
from MMIFAminLib.errors import InputError
from MMIFAminLib.files.volumes import read_volume_file
from MMIFAminLib.files.writing import write_csv
from support.dicom import Written, write_enhanced, write_series

SYNTAXES = (None, None, RLELossless, JPEG2000Lossless, JPEGLSLossless)


def damage(data: bytes, rng: random.Random) -> bytes:
    """``data`` cut short, or with some bytes changed, lost or doubled; half of the time in its header."""
    data, end = bytearray(data), min(len(data), 1500) if rng.random() < 0.5 else len(data)
    kind = rng.choice(("cut", "change", "change", "lose", "double"))
    if kind == "cut":
        return bytes(data[: rng.randrange(end)])
    for _ in range(rng.randint(1, 8)):
        place = rng.randrange(132, end)
        if kind == "change":
            data[place] = rng.choice((rng.randrange(256), 0, 255, ord(rng.choice("0123456789\\.-"))))
        elif kind == "lose":
            del data[place : place + rng.randint(1, 4)]
        else:
            data[place:place] = data[place : place + rng.randint(1, 4)]
    return bytes(data)


def outcome(path: Path) -> str:
    """ "read", "refused" or what went wrong."""
    started = time.perf_counter()
    try:
        found = read_volume_file(path)
        said = [*found.warnings, "read"]
    except InputError as error:
        said = [str(error), "refused"]
    except BaseException as error:
        return f"{type(error).__name__}: {error}"
    if any("\n" in line or not line.strip() for line in said):
        return f"not one line: {said[0]!r}"
    return said[-1] if time.perf_counter() - started < 20 else "slow"


def campaign(count: int, seed: int, folder: Path) -> Counter:
    """How often each outcome came in ``count`` damaged files."""
    rng, outcomes = random.Random(seed), Counter()
    stored = np.random.default_rng(seed).integers(0, 2000, (3, 34, 36)).astype(np.int16)
    positions = np.array([[0.0, 0, 3 * k] for k in range(3)])
    written = Written(stored, positions, intercepts=[-1024] * 3)
    places = []
    for number, syntax in enumerate(SYNTAXES):
        places.append(write_series(folder / f"single{number}", written, syntax=syntax)[1])
        places.append(folder / f"enhanced{number}" / "e.dcm")
        write_enhanced(places[-1], written, syntax=syntax)
    for _ in range(count):
        path = rng.choice(places)
        whole = path.read_bytes()
        path.write_bytes(damage(whole, rng))
        outcomes[outcome(path.parent if rng.random() < 0.7 else path)] += 1
        path.write_bytes(whole)
    return outcomes


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=600)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--csv", type=Path, help="write the counts")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        outcomes = campaign(options.count, options.seed, Path(name))
    for what, number in outcomes.most_common():
        print(f"{number:6} {what}")
    if options.csv:
        write_csv([{"outcome": what, "files": number} for what, number in sorted(outcomes.items())], options.csv)
    return 1 if set(outcomes) - {"read", "refused"} else 0


if __name__ == "__main__":
    sys.exit(main())
