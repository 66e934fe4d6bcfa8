"""Adversarial losses, from the discriminator's outputs before the sigmoid."""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sr_lightning.limits import check_value

Kind = Literal["vanilla", "lsgan", "hinge", "relativistic"]


def generator_loss(fake: Tensor, real: Tensor | None = None, kind: Kind = "vanilla") -> Tensor:
    """The generator's loss, a scalar in float32.

    **Papers:**

    - vanilla, the non-saturating ``-log D(fake)`` with ``D = sigmoid(output)``: Goodfellow et al., Generative
      Adversarial Networks, NeurIPS 2014, section 3.
    - lsgan, ``(fake - 1)^2``: Mao et al., Least Squares Generative Adversarial Networks, ICCV 2017, equation 9. The
      paper takes half of it and of the discriminator's; BasicSR does not, either.
    - hinge, ``-fake``: Lim, Ye, Geometric GAN, 2017; Miyato et al., Spectral Normalization for GANs, ICLR 2018,
      equation 17.
    - relativistic average, ``-log D(fake, real) - log(1 - D(real, fake))`` with ``D(a, b) = sigmoid(a - mean(b))``:
      Wang et al., ESRGAN, ECCV Workshops 2018, equation 2. The authors' code takes half of both sums, so a weight of
      theirs is half of it here.

    Args:
        fake: The discriminator's outputs for generated pictures, of any shape, before the sigmoid.
        real: The same of true pictures, which ``"relativistic"`` needs.
        kind: One of these.

    Raises:
        ValueError: If ``"relativistic"`` is not given ``real``.

    Example:
        >>> generator_loss(torch.zeros(4, 1)).exp()
        tensor(2.)
        >>> generator_loss(torch.full((4, 1), 3.0), kind="lsgan"), generator_loss(torch.full((4, 1), 3.0), kind="hinge")
        (tensor(4.), tensor(-3.))
    """
    if kind == "relativistic":
        if real is None:
            raise ValueError("the relativistic generator loss needs the outputs for real pictures, too")
        return _is(_relative(fake, real), 1) + _is(_relative(real, fake), 0)
    if kind == "lsgan":
        return _square(fake, 1)
    return -fake.float().mean() if kind == "hinge" else _is(fake, 1)


def discriminator_loss(fake: Tensor, real: Tensor, kind: Kind = "vanilla") -> Tensor:
    """The discriminator's loss, a scalar in float32: it is low if real and generated pictures are told apart.

    **Papers:** as in ``generator_loss``: vanilla ``-log D(real) - log(1 - D(fake))``, lsgan ``(real - 1)^2 + fake^2``,
    hinge ``max(0, 1 - real) + max(0, 1 + fake)``, relativistic ESRGAN's equation 1.

    Args:
        fake: The discriminator's outputs for generated pictures (detached), before the sigmoid.
        real: The same of true pictures.
        kind: One of these.

    Example:
        >>> discriminator_loss(torch.tensor([-20.0]), torch.tensor([20.0])).item() < 1e-6
        True
    """
    if kind == "relativistic":
        return _is(_relative(real, fake), 1) + _is(_relative(fake, real), 0)
    if kind == "lsgan":
        return _square(real, 1) + _square(fake, 0)
    if kind == "hinge":
        return F.relu(1 - real.float()).mean() + F.relu(1 + fake.float()).mean()
    return _is(real, 1) + _is(fake, 0)


def _relative(a: Tensor, b: Tensor) -> Tensor:
    """How much truer than the average of the other kind."""
    return a.float() - b.float().mean()


def _is(logits: Tensor, target: int) -> Tensor:
    logits = logits.float()
    return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, target))


def _square(outputs: Tensor, target: int) -> Tensor:
    return (outputs.float() - target).square().mean()


class GANLoss(nn.Module):
    """The losses of generator and discriminator as one module. ``forward`` is the generator's.

    Raises:
        ConfigError: If there is no such kind.
    """

    def __init__(self, kind: Kind = "vanilla") -> None:
        super().__init__()
        check_value("gan", kind, Kind)
        self.kind = kind

    def forward(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        return generator_loss(fake, real, self.kind)

    def discriminator(self, fake: Tensor, real: Tensor) -> Tensor:
        """``discriminator_loss``."""
        return discriminator_loss(fake, real, self.kind)
