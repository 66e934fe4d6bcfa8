"""The device and the precision that are fastest on this machine."""

import os
import warnings


def fastest_precision(device: str | None = None) -> str:
    """``bf16`` if the hardware multiplies it natively (Ampere GPUs, CPUs with AMX or AVX512-BF16), or ``float32``."""
    import torch

    if (device or fastest_device()) == "cuda":
        native = torch.cuda.is_bf16_supported(including_emulation=False)
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
    if "16" in precision and fastest_precision(device) == "float32":
        warnings.warn(
            f"{key}={precision}: this {'GPU' if device == 'cuda' else 'processor'} does not multiply it natively and "
            f"may take ten times as long as for float32; type {key}=float32",
            stacklevel=3,
        )


def started_per_node(default: int = 1) -> int:
    """How many processes of a run torchrun or ``srun`` started on each node; where neither did, the default."""
    if "TORCHELASTIC_RUN_ID" in os.environ:
        return int(os.environ.get("LOCAL_WORLD_SIZE", default))
    if "SLURM_STEP_ID" in os.environ:
        return max(1, int(os.environ.get("SLURM_STEP_NUM_TASKS", 1)) // started_nodes())
    return int(default)


def started_nodes(default: int = 1) -> int:
    """On how many nodes torchrun or ``srun`` started processes of a run; where neither did, the default."""
    if "TORCHELASTIC_RUN_ID" in os.environ:
        return int(os.environ.get("WORLD_SIZE", 1)) // int(os.environ.get("LOCAL_WORLD_SIZE", 1))
    if "SLURM_STEP_ID" in os.environ:
        return int(os.environ.get("SLURM_STEP_NUM_NODES", 1))
    return int(default)


def fastest_device() -> str:
    """The device that commands without a trainer compute on."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"
