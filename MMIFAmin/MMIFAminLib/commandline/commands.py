"""What each subcommand of ``mmifamin`` does, given its parsed options. The docstrings are the help texts.

Packages that take seconds to import are imported by the commands that need them, so that help is instant.
"""

import argparse
import time
from functools import partial

from .. import __version__
from ..errors import InputError
from ..study import fuse_study
from ..study.outputs import check_outputs, short_name
from .common import load_fuser
from .terminal import print_table, progress_bar, say


def fuse(options: argparse.Namespace) -> None:
    """Fuse a functional volume with an anatomical one, on the grid of the anatomical volume.

    The result is a grey volume in [0, 1], or with --rgb one in colours: the anatomy's grey, which goes over to the
    functional value's colour as that rises. The two volumes must be registered; their grids may differ. A DICOM folder that
    holds one CT or MR and one attenuation-corrected PET or SPECT of one study may be given alone. Into a folder the result
    is written as a DICOM series of the sources' study.
    """
    started = time.perf_counter()
    with progress_bar() as progress:
        study = fuse_study(options, lambda: load_fuser(options), progress)
    for warning in study.warnings:
        say("warning", warning)
    seconds, facts = time.perf_counter() - started, study.report
    print(f"{options.output}: {facts['slices']} {facts['plane']} slices fused in {seconds:.1f} s on {facts['device']}")


def pairs(options: argparse.Namespace) -> None:
    """Fuse 2D images of equal names in two folders, one PNG each of that name, for any evaluator to score.

    Grey pairs give grey images. 8-bit values are divided by 255: no image is stretched on its own.
    """
    from ..files.images import fuse_folders

    with progress_bar() as progress:
        written, lonely = fuse_folders(
            load_fuser(options),
            options.anatomical,
            options.functional,
            options.output,
            protocol=options.protocol,
            progress=progress,
        )
    _warn_lonely(lonely)
    print(f"{options.output}: {len(written)} images fused ({options.protocol})")


def metrics(options: argparse.Namespace) -> None:
    """Score fused 2D images against their two sources by the field's metrics; colour images by their luma.

    Prints the means over all images; --csv gives every image. Values that are not defined for an image are left out.
    """
    import numpy as np

    from ..evaluation.folders import score_folders
    from ..evaluation.metrics import METRICS
    from ..files.writing import write_csv

    check_outputs([options.csv], [])
    with progress_bar() as progress:
        rows, lonely = score_folders(options.anatomical, options.functional, options.fused, progress=progress)
    _warn_lonely(lonely)
    if options.csv:
        write_csv(rows, options.csv)
    lines = []
    for metric in METRICS:
        values = np.array([row[metric.name] for row in rows])
        values = values[np.isfinite(values)]
        mean, spread = (f"{values.mean():.4g}", f"{values.std():.3g}") if values.size else ("-", "-")
        lines.append((metric.name, mean, spread, metric.meaning))
    print_table(f"Means over {len(rows)} images", ("metric", "mean", "sd", "what it tells"), lines)


def info(options: argparse.Namespace) -> None:
    """Show the versions, the device and the weights that a fusion would use."""
    import platform
    from importlib.metadata import PackageNotFoundError, version

    fuser = load_fuser(options)
    weights = fuser.weights
    import torch

    if fuser.device.startswith("cuda"):
        gpu = f" ({torch.cuda.get_device_name(fuser.device)})"
    else:
        gpu = " (Apple GPU)" if fuser.device == "mps" else f" ({torch.get_num_threads()} threads)"
    lines = [
        ("MMIFAmin", __version__),
        ("Python", f"{platform.python_version()}, {platform.system()} {platform.machine()}"),
    ]
    for package in ("torch", "monai", "SimpleITK", "numpy"):
        try:
            lines.append((package, version(package)))
        except PackageNotFoundError:
            lines.append((package, "not installed"))
    lines += [
        ("device", fuser.device + gpu),
        ("precision", fuser.precision),
        ("weights", weights.name),
        ("file", str(weights.path)),
        ("SHA-256", weights.sha256),
        ("parameters", str(weights.card.get("parameters", "not on the model card"))),
    ]
    print_table("MMIFAmin: research use only", ("", ""), lines)


