"""The random numbers that torch draws on each device."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sr_lightning.devices.finding import GPUS, devices_here

if TYPE_CHECKING:
    import torch


def random_states() -> "dict[str, torch.Tensor]":
    """The state of torch's random numbers, of the CPU and of the GPU of each kind.

    Example:
        >>> "cpu" in random_states()
        True
    """
    import torch

    gpus = {kind: getattr(torch, kind).get_rng_state() for kind in devices_here() if kind in GPUS}
    return {"cpu": torch.get_rng_state(), **gpus}


def set_random_states(states: "dict[str, Any]") -> None:
    """Sets what ``random_states`` gave, here or on another machine, of the devices that are here."""
    import torch

    torch.set_rng_state(states["cpu"].cpu())
    for kind in devices_here():
        if kind in GPUS and kind in states:
            getattr(torch, kind).set_rng_state(states[kind].cpu())


@contextmanager
def random_states_kept() -> Iterator[None]:
    """Torch's random numbers go on afterwards as if nothing had been drawn inside."""
    states = random_states()
    try:
        yield
    finally:
        set_random_states(states)
