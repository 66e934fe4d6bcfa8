"""CUDA is never assumed: each file that names it has a reason, and a new one is noticed."""

import re
from pathlib import Path

import sr_lightning

SOURCE = Path(sr_lightning.__file__).parent

#: Files that name CUDA, and why.
REASONS = {
    "devices/__init__.py": "says what the names of devices mean",
    "devices/finding.py": "finds devices by name; ROCm is cuda, too",
    "devices/memory.py": "asks each kind in its own way",
    "devices/waiting.py": "asks each kind in its own way",
    "config/devices.py": "bf16 of each kind; trainers know cuda, mps and cpu",
    "functional/precision.py": "TF32, which CUDA alone has",
    "inference/memory.py": "cuda and xpu have memory of their own; texts of cuDNN's and cuBLAS's errors",
    "inference/zero_shot/training.py": "repeatable steps of cuDNN",
    "measured.py": "cuda and xpu have names of their own",
    "training/hardware.py": "the accelerators of Lightning",
    "training/callbacks/channels_last.py": "says what Lightning keeps",
    "models/pft.py": "the authors' operators are CUDA's; ours are not",
}


def test_files_that_name_cuda() -> None:
    found = {
        path.relative_to(SOURCE).as_posix()
        for path in SOURCE.rglob("*.py")
        if re.search("cuda|cublas|cudnn", path.read_text(encoding="utf-8"), re.IGNORECASE)
    }
    new, gone = found - REASONS.keys(), REASONS.keys() - found
    assert not new, f"{', '.join(sorted(new))}: use sr_lightning.devices, or give a reason here"
    assert not gone, f"{', '.join(sorted(gone))}: no longer named"
