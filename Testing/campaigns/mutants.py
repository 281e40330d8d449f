"""Change single operators, numbers and words of the library and see whether its tests notice: mutation testing.

    python Testing/campaigns/mutants.py [PATTERN ...] [--sample 240] [--seed 1] [--output mutants]

``make mutants`` runs it over the whole table in pyproject.toml (``[tool.mutants]``): which files are changed and which
tests look at each. cosmic-ray finds the mutants; of all of them a sample is drawn by the seed, as many of each file as
its share of all mutants. Every one is put into a copy of the checkout, never into the checkout itself. Annotations are
left out: they change nothing that runs. PATTERN picks files of the table. Survivors land in OUTPUT/survivors.diff,
the counts in OUTPUT/mutants.csv. It needs Python 3.11 or later, and cosmic-ray (``pip install cosmic-ray``).
"""

import argparse
import ast
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from fnmatch import fnmatch
from pathlib import Path

import tomllib

from MMIFAminLib.files.writing import write_csv

ROOT = Path(__file__).resolve().parents[2]
LIBRARY = "MMIFAmin/MMIFAminLib"


def main() -> int:
    try:
        from cosmic_ray.commands.init import _all_work_items
        from cosmic_ray.mutating import mutate_and_test
        from cosmic_ray.work_item import TestOutcome
    except ImportError:
        print("mutants.py needs cosmic-ray: pip install cosmic-ray", file=sys.stderr)
        return 2
    table = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["mutants"]
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("patterns", nargs="*", metavar="PATTERN", help="files, such as 'volume/*' (default: all)")
    parser.add_argument("--sample", type=int, default=table["sample"], help="how many mutants (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=table["seed"], help="which ones (default: %(default)s)")
    parser.add_argument("--output", type=Path, default=Path("mutants"), help="folder for the results")
    options = parser.parse_args()
    output = options.output.resolve()
    wanted = {
        file: tests
        for file, tests in table["files"].items()
        if not options.patterns or any(fnmatch(file, pattern) for pattern in options.patterns)
    }
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        copy = copied(Path(folder))
        os.chdir(copy)
        os.environ["PYTHONPATH"] = str(copy / "MMIFAmin")
        os.environ.setdefault("MMIFAMIN_SHARED", str(ROOT.parent / "shared"))
        found = {}
        for file in wanted:
            source = f"{LIBRARY}/{file}"
            skipped = annotations(Path(source).read_text(encoding="utf-8"))
            items = [item.mutations[0] for item in _all_work_items([source], {})]
            found[file] = [m for m in items if not any(start <= m.start_pos < stop for start, stop in skipped)]
        total = sum(map(len, found.values()))
        rows, survivors, random_ = [], [], random.Random(options.seed)
        for file, mutations in found.items():
            share = min(len(mutations), round(options.sample * len(mutations) / total))
            command = f"{sys.executable} -m pytest -x -q -p no:cacheprovider {' '.join(wanted[file])}"
            seconds = baseline(command)
            killed = 0
            for mutation in random_.sample(mutations, share):
                result = mutate_and_test([mutation], command, 3 * seconds + 20)
                if result.test_outcome == TestOutcome.SURVIVED:
                    survivors.append(result.diff)
                    print(result.diff, flush=True)
                else:
                    killed += 1
            row = {"file": file, "mutants": len(mutations), "sampled": share, "killed": killed}
            print(
                *(f"{key} {value}" for key, value in row.items()), f"tests take {seconds:.0f} s", sep=", ", flush=True
            )
            rows.append(row)
    sampled, killed = (sum(row[key] for row in rows) for key in ("sampled", "killed"))
    output.mkdir(parents=True, exist_ok=True)
    write_csv(rows, output / "mutants.csv")
    (output / "survivors.diff").write_text("\n\n".join(survivors) + "\n", encoding="utf-8")
    print(f"{killed} of {sampled} sampled mutants killed ({total} in all, seed {options.seed}); see {output}")
    return 0


def copied(folder: Path) -> Path:
    """A copy of what git knows of the checkout, in ``folder``."""
    names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for name in filter(None, names.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    return folder


def annotations(source: str) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """Where annotations begin and end in a source text: pairs of (line, column)."""
    places = []
    for node in ast.walk(ast.parse(source)):
        for field in ("annotation", "returns"):
            if (part := getattr(node, field, None)) is not None:
                places.append(((part.lineno, part.col_offset), (part.end_lineno, part.end_col_offset)))
    return places


def baseline(command: str) -> float:
    """Seconds that the tests take as they are; ends the campaign where they fail."""
    started = time.perf_counter()
    result = subprocess.run(command.split(), capture_output=True, text=True)
    if result.returncode != 0:
        sys.exit(f"the tests fail without any mutant: {command}\n{result.stdout[-2000:]}{result.stderr[-2000:]}")
    return time.perf_counter() - started


if __name__ == "__main__":
    sys.exit(main())
