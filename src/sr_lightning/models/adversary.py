"""The steps of a training against a discriminator."""

import copy
import math
from bisect import bisect_left
from collections.abc import Callable, Mapping
from typing import Any

import torch
from pydantic import NonNegativeFloat
from torch import Tensor, nn
from torch.optim.lr_scheduler import ReduceLROnPlateau

from sr_lightning.errors import CheckpointError, ConfigError
from sr_lightning.limits import check_value
from sr_lightning.losses.gan import GANLoss, Kind
from sr_lightning.types import Batch

#: Where a checkpoint keeps the discriminator, and how the names of its weights begin.
ENTRY, PREFIX = "discriminator", "discriminator."
#: Pixels of a side that every discriminator judges.
_LARGE = 512
#: What is logged beside the terms of the loss.
LOGGED = ("gan", "discriminator", "real", "fake")


class Adversary:
    """Trains any network together with a discriminator, one step each.

    The network minimises its loss plus ``weight`` times the adversarial loss. The discriminator minimises its part of
    the adversarial loss. Each has an optimizer and a schedule of the recipe's kind. The discriminator is computed in
    float32, whatever precision the network runs in. Lightning counts the steps of both, so ``max_steps`` is twice the
    number of batches.

    Logged are every term of the loss, ``train/gan``, weighted, ``train/discriminator``, its loss, and ``train/real``
    and ``train/fake``, the discriminator's mean outputs, before the sigmoid, for true and generated pictures.

    Args:
        gan: The adversarial loss, one of ``losses.gan.Kind``.
        weight: Weight of the adversarial term.

    Raises:
        ConfigError: If there is no such loss, or the weight is below 0.
    """

    def __init__(self, gan: Kind = "vanilla", weight: float = 0.1) -> None:
        check_value("adversarial.gan", gan, Kind)
        check_value("adversarial.weight", weight, NonNegativeFloat)
        self.loss = GANLoss(gan)
        self.weight = weight
        #: The input of the discriminator for a picture in [0, 1].
        self.seen: Callable[[Tensor], Tensor] = in_rgb
        self._shapes: set[torch.Size] = set()  # of pictures that the discriminator judges

    def oppose(self, model: Any, discriminator: nn.Module) -> None:
        """Gives a network the discriminator, which its next training trains, too.

        Raises:
            ConfigError: If a term of its loss has the name of what is logged of the discriminator.
        """
        for name in LOGGED:
            if name in getattr(model.loss, "weights", ()):
                raise ConfigError(
                    f"loss.losses.{name}: choose another name, because train/{name} logs the adversarial training"
                )
        model.discriminator = discriminator
        model.adversary = self

    def refuse_settings(self, model: Any) -> None:
        """Raises ConfigError for settings that Lightning would refuse without naming the key."""
        for key, off in (("gradient_clip_val", None), ("accumulate_grad_batches", 1)):
            value = getattr(model.trainer, key)
            if (value or off) != off:
                raise ConfigError(
                    f"trainer.{key}={value}: {type(model).__name__} makes the steps of generator and discriminator "
                    f"and cannot use it; set trainer.{key}={'null' if off is None else off}"
                )

    def optimizers(self, model: Any) -> Any:
        """Both optimizers, and their schedules if there are any, as Lightning takes them."""
        judging = set(model.discriminator.parameters())
        own = [
            {**group, "params": [p for p in group["params"] if p not in judging]} for group in model.parameter_groups()
        ]
        groups = [own, [{"params": list(model.discriminator.parameters())}]]
        optimizers = [model.optimizer_of(each) for each in groups]
        if model.scheduler is None:
            return optimizers
        return optimizers, [model.scheduler_of(optimizer, len(optimizers)) for optimizer in optimizers]

    def put_apart(self, model: Any, checkpoint: dict[str, Any]) -> None:
        """Takes the discriminator out of the weights of a checkpoint, which are then those of the plain network."""
        if not owns_discriminator(model):
            state = checkpoint["state_dict"]
            checkpoint[ENTRY] = {name: state.pop(name) for name in [*state] if name.startswith(PREFIX)}

    def restore(self, model: Any, checkpoint: dict[str, Any]) -> None:
        """Puts the discriminator back to the weights, to resume a run."""
        checkpoint["state_dict"] = with_discriminator(model, checkpoint)

    def step(self, model: Any, batch: Batch) -> None:
        """One step of the network, and one of its discriminator on the same pictures."""
        for_model, for_discriminator = model.optimizers()
        sr, hr = model.pictures(batch)
        terms = {"pixel" if name == "loss" else name: value for name, value in model.loss_terms(sr, hr).items()}
        if model.imitation is not None:
            terms |= model.imitation()
        fake, real = self.seen(sr), self.seen(hr)
        if real.shape not in self._shapes and not owns_discriminator(model):
            patch = getattr(getattr(model.trainer, "datamodule", None), "patch_size", None)
            refuse_small(model, len(real), min(real.shape[-2:]), patch)
            self._shapes.add(real.shape)
        with torch.autocast(fake.device.type, enabled=False):
            terms["gan"] = self.weight * self.of_generator(model.discriminator, fake, real)
        total = torch.stack(list(terms.values())).sum()
        _step(model, for_model, total)
        with torch.autocast(fake.device.type, enabled=False):
            says = {"fake": model.discriminator(fake.detach()), "real": model.discriminator(real)}
            judged = self.loss.discriminator(**says)
        _step(model, for_discriminator, judged)
        for scheduler in model._schedulers():
            if not isinstance(scheduler, ReduceLROnPlateau):
                scheduler.step()
        means = {name: output.mean() for name, output in says.items()}
        logged = {"loss": total, **terms, "discriminator": judged, **means}
        model.log_dict({f"train/{name}": value.detach() for name, value in logged.items()}, batch_size=len(batch["lr"]))

    def of_generator(self, discriminator: nn.Module, fake: Tensor, real: Tensor) -> Tensor:
        """The generator's adversarial loss, whose gradients pass through the discriminator, but do not stay there."""
        discriminator.requires_grad_(False)
        of_real = discriminator(real) if self.loss.kind == "relativistic" else None
        loss: Tensor = self.loss(discriminator(fake), of_real)
        discriminator.requires_grad_(True)
        return loss


