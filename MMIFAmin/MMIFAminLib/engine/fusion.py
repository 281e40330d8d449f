"""``VolumeFuser``: two volumes in, one fused volume out, slice by slice through the network.

Why not MONAI's ``SliceInferer``: it wants both normalised volumes and the result as whole float tensors, runs empty
slices, and cannot crop to the head; ``docs/performance.md`` has the measurement.
"""

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import SimpleITK as sitk
import torch

from ..errors import InputError
from ..network import MMIFAMIN, Context, common_context, sample_slices
from ..volume import geometry, intensity
from ..volume.choices import Kind as _Kind
from ..volume.choices import check_kind, choose, window_in_suv
from ..volume.recognition import Hints
from ..volume.resampling import Resampling
from ..volume.slices import content, squaring
from ..volume.three import check_three
from ..volume.through_plane import sampled_ratio, steady
from .execution import (
    PIXELS_PER_BATCH,
    PIXELS_UNDER_WAY,
    THREADS_ON_A_GPU,
    Room,
    choose_device,
    choose_precision,
    device_kind,
    is_out_of_memory,
    is_unsupported,
    run_in_threads,
)
from .fused import FusedVolume
from .progress import Clock, Progress, Reporter, remaining, rising
from .reporting import report_of
from .three import ANATOMY, Second, anatomy_of_two, taken_in
from .volumes import LUMA_FUSED, finite, given_volumes, images_lock, images_of, scalar, voxels
from .watching import Watched, Watcher, first_looks
from .weights import WeightsInfo, load_weights

_Result = TypeVar("_Result")

_LARGEST_SLICE = 4096 * 4096  # pixels; takes about 2 GB
_RESAMPLING = "Resampling the functional volume"
_of_thread = threading.local()


