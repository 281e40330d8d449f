"""The ``mmifamin`` command.

Exit codes: 0 done; 1 some studies of a cohort were not fused; 2 an error, told in one line on the error stream; 130
interrupted. Progress bars show on terminals only.
"""

import argparse
import os
import shutil
import sys
import textwrap
from collections.abc import Callable
from functools import partial
from inspect import cleandoc
from io import TextIOWrapper
from pathlib import Path

from .. import __version__
from ..errors import InputError, MMIFAminError
from ..study import add_engine_options, add_fusion_options, joined
from . import cohort as many
from . import commands, dicom, lists, reading, truth
from . import data as data_sets
from . import series as listing
from .terminal import say

ERROR, INTERRUPTED = 2, 130

_EXAMPLES = """\
examples:
  mmifamin fuse t1.nii.gz fdg.nii.gz -o fused.nrrd --preview fused.png --report fused.json
  mmifamin series cd
  mmifamin fuse t1.nii.gz fdg.nii.gz --second ct.nii.gz -o fused.nrrd --rgb
  mmifamin fuse cd -o fused.nrrd --preset pet-ct-oncology
  mmifamin fuse cd -o fused_dicom/ --rgb
  mmifamin cohort studies.csv fused --workers 4
  mmifamin fuse mr.nrrd ct_dicom_folder -o fused_rgb.nrrd --rgb --functional-window ct-bone
  mmifamin pairs --anatomical MRI --functional PET --output fused
  mmifamin metrics --anatomical MRI --functional PET --fused fused --csv scores.csv

MMIFAmin is for research use only: it is not a medical device.
"""


class _Parser(argparse.ArgumentParser):
    """`chosen` are what `lists` has for the end of the help: found only when the help is shown."""

    chosen: dict[str, Callable[[], str]] = {}

    def error(self, message):
        raise InputError(f"{message} (see {self.prog} --help)")

    def format_help(self) -> str:
        if self.chosen:
            width = shutil.get_terminal_size().columns - 2
            indent = " " * 24
            lines = (
                textwrap.fill(f"{f'  {title}':<24}{names()}", width, subsequent_indent=indent, break_on_hyphens=False)
                for title, names in self.chosen.items()
            )
            self.epilog = "to choose from:\n" + "\n".join(lines)
        return super().format_help()


