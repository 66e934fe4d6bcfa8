"""Training against a discriminator."""

from typing import Any, Unpack

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sr_lightning.models.base import SuperResolutionModule
from sr_lightning.types import Batch, Recipe


class AdversarialModule(SuperResolutionModule):
    """A generator that is trained together with a discriminator, one step each.

    The generator minimises its :meth:`training_losses` plus ``gan_weight`` times the vanilla adversarial loss;
    the discriminator the sum over real and generated pictures. Both have an optimizer of the recipe's kind; Lightning
    counts the steps of both, so that ``max_steps`` is twice the number of batches.

    Args:
        net: The generator.
        discriminator: Picture in [-1, 1] to logits ``(N, 1)``; None trains without it.
        scale: Whole factor of enlargement.
        gan_weight: Weight of the adversarial term.
    """

    parts = ("net", "discriminator")

    def __init__(
        self,
        net: nn.Module,
        discriminator: nn.Module | None,
        *,
        scale: int,
        gan_weight: float = 1e-2,
        **recipe: Unpack[Recipe],
    ) -> None:
        super().__init__(net, scale=scale, **recipe)
        self.discriminator = discriminator
        self.gan_weight = gan_weight
        self.automatic_optimization = False

    def training_step(self, batch: Batch, batch_idx: int) -> None:  # type: ignore[override]
        optimizers: Any = self.optimizers()
        optimizers = optimizers if isinstance(optimizers, list) else [optimizers]
        terms, sr = self.losses_and_picture(batch)
        if self.discriminator is not None:
            fake = self.judged(sr)
            self.discriminator.requires_grad_(False)
            terms["gan"] = self.gan_weight * F.softplus(-self.discriminator(fake).float()).mean()
            self.discriminator.requires_grad_(True)
        self._step(optimizers[0], torch.stack(list(terms.values())).sum())
        logged = {f"train/{name}": value.detach() for name, value in terms.items()}
        if self.discriminator is not None:
            loss = F.softplus(-self.discriminator(self.judged(batch["hr"])).float()).mean()
            loss = loss + F.softplus(self.discriminator(fake.detach()).float()).mean()
            self._step(optimizers[1], loss)
            logged["train/discriminator"] = loss.detach()
        for scheduler in self._schedulers():
            scheduler.step()
        self.log_dict(logged, batch_size=len(batch["lr"]))

    def judged(self, picture: Tensor) -> Tensor:
        """What the discriminator sees of a picture in [0, 1]."""
        return 2 * picture - 1

    def losses_and_picture(self, batch: Batch) -> tuple[dict[str, Tensor], Tensor]:
        """The generator's weighted terms and the SR pictures they were computed of."""
        sr = self.super_resolve(batch).float()
        return {"loss": self.loss(sr, batch["hr"])}, sr

    def training_losses(self, batch: Batch) -> dict[str, Tensor]:
        return self.losses_and_picture(batch)[0]

    def configure_optimizers(self) -> Any:
        networks = [self.net] if self.discriminator is None else [self.net, self.discriminator]
        optimizers = [self.optimizer([p for p in network.parameters() if p.requires_grad]) for network in networks]
        if self.scheduler is None:
            return optimizers
        factory = self.with_total_steps(self.scheduler)
        return optimizers, [factory(optimizer) for optimizer in optimizers]

    def _step(self, optimizer: Any, loss: Tensor) -> None:
        optimizer.zero_grad()
        self.manual_backward(loss)
        optimizer.step()

    def _schedulers(self) -> list[Any]:
        schedulers: Any = self.lr_schedulers()
        if schedulers is None:
            return []
        return schedulers if isinstance(schedulers, list) else [schedulers]