class VolumeFuser:
    """The engine that Slicer, the Python console and the command line share. Use it from any number of threads.

    ``device`` is "cpu", "cuda" (or "cuda:1") or "mps"; ``precision`` is "fp32", "bf16" or "fp16" (the network's features
    only: the image itself is always computed in float32); ``weights`` says which weights are loaded; ``threads`` is how many
    slices are computed side by side on the CPU, batches on a GPU (default: the threads that PyTorch uses, on a GPU no more than
    4); ``batch_pixels`` bounds what one of them takes at once. On the CPU neither changes the result.
    """

    def __init__(self, network: MMIFAMIN, weights: WeightsInfo, device: str, precision: str) -> None:
        self.weights = weights
        self.device = device
        self.precision = precision
        self.threads = torch.get_num_threads()
        if device_kind(device) != "cpu":
            self.threads = min(self.threads, THREADS_ON_A_GPU)
        self.batch_pixels = PIXELS_PER_BATCH[device_kind(device)]
        self._network = network
        self._prepared: dict[tuple[Any, ...], MMIFAMIN] = {}
        self._lock = threading.Lock()

    @classmethod
    def load(cls, device: str = "auto", precision: str = "auto", weights: "str | Path | None" = None) -> "VolumeFuser":
        """Load verified weights for ``device`` ("auto", "cpu", "cuda", "cuda:1", "mps") and ``precision``
        ("auto", "fp32", "bf16", "fp16"); without ``weights`` the shipped ones.

        Raises InputError if the device or precision is not available here, WeightsError if the weights are not sound.
        """
        device = choose_device(device)
        precision = choose_precision(precision, device)
        network, info = load_weights(weights)
        return cls(network, info, device, precision)

    def fuse_arrays(
        self,
        a: np.ndarray,
        b: np.ndarray,
        *,
        uptake: bool = True,
        consecutive: bool = False,
        progress: Progress | None = None,
    ) -> np.ndarray:
        """Fuse two ``(D, H, W)`` arrays with values in [0, 1], slice by slice; returns float32 in [0, 1] of that shape.

        ``uptake`` says whether ``b`` is measured uptake (PET, SPECT), where every change must show, or a picture (CT, MR, the
        luma of colours); ``consecutive`` says that the slices are those of a volume: they share its context and may not flicker
        (``through_plane.steady``). Without it every slice comes out as it would alone.
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
        sources = [(array, intensity.Window(0.0, 1.0, "given")) for array in (a, b)]
        out = np.zeros(a.shape, np.float32)
        if out.size:
            kind = _Kind.UPTAKE if uptake else _Kind.LUMA
            self._fuse_slices(sources, (1, 1), kind, out, Reporter(progress, 0.0, 1.0), [], volume=consecutive)
        if consecutive and not uptake:
            steady(out, sources)
        return out

    def fuse(
        self,
        anatomical: "sitk.Image | str | Path",
        functional: "sitk.Image | str | Path",
        *,
        second_anatomical: "sitk.Image | str | Path | None" = None,
        plane: str = "axial",
        anatomical_window: "intensity.WindowSpec" = "auto",
        functional_window: "intensity.WindowSpec" = "auto",
        second_window: "intensity.WindowSpec" = "auto",
        kind: str = "auto",
        anatomical_modality: str | None = None,
        functional_modality: str | None = None,
        second_modality: str | None = None,
        functional_unit: str | None = None,
        names: Sequence[str | None] = (None, None, None),
        insist: bool = False,
        progress: Progress | None = None,
        watcher: Watcher | None = None,
    ) -> FusedVolume:
        """Fuse ``functional`` with ``anatomical`` on the anatomical grid; neither input is changed.

        Both are images, or the paths of what ``read_volume`` reads; of a path the file tells modality and unit. ``plane`` is
        one of ``geometry.PLANES``; windows are what ``intensity.choose_window`` takes, the functional one also "suv:0:10",
        which holds for values in SUV only. ``kind`` of the pair is "auto", "uptake" or "anatomical" (two MR or
        CT); auto goes by the DICOM modalities (CT, MR, PT, NM), the unit of the functional values (SUV, BQML, ...) and
        the names, where these are told, and by the values. ``insist`` fuses label maps and files of two patients too.
        ``progress(fraction, text)`` is called all along, also while one step or slice takes long, and cancels by returning
        False; it must not wait for another fusion. What ``watcher`` looks at is fused and shown to it first; the result is
        the same bit by bit. Raises InputError or GeometryError for volumes that cannot be fused, FusionCancelled.

        With ``second_anatomical`` three are fused at once: it is brought onto the anatomical grid and fused with
        ``anatomical`` as CT and MR are, and the uptake of ``functional`` is put on what comes of that. ``names`` are those
        of the anatomical, the functional and the second volume.
        """
        clock, progress = Clock(), rising(progress)
        warnings: list[str] = []
        reporter = Reporter(progress, 0.0, 0.1)
        reporter(0.0, "Checking the volumes")
        check_kind(kind)
        names = (*names, None, None, None)[:3]
        told = (
            Hints(anatomical_modality, None, names[0]),
            Hints(functional_modality, functional_unit, names[1]),
            Hints(second_modality, None, names[2]),
        )
        given = [anatomical, functional] + ([] if second_anatomical is None else [second_anatomical])
        (anatomical, functional, *others), told = given_volumes(given, told, insist, warnings)
        functional_window = window_in_suv(functional_window, told[1])
        with images_lock:
            geometry.check_volume(anatomical, "anatomical")
            geometry.check_volume(functional, "functional")
            anatomical = finite(scalar(anatomical, "anatomical", warnings), "anatomical", warnings)
            functional = finite(scalar(functional, "functional", warnings), "functional", warnings)
            a, measured = voxels(anatomical), voxels(functional)
        view = geometry.slice_view(anatomical, plane)
        clock.lap("check")

        second: Second | None = None
        if others:
            second = taken_in(
                others[0],
                anatomical,
                told[2],
                second_window,
                insist,
                lambda done: reporter(0.1 + 0.1 * done, "Resampling the second anatomical volume"),
                warnings,
            )
        reporter(0.2, _RESAMPLING)
        with images_lock:
            onto = Resampling(
                functional,
                anatomical,
                tick=lambda done: reporter(0.2 + 0.3 * done, _RESAMPLING),
                insist=insist,
                hints=told[1],
            )
        if onto.overlap.message:
            warnings.append(onto.overlap.message)
        clock.lap("resample")

        reporter(0.5, "Choosing the intensity windows")
        spacings = tuple(image.GetSpacing()[::-1] for image in (anatomical, functional))
        specs, region = (anatomical_window, functional_window), second.region if second else None
        luma = f"The functional volume {LUMA_FUSED}" in warnings
        choices = choose(a, measured, spacings, specs, (told[0], told[1]), kind, luma, region)
        if second is not None:
            check_three(choices)
        window_a, window_b = choices.windows
        warnings += choices.warnings
        clock.lap("intensity")

        pair, watched = choices.kind, None
        if watcher is not None:  # before all of the functional volume is resampled
            alone, tell = partial(self._run_alone, kind=pair), Reporter(progress, 0.055, 0.055)
            looks = first_looks((a, onto), choices.windows, alone, self.threads, _LARGEST_SLICE, tell)
            watched = Watched(watcher, view, geometry.views(anatomical), a.shape, looks)
            watched.glance()
            clock.lap("first look")
        with images_lock:
            resampled = onto.whole(lambda done: reporter(0.55 + 0.45 * done, _RESAMPLING))
            b = voxels(resampled)
        clock.lap("resample")
        sources, start, anatomy = [(view.take(a), window_a), (view.take(b), window_b)], 0.1, {}
        if second is not None:
            reporter = Reporter(progress, 0.1, 0.55)
            fused_anatomy, anatomy = anatomy_of_two(self._fuse_slices, sources[0], second, view, reporter, warnings)
            sources[0], start = (fused_anatomy, ANATOMY), 0.55
            clock.lap("anatomy")
        image = sitk.Image(anatomical.GetSize(), sitk.sitkFloat32)  # of zeros
        image.CopyInformation(anatomical)
        shown = view.take(voxels(image))
        reporter = Reporter(progress, start, 1.0)
        factors = squaring(*view.pixel_spacing)
        slices = self._fuse_slices(sources, factors, pair, shown, reporter, warnings, watched, volume=True)
        clock.lap("network")
        # On uptake the fused value follows both sources voxel by voxel: to damp it would be to damp a lesion.
        steadied = (sampled_ratio(shown, sources), 0.0) if pair is _Kind.UPTAKE else steady(shown, sources)
        clock.lap("through-plane")
        computing = {"device": self.device, "precision": self.precision, "threads": self.threads}
        report = report_of(
            computing, self.weights, choices, plane, onto.overlap, slices, steadied, clock.seconds, warnings
        )
        fused = FusedVolume(image, resampled, window_a, window_b, onto.overlap, report)
        if second is not None:
            report["second"] = {**second.facts, **anatomy}
            fused.second, fused.second_window = second.image, second.window
        return fused

    def _fuse_slices(
        self,
        sources,
        factors,
        kind: "_Kind",
        out,
        progress: Reporter,
        warnings: list[str],
        watched=None,
        *,
        volume: bool,
    ) -> int:
        """Fill ``out``, zero to begin with, from two ``(D, H, W)`` views and their windows; returns the slices run.

        Where they are of one ``volume``, the network's global layers see a sample of its slices first. Slices are fused in
        rising order, or in that of what is ``watched``.

        ``factors`` is how many times as many rows and columns the network is to see. Slices where both windowed sources
        are empty stay 0, and the others are cropped to one box around the head: one box for the volume, so that a slice's
        result does not depend on its batch. A single image is shown whole, as in training's validation.
        """
        occupied, box = content(sources, self._network.idn.factor)
        if len(out) == 1:
            box = (slice(0, out.shape[1]), slice(0, out.shape[2]))
        area = (box[0].stop - box[0].start) * factors[0] * (box[1].stop - box[1].start) * factors[1]
        if area > _LARGEST_SLICE:
            raise InputError(
                f"The slices have {out.shape[1]} x {out.shape[2]} pixels, more than the {_LARGEST_SLICE:,} that are fused "
                "at once: resample the anatomical volume to larger voxels or choose another plane."
            )
        count = max(1, self.batch_pixels // area)
        limit = max(1, min(2 * self.threads, PIXELS_UNDER_WAY[device_kind(self.device)] // (area * count)))
        room = Room(self.device, count, warnings)

        def images(indices: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
            return images_of(sources, indices, box, factors)

        context: Context | None = None
        if volume and len(occupied) > 1:
            seen: dict[int, Context] = {}

            def see(indices: list[int]) -> None:
                seen[indices[0]] = self._see(*images(indices), kind, room)

            sample = [occupied[index] for index in sample_slices(len(occupied))]
            looks = [sample[start : start + count] for start in range(0, len(sample), count)]
            run_in_threads(see, looks, self.threads, limit, lambda done: progress(0.0, "Looking at the volume"))
            context = common_context([seen[indices[0]] for indices in looks])

        functional, window = sources[1]

        def fuse_batch(indices: list[int]) -> None:
            fused = self._run(*images(indices), kind, room, context)
            for index, image in zip(indices, fused):
                out[index][box] = image[:: factors[0], :: factors[1]]
                if watched is not None:
                    watched.done(index, out[index], window.to_unit(functional[index]))

        def tick(batches_done: int) -> None:
            done = min(batches_done * count, len(occupied))
            progress(done / len(occupied) if occupied else 1.0, remaining(done, len(occupied), started))

        started = time.perf_counter()
        batches = [occupied[start : start + count] for start in range(0, len(occupied), count)]
        order = batches if watched is None else watched.ordered(batches)
        run_in_threads(fuse_batch, order, self.threads, limit, tick)
        return len(occupied)

    def _run_alone(self, a: torch.Tensor, b: torch.Tensor, kind: "_Kind") -> np.ndarray:
        """One pair of images ``(1, 1, h, w)`` in [0, 1], fused without the context of a volume."""
        return self._run(a, b, kind, Room(self.device, 1, []), None)[0]

    def _run(self, a: torch.Tensor, b: torch.Tensor, kind: "_Kind", room: Room, context: Context | None) -> np.ndarray:
        """One batch ``(N, 1, h, w)`` in [0, 1] through the network, to ``(N, h, w)`` float32; gives way for want of memory."""
        if len(a) > (size := room.slices):
            parts = [self._run(a[i : i + size], b[i : i + size], kind, room, context) for i in range(0, len(a), size)]
            return np.concatenate(parts)
        fused = self._try(len(a), room, lambda device: self._compute(a, b, kind, device, context))
        return self._run(a, b, kind, room, context) if fused is None else fused

    def _see(self, a: torch.Tensor, b: torch.Tensor, kind: "_Kind", room: Room) -> Context:
        """What the network's global layers see of each slice of a batch; gives way for want of memory."""
        if len(a) > (size := room.slices):
            parts = [self._see(a[i : i + size], b[i : i + size], kind, room) for i in range(0, len(a), size)]
            return tuple(torch.cat(means) for means in zip(*parts))
        seen = self._try(len(a), room, lambda device: self._look(a, b, kind, device))
        return self._see(a, b, kind, room) if seen is None else seen

    def _try(self, slices: int, room: Room, compute: "Callable[[str], _Result]") -> "_Result | None":
        """``compute(device)``, or None where memory ran out and the room has given way."""
        with room.entered() as (device, alone):
            try:
                return compute(device)
            except (RuntimeError, MemoryError, TypeError) as error:
                if device_kind(device) == "mps" and is_unsupported(error) and not is_out_of_memory(error):
                    room.leave(device, error)
                    return None
                if not is_out_of_memory(error):
                    raise
        room.give_way(device, slices, alone)
        return None

    def _compute(
        self, a: torch.Tensor, b: torch.Tensor, kind: "_Kind", device: str, context: Context | None
    ) -> np.ndarray:
        with self._computing(a, b, kind, device) as (network, images):
            if context is not None:
                context = tuple(means.to(device) for means in context)
            return network(*images, context=context).squeeze(1).float().cpu().numpy()

    def _look(self, a: torch.Tensor, b: torch.Tensor, kind: "_Kind", device: str) -> Context:
        with self._computing(a, b, kind, device) as (network, images):
            return tuple(means.cpu() for means in network.image_context(*images))

    @contextmanager
    def _computing(self, a: torch.Tensor, b: torch.Tensor, kind: "_Kind", device: str):
        """The network for ``kind`` on ``device``, and what it takes there: both images and the flag of uptake."""
        network = self._network_on(device)
        # On a GPU each thread has its own stream: while one computes, others prepare and transfer.
        cuda = device_kind(device) == "cuda"
        stream = torch.cuda.stream(self._stream(device)) if cuda else nullcontext()
        with torch.inference_mode(), stream:
            if cuda:
                a, b = (x.pin_memory().to(device, non_blocking=True) for x in (a, b))
            else:
                a, b = a.to(device), b.to(device)
            yield network, (a, b, a.new_full((len(a),), float(kind is _Kind.UPTAKE)))

    def _stream(self, device: str):
        streams = _of_thread.__dict__.setdefault("streams", {})
        if device not in streams:
            streams[device] = torch.cuda.Stream(device)
        return streams[device]

    def _network_on(self, device: str) -> MMIFAMIN:
        """The network, ready for ``device`` (made once, kept)."""
        precision = choose_precision("auto", device) if (device, self.precision) == ("cpu", "fp16") else self.precision
        with self._lock:
            key = (device, precision)
            if key not in self._prepared:
                self._prepared[key] = self._network.prepared(device, precision)
                if device_kind(device) == "cuda":
                    torch.cuda.synchronize(device)  # other threads read the weights in streams of their own
            return self._prepared[key]
