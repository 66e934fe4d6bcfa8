"""Devices by name: which are there, what they can do, and what is asked of each in its own way.

``cuda`` is NVIDIA's GPUs and, in PyTorch's builds for ROCm, AMD's; ``xpu`` is Intel's, ``mps`` is Apple's. What
concerns CUDA alone, such as TF32, stays where it is used. Nothing here imports torch before it is called.
"""

from sr_lightning.devices.double import WITHOUT_FLOAT64, float64_device, has_float64, in_float64, moved
from sr_lightning.devices.finding import (
    GPUS,
    count_of,
    device_name,
    devices_here,
    fastest_device,
    found_device,
    is_gpu,
    is_there,
)
from sr_lightning.devices.memory import empty_caches, free_bytes, peak_bytes, peak_of_process, pins_memory
from sr_lightning.devices.random_state import random_states, random_states_kept, set_random_states
from sr_lightning.devices.waiting import copied_to_cpu, synchronize

__all__ = [
    "GPUS",
    "WITHOUT_FLOAT64",
    "copied_to_cpu",
    "count_of",
    "device_name",
    "devices_here",
    "empty_caches",
    "fastest_device",
    "float64_device",
    "found_device",
    "free_bytes",
    "has_float64",
    "in_float64",
    "is_gpu",
    "is_there",
    "moved",
    "peak_bytes",
    "peak_of_process",
    "pins_memory",
    "random_states",
    "random_states_kept",
    "set_random_states",
    "synchronize",
]
