"""Networks that are published with a discriminator of their own."""

from typing import ClassVar, Unpack

from pydantic import NonNegativeFloat
from torch import Tensor, nn

from sr_lightning.limits import check_value
from sr_lightning.losses.gan import Kind
from sr_lightning.models.adversary import Adversary
from sr_lightning.models.arguments import network
from sr_lightning.models.base import SuperResolutionModule
from sr_lightning.types import Recipe


@network
class AdversarialModule(SuperResolutionModule):
    """A generator with its discriminator, which belongs to its arguments and its weights; see ``Adversary``.

    Any other network gets a discriminator by ``Adversary.oppose``.

    Args:
        net: The generator.
        discriminator: Picture in [-1, 1] to logits ``(N, 1)``; None trains without one.
        scale: Whole factor of enlargement.
        gan: The adversarial loss, one of ``losses.gan.Kind``.
        gan_weight: Weight of the adversarial term.

    Raises:
        ConfigError: If there is no such adversarial loss, or if a term of ``loss`` has the name of what is logged.
    """

    parts: ClassVar[tuple[str, ...]] = ("net", "discriminator")

    gan: Kind = "vanilla"
    gan_weight: float = 1e-2

    def __init__(
        self,
        net: nn.Module,
        discriminator: nn.Module | None,
        *,
        scale: int,
        gan: Kind = "vanilla",
        gan_weight: float = 1e-2,
        **recipe: Unpack[Recipe],
    ) -> None:
        super().__init__(net, scale=scale, **recipe)
        self.discriminator: nn.Module | None = None
        check_value("model.gan", gan, Kind)
        check_value("model.gan_weight", gan_weight, NonNegativeFloat)
        adversary = Adversary(gan, gan_weight)
        if discriminator is not None:
            adversary.seen = self.discriminator_input
            adversary.oppose(self, discriminator)

    def build_discriminator(self) -> nn.Module | None:
        """The discriminator of the declared arguments; None trains without one."""
        raise NotImplementedError(f"{type(self).__name__} has no build_discriminator, which makes its discriminator")

    def assemble(self, **recipe: Unpack[Recipe]) -> None:
        AdversarialModule.__init__(
            self, self.build_net(), self.build_discriminator(),
            scale=self.scale, gan=self.gan, gan_weight=self.gan_weight, **recipe,
        )  # fmt: skip

    def discriminator_input(self, picture: Tensor) -> Tensor:
        """The input of the discriminator for a picture in [0, 1]."""
        return 2 * picture - 1
