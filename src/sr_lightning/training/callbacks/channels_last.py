"""Where a network's channels lie in memory, chosen by the time of a training step."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal, get_args

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.utilities.seed import isolate_rng
from torch import Tensor, nn

from sr_lightning.devices import random_states_kept, synchronize
from sr_lightning.errors import ConfigError
from sr_lightning.measured import measured_once, processor

When = Literal["auto", "always", "never"]
#: Rounds of one step in each layout, the first of which warms up; and the seconds after which no further one begins.
ROUNDS, SECONDS = 4, 8.0
#: Channels-last stays unless contiguous steps take less than this part of its time, so that noise does not decide.
MARGIN = 0.95


class ChannelsLast(Callback):
    """Keeps convolution weights channels-last where training steps are faster so.

    That depends on the processor, the network and the patches. Before the first step, a few steps of the network
    with the first batch and its loss are measured in both layouts, without an update: weights, statistics, random
    numbers and the order of the data stay as they are. The times are remembered in the user's cache folder, and the
    choice in checkpoints, so that a resumed run goes on with the same bits. Several processes, and networks that step
    their optimizers themselves, are always channels-last.

    Args:
        when: ``"auto"`` measures, ``"always"`` and ``"never"`` do not.
        clock: The time in seconds, from any moment on.

    Raises:
        ConfigError: If ``when`` is none of these.
    """

    def __init__(self, when: When = "auto", clock: Callable[[], float] = time.perf_counter) -> None:
        if when not in get_args(When):
            raise ConfigError(f"callbacks.channels_last.when={when}: must be auto, always or never")
        self.when, self._clock = when, clock
        self.chosen: bool | None = None

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        measurable = trainer.world_size == 1 and pl_module.automatic_optimization
        if self.when == "always" or (self.when == "auto" and not measurable):
            self.chosen = True
            arrange(pl_module, channels_last=True)  # before other processes get the weights

    def state_dict(self) -> dict[str, Any]:
        """What was measured; nothing where nothing was."""
        return {"chosen": self.chosen} if self.when == "auto" and self.chosen is not None else {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        if self.when == "auto" and self.chosen is None:
            self.chosen = bool(state_dict["chosen"])

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self.chosen is not None:  # as the run had it that is resumed
            arrange(pl_module, self.chosen)
            for optimizer in trainer.optimizers:
                _follow(optimizer)

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        if self.chosen is not None or self.when == "never":
            return
        patches = {name: [*value.shape] for name, value in batch.items() if isinstance(value, Tensor)}
        key = {
            **processor(pl_module.device.type),
            "network": [type(pl_module).__name__, str(dict(pl_module.hparams)), type(pl_module.loss).__name__],
            "patches": patches,
            "precision": str(trainer.precision),
        }
        took = measured_once(key, lambda: self._measure(trainer, pl_module, batch), ("contiguous", "channels_last"))
        self.chosen = took["contiguous"] >= MARGIN * took["channels_last"]
        arrange(pl_module, self.chosen)
        names = sorted(took, key=lambda name: (name == "channels_last") != self.chosen)
        times = ", ".join(f"{name.replace('_', ' ')} {_milliseconds(took[name])}" for name in names)
        line = f"memory layout: {times} a step; the first is used (callbacks.channels_last.when=auto)"
        print(line, file=sys.stderr)

    def _measure(self, trainer: Trainer, model: LightningModule, batch: Any) -> dict[str, float]:
        """The shortest step in each layout. Layouts take turns, so that other work on the machine slows both."""
        seconds: dict[str, list[float]] = {"contiguous": [], "channels_last": []}
        begin = self._clock()
        with without_trace(model):
            for i in range(ROUNDS):
                if i > 1 and self._clock() - begin > SECONDS:
                    break
                for layout, measured in seconds.items():
                    arrange(model, layout == "channels_last")
                    measured.append(step_seconds(trainer, model, batch, self._clock))
        return {layout: min(measured[1:]) for layout, measured in seconds.items()}


def step_seconds(trainer: Trainer, model: Any, batch: Any, clock: Callable[[], float]) -> float:
    """Seconds of a training step without an update. No gradient stays."""
    begin = clock()
    with trainer.precision_plugin.forward_context():
        loss = torch.stack(list(model.training_losses(batch).values())).sum()
    # Not ``backward``, which would leave gradients.
    torch.autograd.grad(loss, [p for p in model.parameters() if p.requires_grad], allow_unused=True)
    synchronize(model.device)
    return clock() - begin


@contextmanager
def without_trace(model: Any) -> Iterator[None]:
    """Random numbers and buffers, such as statistics of normalisation, are afterwards as they were.

    Who hears which pictures are compared, hears nothing of those inside.
    """
    heard, model.on_comparison = model.on_comparison, None
    buffers = [(buffer, buffer.detach().clone()) for buffer in model.buffers()]
    try:
        with random_states_kept(), isolate_rng():  # Lightning keeps Python's and NumPy's, and of GPUs CUDA's
            yield
    finally:
        with torch.no_grad():
            for buffer, before in buffers:
                buffer.copy_(before)
        model.on_comparison = heard


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1e3:,.0f} ms" if seconds >= 0.1 else f"{seconds * 1e3:.3g} ms"


def _follow(optimizer: torch.optim.Optimizer) -> None:
    """Lays out moments as their weights: fused steps pair the numbers as they lie in memory."""
    for weight, state in optimizer.state.items():
        for name, value in state.items():
            if isinstance(value, Tensor) and value.shape == weight.shape:
                state[name] = torch.empty_like(weight, dtype=value.dtype).copy_(value)


def arrange(model: nn.Module, channels_last: bool) -> None:
    """Lays out the weights of all convolutions.

    Convolutions alone: DDP cannot broadcast a single buffer, as a mean colour is, that is channels-last.
    """
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            layout = torch.channels_last if channels_last else torch.contiguous_format
            module.to(memory_format=layout)  # type: ignore[call-overload]
