"""Which network enlarges: from a name, a file or a config to a network with its weights."""

import sys
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Unpack

from omegaconf import DictConfig, OmegaConf

from sr_lightning.config import CONF_DIR, build, chosen_model
from sr_lightning.config.paths import refuse_bad_weights
from sr_lightning.errors import ConfigError
from sr_lightning.evaluation.scoring import count_parameters
from sr_lightning.inference.engines.network import Forward, Network
from sr_lightning.inference.finding import find_network, load_named
from sr_lightning.inference.options import UpscalerOptions
from sr_lightning.inference.settings import check_scale, check_strength
from sr_lightning.inference.sizes import bicubic_scale
from sr_lightning.inference.upscaler import Upscaler
from sr_lightning.inference.zero_shot import ZeroShotUpscaler
from sr_lightning.models import SuperResolutionModule
from sr_lightning.models.bicubic import Bicubic
from sr_lightning.models.foundation import without_lightning
from sr_lightning.weights import realesrgan
from sr_lightning.weights.load import load_weights
from sr_lightning.weights.shipped import AUTO, CLEAN, PHOTO, RAW, load_pretrained, pretrained_networks, weights_file


@without_lightning()
def load(
    network: str | Path = CLEAN,
    scale: int | None = None,
    *,
    foreign: Mapping[str, Any] | None = None,
    strength: float = 1.0,
    **options: Unpack[UpscalerOptions],
) -> Upscaler:
    """A trained network, ready to enlarge pictures.

    Args:
        network: The name of a shipped network (``pretrained_networks``), ``"auto"``, which chooses one for each
            picture, ``"bicubic"``, a file of weights of this library or another project (``.pth``, ``.ckpt``,
            ``.safetensors``, ``.onnx`` ...), a folder that ``save_pretrained`` wrote, or ``user/name`` on the Hub.
        scale: Whole factor of enlargement; by default 2, or the scale of the file.
        foreign: What a file of another project does not say, such as ``{"white": 255}``; see ``find_network``.
        strength: The share of the network's result, from 0 to 1; see ``with_strength``.
        options: Those of ``Upscaler``: ``device`` (by default the fastest), ``tile``, ``engine``, ``precision``,
            ``ensemble``, ``back_projection`` and ``tiling``.

    Raises:
        ConfigError: If there is no such network, or not for this scale.
        CheckpointError: If a file is missing, damaged or of another project.
        TypeError: If an option has no such name.

    Example:
        >>> import torch, sr_lightning as sr
        >>> sr.load("span", scale=3).upscale(torch.rand(3, 20, 30)).shape
        torch.Size([3, 60, 90])
    """
    if not isinstance(network, str | Path):
        raise TypeError(f"{network!r}: must be the name of a network, or the path of a file or folder")
    if scale is not None and (isinstance(scale, bool) or not isinstance(scale, int) or scale < 1):
        other = f"; upscale(..., factor={scale}) is for others" if isinstance(scale, float) and scale >= 1 else ""
        raise ConfigError(f"scale={scale!r}: must be a whole number above 0, such as 2{other}")
    options.setdefault("device", None)
    if network == AUTO:
        if scale not in (None, *pretrained_networks()[CLEAN]):
            raise ConfigError(
                f"scale={scale}: {AUTO} is for 2, 3 and 4; type load(..., scale=4).upscale(..., factor={scale})"
            )
        return _auto(scale or 2, strength, dict(options))
    model, _ = find_network(network, scale, foreign)
    if scale not in (None, model.scale):
        raise ConfigError(f"{network}: trained for scale {model.scale}, not for {scale}")
    return Upscaler(with_strength(model, strength, str(network)), **options)


@without_lightning()
def load_upscaler(cfg: DictConfig) -> Upscaler:
    """The upscaler that a config of ``upscale`` describes.

    Raises:
        ConfigError: If there are no weights, or too many.
        CheckpointError: If they do not fit.
    """
    if is_auto(cfg):
        check_scale(cfg)
        if cfg.scale not in (clean := pretrained_networks()[CLEAN]):
            known = ", ".join(map(str, clean))
            raise ConfigError(
                f"{AUTO} chooses networks for scale {known}, but not for {cfg.scale}; say factor={cfg.scale} instead"
            )
        return _auto(cfg.scale, cfg.strength, _options(cfg), cfg.get("factor"))
    model = load_network(cfg, untrained=True)
    if model.zero_shot and not named_weights(cfg):
        return _zero_shot(cfg)
    if cfg.size is not None and _is_shipped(cfg):
        return _OfAnyScale(cfg)
    if isinstance(model, Bicubic):
        return _BicubicOfAnyScale(cfg)
    return Upscaler(with_strength(model, cfg.strength, _name(cfg) if _is_shipped(cfg) else ""), **_options(cfg))


