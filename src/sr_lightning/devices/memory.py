"""The memory of GPUs."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from sr_lightning.devices.finding import GPUS, devices_here, is_there

if TYPE_CHECKING:
    import torch


def pins_memory() -> bool:
    """Whether a GPU here reads pinned memory faster; Apple's read that of the processor."""
    return is_there("cuda") or is_there("xpu")


def empty_caches() -> None:
    """Gives memory back that torch keeps on GPUs for later tensors."""
    import torch

    for kind in devices_here():
        if kind in GPUS:
            getattr(torch, kind).empty_cache()


def free_bytes(device: "torch.device | str") -> float:
    """Bytes that a GPU's tensors may still take, as far as its driver tells; infinite for the CPU."""
    import torch

    device = torch.device(device)
    if device.type == "mps":  # a part of the processor's memory
        return float(max(0, torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory()))
    if device.type == "xpu" and not hasattr(torch.xpu, "mem_get_info"):  # before torch 2.7
        return float(torch.xpu.get_device_properties(device).total_memory - torch.xpu.memory_reserved(device))
    if device.type in GPUS:
        return float(getattr(torch, device.type).mem_get_info(device)[0])
    return float("inf")


def peak_of_process(device: "torch.device | str") -> int:
    """Bytes of a GPU that this process's tensors had at most so far; on ``mps``, what torch keeps of the system's."""
    import torch

    device = torch.device(device)
    if device.type == "mps":
        return int(torch.mps.driver_allocated_memory())
    return int(getattr(torch, device.type).max_memory_allocated(device))


def peak_bytes(work: Callable[[], object], device: "torch.device | str") -> int:
    """Bytes that a GPU's largest memory during some work is above the one before.

    ``mps`` counts no peak: there, it is what torch took from the system and keeps.
    """
    import torch

    device = torch.device(device)
    if device.type == "mps":
        torch.mps.empty_cache()
        begin = torch.mps.driver_allocated_memory()
        work()
        return max(0, torch.mps.driver_allocated_memory() - begin)
    counts: Any = getattr(torch, device.type)
    counts.reset_peak_memory_stats(device)
    begin = counts.memory_allocated(device)
    work()
    return int(counts.max_memory_allocated(device) - begin)
