"""float64, which not every GPU has."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

#: Types of devices that have no float64, whichever model it is.
WITHOUT_FLOAT64 = {"mps"}


def has_float64(device: "torch.device | str") -> bool:
    """Whether a device has float64: no Apple GPU has it, and not every Intel GPU.

    Example:
        >>> has_float64("cpu"), has_float64("mps")
        (True, False)
    """
    import torch

    device = torch.device(device)
    if device.type == "xpu":
        return bool(getattr(torch.xpu.get_device_properties(device), "has_fp64", True))
    return device.type not in WITHOUT_FLOAT64


def float64_device(device: "torch.device | str") -> "torch.device":
    """The device itself where it has float64, else the CPU.

    Example:
        >>> float64_device("mps")
        device(type='cpu')
    """
    import torch

    return torch.device(device if has_float64(device) else "cpu")


def in_float64(x: "torch.Tensor") -> "torch.Tensor":
    """The tensor as float64: on its device, or on the CPU where the device has none. The only way there.

    Example:
        >>> import torch
        >>> in_float64(torch.zeros(1)).dtype
        torch.float64
    """
    return (x if has_float64(x.device) else x.cpu()).double()  # moved first, in its own type


def moved(x: "torch.Tensor", device: "torch.device | str") -> "torch.Tensor":
    """The tensor on a device; on the CPU if its type is float64 or uint16, which a device without float64 lacks.

    Example:
        >>> import torch
        >>> moved(torch.zeros(1), "cpu").device
        device(type='cpu')
    """
    import torch

    if x.dtype in (torch.float64, torch.uint16) and not has_float64(device):
        return x.cpu()
    return x.to(device)
