"""Hydra without ceremony: where the configs are, and how objects are made of them."""

import os
import re
import shlex
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException, OverrideParseException
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from sr_lightning.errors import CheckpointError, ConfigError, PictureError, SRError, nearest
from sr_lightning.files import refuse_folder
from sr_lightning.quoting import quoted, with_quoted_paths

_HERE = Path(__file__).resolve().parent
#: The YAML tree: inside the package in a wheel, beside ``src`` in a checkout.
CONF_DIR = _HERE / "conf" if (_HERE / "conf").is_dir() else _HERE.parents[1] / "conf"


def fastest_precision(device: str | None = None) -> str:
    """bf16 where the hardware multiplies it natively (Ampere GPUs, CPUs with AMX or AVX512-BF16), else float32."""
    import torch

    if (device or fastest_device()) == "cuda":
        native = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        native = torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported()
    return "bf16-mixed" if native else "32-true"


def warn_of_emulation(key: str, precision: str, device: str) -> None:
    """Says before the work begins that the device computes a half precision in software, which takes far longer."""
    if "16" in precision and fastest_precision(device) == "32-true":
        warnings.warn(
            f"{key}={precision}: this {'GPU' if device == 'cuda' else 'processor'} does not multiply it natively and "
            f"may take ten times as long as for float32, which is the default here; leave {key}= out",
            stacklevel=3,
        )


def fastest_device() -> str:
    """The device that commands without a trainer compute on."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


OmegaConf.register_new_resolver("fastest_precision", fastest_precision, replace=True)
OmegaConf.register_new_resolver("fastest_device", fastest_device, replace=True)
OmegaConf.register_new_resolver("mul", lambda a, b: a * b, replace=True)


def compose(
    command: str = "train", overrides: Sequence[str] = (), config_folders: Sequence[str | Path] = ()
) -> DictConfig:
    """The config of a command, as if it had been typed: for notebooks and tests.

    Args:
        command: Such as ``train``.
        overrides: What follows the command.
        config_folders: Folders of configs of your own, as ``--config-dir`` names them.

    Raises:
        ConfigError: If there is no such config or key.

    Example:
        >>> compose("train", ["model=rdn", "scale=3"]).model.growth_rate
        64
    """
    cfg = _composed(command, overrides, config_folders)
    return filled(cfg, cfg.hydra.runtime.choices, cfg.hydra.overrides.task, None)


def chosen_configs(command: str, overrides: Sequence[str], config_folders: Sequence[str | Path] = ()) -> dict[str, str]:
    """The config of each group that is in use, also where it is the default.

    Example:
        >>> chosen_configs("train", ["model=rdn"])["model"], chosen_configs("train", [])["loss"]
        ('rdn', 'l1')
    """
    cfg = _composed(command, overrides, config_folders)
    return {str(group): str(choice) for group, choice in cfg.hydra.runtime.choices.items()}


def _composed(command: str, overrides: Sequence[str], config_folders: Sequence[str | Path]) -> DictConfig:
    """The config with Hydra's own part."""
    folders = ",".join(quoted(f"file://{Path(folder).absolute()}") for folder in config_folders)
    search = [f"hydra.searchpath=[{folders}]"] if folders else []
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(CONF_DIR), version_base="1.3"):
        try:
            return hydra_compose(
                command, [*search, *with_quoted_paths(without_null(overrides))], return_hydra_config=True
            )
        except (HydraException, OmegaConfBaseException) as error:
            raise explain(error, command, overrides) from None


def build(cfg: Any, **extra: Any) -> Any:
    """Makes the object a config node describes; None for an empty node.

    Raises:
        ConfigError: If ``_target_`` cannot be found or does not take the arguments.
    """
    if not cfg:
        return None
    from hydra.errors import InstantiationException
    from hydra.utils import instantiate

    try:
        if not extra:
            return instantiate(cfg, _convert_="all")
        # Objects are handed over afterwards: Hydra would turn dataclasses among them into configs.
        return instantiate(cfg, _convert_="all", _partial_=True)(**extra)
    except SRError:
        raise
    except Exception as error:
        cause: BaseException = error
        while isinstance(cause, InstantiationException) and cause.__cause__ is not None:
            cause = cause.__cause__
        if isinstance(cause, SRError):
            raise cause from None
        raise ConfigError(f"{cfg._target_} cannot be made of its config: {cause}") from error


def without_null(overrides: Sequence[str]) -> list[str]:
    """Hydra knows no ``group=null``; groups that may be empty have a file ``none``."""
    overrides = list(overrides)
    groups = [o.removesuffix("=null") if o.endswith("=null") else "" for o in overrides]
    empty = [bool(group) and (CONF_DIR / group / "none.yaml").is_file() for group in groups]
    return [f"{group}=none" if is_empty else o for o, group, is_empty in zip(overrides, groups, empty, strict=True)]


