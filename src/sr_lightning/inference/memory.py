"""Whether a picture and its result fit into memory, and whether an error says that something did not."""

import os
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import torch

from sr_lightning.data.files.io import declared_size
from sr_lightning.data.files.raw import is_raw, raw_size
from sr_lightning.devices import free_bytes
from sr_lightning.errors import DataError, PictureError
from sr_lightning.inference.sizes import bytes_of, in_gigabytes

_GB = 1e9
_STATUS = Path("/proc/self/status")
#: A container's limit, and what it uses.
_LIMITS = (
    ("memory.max", "memory.current", "memory.stat"),
    ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "memory/memory.stat"),
)
#: In lower case; torch, onnxruntime and cuDNN have classes of errors of their own, or none.
_WORDS = (
    "out of memory",
    "can't allocate memory",
    "not enough memory",
    "failed to allocate",
    "out_of_device_memory",  # Intel's GPUs
    "invalid buffer size",  # Apple's
    "bad_alloc",
    "bad allocation",
    "exceeded max size of memory object allocation",
    "cudnn_status_alloc_failed",
    "cublas_status_alloc_failed",
    "unable to find an engine to execute this computation",  # cuDNN, whose workspaces do not fit
    "unable to find a valid cudnn algorithm",
)


def refuse_without_room(
    path: Path | str,
    memory: float | str | None = None,
    wanted: Callable[[int, int], tuple[int, int]] | None = None,
    bits: int | None = None,
) -> None:
    """Raises a ``PictureError`` if a picture and its result need more memory than there is, from the header alone.

    What is compared is the least that they can do with, so that nothing is refused that would work.

    Args:
        path: The picture.
        memory: GB that they may take; None for what is free.
        wanted: Height and width of the result for those of the picture; without, only the picture counts.
        bits: Of a sample of the result; None for those of the picture.

    Raises:
        ConfigError: If ``memory`` is no amount.
        PictureError: If there is not enough, or the header cannot be read.
    """
    limit = bytes_of(memory)
    needed, what = _needed(path, wanted, bits)
    allowed = limit if limit is not None else free_memory()
    if needed > allowed:
        there = f"memory={memory} allows less" if memory is not None else f"{in_gigabytes(allowed)} are free"
        raise PictureError(
            f"{path}: {what} need {in_gigabytes(needed)} of memory, and {there}; "
            f"memory={needed / _GB + 1:.0f} allows it nevertheless"
        )


def leaves_room(
    path: Path | str,
    memory: float | str | None,
    wanted: Callable[[int, int], tuple[int, int]],
    bits: int | None = None,
) -> bool:
    """Whether a picture and its result take less than a quarter of what ``refuse_without_room`` allows them.

    Raises:
        ConfigError: If ``memory`` is no amount.
        PictureError: If the header cannot be read.
    """
    limit = bytes_of(memory)
    return _needed(path, wanted, bits)[0] <= (limit if limit is not None else free_memory()) / 4


def _needed(
    path: Path | str, wanted: Callable[[int, int], tuple[int, int]] | None, bits: int | None
) -> tuple[int, str]:
    """Bytes of a picture and its result, and their sizes in words."""
    height, width, channels, depth = (*raw_size(path), 3, 2) if is_raw(path) else declared_size(path)
    needed, what = height * width * channels * depth, f"{width}x{height} pixels"
    sizes: list[tuple[int, int]] = []
    for sides in ((height, width), (width, height)):  # EXIF may turn it
        with suppress(DataError):  # which is reported for the picture itself
            sizes += [wanted(*sides)] if wanted is not None else []
    if sizes:
        rows, columns = min(sizes, key=lambda sides: sides[0] * sides[1])
        needed += rows * columns * channels * (bits // 8 if bits else depth)
        what += f" and {columns}x{rows} of its result"
    return needed, what


def memory_for_features(device: torch.device) -> float:
    """Bytes that a network's features may take where nobody says so: a quarter of what is free."""
    # An Apple GPU has no memory of its own.
    return (free_bytes(device) if device.type in ("cuda", "xpu") else min(free_bytes(device), free_memory())) / 4


def free_memory() -> float:
    """Bytes that this process may still take, as far as the system tells."""
    known = [float("inf")]
    with suppress(OSError, ValueError, StopIteration):
        lines = Path("/proc/meminfo").read_text().splitlines()
        known.append(next(float(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable")))
    with suppress(OSError, ValueError, AttributeError):
        known.append(float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")))
    for names in _LIMITS:
        with suppress(OSError, ValueError):
            limit, used, stat = ((Path("/sys/fs/cgroup") / name).read_text() for name in names)
            told = dict(line.split() for line in stat.splitlines())
            known.append(float(limit) - float(used) + float(told.get("inactive_file", 0)))  # caches are given up
    return max(0.0, min(known))


def is_out_of_memory(error: BaseException) -> bool:
    """Whether less work at a time would help.

    Example:
        >>> is_out_of_memory(RuntimeError("std::bad_alloc")), is_out_of_memory(RuntimeError("shapes differ"))
        (True, False)
    """
    text = str(error).lower()
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or any(words in text for words in _WORDS)


def process_memory(key: str) -> int:
    """Bytes of memory: ``VmRSS`` is what the process has now, ``VmHWM`` the most that it had."""
    if _STATUS.is_file():
        line = next(line for line in _STATUS.read_text(encoding="utf-8").splitlines() if line.startswith(f"{key}:"))
        return int(line.split()[1]) << 10
    if sys.platform == "win32":
        return 0
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # macOS has bytes, and the peak alone