class _OfAnyScale(Upscaler):
    """A shipped network at all its scales, of which ``size`` chooses one for each picture."""

    def __init__(self, cfg: DictConfig) -> None:
        super().__init__(self._network(cfg, cfg.scale), **_options(cfg))
        self._cfg, self._known = cfg, dict[int, Upscaler]({self.model.scale: self})

    def for_factor(self, factor: float) -> Upscaler:
        scale = self._scale(self._cfg, factor)
        if scale not in self._known:
            self._known[scale] = Upscaler(self._network(self._cfg, scale), **_options(self._cfg))
        return self._known[scale]

    def for_thread(self, net_of: Callable[[Forward], Forward]) -> Upscaler:
        """See ``Upscaler.for_thread``; those that it chooses among are copies too."""
        copied = super().for_thread(net_of)
        copied.for_factor = lambda factor: Upscaler.for_thread(self.for_factor(factor), net_of)  # type: ignore[method-assign]
        return copied

    @staticmethod
    def _network(cfg: DictConfig, scale: int) -> Network:
        return with_strength(_shipped_network(cfg, scale), cfg.strength, _name(cfg))

    @staticmethod
    def _scale(cfg: DictConfig, factor: float) -> int:
        return scale_for(cfg, factor)


class _BicubicOfAnyScale(_OfAnyScale):
    """Bicubic interpolation, which does any factor in one step."""

    @staticmethod
    def _network(cfg: DictConfig, scale: int) -> Network:
        return with_strength(build(cfg.model, scale=scale), cfg.strength)

    @staticmethod
    def _scale(cfg: DictConfig, factor: float) -> int:
        return bicubic_scale(factor)


@without_lightning()
def _auto(scale: int, strength: float, options: dict[str, Any], factor: float | None = None) -> Upscaler:
    """Both shipped networks, for results ``factor`` times as large, or at least ``scale`` times, one of the clean's."""
    from sr_lightning.inference.auto import AutoUpscaler

    check_strength(strength)

    @cache
    @without_lightning()
    def of_scale(name: str, scale: int) -> Upscaler:
        return Upscaler(with_strength(load_pretrained(name, scale), strength, name), **options)

    def upscaler_of(name: str, factor: float) -> Upscaler:
        return of_scale(name, enough(pretrained_networks()[name], max(factor, scale)))

    def raw_upscaler_of(factor: float) -> Upscaler | None:
        plain = {"ensemble": None, "back_projection": 0, "tiling": "exact"}
        if strength != 1 or any(options.get(key, usual) != usual for key, usual in plain.items()):
            return None
        return of_scale(RAW, int(factor)) if factor in pretrained_networks()[RAW] else None

    return AutoUpscaler(upscaler_of, raw_upscaler_of, model=upscaler_of(CLEAN, factor or scale).model, **options)


def is_auto(cfg: DictConfig) -> bool:
    """Whether a network is chosen for each picture."""
    return not named_weights(cfg) and (not cfg.get("model") or chosen_model(cfg) == AUTO)


@without_lightning()
def with_strength(network: Network, strength: float, name: str = "") -> Network:
    """A network whose result is mixed with one that invents nothing: ``photo``, or bicubic where that is the network.

    Bicubic also stands in at scales that ``photo`` is not shipped for.

    Args:
        network: With its weights.
        strength: The share of its result, from 0 to 1.
        name: Of the network, if it is shipped.

    Raises:
        ConfigError: If the strength is none, or the network's results cannot be mixed.
    """
    check_strength(strength)
    if strength == 1:
        return network
    from sr_lightning.inference.engines.mixed_network import MixedNetwork

    fits = name != PHOTO and network.scale in pretrained_networks().get(PHOTO, [])
    other = load_pretrained(PHOTO, int(network.scale)) if fits else find_network("bicubic", network.scale)[0]
    return MixedNetwork(network, other, strength)


def _options(cfg: DictConfig) -> dict[str, Any]:
    return {name: cfg[name] for name in UpscalerOptions.__annotations__}


@without_lightning()
def load_network(cfg: DictConfig, untrained: bool = False) -> Network:
    """The network that ``model``, ``checkpoint`` and ``weights`` of a config name; by default, a shipped one.

    ``untrained`` admits networks without weights that are trained on each picture.

    Raises:
        ConfigError: If there are no weights, or too many.
        CheckpointError: If they do not fit.
    """
    check_scale(cfg)
    refuse_bad_weights(cfg)
    named = named_weights(cfg)
    if named and Path(named).suffix.lower() == ".onnx" and cfg.get("model"):
        raise ConfigError(f"{named}: holds a network with its weights; drop model=")
    if not named and (installed := installed_name(cfg)):
        return find_network(installed, asked_scale(cfg))[0]
    if named and not cfg.get("model"):
        network, line = find_network(named, asked_scale(cfg), cfg.get("foreign"))
        if line:
            print(line, file=sys.stderr)
        return _with_scale_of(cfg, network)
    if _is_shipped(cfg):
        return _shipped_network(cfg, scale_for(cfg))
    model: SuperResolutionModule = build(cfg.model)
    if named:
        load_named(model, named, cfg.scale)
    elif count_parameters(model) and not (untrained and model.zero_shot):
        raise ConfigError(f"model={cfg.name}: no weights are shipped for it; give weights=")
    return model


def named_weights(cfg: DictConfig) -> str | None:
    """What ``weights``, or ``checkpoint``, which is the same, names."""
    named = cfg.weights or cfg.checkpoint
    return None if named is None else str(named)


