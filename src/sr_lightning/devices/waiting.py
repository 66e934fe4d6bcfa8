"""Waiting for GPUs, which compute while Python goes on."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from sr_lightning.devices.finding import GPUS

if TYPE_CHECKING:
    import torch


def synchronize(device: "torch.device | str") -> None:
    """Waits until the device has done what it was given."""
    import torch

    device = torch.device(device)
    if device.type == "mps":
        torch.mps.synchronize()
    elif device.type in GPUS:
        getattr(torch, device.type).synchronize(device)


def copied_to_cpu(*tensors: "torch.Tensor") -> "tuple[list[torch.Tensor], Callable[[], None] | None]":
    """Copies on the CPU of tensors of one device, and what waits until they are complete; None if they are.

    Copies from ``mps`` are waited for at once: without, they would hold anything.

    Example:
        >>> import torch
        >>> copied_to_cpu(torch.ones(1))
        ([tensor([1.])], None)
    """
    import torch

    kind = tensors[0].device.type
    if kind not in ("cuda", "xpu"):
        return [x.to("cpu") for x in tensors], None
    event = getattr(torch, kind).Event()
    copies = [x.to("cpu", non_blocking=True) for x in tensors]
    event.record()
    return copies, event.synchronize