def explain(error: Exception, command: str, overrides: Sequence[str]) -> ConfigError:
    """One sentence for an error of Hydra or OmegaConf, with the nearest existing names."""
    if isinstance(error, OverrideParseException) and "=" not in error.override:
        return _without_key(error.override, command)
    if isinstance(error, OverrideParseException):
        return ConfigError(f"{' '.join(str(error).split())}; quote values with ~ = , or blanks: 'key=\"value\"'")
    if same := re.match(r"(\S+) appears more than once in the final defaults list", str(error)):
        return ConfigError(f"{same[1]} is chosen already; leave the + out")
    if twice := re.match(r"Multiple values for (\S+)\. .*'override \S+: (.*)'", str(error)):
        group, choice = twice.groups()
        several = f"; for several say {group}=[default,{choice}]" * (group == "callbacks")
        return ConfigError(f"{group} is chosen already; leave the + out: {group}={choice}{several}")
    for override in sorted(overrides, key=lambda o: -len(o.partition("=")[0])):  # a.b before a, which is in it
        key, _, value = override.lstrip("+~").partition("=")
        folder = CONF_DIR / key.partition("@")[0]
        if folder.is_dir():
            options = [path.stem for path in folder.glob("*.yaml")]
            for choice in value.strip("[]").split(","):
                if choice and choice not in options and f"{key}/{choice}" in str(error):
                    return ConfigError(f"{key}={choice}: there is no such config; {nearest(choice, options)}")
        elif "," in value and not value.startswith(("[", "{", "(")) and key in str(error):
            return ConfigError(f"{key}={value}: a comma makes several runs, with -m; in one value it needs quotes: "
                               f"'{key}=\"{value}\"'")  # fmt: skip
        elif not override.startswith(("+", "hydra", "~")) and key in str(error):
            return ConfigError(f"{key}: there is no such key; {_nearest_key(key, command, overrides)}")
    return ConfigError(" ".join(str(error).split()))


def typed_value(override: str) -> Any:
    """The value that Hydra reads in an override; None where it reads none, or several."""
    try:
        return OverridesParser.create().parse_override(with_quoted_paths([override])[0]).value()
    except HydraException:
        return None


def _without_key(argument: str, command: str) -> ConfigError:
    """What to say instead of an argument that is no ``key=value``."""
    known = OmegaConf.load(CONF_DIR / f"{command}.yaml")
    if "input" in known and argument not in known:
        return ConfigError(f"{argument}: say {shlex.quote(f'input={argument}')}")
    return ConfigError(f"{argument}: arguments are KEY=VALUE; --help lists the keys")


def _nearest_key(key: str, command: str, overrides: Sequence[str]) -> str:
    """Suggestions on the deepest level of the config tree that the key still reaches."""
    groups = [o for o in overrides if (CONF_DIR / o.partition("=")[0]).is_dir()]
    try:
        node: Any = compose(command, groups)
        chosen = [group for group in chosen_configs(command, groups) if not group.startswith("hydra")]
    except ConfigError:
        return f"see python -m sr_lightning.{command} --cfg job"
    keys = {*_all_keys(OmegaConf.to_container(node)), *chosen}  # a group that is null is not in the config
    *parents, leaf = key.split(".")
    for parent in parents:
        if parent not in node:
            return nearest(key, keys)
        node = node[parent]
    if not isinstance(node, DictConfig):
        return f"{'.'.join(parents)} has no parts"
    same_leaf = [k for k in keys if k.split(".")[-1] == leaf]
    here = [".".join([*parents, str(k)]) for k in node]
    return nearest(key, same_leaf or {*here, *([] if parents else chosen)})


def _all_keys(tree: Any, prefix: str = "") -> list[str]:
    """Dotted names of all nodes of a plain dictionary."""
    if not isinstance(tree, dict):
        return []
    names = [(f"{prefix}.{key}".lstrip("."), value) for key, value in tree.items()]
    return [dotted for name, value in names for dotted in (name, *_all_keys(value, name))]


def filled(cfg: DictConfig, choices: Any, overrides: Any, run_dir: str | None) -> DictConfig:
    """Sets what the user did not: ``name`` to the model's, ``run_dir`` to Hydra's, and ``overrides`` to what was typed.

    By ``overrides`` a run that is resumed knows its configs.
    """
    with open_dict(cfg):
        cfg.pop("hydra", None)
        cfg.name = cfg.get("name") or choices.get("model")
        cfg.run_dir = cfg.get("run_dir") or run_dir or f"runs/{cfg.name or 'notebook'}"
        cfg.overrides = [
            str(override).replace("${", "\\${") for override in overrides
        ]  # as typed, not what it refers to
    return cfg


def refuse_bad_weights(cfg: DictConfig) -> None:
    """Says at once, and not after all imports, that there are two files of weights, or that one is missing."""
    if cfg.get("checkpoint") and cfg.get("weights"):
        raise ConfigError("checkpoint and weights are both given, but a network has one set of weights; drop one")
    for key, what in (("ckpt_path", "checkpoint"), ("init_from", "checkpoint"), ("checkpoint", "checkpoint"),
                      ("weights", "file of weights")):  # fmt: skip
        path = cfg.get(key)
        if path is not None and not isinstance(path, str | os.PathLike):
            raise ConfigError(f"{key}={path}: names one {what}; leave brackets out")
        if path is not None and not os.path.exists(os.path.expanduser(path)):  # noqa: PTH110, PTH111
            raise CheckpointError(f"{path}: no such {what}")
        if path is not None:
            refuse_folder(path, first="last.ckpt" if key == "ckpt_path" else "best.ckpt")


def names_a_folder(output: Path | str) -> ConfigError:
    """The error where ``output`` is a file, or is called as one."""
    return ConfigError(f"output={output}: names a folder; results are named by pattern=, as in pattern=%name_large")


def refuse_unwritable(folder: Path | str) -> None:
    """Raises a ``PictureError`` if no result can be written into a folder, or it cannot be made: before the work."""
    try:
        there = next(parent for parent in (Path(folder), *Path(folder).resolve().parents) if parent.exists())
    except OSError as error:  # such as a name that is too long
        raise PictureError(f"{folder}: cannot be used ({error.strerror}); choose another output=") from None
    if not there.is_dir() or not os.access(there, os.W_OK):
        raise PictureError(f"{there}: nothing can be written here; choose another output=")
