"""What can be said of the options of enlarging before torch is imported, which takes seconds."""

from collections.abc import Collection
from contextlib import suppress
from importlib.util import find_spec
from typing import Any, Literal, get_args

from omegaconf import DictConfig, open_dict

from sr_lightning.atomic import expand_home
from sr_lightning.config import CONF_DIR, chosen_model, compose
from sr_lightning.config.paths import output_is_no_folder
from sr_lightning.data.files.formats import ANIMATIONS, WRITABLE, WRITABLE_VIDEOS
from sr_lightning.data.files.pages.choice import check_pages
from sr_lightning.errors import ConfigError, DataError
from sr_lightning.inference.sizes import bytes_of, wanted_size
from sr_lightning.weights.names import refuse_model_without_weights, refuse_what_names_no_weights

Engine = Literal["torch", "compile", "onnxruntime", "openvino", "auto"]
Ensemble = Literal["mean", "median"]
Precision = Literal["auto", "float32", "bf16", "fp16"]
Tiling = Literal["exact", "chop", "average"]


def upscale_config(cfg: DictConfig, *overrides: str, without: Collection[str] = ()) -> DictConfig:
    """The config of ``upscale`` for a command that enlarges as it does, with the keys that both have.

    Args:
        cfg: Of the other command.
        overrides: Choices of ``upscale``, such as ``"model=span"``.
        without: Keys that are not handed on.

    Example:
        >>> upscale_config(compose("demo", ["device=cpu"]), "model=bicubic").device
        'cpu'
    """
    upscale = compose("upscale", overrides)
    with open_dict(upscale):
        for key in cfg.keys() & {*upscale.keys(), "model"} - {*without}:
            upscale[key] = cfg[key]
    upscale.compare = False
    return upscale


def check_options(cfg: DictConfig) -> None:
    """Checks the options of ``upscale`` that are wrong for every picture.

    Raises:
        ConfigError: If one is.
        CheckpointError: If the file of weights is missing.
    """
    check_upscaler(cfg)
    check_scale(cfg)
    check_strength(cfg.strength)
    if weights := cfg.weights or cfg.checkpoint:
        refuse_what_names_no_weights(weights)
    elif (model := chosen_model(cfg) if cfg.get("model") else "") and (CONF_DIR / f"model/{model}.yaml").is_file():
        refuse_model_without_weights(model)
    if cfg.overwrite not in (True, False, "skip"):
        raise ConfigError(f"overwrite={cfg.overwrite}: must be true, false, or skip")
    if cfg.bits not in (None, 8, 16):
        raise ConfigError(f"bits={cfg.bits}: must be 8 or 16")
    if cfg.quality is not None and (type(cfg.quality) is not int or not 1 <= cfg.quality <= 100):
        raise ConfigError(f"quality={cfg.quality}: must be a whole number from 1 to 100")
    check_pages(cfg.pages)
    if cfg.burst not in (True, False, "dng", "super"):
        raise ConfigError(f"burst={cfg.burst}: must be false, true, dng or super")
    if cfg.cluster not in (None, "ray"):
        raise ConfigError(f"cluster={cfg.cluster}: must be ray, or null for this process alone")
    if cfg.workers is not None and (type(cfg.workers) is not int or cfg.workers < 1):
        raise ConfigError(f"workers={cfg.workers}: must be a whole number above 0, or null")
    if cfg.workers is not None and not cfg.cluster:
        raise ConfigError(f"workers={cfg.workers}: is for cluster=ray; type cluster=ray workers={cfg.workers}")
    if cfg.cluster == "ray" and find_spec("ray") is None:
        raise ConfigError('cluster=ray: Ray is not installed; pip install "sr_lightning[ray]"')
    output = expand_home(cfg.output) if cfg.output else None
    if output and output.suffix.lower() in WRITABLE | WRITABLE_VIDEOS and not output.is_dir():
        raise output_is_no_folder(output)
    with suppress(DataError):  # of pictures that small, which these are not
        wanted_size(1000, 1000, 1, cfg.factor, cfg.size)
    if cfg.format and f".{str(cfg.format).lower().lstrip('.')}" not in WRITABLE | ANIMATIONS | WRITABLE_VIDEOS:
        known = ", ".join(sorted(kind[1:] for kind in WRITABLE | ANIMATIONS))
        raise ConfigError(f"format={cfg.format}: cannot be written; there are {known}")
    if str(cfg.format).lower().lstrip(".") == "dng" and cfg.colour != "srgb":
        raise ConfigError(
            f"colour={cfg.colour}: a DNG holds the camera's own colours; leave colour= out, or use format=tif"
        )


def check_upscaler(options: Any) -> None:
    """Checks the options of an ``Upscaler``, as far as they do not depend on its network.

    Raises:
        ConfigError: If one has no meaning.
    """
    tiling, ensemble, tile, steps = (options[key] for key in ("tiling", "ensemble", "tile", "back_projection"))
    if tiling not in get_args(Tiling):
        raise ConfigError(f"tiling={tiling}: must be exact, chop or average")
    if ensemble not in (None, *get_args(Ensemble)):
        raise ConfigError(f"ensemble={ensemble}: must be mean, median or null")
    if tile is not None and (isinstance(tile, bool) or not isinstance(tile, int) or tile < 1):
        raise ConfigError(f"tile={tile}: must be a whole number above 0, or null")
    bytes_of(options["memory"])
    if not isinstance(steps, int) or steps < 0:
        raise ConfigError(f"back_projection={steps}: must be a whole number, 0 or above")
    for key, choices in (("engine", get_args(Engine)), ("precision", get_args(Precision))):
        if options[key] not in choices:
            raise ConfigError(f"{key}={options[key]}: there are {', '.join(choices)}")


def check_strength(strength: Any) -> None:
    """Checks the share of a network's result.

    Raises:
        ConfigError: If it is no number from 0 to 1.
    """
    number = isinstance(strength, int | float) and not isinstance(strength, bool)
    if not number or not 0 <= strength <= 1:
        raise ConfigError(f"strength={strength}: must be a number from 0 to 1")


def check_scale(cfg: DictConfig) -> None:
    """Checks the scale of a network.

    Raises:
        ConfigError: If it is no whole number above 0.
    """
    if isinstance(cfg.scale, bool) or not isinstance(cfg.scale, int) or cfg.scale < 1:
        other = f"; factor={cfg.scale} is any other" if "factor" in cfg else ""
        raise ConfigError(f"scale={cfg.scale}: must be a whole number, such as 2{other}")
