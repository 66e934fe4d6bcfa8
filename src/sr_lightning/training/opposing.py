"""A discriminator for the network that a config describes."""

from omegaconf import DictConfig

from sr_lightning.config import build
from sr_lightning.errors import ConfigError
from sr_lightning.models import SuperResolutionModule
from sr_lightning.models.adversary import refuse_small

#: What a network that trains in a way of its own overrides.
_TRAINING = ("training_step", "training_losses")


def oppose(cfg: DictConfig, model: SuperResolutionModule) -> None:
    """Gives a network the discriminator that the config names, if it names one.

    Raises:
        ConfigError: If the network cannot train against it, or something is typed for one that is not there.
    """
    if not cfg.get("discriminator"):
        _refuse_unused(cfg, model)
        return
    name = type(model).__name__
    if model.adversary is not None:
        raise ConfigError(f"discriminator: {name} has one of its own; type discriminator=none")
    if any(vars(SuperResolutionModule)[method] is not getattr(type(model), method) for method in _TRAINING):
        raise ConfigError(f"discriminator: {name} trains in a way of its own, without one; leave discriminator= out")
    build(cfg.adversarial).oppose(model, build(cfg.discriminator))
    side, count = cfg.data.get("patch_size"), cfg.data.get("batch_size")
    if side and count:  # before pictures are read; what a batch holds besides is seen when it comes
        refuse_small(model, count, side)


def _refuse_unused(cfg: DictConfig, model: SuperResolutionModule) -> None:
    for override in cfg.get("overrides") or ():
        key = str(override).lstrip("+").partition("=")[0]
        if key.startswith("adversarial."):
            cure = "add discriminator=unet_sn, patch or vgg, or leave it out"
            if model.adversary is not None:
                cure = f"{type(model).__name__} has a discriminator of its own: type model.gan= and model.gan_weight="
            raise ConfigError(f"{override}: there is no discriminator=, and nothing reads it; {cure}")
