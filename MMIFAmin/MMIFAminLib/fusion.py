"""``VolumeFuser``: two volumes in, one fused volume out, slice by slice through the network.

Why not MONAI's ``SliceInferer``: it wants both normalised volumes and the result as whole float tensors, runs empty
slices, and cannot crop to the head; ``docs/performance.md`` has the measurement.
"""

import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable

import numpy as np
import SimpleITK as sitk
import torch

from . import __version__, color, geometry, intensity
from .errors import FusionCancelled, InputError
from .execution import choose_device, choose_precision, peak_memory_mb
from .network import MMIFAMIN
from .weights import WeightsInfo, load_weights

Progress = Callable[[float, str], "bool | None"]

NOTICE = "Research use only: not a medical device, not for diagnosis or treatment."
_PIXELS_PER_BATCH = {"cpu": 2 * 256 * 256, "cuda": 64 * 256 * 256}
_MARGIN = 16  # pixels kept around the head, so that the network sees its border


@dataclass
class FusedVolume:
    """A fused volume and all that is needed to show, recolour and explain it.

    ``image``: float32 in [0, 1] on the anatomical grid. ``functional``: the functional volume on that grid, float32 in
    its own units (uptake in [0, 1] where it came as colours). ``report``: plain values for JSON.
    """

    image: sitk.Image
    functional: sitk.Image
    anatomical_window: intensity.Window
    functional_window: intensity.Window
    overlap: geometry.Overlap
    report: dict = field(default_factory=dict)

    def rgb(self, table: "str | color.ColorTable" = "pet-heat", weight: float = 1.0) -> sitk.Image:
        """The fused volume in colours, 3 x uint8: lightness from the fusion, hue and chroma from ``table`` at the uptake.

        ``weight`` in [0, 1] scales the chroma; recolouring needs no second fusion.
        """
        if isinstance(table, str):
            table = color.ColorTable.named(table)
        uptake = self.functional_window.to_unit(sitk.GetArrayViewFromImage(self.functional))
        colored = color.colorize(sitk.GetArrayViewFromImage(self.image), uptake, table, weight)
        image = sitk.GetImageFromArray(colored, isVector=True)
        image.CopyInformation(self.image)
        return image


