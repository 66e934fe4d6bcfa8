"""What was measured on this machine once, kept in the user's cache folder."""

import hashlib
import json
import os
import platform
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from sr_lightning.atomic import atomic_write


def default_cache() -> Path:
    """``$SR_CACHE``, else ``sr_lightning`` in the user's cache folder."""
    base = os.environ.get("SR_CACHE")
    return Path(base) if base else Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "sr_lightning"


def measured_once(key: Mapping[str, Any], measure: Callable[[], dict[str, float]]) -> dict[str, float]:
    """Numbers by name: those of an earlier call with an equal key, by any process of this user, or measured now.

    Args:
        key: All that the numbers depend on, for JSON; begin with ``processor``.
        measure: Measures the numbers.

    Example:
        >>> measured_once({"of": "doctest"}, lambda: {"seconds": 2.0})
        {'seconds': 2.0}
        >>> measured_once({"of": "doctest"}, lambda: {"seconds": 3.0})
        {'seconds': 2.0}
    """
    known = json.dumps(key, sort_keys=True)
    file = default_cache() / "measured" / f"{hashlib.sha256(known.encode()).hexdigest()[:24]}.json"
    with suppress(OSError, ValueError, LookupError, TypeError, AttributeError):  # none, or a damaged one
        return {str(name): float(value) for name, value in json.loads(file.read_text())["numbers"].items()}
    numbers = measure()
    with suppress(OSError), atomic_write(file) as temporary:  # only a memory
        temporary.write_text(json.dumps({"key": json.loads(known), "numbers": numbers}, indent=2) + "\n")
    return numbers


def processor(device: str) -> dict[str, Any]:
    """What the speed of a computation depends on besides the computation: the device, its threads, the libraries."""
    import torch

    if device == "cuda":
        name = torch.cuda.get_device_name()
    else:
        name = platform.processor()
        with suppress(OSError, StopIteration):  # Linux keeps the name of the model here
            lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
            name = next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return {
        "device": name,
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "onednn": os.environ.get("ONEDNN_MAX_CPU_ISA"),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
    }
