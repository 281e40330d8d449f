"""The ``mmifamin`` command.

Exit codes: 0 done; 2 an error, told in one line on the error stream; 130 interrupted. Progress bars show on terminals
only. Packages that take seconds to import are imported by the commands that need them, so that help is instant.
"""

import argparse
import os
import sys
from contextlib import contextmanager
from inspect import cleandoc
from pathlib import Path

from . import __version__
from .errors import InputError, MMIFAminError

ERROR, INTERRUPTED = 2, 130

_EXAMPLES = """\
examples:
  mmifamin fuse t1.nii.gz fdg.nii.gz -o fused.nrrd --preview fused.png --report fused.json
  mmifamin fuse mr.nrrd ct_dicom_folder -o fused_rgb.nrrd --rgb --functional-window ct-bone
  mmifamin pairs --anatomical MRI --functional PET --output fused
  mmifamin metrics --anatomical MRI --functional PET --fused fused --csv scores.csv

MMIFAmin is for research use only: it is not a medical device.
"""


class _Parser(argparse.ArgumentParser):
    def error(self, message):
        raise InputError(f"{message} (see {self.prog} --help)")


def main(arguments: list[str] | None = None) -> int:
    """Run the command with `arguments` (default: those of the process) and return its exit code."""
    try:
        options = _parser().parse_args(arguments)
        return options.run(options) or 0
    except MMIFAminError as error:
        return _fail(str(error))
    except MemoryError:
        return _fail("not enough memory; close other programs or use a smaller volume")
    except BrokenPipeError:  # the reader of our output, such as `head`, has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        print("mmifamin: interrupted", file=sys.stderr)
        return INTERRUPTED


def _fail(message: str) -> int:
    print("mmifamin: error:", " ".join(message.split()), file=sys.stderr)
    return ERROR


def _warn(message: str) -> None:
    print("mmifamin: warning:", " ".join(message.split()), file=sys.stderr)