def demo(options: argparse.Namespace) -> None:
    """Fuse the MNI152 T1 head with a simulated FDG-PET and write volumes, a picture and a report."""
    from .demo import run_demo

    started = time.perf_counter()
    fuser = load_fuser(options)
    with progress_bar() as progress:
        facts = run_demo(options.output, fuser, progress=progress)
    seconds = facts["seconds"]
    lines = [
        ("volume", f"{facts['slices']} axial slices"),
        ("device", f"{facts['device']}, {facts['precision']}"),
        ("network", f"{seconds['network']:.1f} s, {facts['slices_per_second']:.1f} slices/s"),
        ("all of it", f"{time.perf_counter() - started:.1f} s"),
        ("peak memory", f"{facts['peak_memory_mb']:.0f} MB" if facts["peak_memory_mb"] else "not known"),
        *((name, f"{facts['metrics'][name]:.3f}") for name in ("VIF", "Qabf", "SSIM")),
    ]
    print_table("T1 MR + simulated FDG-PET, fused by MMIF-AMIN", ("", ""), lines)
    print(f"Look at {options.output / 'preview.png'}; the volumes and report.json lie beside it.")


def train(options: argparse.Namespace) -> None:
    """Train a network by a configuration; checkpoints, logs, weights and model card land in the output folder.

    With --folds as many networks, each without some of the patients, and a table of how they do on those.
    """
    from ..training import train
    from ..training.cross_validation import cross_validate

    if options.folds is not None:
        with progress_bar() as progress:
            table = cross_validate(options.config, options.data, options.output, folds=options.folds, progress=progress)
        print(table.read_text(encoding="utf-8"), end="")
        return
    with progress_bar() as progress:
        weights = train(options.config, options.data, options.output, resume=options.resume, progress=progress)
    print(f"{weights}: trained; the model card, scores and log lie beside it.")


def ablate(options: argparse.Namespace) -> None:
    """Train the full method and variants without one of its parts, with equal budgets, and compare them in a table.

    Run again after an interruption, it skips what is finished.
    """
    from ..training.ablation import ablate

    with progress_bar() as progress:
        table = ablate(options.config, options.data, options.output, progress=progress)
    print(table.read_text(encoding="utf-8"), end="")


def bundle(options: argparse.Namespace) -> None:
    """Export a network as a MONAI bundle, which `python -m monai.bundle run` executes without MMIFAmin."""
    from ..training.bundle import export_bundle

    print(f"{export_bundle(options.output, options.weights)}: exported; docs/README.md in it tells how to run it.")


def lesions(options: argparse.Namespace) -> None:
    """Put hot and cold lesions into functional volumes and measure what the fusion shows of them.

    The volumes of a pair lie on one grid. Each lesion is fused with and without; the table tells how many change the
    fused image in the right direction and how much of their contrast arrives.
    """
    from ..evaluation import baselines
    from ..evaluation.lesions import check_protocol, lesion_study, load_case
    from ..files.writing import write_csv

    check_outputs([options.csv], [])
    methods = ("mmif-amin", *baselines.BASELINES)
    if options.method not in methods:
        raise InputError(f"there is no method '{options.method}': choose one of {', '.join(methods)}")
    check_protocol(options.protocol)
    if options.seed < 0:
        raise InputError(f"--seed {options.seed}: give a number from 0 on")
    if options.method == "mmif-amin":
        fuse = partial(load_fuser(options).fuse_arrays, uptake=options.protocol == "scalar", consecutive=True)
    else:
        fuse = baselines.BASELINES[options.method]
    cases = [load_case(*pair, table=options.color_table, name=short_name(pair[1])) for pair in options.pair]
    with progress_bar() as progress:
        rows = lesion_study(
            fuse, cases, n=options.lesions, seed=options.seed, protocol=options.protocol, progress=progress
        )
    if options.csv:
        write_csv(rows, options.csv)
    lines = [[f"{value:.3f}" if isinstance(value, float) else str(value) for value in row.values()] for row in rows]
    print_table(f"Lesions shown by {options.method}", list(rows[0]), lines)


def _warn_lonely(paths) -> None:
    if paths:
        say("warning", f"left out, for want of a partner of the same name: {', '.join(map(str, paths))}")
