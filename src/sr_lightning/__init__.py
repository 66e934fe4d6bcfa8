"""sr_lightning: super-resolution on PyTorch Lightning, configured by Hydra."""

from typing import TYPE_CHECKING

from sr_lightning.lazy import imported_at_first_use
from sr_lightning.version import __version__

if TYPE_CHECKING:
    from sr_lightning.inference.finding import from_pretrained
    from sr_lightning.inference.loading import load
    from sr_lightning.inference.upscaler import Upscaler
    from sr_lightning.weights.hub import push_to_hub, save_pretrained
    from sr_lightning.weights.shipped import pretrained_networks

#: The module of each name, loaded at first use, because torch takes seconds.
_LAZY = {
    "Upscaler": "inference.upscaler",
    "from_pretrained": "inference.finding",
    "load": "inference.loading",
    "pretrained_networks": "weights.shipped",
    "push_to_hub": "weights.hub",
    "save_pretrained": "weights.hub",
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

if not TYPE_CHECKING:  # with it, type checkers would take any name
    __getattr__ = imported_at_first_use(__name__, _LAZY)


def __dir__() -> list[str]:
    return __all__
