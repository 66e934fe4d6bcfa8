"""From a config to a network with its weights, ready to enlarge."""

from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from sr_lightning.checkpoints import load_weights, read_checkpoint
from sr_lightning.config import build
from sr_lightning.errors import ConfigError
from sr_lightning.inference.upscaler import Upscaler
from sr_lightning.inference.zero_shot import ZeroShotUpscaler
from sr_lightning.models import SuperResolutionModule
from sr_lightning.portable import network_class, read_safetensors
from sr_lightning.pretrained import DEFAULT, load_pretrained, pretrained_networks, weights_file
from sr_lightning.scoring import count_parameters
from sr_lightning.weights import load_published


def load_upscaler(cfg: DictConfig) -> Upscaler:
    """What ``upscale`` enlarges with.

    Raises:
        ConfigError: If there are no weights, or too many.
        CheckpointError: If they do not fit.
    """
    if cfg.checkpoint and cfg.weights:
        raise ConfigError("checkpoint and weights are both given, but a network has one set of weights; drop one")
    if not cfg.get("model"):
        model = load_model(Path(cfg.checkpoint)) if cfg.checkpoint else load_pretrained(scale=scale_for(cfg))
    else:
        model = build(cfg.model)
        if cfg.checkpoint:
            load_weights(model, Path(cfg.checkpoint))
        elif cfg.weights:
            load_published(model, cfg.weights)
        elif cfg.scale in pretrained_networks().get(cfg.name, ()):
            load_published(model, weights_file(cfg.name, cfg.scale))
        elif model.zero_shot:
            return _zero_shot(cfg)
        elif count_parameters(model):
            raise ConfigError(f"model={cfg.name} has random weights; give trained ones with checkpoint= or weights=")
    return Upscaler(
        model,
        device=cfg.device,
        tile=cfg.tile,
        half=cfg.half,
        ensemble=cfg.ensemble,
        back_projection=cfg.back_projection,
    )


def _zero_shot(cfg: DictConfig) -> ZeroShotUpscaler:
    """What trains the network on each picture; its channels are those of the picture."""
    for key, instead in (("ensemble", "output_flip"), ("back_projection", "back_projections"), ("half", "precision")):
        if cfg[key]:
            raise ConfigError(f"{key}={cfg[key]} is for trained networks; use zero_shot.{instead}=")
    return ZeroShotUpscaler(
        lambda channels: build(OmegaConf.merge(cfg.model, {"channels": channels})), build(cfg.zero_shot), cfg.device
    )


def scale_for(cfg: DictConfig) -> int:
    """The scale of the network that comes with the package: the smallest that reaches ``factor``, at least ``scale``.

    Example:
        >>> from sr_lightning.config import compose
        >>> scale_for(compose("upscale", ["factor=2.5"])), scale_for(compose("upscale", ["factor=6"]))
        (3, 4)
    """
    scales = [scale for scale in pretrained_networks()[DEFAULT] if scale >= cfg.scale]
    if not isinstance(cfg.factor, int | float) or not scales:
        return int(cfg.scale)
    return next((scale for scale in scales if scale >= cfg.factor), scales[-1])


def load_model(path: Path, **recipe: Any) -> SuperResolutionModule:
    """The network of a checkpoint or a ``.safetensors`` file, of the class and with the settings that it names.

    No code in the file is run. ``recipe`` has parts that files do not keep, such as ``protocol``.

    Raises:
        CheckpointError: If the file is no checkpoint, or of a class that is not of this library.
    """
    if path.suffix.lower() == ".safetensors":
        return read_safetensors(path, **recipe)
    kind: Any = network_class(read_checkpoint(path).get("sr_lightning", {}).get("model", ""), path)
    model: SuperResolutionModule = kind.load_from_checkpoint(path, map_location="cpu", weights_only=True, **recipe)
    return model
