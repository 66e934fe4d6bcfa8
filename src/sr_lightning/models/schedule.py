"""The length of a run, for learning-rate schedulers that need it."""

import inspect
import math
from functools import partial
from typing import Any

from sr_lightning.errors import ConfigError


def total_steps(trainer: Any, optimizers: int = 1) -> int:
    """Updates of each optimizer in the whole run; ``max_steps`` counts the updates of all optimizers.

    Lightning's own estimate makes the training loader, which a resumed run has not set to its position yet.

    Raises:
        ConfigError: If the run has no end.
    """
    by_steps = math.ceil(trainer.max_steps / optimizers) if trainer.max_steps >= 0 else math.inf
    batches = getattr(trainer.datamodule, "batches_per_epoch", None)
    if batches is None:
        by_epochs = trainer.estimated_stepping_batches
    else:
        limit, epochs = trainer.limit_train_batches, trainer.max_epochs or -1
        batches = min(batches, limit) if isinstance(limit, int) else int(batches * limit)
        by_epochs = math.ceil(batches / trainer.accumulate_grad_batches) * epochs if epochs >= 0 else math.inf
    total = min(by_epochs, by_steps)
    if math.isinf(total):
        raise ConfigError("scheduler: its length is open; set trainer.max_epochs or trainer.max_steps")
    return int(total)


def open_arguments(factory: Any) -> set[str]:
    """Names of the arguments of a callable that no ``partial`` has set.

    Example:
        >>> open_arguments(partial(lambda a, b: a, b=1))
        {'a'}
    """
    given = factory.keywords if isinstance(factory, partial) else {}
    return set(inspect.signature(factory).parameters) - set(given)
