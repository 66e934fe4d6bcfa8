"""``torch.compile`` for the training steps of a network."""

import math
import sys
import time
from collections.abc import Callable
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from sr_lightning.errors import ConfigError
from sr_lightning.training.callbacks.channels_last import step_seconds, without_trace

#: Steps of each kind that are measured, after one that warms up or compiles.
STEPS = 3


class Compile(Callback):
    """Compiles the network's training steps, and says at which step the time for it has been won back.

    Validation and checkpoints have the network as it is: pictures of every size would be compiled anew. Before the
    first step, a few steps without an update are measured, plain and compiled.

    Args:
        backend: Of ``torch.compile``.
        clock: The time in seconds, from any moment on.

    Raises:
        ConfigError: If the backend cannot compile it here, or the network steps its optimizers itself.
    """

    def __init__(self, backend: str = "inductor", clock: Callable[[], float] = time.perf_counter) -> None:
        self.backend, self._clock = backend, clock
        self._compiled: Any = None

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        if not pl_module.automatic_optimization:
            raise ConfigError(
                f"callbacks=compile: {type(pl_module).__name__} steps its optimizers itself; leave it out"
            )

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        if self._compiled is not None:
            return
        net: Any = pl_module.net

        def measured() -> list[float]:
            return [step_seconds(trainer, pl_module, batch, self._clock) for _ in range(1 + STEPS)]

        with without_trace(pl_module):
            plain = min(measured()[1:])
            try:
                net.compile(backend=self.backend)
                first, *others = measured()
            except Exception as error:  # whatever a compiler trips over
                reason = " ".join(str(error).split())[:200] or type(error).__name__
                raise ConfigError(
                    f"callbacks=compile: backend={self.backend} cannot compile it ({reason}); leave it out"
                ) from error
        self._compiled = net._compiled_call_impl
        print(self.told(plain, min(others), first, trainer.estimated_stepping_batches), file=sys.stderr)

    @staticmethod
    def told(plain: float, compiled: float, first: float, run: float = math.inf) -> str:
        """The line about the times of a step and of the first one, which compiles.

        Example:
            >>> Compile.told(plain=0.5, compiled=0.25, first=30.0)
            'torch.compile: 250 ms a step instead of 500 ms; the 30 s for compiling are won back at step 119'
        """
        times = f"torch.compile: {compiled * 1e3:.3g} ms a step instead of {plain * 1e3:.3g} ms"
        if compiled >= plain:
            return f"{times}: it never pays; leave callbacks=compile out"
        steps = math.ceil((first - compiled) / (plain - compiled))
        late = f", and this run has {run:.0f}: leave callbacks=compile out" if steps > run > 0 else ""
        return f"{times}; the {first:.3g} s for compiling are won back at step {steps}{late}"

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._use(pl_module, None)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._use(pl_module, self._compiled)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._use(pl_module, None)
        self._compiled = None  # the next network is another one

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        self.on_train_end(trainer, pl_module)

    def _use(self, model: Any, compiled: Any) -> None:
        model.net._compiled_call_impl = compiled
