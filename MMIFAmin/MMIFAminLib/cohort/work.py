"""One row of a cohort: fuse it unless that is done already, write its files, and say what came of it."""

from __future__ import annotations

import argparse
import base64
import io
import json
import math
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ..errors import FusionCancelled, InputError, MMIFAminError
from ..study import FusedStudy, fuse_study, settled, with_options
from .derivatives import derivative_facts
from .hashes import content_hash, output_hash, result_key
from .manifest import Row

if TYPE_CHECKING:
    from PIL import Image

    from ..engine import VolumeFuser
    from ..engine.progress import Progress

FUSED, KEPT, REFUSED, FAILED = "fused", "kept", "refused", "failed"
STATE = ".cohort"
"""The folder in the output that says what is done, one file a row."""
SCORED_SLICES = 8
"""Slices of a volume that are scored: with more, scoring would take as long as fusing."""


@dataclass(frozen=True)
class Result:
    """What came of a row: ``status`` is fused, kept (done before, and nothing has changed), refused (``reason`` is a
    sentence on the input) or failed (on what is no fault of the input).

    ``seconds`` it took to fuse; ``metrics`` the means over some slices; ``hashes`` SHA-256 of the inputs, weights and fused
    volume; ``output`` the fused volume and ``preview`` its picture, relative to the cohort's folder; ``thumbnail`` a JPEG
    as base64; ``worker`` who did it.
    """

    id: str
    status: str
    reason: str = ""
    seconds: float = 0.0
    warnings: tuple[str, ...] = ()
    metrics: dict[str, float] = field(default_factory=dict)
    hashes: dict[str, str] = field(default_factory=dict)
    output: str = ""
    preview: str = ""
    thumbnail: str = ""
    worker: str = ""


class Places(NamedTuple):
    """Where the files of a row go."""

    volume: Path
    report: Path
    preview: Path


def places(row: Row, output: Path, dicom: bool) -> Places:
    """Where the fused volume, the report and the picture of ``row`` go: as BIDS derivatives or in a folder of its id."""
    if row.derivative:
        base = output / row.derivative
        return Places(*(base.with_name(base.name + ending) for ending in ("_pet.nii.gz", "_pet.json", "_preview.png")))
    folder = output / row.id
    return Places(folder / ("fused_dicom" if dicom else "fused.nrrd"), folder / "report.json", folder / "preview.png")


def fuse_row(
    row: Row,
    output: Path,
    options: argparse.Namespace,
    load: Callable[[], VolumeFuser],
    *,
    force: bool = False,
    worker: str = "",
    progress: Progress = lambda fraction, text: None,
) -> Result:
    """Fuse ``row`` into the folder ``output`` by the code of ``mmifamin fuse``, unless its files are there and neither the
    inputs nor options, weights or version have changed since (``force``: in any case).

    ``options`` are those of ``study.default_options`` for all rows. Whatever is wrong with the row is told in the result;
    only FusionCancelled, when ``progress`` returns False, and what is no Exception are raised. Two at one row take turns.
    """
    started = time.perf_counter()
    try:
        result = told(row.id, lambda: _fuse_row(row, output, options, load, force, worker, progress, started), worker)
    finally:
        if not row.derivative:  # whose folder other rows share, which may be about to write into it
            with suppress(OSError):  # it is not empty: something was written
                places(row, output, False).report.parent.rmdir()
    if result.status in (FUSED, KEPT):
        return result
    if (output / STATE / f"{row.id}.json").exists():
        result = replace(
            result, warnings=("what lies there is an earlier result, of other inputs, options or weights",)
        )
    return result


def told(id_: str, work: Callable[[], Result], worker: str = "") -> Result:
    """What ``work()`` returns or, where it raises, that ``id_`` is refused or has failed, and why.

    Only FusionCancelled, and what is no Exception, are raised.
    """
    started, status = time.perf_counter(), FAILED
    try:
        return work()
    except FusionCancelled:
        raise
    except MMIFAminError as error:
        status, reason = REFUSED, str(error)
    except MemoryError:
        reason = "not enough memory: give each worker more, or use fewer of them"
    except Exception as error:  # a row that fails for whatever reason stops no other
        reason = f"{type(error).__name__}: {error}"
    return Result(id_, status, " ".join(reason.split()), round(time.perf_counter() - started, 3), worker=worker)


