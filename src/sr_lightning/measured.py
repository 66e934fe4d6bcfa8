"""What was measured on this machine once, kept in the user's cache folder."""

import hashlib
import json
import os
import platform
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from math import isfinite
from pathlib import Path
from typing import Any

from sr_lightning.atomic import atomic_write
from sr_lightning.devices import device_name


def default_cache() -> Path:
    """``$SR_CACHE``, else ``sr_lightning`` in the user's cache folder."""
    if base := os.environ.get("SR_CACHE"):
        return Path(base).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sr_lightning"


def measured_once(
    key: Mapping[str, Any], measure: Callable[[], dict[str, float]], names: Collection[str] = ()
) -> dict[str, float]:
    """Numbers by name: those of an earlier call with an equal key, by any process of this user, or measured now.

    Args:
        key: All that the numbers depend on, for JSON; begin with ``processor``.
        measure: Measures the numbers.
        names: Those that must be among them: what is remembered without them is measured again.

    Example:
        >>> measured_once({"of": "doctest"}, lambda: {"seconds": 2.0})
        {'seconds': 2.0}
        >>> measured_once({"of": "doctest"}, lambda: {"seconds": 3.0})
        {'seconds': 2.0}
    """
    known = json.dumps(key, sort_keys=True)
    try:
        file = default_cache() / "measured" / f"{hashlib.sha256(known.encode()).hexdigest()[:24]}.json"
    except RuntimeError:  # a user without a home
        return measure()
    damaged = OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError
    with suppress(*damaged):
        found = {str(name): float(value) for name, value in json.loads(file.read_text())["numbers"].items()}
        if found and found.keys() >= {*names} and all(map(isfinite, found.values())):
            return found
    numbers = measure()
    with suppress(OSError), atomic_write(file) as temporary:  # only a memory
        temporary.write_text(json.dumps({"key": json.loads(known), "numbers": numbers}, indent=2) + "\n")
    return numbers


def processor_name() -> tuple[str, set[str]]:
    """The name of the processor and its flags, as far as the system tells them."""
    name, flags = platform.processor() or platform.machine(), set[str]()
    info = Path("/proc/cpuinfo")
    for line in info.read_text(encoding="utf-8", errors="replace").splitlines() if info.is_file() else ():
        key, _, value = (part.strip() for part in line.partition(":"))
        if key == "model name":
            name = value
        elif key in ("flags", "Features"):
            flags |= {*value.split()}
    return name, flags


def processor(device: str) -> dict[str, Any]:
    """What the speed of a computation depends on besides the computation: the device, its threads, the libraries."""
    import torch

    return {
        "device": device_name(device) if device in ("cuda", "xpu") else [device, processor_name()[0]],
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "onednn": os.environ.get("ONEDNN_MAX_CPU_ISA"),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
    }
