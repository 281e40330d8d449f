"""What this machine can compute with: devices, precisions, threads, memory."""

import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from functools import cache
from typing import Any, TypeVar

import torch

from ..errors import InputError

PRECISIONS = ("fp32", "bf16", "fp16")
PIXELS_PER_BATCH = {"cpu": 1, "cuda": 32 * 256 * 256, "mps": 8 * 256 * 256}
"""What is computed at once: a slice at a time on the CPU, as fast as more."""

PIXELS_UNDER_WAY = {"cpu": 16 * 512 * 512, "cuda": 128 * 256 * 256, "mps": 32 * 256 * 256}
"""Bounds the memory of all threads together."""

THREADS_ON_A_GPU = 4
"""What hands batches to a GPU: each thread has a stream and handles of CUDA's libraries, which take long to make."""

_FIRST_WITH_TENSOR_CORES = (7, 0)  # CUDA compute capability; older GPUs compute fp16 slower than fp32
_PATIENCE = 0.1  # seconds between two looks at whether the caller wants to stop
_lock = threading.Lock()
Item = TypeVar("Item")


def choose_device(device: str) -> str:
    """ "cpu", "cuda" (or one of several, "cuda:1") or "mps" (Apple's GPUs) for one of these, or for "auto".

    "auto" prefers cuda, then mps, then the CPU. Raises InputError if the device is not usable here.
    """
    if device == "auto":
        return next((gpu for gpu in ("cuda", "mps") if _computes(gpu)), "cpu")
    kind, colon, number = device.partition(":")
    if kind not in ("cpu", "cuda", "mps") or (colon and not (kind == "cuda" and number.isdecimal())):
        raise InputError(f"Unknown device {device!r}: choose auto, cpu, cuda (or cuda:1 and the like) or mps.")
    if kind == "cpu" or _computes(device):
        return device
    if kind == "mps":
        raise InputError("No Apple GPU is usable here (macOS and its build of PyTorch are needed): choose cpu or auto.")
    name = "CUDA GPU" if not colon else f"CUDA GPU number {number}"
    raise InputError(f"No {name} is usable here (driver or CUDA build of PyTorch missing): choose cpu or auto.")


def device_kind(device: str) -> str:
    """ "cpu", "cuda" or "mps", without the number."""
    return device.partition(":")[0]


def _computes(device: str) -> bool:
    """Whether there is such a GPU and this PyTorch can compute on it: it may be older or newer than the GPU."""
    backend = torch.cuda if device_kind(device) == "cuda" else torch.backends.mps
    try:
        return backend.is_available() and bool((torch.ones(1, device=device) + 1).item() == 2)
    except (RuntimeError, AssertionError):
        return False


def choose_precision(precision: str, device: str) -> str:
    """The precision of the network's features for "auto", "fp32", "bf16" or "fp16" on ``device``.

    "auto" is fp16 on a CUDA GPU with tensor cores, bf16 on a processor that computes in it, fp32 elsewhere. Raises
    InputError for others, and for 16 bit on Apple's GPUs, where nobody has measured that the result stays the same.
    """
    if precision == "auto":
        if device_kind(device) == "cuda":
            return "fp16" if torch.cuda.get_device_capability(device) >= _FIRST_WITH_TENSOR_CORES else "fp32"
        if device == "mps":
            return "fp32"
        return "bf16" if cpu_computes_bf16() else "fp32"
    if precision not in PRECISIONS:
        raise InputError(f"Unknown precision {precision!r}: choose auto, {', '.join(PRECISIONS)}.")
    if precision == "fp16" and device == "cpu":
        raise InputError("fp16 is for GPUs: choose auto, bf16 or fp32 on the CPU.")
    if precision != "fp32" and device == "mps":
        raise InputError(f"{precision} is not checked on Apple's GPUs: choose auto or fp32.")
    return precision


def cpu_computes_bf16() -> bool:
    """Whether the processor has bf16 instructions (AVX512-BF16 or AMX); emulated bf16 would be slower than fp32."""
    checks = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(check() for check in (getattr(torch.cpu, name, None) for name in checks) if check)


def peak_memory_mb() -> float | None:
    """The most memory this process has held so far in MiB, or None where the system does not tell."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (2**20 if sys.platform == "darwin" else 2**10), 1)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception says that memory ran out, on the GPU or the CPU."""
    told = ("out of memory", "can't allocate memory", "not enough memory", "ALLOC_FAILED")
    return isinstance(error, (torch.OutOfMemoryError, MemoryError)) or (
        isinstance(error, RuntimeError) and any(text in str(error) for text in told)
    )


