"""What a result depends on: versions, processor, threads, and how fast this machine multiplies and copies now."""

import os
import platform
from typing import Any

import torch

from sr_lightning.benchmarking.timing import clock_of, take_turns, timed
from sr_lightning.config.devices import fastest_precision
from sr_lightning.devices import device_name, is_gpu
from sr_lightning.evaluation.scoring import versions
from sr_lightning.measured import processor_name

#: Parts of instruction sets that decide how fast networks are.
_FLAGS = ("avx2", "fma", "avx512f", "avx512_vnni", "avx512_bf16", "avx512_fp16", "avx_vnni", "amx_tile", "amx_bf16",
          "amx_int8", "asimd", "bf16", "sve", "i8mm")  # fmt: skip
#: Variables that change what a processor does, such as those that imitate a lesser one.
_VARIABLES = ("ATEN_CPU_CAPABILITY", "ONEDNN_MAX_CPU_ISA", "MKL_ENABLE_INSTRUCTIONS", "OMP_NUM_THREADS",
              "MKL_NUM_THREADS", "ONEDNN_DEFAULT_FPMATH_MODE")  # fmt: skip


def use_threads(threads: int | None) -> None:
    """Has torch, and what this process starts, use that many threads; None changes nothing."""
    if threads is not None:
        os.environ["OMP_NUM_THREADS"] = str(threads)
        torch.set_num_threads(threads)


def facts(device: torch.device) -> dict[str, Any]:
    """Versions, processor, threads and device.

    Example:
        >>> sorted(facts(torch.device("cpu")))
        ['cores', 'device', 'environment', 'flags', 'instructions', 'processor', 'system', 'threads', 'versions']
    """
    name, flags = processor_name()
    return {
        "versions": versions(),
        "system": platform.platform(),
        "processor": name,
        "flags": [flag for flag in _FLAGS if flag in flags],
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "device": device_name(device),
        "environment": {name: os.environ[name] for name in _VARIABLES if name in os.environ},
    }


def speeds(device: torch.device) -> dict[str, float]:
    """What the device can do: matrix products in GFLOP/s, and GB/s that a copy reads and writes; the best of some.

    Half precision is measured only where the device multiplies it natively: elsewhere it takes for ever.
    """
    side, count = (8192, 1 << 28) if is_gpu(device) else (1024, 1 << 24)
    kinds = {"float32": torch.float32}
    if fastest_precision(device.type) == "bf16":
        kinds["bf16"] = torch.bfloat16
    clock, found = clock_of(device), {}
    with torch.inference_mode():
        for name, kind in kinds.items():
            a, b = (torch.ones(side, side, dtype=kind, device=device) for _ in range(2))
            product = torch.empty_like(a)
            seconds = take_turns({"": timed(lambda: torch.mm(a, b, out=product), clock)}, 5)[""]  # noqa: B023
            found[f"{name} GFLOP/s"] = 2 * side**3 / min(seconds) / 1e9
        source = torch.ones(count, device=device)
        target = torch.empty_like(source)
        seconds = take_turns({"": timed(lambda: target.copy_(source), clock)}, 5)[""]
    found["copy GB/s"] = 2 * source.nbytes / min(seconds) / 1e9
    return found
