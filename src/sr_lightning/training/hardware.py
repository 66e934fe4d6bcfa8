"""The device and the precision of a trainer, in this library's words, and the memory of its steps."""

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from omegaconf import DictConfig, OmegaConf

from sr_lightning.devices import devices_here, is_there
from sr_lightning.errors import ConfigError

#: Lightning's names of precisions, which work too.
_PRECISIONS = {"float32": "32-true", "bf16": "bf16-mixed", "fp16": "16-mixed"}
#: Parameters of glibc's ``mallopt``: how many blocks are mapped one by one, and how much free memory is kept.
_MMAP_MAX, _TRIM_THRESHOLD = -4, -1


def trainer_settings(trainer: DictConfig) -> Any:
    """The config of a trainer with Lightning's name of the precision.

    Raises:
        ConfigError: If it asks for a GPU, and PyTorch finds none, or Lightning cannot train there.
    """
    _refuse_missing_gpu(trainer.get("accelerator"))
    precision = str(trainer.get("precision"))
    return OmegaConf.merge(trainer, {"precision": _PRECISIONS[precision]} if precision in _PRECISIONS else {})


def _refuse_missing_gpu(accelerator: Any) -> None:
    if accelerator == "xpu" or (accelerator == "gpu" and devices_here() == ["xpu", "cpu"]):
        raise ConfigError(
            f"trainer.accelerator={accelerator}: Lightning trains on no Intel GPU; type trainer=cpu, or "
            "train elsewhere and use the network here with device=xpu"
        )
    there = {kind: is_there(kind) for kind in ("cuda", "mps")}
    there["gpu"] = any(there.values())
    if not there.get(accelerator, True):
        raise ConfigError(
            f"trainer.accelerator={accelerator}: PyTorch finds none on this machine; type trainer=cpu, or install the "
            "build of PyTorch for your GPU"
        )


@contextmanager
def freed_memory_kept() -> Iterator[None]:
    """Keeps memory that a training step frees for the next step, where the C library is glibc.

    By default it goes back to the system, which clears its pages anew in every step: some 140,000 of them for
    EDSR-baseline, a tenth of the processor's time. A run needs no more memory than its largest step does.

    Example:
        >>> with freed_memory_kept():
        ...     sum([1, 2])
        3
    """
    libc: Any = ctypes.CDLL(None) if sys.platform == "linux" else None
    if not hasattr(libc, "mallopt") or not hasattr(libc, "gnu_get_libc_version"):  # musl's mallopt does nothing
        yield
        return
    for parameter, value in ((_MMAP_MAX, 0), (_TRIM_THRESHOLD, 2**31 - 1)):
        libc.mallopt(parameter, value)
    try:
        yield
    finally:  # glibc's defaults
        for parameter, value in ((_MMAP_MAX, 65536), (_TRIM_THRESHOLD, 128 * 1024)):
            libc.mallopt(parameter, value)
        libc.malloc_trim(0)