class VolumeFuser:
    """The engine that Slicer, the Python console and the command line share. Use it from any number of threads.

    ``device`` is "cpu" or "cuda"; ``precision`` is "fp32", "bf16" or "fp16" (the network's features only: the image
    itself is always computed in float32); ``weights`` says which weights are loaded; ``batch_pixels`` bounds a batch.
    """

    def __init__(self, network: MMIFAMIN, weights: WeightsInfo, device: str, precision: str):
        self.weights = weights
        self.device = device
        self.precision = precision
        self.batch_pixels = _PIXELS_PER_BATCH[device]
        self._network = network
        self._prepared: dict[tuple[str, str], MMIFAMIN] = {}
        self._lock = threading.Lock()

    @classmethod
    def load(cls, device: str = "auto", precision: str = "auto", weights: "str | Path | None" = None) -> "VolumeFuser":
        """Load verified weights for ``device`` ("auto", "cpu", "cuda") and ``precision`` ("auto", "fp32", "bf16", "fp16").

        Raises InputError if the device or precision is not available here, WeightsError if the weights are not sound.
        """
        device = choose_device(device)
        precision = choose_precision(precision, device)
        network, info = load_weights(weights)
        return cls(network, info, device, precision)

    def fuse_arrays(
        self, a: np.ndarray, b: np.ndarray, *, uptake: bool = True, progress: Progress | None = None
    ) -> np.ndarray:
        """Fuse two ``(D, H, W)`` arrays with values in [0, 1], slice by slice; returns float32 in [0, 1] of that shape.

        ``uptake`` says whether ``b`` is measured uptake (PET, SPECT), where every change must show, or a picture (CT, MR,
        the luma of colours).
        Raises InputError for other shapes or values, FusionCancelled when ``progress`` returns False.
        """
        a, b = np.asarray(a), np.asarray(b)
        for name, array in (("anatomical", a), ("functional", b)):
            if array.ndim != 3 or array.dtype.kind not in "fiub":
                raise InputError(f"The {name} array must be real and (D, H, W); it is {array.dtype} {array.shape}.")
            if array.size and not (array.min() >= 0 and array.max() <= 1):  # also false for NaN
                raise InputError(f"The {name} array has values outside [0, 1]: scale it with a window first.")
        if a.shape != b.shape:
            raise InputError(f"The anatomical and functional arrays differ in shape: {a.shape} and {b.shape}.")
        unit = intensity.Window(0.0, 1.0, "given")
        out = np.zeros(a.shape, np.float32)
        self._fuse_slices(a, b, unit, unit, out, uptake, _Reporter(progress, 0.0, 1.0), [])
        return out

    def fuse(
        self,
        anatomical: sitk.Image,
        functional: sitk.Image,
        *,
        plane: str = "axial",
        anatomical_window: "intensity.WindowSpec" = "auto",
        functional_window: "intensity.WindowSpec" = "auto",
        progress: Progress | None = None,
    ) -> FusedVolume:
        """Fuse ``functional`` with ``anatomical`` on the anatomical grid; neither input is changed.

        ``plane`` is one of ``geometry.PLANES``; windows are what ``intensity.choose_window`` takes. ``progress(fraction,
        text)`` is called between batches and cancels by returning False. Raises InputError or GeometryError for volumes
        that cannot be fused, FusionCancelled.
        """
        clock = _Clock()
        warnings: list[str] = []
        reporter = _Reporter(progress, 0.0, 0.1)
        reporter(0.0, "Checking the volumes")
        geometry.check_volume(anatomical, "anatomical")
        geometry.check_volume(functional, "functional")
        a = _finite_array(_scalar(anatomical, "anatomical", warnings), "anatomical", warnings)
        functional = _scalar(functional, "functional", warnings)
        functional = _finite_image(functional, "functional", warnings)
        view = geometry.slice_view(anatomical, plane)
        clock.lap("check")

        reporter(0.2, "Resampling the functional volume")
        resampled, overlap = geometry.resample_to(functional, anatomical)
        if overlap.message:
            warnings.append(overlap.message)
        clock.lap("resample")

        reporter(0.7, "Choosing the intensity windows")
        window_a = intensity.choose_window(a, anatomical_window, role="anatomical", name="anatomical volume")
        window_b = intensity.choose_window(
            sitk.GetArrayViewFromImage(functional), functional_window, role="functional", name="functional volume"
        )
        clock.lap("intensity")

        b = sitk.GetArrayViewFromImage(resampled)
        fused = np.zeros(a.shape, np.float32)
        uptake = intensity.shows_uptake(sitk.GetArrayViewFromImage(functional), functional_window)
        reporter = _Reporter(progress, 0.1, 0.95)
        slices = self._fuse_slices(
            view.take(a), view.take(b), window_a, window_b, view.take(fused), uptake, reporter, warnings
        )
        clock.lap("network")

        _Reporter(progress, 0.95, 1.0)(0.0, "Making the fused volume")
        image = sitk.GetImageFromArray(fused)
        image.CopyInformation(anatomical)
        clock.lap("output")
        report = self._report(plane, window_a, window_b, overlap, slices, clock, warnings)
        return FusedVolume(image, resampled, window_a, window_b, overlap, report)

    def _fuse_slices(self, a, b, window_a, window_b, out, uptake, progress, warnings) -> int:
        """Fill ``out``, zero to begin with, from ``(D, H, W)`` views in their own units; returns the slices run.

        Slices where both windowed sources are empty stay 0, and the others are cropped to one box around the head: one
        box for the volume, so that a slice's result does not depend on its batch.
        """
        occupied, box = _content(a, b, window_a, window_b, self._network.idn.factor)
        device, started = self.device, time.perf_counter()
        position = 0
        while position < len(occupied):
            area = (box[0].stop - box[0].start) * (box[1].stop - box[1].start)
            count = max(1, self.batch_pixels // area)
            indices = occupied[position : position + count]
            progress(position / len(occupied), _remaining(position, len(occupied), started))
            batch = [
                torch.from_numpy(np.stack([window.to_unit(source[i][box]) for i in indices])).unsqueeze(1)
                for source, window in ((a, window_a), (b, window_b))
            ]
            try:
                fused = self._run(*batch, uptake, device)
            except torch.OutOfMemoryError:
                device = self._give_way(len(indices), device, warnings)
                continue
            for index, image in zip(indices, fused):
                out[index][box] = image
            position += len(indices)
        progress(1.0, "Fused all slices")
        return len(occupied)

    def _run(self, a: torch.Tensor, b: torch.Tensor, uptake: bool, device: str) -> np.ndarray:
        """One batch ``(N, 1, h, w)`` in [0, 1] through the network, to ``(N, h, w)`` float32."""
        network = self._network_on(device)
        with torch.inference_mode():
            if device != "cpu":
                a, b = (x.pin_memory().to(device, non_blocking=True) for x in (a, b))
            return network(a, b, a.new_full((len(a),), float(uptake))).squeeze(1).float().cpu().numpy()

    def _network_on(self, device: str) -> MMIFAMIN:
        """The network ready for ``device`` (made once, kept)."""
        precision = self.precision if device == self.device else choose_precision("auto", device)
        with self._lock:
            key = (device, precision)
            if key not in self._prepared:
                self._prepared[key] = self._network.prepared(device, precision)
            return self._prepared[key]

    def _give_way(self, slices: int, device: str, warnings: list[str]) -> str:
        """After running out of memory: halve the batch, and with one slice left go to the CPU."""
        if slices > 1:
            self.batch_pixels //= 2
            warnings.append(f"Out of memory on {device}: went on with batches of {slices // 2} slices.")
            return device
        if device == "cpu":
            raise MemoryError("Not enough memory to fuse one slice: close other volumes and try again.")
        torch.cuda.empty_cache()
        self.batch_pixels = _PIXELS_PER_BATCH["cpu"]
        warnings.append(f"Out of memory on {device}: went on with the CPU.")
        return "cpu"

    def _report(self, plane, window_a, window_b, overlap, slices, clock, warnings) -> dict:
        import monai

        seconds = clock.seconds
        return {
            "notice": NOTICE,
            "versions": {
                "mmifamin": __version__,
                "torch": torch.__version__,
                "monai": monai.__version__,
                "simpleitk": sitk.Version.VersionString(),
            },
            "weights": {"name": self.weights.name, "sha256": self.weights.sha256},
            "device": self.device,
            "precision": self.precision,
            "threads": torch.get_num_threads(),
            "plane": plane,
            "windows": {
                role: {"low": window.low, "high": window.high, "origin": window.origin}
                for role, window in (("anatomical", window_a), ("functional", window_b))
            },
            "overlap": overlap.fraction,
            "slices": slices,
            "seconds": {stage: round(value, 4) for stage, value in seconds.items()},
            "slices_per_second": round(slices / max(seconds["network"], 1e-9), 2),
            "peak_memory_mb": peak_memory_mb(),
            "warnings": warnings,
        }


class _Clock:
    """Seconds spent in each stage."""

    def __init__(self):
        self.seconds: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, stage: str) -> None:
        now = time.perf_counter()
        self.seconds[stage], self._last = now - self._last, now


