"""Peak memory of some work, over what the process had before."""

from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from multiprocessing import get_context
from pathlib import Path
from typing import ParamSpec, TypeVar

import torch

from sr_lightning.devices import GPUS, peak_bytes
from sr_lightning.errors import SRError
from sr_lightning.inference.memory import process_memory

P = ParamSpec("P")
Result = TypeVar("Result")
_RESET = Path("/proc/self/clear_refs")
_MIB = 1 << 20


def in_a_fresh_process(function: Callable[P, Result], *args: P.args, **kwargs: P.kwargs) -> Result:
    """What the function returns in a new process, whose memory nothing has used before.

    Args:
        function: A function of a module.
        args: Its arguments.
        kwargs: Its arguments by name.

    Raises:
        SRError: If the process was killed, usually because memory was full.

    Example:
        >>> in_a_fresh_process(divmod, 7, 2)
        (3, 1)
    """
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        try:
            return pool.submit(function, *args, **kwargs).result()
        except BrokenProcessPool:
            raise SRError("its process was killed, usually because memory was full; choose a smaller size=") from None


def peak_mib(work: Callable[[], object], device: torch.device) -> float:
    """MiB that the largest memory during the work is above the memory before it; of a GPU, its own memory."""
    if device.type in GPUS:
        return peak_bytes(work, device) / _MIB
    before = process_memory("VmRSS")
    if _RESET.exists():
        with suppress(OSError):  # where it is forbidden, the peak may be that of the imports
            _RESET.write_text("5")  # the peak is counted from here
    work()
    return max(0, process_memory("VmHWM") - before) / _MIB
