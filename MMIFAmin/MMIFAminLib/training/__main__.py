"""``python -m MMIFAminLib.training --config CONFIG --data DATA --output DIR [--resume]``, also under torchrun."""

import argparse
import os
import sys

from ..errors import MMIFAminError
from .engine import train


def main() -> int:
    """Train as told on the command line; exit code 2 and one message for errors that a person can mend."""
    parser = argparse.ArgumentParser(prog="python -m MMIFAminLib.training", description="Train MMIF-AMIN.")
    parser.add_argument("--config", required=True, help="YAML file, or the name of a shipped configuration")
    parser.add_argument("--data", required=True, help="folder that holds the folders the configuration names")
    parser.add_argument("--output", required=True, help="folder for checkpoint, logs and weights")
    parser.add_argument("--resume", action="store_true", help="continue from the last checkpoint")
    arguments = parser.parse_args()
    try:
        train(arguments.config, arguments.data, arguments.output, resume=arguments.resume, progress=_report)
    except MMIFAminError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def _report(fraction: float, text: str) -> None:
    if os.environ.get("RANK", "0") == "0":
        print(f"{fraction:4.0%} {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
