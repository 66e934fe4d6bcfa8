"""Devices by name, and which are there."""

from typing import TYPE_CHECKING

from sr_lightning.errors import ConfigError

if TYPE_CHECKING:
    import torch

#: GPUs by PyTorch's names, the one that is chosen first in front.
GPUS = ("cuda", "xpu", "mps")
_AMD = "PyTorch calls AMD's GPUs cuda"


def is_there(kind: str) -> bool:
    """Whether torch can compute on such a device here.

    Example:
        >>> is_there("cpu")
        True
    """
    import torch

    if kind == "mps":
        return torch.backends.mps.is_available()
    if kind in GPUS:
        return bool(getattr(torch, kind).is_available())
    return kind == "cpu"


def devices_here() -> list[str]:
    """The devices of this machine, the fastest first."""
    return [kind for kind in (*GPUS, "cpu") if is_there(kind)]


def fastest_device() -> str:
    """The device that commands without a trainer compute on."""
    return devices_here()[0]


def count_of(kind: str) -> int:
    """How many devices of a kind there are; one of ``cpu`` and of ``mps``.

    Example:
        >>> count_of("cpu")
        1
    """
    import torch

    if not is_there(kind):
        return 0
    return int(getattr(torch, kind).device_count()) if kind in ("cuda", "xpu") else 1


def found_device(name: "torch.device | str", key: str = "device") -> "torch.device":
    """The device of a name such as ``cpu``, ``cuda:1``, ``xpu`` or ``mps``.

    Args:
        name: PyTorch's name, with a number or without.
        key: What the error calls it.

    Raises:
        ConfigError: If there is none of that name here, or torch cannot compute there.

    Example:
        >>> found_device("cpu")
        device(type='cpu')
        >>> found_device("gpu0")
        Traceback (most recent call last):
        sr_lightning.errors.ConfigError: device=gpu0: there is no device of that name; type device=...
    """
    import torch

    choice = " or ".join(f"{key}={kind}" for kind in reversed(devices_here()))
    try:
        device = torch.device(name)
    except RuntimeError:
        amd = str(name).lower().startswith("rocm")
        raise ConfigError(
            f"{key}={name}: {_AMD if amd else 'there is no device of that name'}; type {choice}"
        ) from None
    if device.type == "hip":
        raise ConfigError(f"{key}={name}: {_AMD}; type {choice}")
    if device.type in GPUS:
        count = count_of(device.type)
        if not count:
            raise ConfigError(f"{key}={name}: torch finds none on this machine; type {choice}")
        if device.index is not None and device.index >= count:
            last = f" to {device.type}:{count - 1}" if count > 1 else ""
            raise ConfigError(f"{key}={name}: the machine has {device.type}:0{last}; type {choice}")
    try:
        torch.zeros(1, device=device).cpu()
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ConfigError(f"{key}={name}: torch cannot compute there ({reason}); type {choice}") from None
    return device


def is_gpu(device: "torch.device | str") -> bool:
    """Whether it is any device but the processor, which works while Python goes on.

    Example:
        >>> is_gpu("cpu"), is_gpu("xpu:1")
        (False, True)
    """
    return str(device).partition(":")[0] not in ("cpu", "meta")


def device_name(device: "torch.device | str") -> str:
    """The name of the hardware, or else that of the device; where ROCm computes, its version, too.

    Example:
        >>> device_name("cpu")
        'cpu'
    """
    import torch

    device = torch.device(device)
    if device.type not in ("cuda", "xpu"):
        return device.type
    name = str(getattr(torch, device.type).get_device_name(device))
    return f"{name} (ROCm {torch.version.hip})" if device.type == "cuda" and torch.version.hip else name