def _parser() -> argparse.ArgumentParser:
    raw = argparse.RawDescriptionHelpFormatter
    parser = _Parser("mmifamin", description="Multimodal medical image fusion by MMIF-AMIN.", epilog=_EXAMPLES, formatter_class=raw)
    parser.add_argument("--version", action="version", version=f"MMIFAmin {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def command(name, run, summary):
        added = commands.add_parser(name, help=summary, description=cleandoc(run.__doc__), formatter_class=raw)
        added.set_defaults(run=run)
        return added

    fuse = command("fuse", _fuse, "fuse two volumes")
    fuse.add_argument("anatomical", type=Path, metavar="ANATOMICAL", help="MR or CT: NRRD, NIfTI, MHA or a DICOM series folder")
    fuse.add_argument("functional", type=Path, metavar="FUNCTIONAL", help="PET, SPECT, CT or a second MR, likewise")
    fuse.add_argument("-o", "--output", type=Path, required=True, metavar="OUT", help="fused volume: .nrrd, .nii.gz, .nii or .mha")
    fuse.add_argument("--rgb", action="store_true", help="write the fused volume in colours instead of grey")
    fuse.add_argument("--color-table", metavar="NAME", help="colours of the functional values (default: pet-heat, or its own)")
    fuse.add_argument("--functional-weight", type=float, default=1.0, metavar="W", help="strength of the colours, 0 to 1 (default: 1)")
    fuse.add_argument(
        "--plane", default="axial", metavar="PLANE", help="slices to fuse: axial (default), coronal, sagittal or acquisition"
    )
    window = "LOW:HIGH, auto (default), mr, uptake, ct-brain, ct-soft-tissue, ct-bone or ct-lung"
    fuse.add_argument("--window", default="auto", metavar="SPEC", help=f"anatomical intensities from black to white: {window}")
    fuse.add_argument("--functional-window", default="auto", metavar="SPEC", help="functional ones, likewise; 0:10 for SUV 0 to 10")
    fuse.add_argument("--preview", type=Path, metavar="PNG", help="write a picture of three planes")
    fuse.add_argument("--report", type=Path, metavar="JSON", help="write versions, windows, times and warnings")

    pairs = command("pairs", _pairs, "fuse folders of 2D images")
    metrics = command("metrics", _metrics, "score fused 2D images")
    for added in (pairs, metrics):
        added.add_argument("--anatomical", type=Path, required=True, metavar="DIR", help="MR or CT images (PNG, JPG, TIFF)")
        added.add_argument("--functional", type=Path, required=True, metavar="DIR", help="PET, SPECT or CT images of the same names")
    pairs.add_argument("--output", type=Path, required=True, metavar="DIR", help="where the fused images go, as 8-bit PNG")
    pairs.add_argument(
        "--protocol",
        default="ycbcr",
        metavar="NAME",
        help="for functional images in colours: ycbcr fuses the luma and keeps Cb and Cr (default); palette recovers the "
        "uptake, fuses it and colours the result; scalar does so and writes grey",
    )
    metrics.add_argument("--fused", type=Path, required=True, metavar="DIR", help="fused images of the same names")
    metrics.add_argument("--csv", type=Path, metavar="FILE", help="write the scores of every image")

    info = command("info", _info, "versions, device and weights")
    demo = command("demo", _demo, "fuse a simulated PET/MR head")
    demo.add_argument("--output", type=Path, default=Path("demo"), metavar="DIR", help="where the results go (default: demo)")

    train = command("train", _train, "train a network")
    train.add_argument("--config", required=True, metavar="FILE", help="a YAML file, or the name of a shipped configuration")
    train.add_argument("--data", type=Path, required=True, metavar="DIR", help="folder of the training images")
    train.add_argument("--output", type=Path, required=True, metavar="DIR", help="where checkpoints, logs and weights go")
    train.add_argument("--resume", action="store_true", help="go on from the last checkpoint in the output folder")

    lesions = command("lesions", _lesions, "measure how truly uptake is shown")
    lesions.add_argument(
        "--pair", type=Path, nargs=2, action="append", required=True, metavar=("ANATOMICAL", "FUNCTIONAL"), help="one case; repeatable"
    )
    lesions.add_argument("--method", default="mmif-amin", metavar="NAME", help="mmif-amin (default) or a classical baseline")
    lesions.add_argument("--protocol", default="scalar", metavar="NAME", help="fuse the uptake (scalar, default) or its luma (ycbcr)")
    lesions.add_argument("--color-table", metavar="NAME", help="colours of the uptake, for ycbcr")
    lesions.add_argument("--lesions", type=int, default=200, metavar="N", help="lesions in each case (default: 200)")
    lesions.add_argument("--seed", type=int, default=0, metavar="N", help="which random lesions (default: 0)")
    lesions.add_argument("--csv", type=Path, metavar="FILE", help="write the table")

    for added in (fuse, pairs, info, demo, lesions):
        engine = added.add_argument_group("engine")
        engine.add_argument("--device", default="auto", metavar="NAME", help="auto (default), cpu or cuda")
        engine.add_argument("--precision", default="auto", metavar="NAME", help="auto (default), fp32, bf16 or fp16")
        engine.add_argument("--weights", metavar="NAME", help="a .safetensors file, or the name of shipped weights")
    return parser


def _fuse(options) -> None:
    """Fuse a functional volume with an anatomical one, on the grid of the anatomical volume.

    The result is a grey volume in [0, 1], or with --rgb one whose lightness is the fusion and whose colour is the
    functional value. The two volumes must be registered; their grids may differ.
    """
    from . import color, report
    from .volumes import WRITABLE, read_volume, write_volume

    if not options.output.name.lower().endswith(WRITABLE):
        raise InputError(f"{options.output}: volumes are written as {', '.join(WRITABLE)}; choose one of these endings")
    sources = (options.anatomical, options.functional)
    _check_outputs([options.output, options.preview, options.report], sources)
    table = color.ColorTable.named(options.color_table) if options.color_table else None
    if not 0 <= options.functional_weight <= 1:
        raise InputError(f"the functional weight is from 0 to 1, not {options.functional_weight:g}")
    anatomical, functional = (read_volume(path) for path in sources)
    fuser = _load(options)
    with _progress() as progress:
        fused = fuser.fuse(
            anatomical,
            functional,
            plane=options.plane,
            anatomical_window=options.window,
            functional_window=options.functional_window,
            progress=progress,
        )
    table = table or _own_table(functional)
    write_volume(fused.rgb(table, options.functional_weight) if options.rgb else fused.image, options.output)
    facts = fused.report
    if options.preview:
        picture = report.preview(
            anatomical,
            fused,
            table=table,
            weight=options.functional_weight,
            titles=tuple(_short_name(path) for path in sources),
            footer=f"MMIFAmin {__version__}. {facts['notice']}",
        )
        report.write_png(picture, options.preview)
    if options.report:
        used = {"anatomical": sources[0], "functional": sources[1], "output": options.output}
        report.write_json(used | {"color_table": table.name, "functional_weight": options.functional_weight} | facts, options.report)
    for warning in facts["warnings"]:
        _warn(warning)
    seconds = sum(facts["seconds"].values())
    print(f"{options.output}: {facts['slices']} {facts['plane']} slices fused in {seconds:.1f} s on {facts['device']}")


def _own_table(functional):
    """The palette that an RGB functional volume already uses, else PET heat."""
    import SimpleITK as sitk

    from . import color

    if functional.GetNumberOfComponentsPerPixel() == 3:
        try:
            return color.ColorTable.named(color.recover_uptake(sitk.GetArrayViewFromImage(functional))[1])
        except InputError:
            pass  # Colours of no known palette: its luma was fused and is coloured anew.
    return color.ColorTable.named("pet-heat")


def _pairs(options) -> None:
    """Fuse 2D images of equal names in two folders, one PNG each of that name, for any evaluator to score.

    Grey pairs give grey images. 8-bit values are divided by 255: no image is stretched on its own.
    """
    from .images import fuse_folders

    with _progress() as progress:
        written, lonely = fuse_folders(
            _load(options), options.anatomical, options.functional, options.output, protocol=options.protocol, progress=progress
        )
    _warn_lonely(lonely)
    print(f"{options.output}: {len(written)} images fused ({options.protocol})")


def _metrics(options) -> None:
    """Score fused 2D images against their two sources by the field's metrics; colour images by their luma.

    Prints the means over all images; --csv gives every image. Values that are not defined for an image are left out.
    """
    import numpy as np

    from .images import score_folders
    from .metrics import METRICS
    from .report import write_csv

    _check_outputs([options.csv], [])
    with _progress() as progress:
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
    _table(f"Means over {len(rows)} images", ("metric", "mean", "sd", "what it tells"), lines)


def _info(options) -> None:
    """Show the versions, the device and the weights that a fusion would use."""
    import platform
    from importlib.metadata import PackageNotFoundError, version

    fuser = _load(options)
    import torch

    gpu = f" ({torch.cuda.get_device_name()})" if fuser.device == "cuda" else f" ({torch.get_num_threads()} threads)"
    lines = [("MMIFAmin", __version__), ("Python", f"{platform.python_version()}, {platform.system()} {platform.machine()}")]
    for package in ("torch", "monai", "SimpleITK", "numpy"):
        try:
            lines.append((package, version(package)))
        except PackageNotFoundError:
            lines.append((package, "not installed"))
    lines += [
        ("device", fuser.device + gpu),
        ("precision", fuser.precision),
        ("weights", fuser.weights.name),
        ("file", str(fuser.weights.path)),
        ("SHA-256", fuser.weights.sha256),
        ("parameters", f"{fuser.weights.card['parameters']:,}"),
    ]
    _table("MMIFAmin: research use only", ("", ""), lines)


def _demo(options) -> None:
    """Fuse the MNI152 T1 head with a simulated FDG-PET and write volumes, a picture and a report."""
    from .demo import run_demo

    fuser = _load(options)
    with _progress() as progress:
        facts = run_demo(options.output, fuser, progress=progress)
    seconds = facts["seconds"]
    lines = [
        ("volume", f"{facts['slices']} axial slices"),
        ("device", f"{facts['device']}, {facts['precision']}"),
        ("network", f"{seconds['network']:.1f} s, {facts['slices_per_second']:.1f} slices/s"),
        ("all of it", f"{sum(seconds.values()):.1f} s"),
        ("peak memory", f"{facts['peak_memory_mb']:.0f} MB" if facts["peak_memory_mb"] else "not known"),
        *((name, f"{facts['metrics'][name]:.3f}") for name in ("VIF", "Qabf", "SSIM")),
    ]
    _table("T1 MR + simulated FDG-PET, fused by MMIF-AMIN", ("", ""), lines)
    print(f"Look at {options.output / 'preview.png'}; the volumes and report.json lie beside it.")


def _train(options) -> None:
    """Train a network by a configuration; checkpoints, logs, weights and model card land in the output folder."""
    from .training import train

    with _progress() as progress:
        weights = train(options.config, options.data, options.output, resume=options.resume, progress=progress)
    print(f"{weights}: trained; the model card, scores and log lie beside it.")


def _lesions(options) -> None:
    """Put hot and cold lesions into functional volumes and measure what the fusion shows of them.

    The volumes of a pair lie on one grid. Each lesion is fused with and without; the table tells how many change the
    fused image in the right direction and how much of their contrast arrives.
    """
    from . import baselines
    from .lesions import lesion_study, load_case
    from .report import write_csv

    _check_outputs([options.csv], [])
    methods = ("mmif-amin", *baselines.BASELINES)
    if options.method not in methods:
        raise InputError(f"there is no method '{options.method}': choose one of {', '.join(methods)}")
    fuse = _load(options).fuse_arrays if options.method == "mmif-amin" else baselines.BASELINES[options.method]
    cases = [load_case(*pair, table=options.color_table, name=_short_name(pair[1])) for pair in options.pair]
    with _progress() as progress:
        rows = lesion_study(fuse, cases, n=options.lesions, seed=options.seed, protocol=options.protocol, progress=progress)
    if options.csv:
        write_csv(rows, options.csv)
    lines = [[f"{value:.3f}" if isinstance(value, float) else str(value) for value in row.values()] for row in rows]
    _table(f"Lesions shown by {options.method}", list(rows[0]), lines)


def _load(options):
    """The fuser that the engine options ask for."""
    from .fusion import VolumeFuser

    return VolumeFuser.load(options.device, options.precision, options.weights)


def _check_outputs(outputs, sources) -> None:
    """Tell of a place that cannot be written, or that would overwrite a source, before the work rather than after."""
    for path in filter(None, outputs):
        if not path.resolve().parent.is_dir():
            raise InputError(f"{path}: there is no folder {path.resolve().parent}")
        if path.is_dir():
            raise InputError(f"{path} is a folder; give a file name")
        if any(path.resolve() == source.resolve() for source in sources):
            raise InputError(f"{path} is one of the sources; choose another name for the output")


def _short_name(path: Path) -> str:
    return path.name.split(".")[0] or path.name


def _warn_lonely(paths) -> None:
    if paths:
        _warn(f"left out, for want of a partner of the same name: {', '.join(map(str, paths))}")


@contextmanager
def _progress():
    """A callback `progress(fraction, text)` that draws a bar with the time left, or nothing where nobody looks."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda fraction, text: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", total=1.0)
        # After the comma fusion texts give the time left, which the bar shows already.
        yield lambda fraction, text: bar.update(task, completed=fraction, description=text.partition(",")[0])


def _table(title: str, headings, rows) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    console = Console()
    if not console.is_terminal:
        console = Console(width=140)
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, show_header=any(headings))
    for heading in headings:
        table.add_column(heading)
    for row in rows:
        table.add_row(*row)
    console.print(table)