def _fuse_row(row, output, options, load, force, worker, progress, started) -> Result:
    from ..files import write_json
    from ..files.locking import locked

    options = settled(with_options(options, row.options))
    sources = {name: path for name in ("anatomical", "functional", "second") if (path := getattr(row, name))}
    inputs = {name: content_hash(path) for name, path in sources.items()}
    fuser = load()
    key = result_key(inputs, options, fuser.weights.sha256)
    state = output / STATE / f"{row.id}.json"
    state.parent.mkdir(parents=True, exist_ok=True)
    # A worker may still be at it on behalf of a command that was killed.
    with locked(state.with_name(f"{row.id}.lock"), wait=True):
        if not force and (result := _done(state, key, output)):
            return result
        vars(options).update(sources, functional=row.functional, second=row.second)
        result, written = _write_row(row, output, options, fuser, state, progress)
        hashes = inputs | {"weights": fuser.weights.sha256} | result.hashes
        result = replace(result, hashes=hashes, worker=worker, seconds=round(time.perf_counter() - started, 3))
        write_json({"key": key, "files": written, "result": asdict(result)}, state)
    return result


def _write_row(row, output, options, fuser, state, progress) -> tuple[Result, dict[str, str]]:
    """Fuse ``row`` and write its files: what came of it, and the files with their hashes."""
    from ..display import thumbnail
    from ..files import write_json
    from ..files.writing import remove_parts

    volume, report, preview = places(row, output, options.dicom)
    for path in (state, volume, report, preview):
        path.parent.mkdir(parents=True, exist_ok=True)
        remove_parts(path)
    # A series goes into a new folder, which takes the place of an older one when it is whole.
    new = volume.with_name(f".{volume.name}.new") if options.dicom else volume
    if options.dicom:
        shutil.rmtree(new, ignore_errors=True)
    vars(options).update(output=new, preview=preview, report=None, transform=None)
    study = fuse_study(options, lambda: fuser, progress)
    if new != volume:
        shutil.rmtree(volume, ignore_errors=True)
        new.rename(volume)
    write_json(_sidecar(row, study.report, volume, options.rgb), report)
    written = {str(path.relative_to(output)): output_hash(path) for path in (volume, report, preview)}
    place = str(volume.relative_to(output))
    if (last := _last_place(state)) not in ("", place):  # with or without --dicom this time, unlike the last
        _remove(output / last)
    result = Result(
        row.id,
        FUSED,
        warnings=study.warnings,
        metrics=_metrics(study),
        hashes={"fused": written[place]},
        output=place,
        preview=str(preview.relative_to(output)),
        thumbnail=_jpeg(thumbnail(study.fused, table=study.table, weight=options.functional_weight)),
    )
    return result, written


def _last_place(state: Path) -> str:
    """Where ``state`` tells that the fused volume of an earlier run lies, below the output folder; "" where none was."""
    try:
        return str(json.loads(state.read_text(encoding="utf-8"))["result"]["output"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _done(state: Path, key: str, output: Path) -> Result | None:
    """The result that ``state`` tells of, where it has this ``key`` and its files are as they were written."""
    try:
        told = json.loads(state.read_text(encoding="utf-8"))
        if told["key"] != key or any(output_hash(output / name) != hash_ for name, hash_ in told["files"].items()):
            return None
        return Result(**told["result"] | {"status": KEPT, "warnings": tuple(told["result"]["warnings"])})
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _sidecar(row: Row, report: dict[str, Any], volume: Path, rgb: bool) -> dict[str, Any]:
    """What lies beside the fused volume: the report of ``fuse`` and, in a BIDS dataset, what BIDS asks for."""
    report = report | ({"output": volume} if "output" in report else {})
    return report if not row.derivative else derivative_facts(row, rgb) | report


def _metrics(study: FusedStudy) -> dict[str, float]:
    """The means of the field's metrics, of those that can be had: none of three at once, they compare with two sources."""
    from ..engine.volumes import scalar
    from ..evaluation import fused_quality

    if study.fused.second is not None:
        return {}
    try:
        means = fused_quality(scalar(study.anatomical, "anatomical", []), study.fused, most=SCORED_SLICES).means
    except InputError:  # nothing in the window, or too small
        return {}
    return {name: float(f"{value:.6g}") for name, value in means.items() if math.isfinite(value)}


def _jpeg(picture: Image.Image) -> str:
    content = io.BytesIO()
    picture.save(content, format="JPEG", quality=80)
    return base64.b64encode(content.getvalue()).decode("ascii")
