"""sr_lightning: super-resolution on PyTorch Lightning, configured by Hydra."""

from typing import Any

__version__ = "0.2.0"

#: What ``import sr_lightning as sr`` offers; loaded at first use, because torch takes seconds.
_LAZY = {
    "load": "inference.loading",
    "from_pretrained": "weights.hub",
    "save_pretrained": "weights.hub",
    "push_to_hub": "weights.hub",
    "pretrained_networks": "weights.shipped",
    "Upscaler": "inference.upscaler",
}

__all__ = [
    "Upscaler",
    "__version__",
    "from_pretrained",
    "load",
    "pretrained_networks",
    "push_to_hub",
    "save_pretrained",
]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_LAZY[name]}"), name)


def __dir__() -> list[str]:
    return __all__
