"""Memory of training traded for time."""

from collections import defaultdict
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import nn
from torch.utils.checkpoint import checkpoint

from sr_lightning.errors import ConfigError


class GradientCheckpointing(Callback):
    """Keeps only the inputs of a network's repeated blocks, and computes the rest anew in the backward pass.

    Gradients and checkpoint files stay the same. A step takes up to a third longer.

    Raises:
        ConfigError: If the network repeats no block, or its blocks have batch statistics, which would count twice.
    """

    def __init__(self) -> None:
        self._blocks: list[nn.Module] = []

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        net: Any = pl_module.net
        what, cure = f"callbacks=gradient_checkpointing: {type(pl_module).__name__}", "leave the callback out"
        self._blocks = repeated_blocks(net)
        if not self._blocks:
            raise ConfigError(f"{what} repeats no block; {cure}")
        if any(getattr(part, "track_running_stats", False) for part in self._blocks[0].modules()):
            raise ConfigError(f"{what} has blocks with batch statistics, which would count twice; {cure}")
        for block in self._blocks:
            block.forward = partial(_recomputed, block.forward)

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        for block in self._blocks:
            del block.forward
        self._blocks = []

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        self.on_fit_end(trainer, pl_module)


def repeated_blocks(net: nn.Module) -> list[nn.Module]:
    """The equal blocks in one ``Sequential`` or ``ModuleList`` that hold the most parameters; [] if there are none.

    Example:
        >>> block = lambda: nn.Sequential(nn.Conv2d(4, 4, 3), nn.ReLU())
        >>> len(repeated_blocks(nn.Sequential(nn.Conv2d(3, 4, 3), block(), block(), block())))
        3
    """
    best: list[nn.Module] = []
    for container in net.modules():
        if isinstance(container, nn.Sequential | nn.ModuleList):
            alike = defaultdict(list)
            for block in container:
                if next(block.children(), None) is not None:
                    alike[(type(block), *(p.shape for p in block.parameters()))].append(block)
            best = max([best, *(blocks for blocks in alike.values() if len(blocks) > 1)], key=_parameters)
    return best


def _parameters(blocks: list[nn.Module]) -> int:
    return sum(p.numel() for block in blocks for p in block.parameters())


def _recomputed(forward: Callable[..., Any], *inputs: Any, **named: Any) -> Any:
    if not torch.is_grad_enabled():
        return forward(*inputs, **named)
    return checkpoint(forward, *inputs, use_reentrant=False, **named)
