"""The moving average of the weights."""

from typing import Annotated, Any

import torch
from lightning.pytorch.callbacks import WeightAveraging
from pydantic import Field
from torch import Tensor

from sr_lightning.limits import check_value


class MovingAverage(WeightAveraging):
    """Validates, saves and leaves the exponential moving average of the weights.

    After ``n`` updates it is ``d·average + (1 - d)·weights`` with ``d = min(decay, (1 + n) / (10 + n))``. Without the
    second term, a run of 1,000 updates at 0.999 would keep a third of the weights that it began with.

    **Paper:** Polyak, Juditsky, Acceleration of Stochastic Approximation by Averaging, SIAM J. Control Optim. 1992.

    Args:
        decay: What is kept at each update in the long run, from 0 to 1.
        use_buffers: Whether statistics of normalisations are averaged, too.

    Raises:
        ConfigError: If ``decay`` is not from 0 to 1.

    Example:
        >>> MovingAverage(decay=0.999).state_dict()
        {'latest_update_step': 0}
    """

    def __init__(self, decay: float = 0.999, use_buffers: bool = True) -> None:
        check_value("callbacks.ema.decay", decay, Annotated[float, Field(ge=0, le=1)])
        self.decay = decay
        super().__init__(use_buffers=use_buffers, multi_avg_fn=self._update)

    @torch.no_grad()
    def _update(self, averages: Any, weights: Any, updates: Any) -> None:
        """Tensors of one kind; how many updates there were is a tensor, so that nothing waits for a GPU."""
        count = torch.as_tensor(updates, dtype=torch.float32)
        share = 1 - ((1 + count) / (10 + count)).clamp(max=self.decay)
        average: Tensor
        for average, current in zip(averages, weights, strict=True):
            if average.is_floating_point():
                average.lerp_(current.to(average), share.to(average))
            else:
                average.copy_(current)