def main(arguments: list[str] | None = None) -> int:
    """Run the command with `arguments` (default: those of the process) and return its exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # names of files may be no UTF-8
    try:
        options = _parser().parse_args(joined(sys.argv[1:] if arguments is None else arguments))
        return options.run(options) or 0
    except MMIFAminError as error:
        return _fail(str(error))
    except MemoryError:
        return _fail("not enough memory; close other programs or use a smaller volume")
    except BrokenPipeError:  # the reader of our output, such as `head`, has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:  # what no room has put into words of its own
        return _fail(f"{error.filename or 'a file'}: {error.strerror or error}")
    except KeyboardInterrupt:
        print("mmifamin: interrupted", file=sys.stderr)
        return INTERRUPTED


def _fail(message: str) -> int:
    say("error", message)
    return ERROR


def _parser() -> argparse.ArgumentParser:
    raw = argparse.RawDescriptionHelpFormatter
    parser = _Parser(
        "mmifamin",
        usage="%(prog)s [-h] [--version] COMMAND ...",
        epilog=_EXAMPLES,
        formatter_class=raw,
    )
    parser.add_argument("--version", action="version", version=f"MMIFAmin {__version__}")
    subparsers = parser.add_subparsers(prog="mmifamin", metavar="COMMAND", required=True, help=argparse.SUPPRESS)
    shown: dict[str, list[str]] = {}

    def command(name, run, summary, group="to fuse and to score", **chosen):
        added = subparsers.add_parser(name, description=cleandoc(run.__doc__), formatter_class=raw)
        added.set_defaults(run=run)
        added.chosen = {title.replace("_", " "): names for title, names in chosen.items()}
        shown.setdefault(group, []).append(f"    {name:<20}{summary}")
        return added

    for_fusing = partial(command, presets=lists.presets, colour_tables=lists.color_tables, weights=lists.weights)
    fuse = for_fusing("fuse", commands.fuse, "fuse two volumes")
    fuse.add_argument(
        "anatomical",
        type=Path,
        metavar="ANATOMICAL",
        help="MR or CT: NRRD, NIfTI, MHA, MGH, DICOM (FOLDER, FILE, FOLDER::#2)",
    )
    fuse.add_argument(
        "functional",
        type=Path,
        nargs="?",
        metavar="FUNCTIONAL",
        help="PET, SPECT, CT or a second MR, likewise; left out where ANATOMICAL is a DICOM folder that holds both",
    )
    dicom.add_options(fuse)
    add_fusion_options(fuse)
    fuse.add_argument(
        "--second",
        type=Path,
        metavar="ANATOMICAL",
        help="fuse three at once: a second MR or CT, which is fused with the first; FUNCTIONAL is then PET or SPECT",
    )
    fuse.add_argument(
        "--transform",
        type=Path,
        metavar="TFM",
        help="write the transform of --register (.tfm, .h5); that of --second goes beside it, as NAME-second",
    )
    fuse.add_argument("--preview", type=Path, metavar="PNG", help="write a picture of three planes")
    fuse.add_argument("--report", type=Path, metavar="JSON", help="write versions, windows, times and warnings")

    studies = for_fusing("cohort", many.cohort, "fuse many studies")
    many.add_options(studies)

    pairs = command("pairs", commands.pairs, "fuse folders of 2D images", weights=lists.weights)
    metrics = command("metrics", commands.metrics, "score fused 2D images")
    for added in (pairs, metrics):
        added.add_argument(
            "--anatomical", type=Path, required=True, metavar="DIR", help="MR or CT images (PNG, JPG, TIFF)"
        )
        added.add_argument(
            "--functional", type=Path, required=True, metavar="DIR", help="PET, SPECT or CT images of the same names"
        )
    pairs.add_argument(
        "--output", type=Path, required=True, metavar="DIR", help="where the fused images go, as 8-bit PNG"
    )
    pairs.add_argument(
        "--protocol",
        default="ycbcr",
        metavar="NAME",
        help="for functional images in colours: ycbcr fuses the luma and keeps Cb and Cr (default); palette recovers "
        "the uptake, fuses it and colours the result; scalar does so and writes grey",
    )
    metrics.add_argument("--fused", type=Path, required=True, metavar="DIR", help="fused images of the same names")
    metrics.add_argument("--csv", type=Path, metavar="FILE", help="write the scores of every image")

    to_read = "to read uptake"
    reading.add_mip_options(command("mip", reading.mip, "turn a PET's maximum intensity projection", to_read))
    reading.add_hottest_options(command("hottest", reading.hottest, "list the hottest spots of a PET", to_read))

    series = command("series", listing.series, "list the DICOM series in a folder")
    series.add_argument("folder", type=Path, metavar="FOLDER", help="a CD, a DICOMDIR, or any folder with DICOM files")

    info = command("info", commands.info, "versions, device and weights", weights=lists.weights)
    demo = command("demo", commands.demo, "fuse a simulated PET/MR head", weights=lists.weights)
    demo.add_argument(
        "--output", type=Path, default=Path("demo"), metavar="DIR", help="where the results go (default: demo)"
    )

    work = "to work on the method"
    data_sets.add_options(
        command("data", data_sets.data, "lay out the public data that training and tables need", work)
    )

    train = command("train", commands.train, "train a network", work, configurations=lists.configurations)
    train.add_argument(
        "--config", required=True, metavar="FILE", help="a YAML file, or the name of a shipped configuration"
    )
    train.add_argument("--data", type=Path, required=True, metavar="DIR", help="folder of the training images")
    train.add_argument(
        "--output", type=Path, required=True, metavar="DIR", help="where checkpoints, logs and weights go"
    )
    train.add_argument("--resume", action="store_true", help="go on from the last checkpoint in the output folder")
    train.add_argument(
        "--folds",
        type=int,
        metavar="N",
        help="cross-validation: train N networks, each without some of the patients, and tell how they do on those",
    )

    ablate = command(
        "ablate",
        commands.ablate,
        "measure what each part of the method is worth",
        work,
        configurations=lists.ablations,
    )
    ablate.add_argument(
        "--config", default="ablation", metavar="FILE", help="the variants: a YAML file, or a shipped one (default)"
    )
    ablate.add_argument("--data", type=Path, required=True, metavar="DIR", help="folder of the training images")
    ablate.add_argument(
        "--output",
        type=Path,
        required=True,
        metavar="DIR",
        help="where networks and tables go; an old one is continued",
    )

    bundle = command("bundle", commands.bundle, "export a MONAI bundle", work, weights=lists.weights)
    bundle.add_argument("--output", type=Path, required=True, metavar="DIR", help="a new folder")
    bundle.add_argument("--weights", metavar="NAME", help="a .safetensors file, or the name of shipped weights")

    lesions = command(
        "lesions",
        commands.lesions,
        "measure how truly uptake is shown",
        work,
        methods=lists.methods,
        colour_tables=lists.color_tables,
        weights=lists.weights,
    )
    lesions.add_argument(
        "--pair",
        type=Path,
        nargs=2,
        action="append",
        required=True,
        metavar=("ANATOMICAL", "FUNCTIONAL"),
        help="one case; repeatable",
    )
    lesions.add_argument(
        "--method", default="mmif-amin", metavar="NAME", help="mmif-amin (default) or a classical baseline"
    )
    lesions.add_argument(
        "--protocol", default="scalar", metavar="NAME", help="fuse the uptake (scalar, default) or its luma (ycbcr)"
    )
    lesions.add_argument("--color-table", metavar="NAME", help="colours of the uptake, for ycbcr")
    lesions.add_argument("--lesions", type=int, default=200, metavar="N", help="lesions in each case (default: 200)")
    lesions.add_argument("--seed", type=int, default=0, metavar="N", help="which random lesions (default: 0)")
    lesions.add_argument("--csv", type=Path, metavar="FILE", help="write the table")

    measured = command(
        "truth",
        truth.truth,
        "measure what can be read off the fused picture",
        work,
        colour_tables=lists.color_tables,
        weights=lists.weights,
    )
    truth.add_options(measured)

    listed = (f"{group}:\n" + "\n".join(lines) for group, lines in shown.items())
    parser.description = "\n\n".join(["Multimodal medical image fusion by MMIF-AMIN.", *listed])
    for added in (fuse, studies, pairs, info, demo, lesions, measured):
        add_engine_options(added)
    return parser
