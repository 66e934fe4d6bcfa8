"""Training against a discriminator."""

from typing import Any, ClassVar, Unpack

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import ReduceLROnPlateau

from sr_lightning.errors import ConfigError
from sr_lightning.losses import Mix
from sr_lightning.losses.gan import GANLoss, Kind
from sr_lightning.models.arguments import network
from sr_lightning.models.base import SuperResolutionModule
from sr_lightning.types import Batch, Recipe


@network
class AdversarialModule(SuperResolutionModule):
    """A generator that trains together with a discriminator, one step each.

    The generator minimises its ``training_losses`` plus ``gan_weight`` times the adversarial loss. The discriminator
    minimises its part of the adversarial loss. Each has an optimizer of the recipe's kind. Lightning counts the steps
    of both, so ``max_steps`` is twice the number of batches.

    Args:
        net: The generator.
        discriminator: Picture in [-1, 1] to logits ``(N, 1)``; None trains without one.
        scale: Whole factor of enlargement.
        gan: The adversarial loss, ``"vanilla"`` or ``"relativistic"`` (average).
        gan_weight: Weight of the adversarial term.

    Raises:
        ConfigError: If there is no such adversarial loss, or if a term of ``loss`` is called ``gan`` or
            ``discriminator``.
    """

    parts: ClassVar[tuple[str, ...]] = ("net", "discriminator")

    automatic_optimization: ClassVar[bool] = False  # type: ignore[misc]  # of Lightning, a property

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
        self.discriminator = discriminator
        for name in ("gan", "discriminator"):
            if discriminator is not None and isinstance(self.loss, Mix) and name in self.loss.weights:
                raise ConfigError(
                    f"loss.losses.{name}: choose another name, because train/{name} logs the adversarial loss"
                )
        self.gan_loss = GANLoss(gan)
        self.gan_weight = gan_weight

    def build_discriminator(self) -> nn.Module | None:
        """The discriminator of the declared arguments; None trains without one."""
        raise NotImplementedError(f"{type(self).__name__} has no build_discriminator, which makes its discriminator")

    def assemble(self, **recipe: Unpack[Recipe]) -> None:
        AdversarialModule.__init__(
            self, self.build_net(), self.build_discriminator(),
            scale=self.scale, gan=self.gan, gan_weight=self.gan_weight, **recipe,
        )  # fmt: skip

    def configure_callbacks(self) -> Any:
        """Raises ConfigError for settings that Lightning would refuse without naming the key."""
        for key, off in (("gradient_clip_val", None), ("accumulate_grad_batches", 1)):
            value = getattr(self.trainer, key)
            if (value or off) != off:
                raise ConfigError(
                    f"trainer.{key}={value}: {type(self).__name__} makes the steps of generator and discriminator "
                    f"and cannot use it; set trainer.{key}={'null' if off is None else off}"
                )
        return super().configure_callbacks()

    def training_step(self, batch: Batch, batch_idx: int) -> None:  # type: ignore[override]
        optimizers: Any = self.optimizers()
        optimizers = optimizers if isinstance(optimizers, list) else [optimizers]
        terms, sr = self.losses_and_picture(batch)
        if self.discriminator is not None:
            real, fake = self.discriminator_input(batch["hr"].float()), self.discriminator_input(sr)
            terms["gan"] = self.gan_weight * self._generator_loss(self.discriminator, fake, real)
        total = torch.stack(list(terms.values())).sum()
        self._step(optimizers[0], total)
        logged = {"loss": total, **terms}
        if self.discriminator is not None:
            logged["discriminator"] = self.gan_loss.discriminator(
                self.discriminator(fake.detach()), self.discriminator(real)
            )
            self._step(optimizers[1], logged["discriminator"])
        for scheduler in self._schedulers():
            if not isinstance(scheduler, ReduceLROnPlateau):
                scheduler.step()
        self.log_dict({f"train/{name}": value.detach() for name, value in logged.items()}, batch_size=len(batch["lr"]))

    def discriminator_input(self, picture: Tensor) -> Tensor:
        """The input of the discriminator for a picture in [0, 1]."""
        return 2 * picture - 1

    def losses_and_picture(self, batch: Batch) -> tuple[dict[str, Tensor], Tensor]:
        """The generator's weighted terms without the adversarial one, and the SR pictures that they come from.

        ``train/loss`` is the sum of all terms, so a loss of one term is called ``pixel``.
        """
        sr = self.super_resolve(batch).float()
        terms = self.loss_terms(sr, batch["hr"].float())
        return {"pixel" if name == "loss" else name: value for name, value in terms.items()}, sr

    def training_losses(self, batch: Batch) -> dict[str, Tensor]:
        return self.losses_and_picture(batch)[0]

    def configure_optimizers(self) -> Any:
        judging = set() if self.discriminator is None else set(self.discriminator.parameters())
        own: list[Any] = [
            {**group, "params": [p for p in group["params"] if p not in judging]} for group in self.parameter_groups()
        ]
        optimizers = [self.optimizer_of(own)]
        if self.discriminator is not None:
            optimizers.append(self.optimizer_of([{"params": list(self.discriminator.parameters())}]))
        if self.scheduler is None:
            return optimizers
        factory = self.with_total_steps(self.scheduler, len(optimizers))
        return optimizers, [factory(optimizer) for optimizer in optimizers]

    def _generator_loss(self, discriminator: nn.Module, fake: Tensor, real: Tensor) -> Tensor:
        discriminator.requires_grad_(False)
        real_logits = discriminator(real) if self.gan_loss.kind == "relativistic" else None
        loss: Tensor = self.gan_loss(discriminator(fake), real_logits)
        discriminator.requires_grad_(True)
        return loss

    def _step(self, optimizer: Any, loss: Tensor) -> None:
        optimizer.zero_grad()
        self.manual_backward(loss)
        optimizer.step()
