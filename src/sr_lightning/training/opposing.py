"""A discriminator for the network that a config describes."""

from omegaconf import DictConfig

from sr_lightning.config import build
from sr_lightning.errors import ConfigError
from sr_lightning.models import SuperResolutionModule

#: What a network that trains in a way of its own overrides.
_TRAINING = ("training_step", "training_losses")


def oppose(cfg: DictConfig, model: SuperResolutionModule) -> None:
    """Gives a network the discriminator that the config names, if it names one.

    Raises:
        ConfigError: If the network cannot train against it.
    """
    if not cfg.get("discriminator"):
        return
    name = type(model).__name__
    if model.adversary is not None:
        raise ConfigError(f"discriminator: {name} has one of its own; type discriminator=none")
    if any(vars(SuperResolutionModule)[method] is not getattr(type(model), method) for method in _TRAINING):
        raise ConfigError(f"discriminator: {name} trains in a way of its own, without one; leave discriminator= out")
    build(cfg.adversarial).oppose(model, build(cfg.discriminator))