class _Reporter:
    """Maps the progress of one stage onto its share of the whole, and turns a refusal into FusionCancelled."""

    def __init__(self, progress: Progress | None, start: float, stop: float):
        self._progress, self._start, self._stop = progress, start, stop

    def __call__(self, fraction: float, text: str) -> None:
        if self._progress is None:
            return
        if self._progress(self._start + fraction * (self._stop - self._start), text) is False:
            raise FusionCancelled("Fusion was cancelled; nothing was changed.")


def _remaining(done: int, total: int, started: float) -> str:
    text = f"Fusing slice {done + 1} of {total}"
    if not done:
        return text
    return f"{text}, about {(time.perf_counter() - started) / done * (total - done):.0f} s left"


def _content(a, b, window_a, window_b, multiple) -> tuple[list[int], tuple[slice, slice]]:
    """Which slices have anything above the windows' lower ends, and one box that holds it all.

    The box has a margin and, where the image allows, sides that are multiples of ``multiple``.
    """
    occupied, rows, columns = [], np.zeros(a.shape[1], bool), np.zeros(a.shape[2], bool)
    for index in range(a.shape[0]):
        content = (a[index] > window_a.low) | (b[index] > window_b.low)
        in_rows = content.any(axis=1)
        if in_rows.any():
            occupied.append(index)
            rows |= in_rows
            columns |= content.any(axis=0)
    return occupied, (_padded(rows, multiple), _padded(columns, multiple))


def _padded(used: np.ndarray, multiple: int) -> slice:
    where = np.flatnonzero(used)
    if not where.size:
        return slice(0, used.size)
    start = max(0, (where[0] - _MARGIN) // multiple * multiple)
    stop = min(used.size, -(-(where[-1] + 1 + _MARGIN) // multiple) * multiple)
    if stop - start < 16:  # the least the network takes, for thin content in small images
        start, stop = max(0, min(start, used.size - 16)), min(used.size, max(stop, 16))
    return slice(int(start), int(stop))


def _scalar(image: sitk.Image, name: str, warnings: list[str]) -> sitk.Image:
    """``image`` itself, or the uptake (known palette) or luma of a colour image."""
    if image.GetNumberOfComponentsPerPixel() == 1:
        return image
    rgb = sitk.GetArrayViewFromImage(image)[..., :3]
    try:
        values, table = color.recover_uptake(rgb)
        warnings.append(f"The {name} volume is in colours: its values were recovered through the {table} palette.")
    except InputError:
        values = color.luma(rgb).astype(np.float32)
        warnings.append(f"The {name} volume is in colours of no known palette: its luma was fused.")
    scalar = sitk.GetImageFromArray(values)
    scalar.CopyInformation(image)
    return scalar


def _finite_array(image: sitk.Image, name: str, warnings: list[str]) -> np.ndarray:
    array, invalid = intensity.clean(sitk.GetArrayViewFromImage(image), f"{name} volume")
    if invalid:
        warnings.append(f"The {name} volume has {invalid} voxels that are not numbers: taken as background.")
    return array


def _finite_image(image: sitk.Image, name: str, warnings: list[str]) -> sitk.Image:
    view = sitk.GetArrayViewFromImage(image)
    array = _finite_array(image, name, warnings)
    if array is view:
        return image
    cleaned = sitk.GetImageFromArray(array)
    cleaned.CopyInformation(image)
    return cleaned