def is_unsupported(error: BaseException) -> bool:
    """Whether an exception says that the device lacks an operator or a kind of numbers (Apple's GPUs lack some)."""
    told = ("not currently implemented for the MPS device", "MPS framework doesn't support", "MPS backend")
    return isinstance(error, (NotImplementedError, TypeError, RuntimeError)) and any(
        text in str(error) for text in told
    )


def run_in_threads(
    work: Callable[[Item], object], items: Iterable[Item], threads: int, limit: int, tick: Callable[[int], None]
) -> None:
    """Call ``work(item)`` for every item in ``threads`` threads that PyTorch does not split further.

    At most ``limit`` items are under way. ``tick(done)`` is called in the calling thread before, between and at least
    every 0.1 s during the work; what it or ``work`` raises ends the run at once. Items that have begun then finish in
    the background: at most one a thread.
    """
    pool, under_way, done = _pool(threads), deque(), 0
    try:
        tick(0)
        for item in items:
            under_way.append(pool.submit(work, item))
            if len(under_way) == limit:  # before the next is asked for: which it is may change meanwhile
                done += _take(under_way, tick, done)
        while under_way:
            done += _take(under_way, tick, done)
    finally:
        for job in under_way:
            job.cancel()


def _take(under_way: deque[Future[Any]], tick: Callable[[int], None], done: int) -> int:
    while not wait([under_way[0]], _PATIENCE).done:
        tick(done)
    under_way.popleft().result()
    tick(done + 1)
    return 1


def _pool(threads: int) -> ThreadPoolExecutor:
    """The threads that compute slices, each with one PyTorch thread; made once and kept.

    One slice a thread, rather than all threads for one slice: small layers leave no thread idle, and what comes out
    does not depend on how many threads there are (reductions in bf16 do).
    """
    with _lock:
        return _started_pool(threads)


@cache
def _started_pool(threads: int) -> ThreadPoolExecutor:
    usual = torch.get_num_threads()
    pool = ThreadPoolExecutor(threads, "mmifamin", initializer=torch.set_num_threads, initargs=(1,))
    all_there = threading.Barrier(threads)
    wait([pool.submit(all_there.wait) for _ in range(threads)])
    torch.set_num_threads(usual)  # the setting is each thread's own, but the last one made is what new threads get
    return pool


def limit_itk(threads: int) -> None:
    """Let ITK's filters in this process take so many ``threads``; by themselves they take all cores of the machine."""
    import SimpleITK as sitk

    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(threads)


class Room:
    """Where one fusion computes and how many slices at once; it gives way each time memory runs out.

    Half the batch at a time down to one slice, then the CPU, then one thread after the other. Each step is told in
    ``warnings``. Used from several threads.
    """

    def __init__(self, device: str, slices: int, warnings: list[str]) -> None:
        self.device, self.slices, self.warnings = device, slices, warnings
        self._alone, self._inside, self._changed = False, 0, threading.Condition()

    @contextmanager
    def entered(self) -> Iterator[tuple[str, bool]]:
        """Around the work on one batch: the device to use, and whether no other batch is under way."""
        with self._changed:
            self._changed.wait_for(lambda: not (self._alone and self._inside))
            self._inside += 1
            device, alone = self.device, self._alone
        try:
            yield device, alone
        finally:
            with self._changed:
                self._inside -= 1
                self._changed.notify_all()

    def leave(self, device: str, reason: BaseException) -> None:
        """Go on with the CPU after ``device`` could not compute something for want of an operator."""
        with self._changed:
            if device == self.device:
                self.device = "cpu"
                said = str(reason).splitlines()[0].split(". ")[0]
                self.warnings.append(f"{device} lacks something that the network needs ({said}): went on with the CPU.")

    def give_way(self, device: str, slices: int, alone: bool) -> None:
        """Step back after ``slices`` at once did not fit on ``device``. Raises MemoryError when no step is left."""
        with self._changed:
            if device != self.device or slices > self.slices or self._alone > alone:
                return  # another thread has stepped back meanwhile
            if slices > 1:
                self.slices = slices // 2
                so_many = "one slice" if self.slices == 1 else f"{self.slices} slices"
                self.warnings.append(f"Out of memory on {device}: went on with {so_many} at a time.")
            elif device != "cpu":
                self.device = "cpu"
                self.warnings.append(f"Out of memory on {device}: went on with the CPU.")
                if device_kind(device) == "cuda" and torch.cuda.is_available():
                    torch.cuda.empty_cache()
                elif device == "mps" and torch.backends.mps.is_available():
                    torch.mps.empty_cache()
            elif not alone:
                self._alone = True
                self.warnings.append("Out of memory on cpu: went on with one slice at a time.")
            else:
                raise MemoryError("Not enough memory to fuse one slice: close other volumes and try again.")
