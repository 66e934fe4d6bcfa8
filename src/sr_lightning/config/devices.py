"""The device and the precision that are fastest on this machine."""

import warnings


def fastest_precision(device: str | None = None) -> str:
    """bf16 where the hardware multiplies it natively (Ampere GPUs, CPUs with AMX or AVX512-BF16), else float32."""
    import torch

    if (device or fastest_device()) == "cuda":
        native = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        native = torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported()
    return "bf16-mixed" if native else "32-true"


def warn_of_emulation(key: str, precision: str, device: str) -> None:
    """Says before the work begins that the device computes a half precision in software, which takes far longer."""
    if "16" in precision and fastest_precision(device) == "32-true":
        warnings.warn(
            f"{key}={precision}: this {'GPU' if device == 'cuda' else 'processor'} does not multiply it natively and "
            f"may take ten times as long as for float32, which is the default here; leave {key}= out",
            stacklevel=3,
        )


def fastest_device() -> str:
    """The device that commands without a trainer compute on."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"