def refuse_small(model: Any, count: int, side: int, patch: int | None = None) -> None:
    """Raises ConfigError if a network's discriminator cannot judge pictures that small.

    Args:
        model: The network with its discriminator.
        count: Pictures of a batch, two of which have a variance where one has none.
        side: Of the pictures in pixels.
        patch: ``data.patch_size``, of which the pictures may be parts.
    """
    judge = copy.deepcopy(model.discriminator).to("meta").train()
    if _judges(judge, count, side):
        return
    if not _judges(judge, count, _LARGE):  # for another reason, which its own error tells
        return
    scale = int(model.scale)

    def least_patch(count: int) -> int:
        least = bisect_left(range(_LARGE), True, key=lambda n: _judges(judge, count, n))
        return math.ceil(least * (patch or side) / side / scale) * scale

    needed = least_patch(count)
    advice = f"type data.patch_size={needed} or more"
    if count == 1 and (of_two := least_patch(2)) < needed:
        advice += f", or data.batch_size=2 and data.patch_size={of_two} or more"
    of = f"{count} picture{'s' * (count > 1)}"
    raise ConfigError(
        f"discriminator: {type(judge).__name__} cannot judge a batch of {of} of {side}x{side} pixels; {advice}"
    )


def _judges(judge: nn.Module, count: int, side: int) -> bool:
    """Whether a discriminator, which lies on the device without memory, takes such pictures."""
    try:
        judge(torch.empty(count, 3, side, side, device="meta"))
    except (RuntimeError, ValueError):
        return False
    return True


def owns_discriminator(model: Any) -> bool:
    """Whether the discriminator belongs to the arguments and the weights of a network, as GLEAN's does."""
    return "discriminator" in model.parts


def with_discriminator(model: Any, checkpoint: Mapping[str, Any]) -> dict[str, Any]:
    """The weights of a checkpoint, and of a discriminator that was put apart if the network has one.

    Raises:
        CheckpointError: If one has a discriminator and the other has none.
    """
    ours = model.adversary is not None and not owns_discriminator(model)
    if ours != (ENTRY in checkpoint):
        had, cure = ("no", "leave discriminator= out") if ours else ("a", "choose the same with discriminator=")
        raise CheckpointError(f"its run had {had} discriminator; {cure}, or begin with its weights")
    return {**checkpoint["state_dict"], **checkpoint.get(ENTRY, {})}


def in_rgb(picture: Tensor) -> Tensor:
    """Pictures of one channel as grey ones of three.

    Example:
        >>> in_rgb(torch.rand(2, 1, 4, 4)).shape
        torch.Size([2, 3, 4, 4])
    """
    return picture.expand(-1, 3, -1, -1)


def _step(model: Any, optimizer: Any, loss: Tensor) -> None:
    optimizer.zero_grad()
    model.manual_backward(loss)
    optimizer.step()
