"""The precision that is fastest on this machine, and how many processes of a run were started on it."""

import os
import warnings

from sr_lightning.devices import fastest_device, is_there


def fastest_precision(device: str | None = None) -> str:
    """``bf16`` if the hardware multiplies it natively (Ampere GPUs, CPUs with AMX or AVX512-BF16), or ``float32``.

    Args:
        device: ``cpu``, ``cuda``, ``xpu`` or ``mps``, which stays with ``float32``; by default, the fastest one.
    """
    import torch

    device = device or fastest_device()
    if device in ("cuda", "xpu"):
        # Torch before 2.7 does not say it of Intel's GPUs.
        ask = getattr(getattr(torch, device), "is_bf16_supported", None)
        native = bool(ask and ask(including_emulation=False))
    elif device != "cpu":
        native = False
    else:
        native = torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported()
        # These two say what the processor has, also where a lesser one is imitated.
        native = native and torch.backends.cpu.get_cpu_capability() == "AVX512" and _onednn_may_use_bf16()
    return "bf16" if native else "float32"


def _onednn_may_use_bf16() -> bool:
    limit = os.environ.get("ONEDNN_MAX_CPU_ISA", "ALL").upper()
    return any(name in limit for name in ("ALL", "DEFAULT", "BF16", "FP16", "AMX", "AVX10"))


def warn_of_emulation(key: str, precision: str, device: str) -> None:
    """Warns before the work begins if the device computes a half precision in software, which takes far longer."""
    # Apple's and Intel's GPUs multiply fp16 natively, and Apple does not say which of them do so in bf16.
    told = device in ("cpu", "cuda") or (device == "xpu" and "bf16" in precision)
    if told and "16" in precision and fastest_precision(device) == "float32":
        warnings.warn(
            f"{key}={precision}: this {'processor' if device == 'cpu' else 'GPU'} does not multiply it natively and "
            f"may take ten times as long as for float32; type {key}=float32",
            stacklevel=3,
        )


def started_per_node(default: int = 1) -> int:
    """How many processes of a run torchrun or ``srun`` started on each node; where neither did, the default."""
    if "TORCHELASTIC_RUN_ID" in os.environ:
        return max(1, int(os.environ.get("LOCAL_WORLD_SIZE", default)))
    if "SLURM_STEP_ID" in os.environ:
        return max(1, int(os.environ.get("SLURM_STEP_NUM_TASKS", 1)) // started_nodes())
    return int(default)


def started_nodes(default: int = 1) -> int:
    """On how many nodes torchrun or ``srun`` started processes of a run; where neither did, the default."""
    if "TORCHELASTIC_RUN_ID" in os.environ:
        return max(1, int(os.environ.get("WORLD_SIZE", 1)) // max(1, int(os.environ.get("LOCAL_WORLD_SIZE", 1))))
    if "SLURM_STEP_ID" in os.environ:
        return int(os.environ.get("SLURM_STEP_NUM_NODES", 1))
    return int(default)


def trainers_precision() -> str:
    """The fastest precision of the device that ``accelerator: auto`` trains on: Lightning knows no Intel GPUs."""
    return fastest_precision(next(kind for kind in ("mps", "cuda", "cpu") if is_there(kind)))
