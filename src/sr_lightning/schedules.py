"""Learning-rate schedules that depend on the length of the run."""

from torch.optim import Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR, LRScheduler


def cosine(optimizer: Optimizer, total_steps: int, min_lr: float = 0.0) -> LRScheduler:
    """From the optimizer's learning rate down to ``min_lr`` along half a cosine, over the whole run.

    Example:
        >>> import torch
        >>> optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
        >>> cosine(optimizer, total_steps=100).T_max
        100
    """
    return CosineAnnealingLR(optimizer, T_max=max(1, total_steps), eta_min=min_lr)