def installed_name(cfg: DictConfig) -> str | None:
    """The name of a network whose weights a package of the extra ``[realesrgan]`` has, if ``model`` is one."""
    chosen = chosen_model(cfg) if cfg.get("model") else ""
    return chosen if chosen in realesrgan.NAMES else None


def asked_scale(cfg: DictConfig) -> float | None:
    """The scale, if it was typed; 2 is the default."""
    typed = any(override.startswith("scale=") for override in cfg.get("overrides") or ())
    return cfg.scale if typed or cfg.scale != 2 else None  # type: ignore[no-any-return]


def _with_scale_of(cfg: DictConfig, network: Network) -> Network:
    """The network of a file; refuses another scale than its own, if one was typed."""
    if asked_scale(cfg) not in (None, network.scale):
        for_pictures = "factor" in cfg and not (network.reads_mosaic or network.packed)
        factor = f"; factor={cfg.scale} resizes its result" if for_pictures else ""
        raise ConfigError(f"scale={cfg.scale}: {named_weights(cfg)} is for scale {network.scale}{factor}")
    return network


def _is_shipped(cfg: DictConfig) -> bool:
    """Whether the config names a shipped network, and no other weights for it."""
    return not named_weights(cfg) and _name(cfg) in pretrained_networks()


def _name(cfg: DictConfig) -> str:
    """The network's name in the library, whatever ``name`` the results are to have."""
    if not cfg.get("model") or chosen_model(cfg) == AUTO:
        return CLEAN
    if cfg.name in pretrained_networks():
        return str(cfg.name)
    model = OmegaConf.to_container(OmegaConf.merge(cfg.model, {"scale": None}))
    for name in pretrained_networks():
        if model == OmegaConf.to_container(OmegaConf.load(CONF_DIR / f"model/{name}.yaml")) | {"scale": None}:  # type: ignore[operator]
            return name
    return str(cfg.name)


def name_of(cfg: DictConfig, network: Network) -> str:
    """What results are called if ``name`` is null: by the network in the library, or ``sr`` for another project's."""
    if is_auto(cfg):
        return AUTO
    if _is_shipped(cfg):
        return _name(cfg)
    return type(network).__name__.lower() if isinstance(network, SuperResolutionModule) else "sr"


@without_lightning()
def _shipped_network(cfg: DictConfig, scale: int) -> SuperResolutionModule:
    name = _name(cfg)
    if scale not in pretrained_networks()[name] and "factor" in cfg:
        known = ", ".join(map(str, pretrained_networks()[name]))
        instead = f"leave model= out and say factor={scale}" if name == RAW else f"say factor={scale} instead"
        raise ConfigError(f"{name} is shipped for scale {known}, but not for {scale}; {instead}")
    if not cfg.get("model") or scale not in pretrained_networks()[name]:
        return load_pretrained(name, scale)
    model: SuperResolutionModule = build(OmegaConf.merge(cfg.model, {"scale": scale}))
    load_weights(model, weights_file(name, scale))
    return model


def _zero_shot(cfg: DictConfig) -> ZeroShotUpscaler:
    """Trains a network on each picture; its channels are those of the picture."""
    for key, usual, instead in (
        ("ensemble", None, "; use zero_shot.output_flip="),
        ("back_projection", 0, "; use zero_shot.back_projections="),
        ("precision", "auto", "; use zero_shot.precision="),
        ("strength", 1.0, ""),
        ("engine", "torch", ""),
    ):
        if cfg[key] != usual:
            raise ConfigError(f"{key}={cfg[key]} is for trained networks{instead}")
    settings = build(cfg.zero_shot)
    rows, columns = settings.steps(2.0)[-1].factors
    if cfg.size is not None and rows != columns:
        raise ConfigError(f"size={cfg.size} keeps proportions, and zero_shot.factors do not; use factor=")

    @without_lightning()
    def network(channels: int) -> SuperResolutionModule:
        model: SuperResolutionModule = build(OmegaConf.merge(cfg.model, {"channels": channels}))
        return model

    return ZeroShotUpscaler(network, settings, cfg.device)


def scale_for(cfg: DictConfig, factor: float | None = None) -> int:
    """The scale of the shipped network to use: the smallest that reaches ``factor``, and at least ``scale``.

    ``factor`` is that of the config, unless one is given.

    Example:
        >>> from sr_lightning.config import compose
        >>> scale_for(compose("upscale", ["factor=2.5"])), scale_for(compose("upscale", ["factor=6"]))
        (3, 4)
    """
    scales = [scale for scale in pretrained_networks()[_name(cfg)] if scale >= cfg.scale]
    factor = cfg.get("factor") if factor is None else factor
    if not isinstance(factor, int | float) or not scales:
        return int(cfg.scale)
    return enough(scales, factor)


def enough(scales: list[int], factor: float) -> int:
    """The smallest of some scales, in order, that reaches a factor, or the largest.

    Example:
        >>> enough([2, 4], 3), enough([2, 4], 8)
        (4, 4)
    """
    return next((scale for scale in scales if scale >= factor), scales[-1])
