"""SRNet's losses on the relation between a picture and its label, for networks with two heads."""

import torch.nn.functional as F
from torch import Tensor, nn

from sr_lightning.functional.precision import full_precision
from sr_lightning.functional.psnr import check_same_shape


def relation_loss(sr: Tensor, hr: Tensor, predicted: Tensor, label: Tensor) -> Tensor:
    """RLoss: L1 where the label says that there is detail, ``|sr l - hr l| + |sr p - hr l|``, a scalar in float32.

    **Source:** SRNet-zoom's ``--loss_rel``. There pictures are in 0...255 and labels are divided by 255, which
    makes the value 255 times as large.

    Args:
        sr: ``(N, 3, H, W)`` in [0, 1].
        hr: The same shape.
        predicted: What the second head makes of the label, the same shape.
        label: Edges or differences in [0, 1], the same shape.

    Example:
        >>> import torch
        >>> one = torch.ones(1, 3, 4, 4)
        >>> relation_loss(one, one, 0.5 * one, one).item()
        0.5
    """
    _check(sr, hr, predicted, label)
    sr, hr, predicted, label = (image.float() for image in (sr, hr, predicted, label))
    truth = hr * label
    return F.l1_loss(sr * label, truth) + F.l1_loss(sr * predicted, truth)


def nonlocal_relation_loss(sr: Tensor, hr: Tensor, predicted: Tensor, label: Tensor, size: int = 16) -> Tensor:
    """RNLLoss: L1 between the relations of all patches of the pictures with all patches of the labels.

    **Source:** SRNet-zoom's ``--loss_rel``: ``R = patches(image) patches(label)^T``, one row for each patch.

    Args:
        sr: ``(N, 3, H, W)`` in [0, 1]; sides are multiples of ``size``.
        hr: The same shape.
        predicted: What the second head makes of the label, the same shape.
        label: Edges or differences in [0, 1], the same shape.
        size: Side of the patches in pixels.

    Returns:
        A scalar in float32.

    Raises:
        ValueError: If shapes differ, or a side is not a multiple of ``size``.

    Example:
        >>> import torch
        >>> one = torch.ones(1, 3, 32, 32)
        >>> nonlocal_relation_loss(one, one, 0.5 * one, one).item()  # 3 x 16 x 16 products of 1 less than half
        384.0
    """
    _check(sr, hr, predicted, label)
    if sr.shape[-2] % size or sr.shape[-1] % size:
        raise ValueError(f"{sr.shape[-2]}x{sr.shape[-1]} pixels cannot be split into patches of {size}x{size}")

    def patches(image: Tensor) -> Tensor:
        return F.unfold(image.float(), size, stride=size).transpose(1, 2)

    with full_precision(sr):
        ours, truth = patches(sr) @ patches(predicted).mT, patches(hr) @ patches(label).mT
        return F.l1_loss(ours, truth)


def _check(sr: Tensor, hr: Tensor, predicted: Tensor, label: Tensor) -> None:
    for other in (hr, predicted, label):
        check_same_shape(sr, other)


class RLoss(nn.Module):
    """``relation_loss`` as a module."""

    def forward(self, sr: Tensor, hr: Tensor, predicted: Tensor, label: Tensor) -> Tensor:
        return relation_loss(sr, hr, predicted, label)


class RNLLoss(nn.Module):
    """``nonlocal_relation_loss`` as a module."""

    def __init__(self, size: int = 16) -> None:
        super().__init__()
        self.size = size

    def forward(self, sr: Tensor, hr: Tensor, predicted: Tensor, label: Tensor) -> Tensor:
        return nonlocal_relation_loss(sr, hr, predicted, label, self.size)
