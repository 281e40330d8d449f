"""What this machine can compute with: devices, precisions, memory."""

import sys

import torch

from .errors import InputError

PRECISIONS = ("fp32", "bf16", "fp16")


def choose_device(device: str) -> str:
    """ "cpu" or "cuda" for "auto", "cpu" or "cuda". Raises InputError if the device is not usable here."""
    if device not in ("auto", "cpu", "cuda"):
        raise InputError(f"Unknown device {device!r}: choose auto, cpu or cuda.")
    usable = torch.cuda.is_available()
    if device == "cuda" and not usable:
        raise InputError("No CUDA GPU is usable here (driver or CUDA build of PyTorch missing): choose cpu or auto.")
    return "cuda" if usable and device != "cpu" else "cpu"


def choose_precision(precision: str, device: str) -> str:
    """The precision of the network's features for "auto", "fp32", "bf16" or "fp16" on ``device``.

    "auto" is fp16 on a GPU, bf16 on a processor that computes in it, fp32 elsewhere. Raises InputError for others.
    """
    if precision == "auto":
        if device == "cuda":
            return "fp16"
        return "bf16" if cpu_computes_bf16() else "fp32"
    if precision not in PRECISIONS:
        raise InputError(f"Unknown precision {precision!r}: choose auto, {', '.join(PRECISIONS)}.")
    if precision == "fp16" and device == "cpu":
        raise InputError("fp16 is for GPUs: choose auto, bf16 or fp32 on the CPU.")
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
