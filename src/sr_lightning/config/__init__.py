"""Configs: how they are composed from files and typed keys, and how objects are built from them."""

from collections.abc import Collection, Sequence
from functools import partial
from inspect import Parameter, signature
from pathlib import Path
from typing import Any

from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from sr_lightning.config.devices import started_nodes, started_per_node, trainers_precision
from sr_lightning.config.explain import explain, unknown_key
from sr_lightning.config.folder import CONF_DIR
from sr_lightning.config.quoting import quoted, with_quoted_paths
from sr_lightning.config.renamed import with_current_names
from sr_lightning.config.several import with_brackets
from sr_lightning.devices import fastest_device
from sr_lightning.errors import ConfigError, SRError

__all__ = ["CONF_DIR", "build", "chosen_configs", "chosen_model", "compose", "explained"]

OmegaConf.register_new_resolver("fastest_precision", trainers_precision, replace=True)
OmegaConf.register_new_resolver("fastest_device", fastest_device, replace=True)
OmegaConf.register_new_resolver("started_per_node", started_per_node, replace=True)
OmegaConf.register_new_resolver("started_nodes", started_nodes, replace=True)
OmegaConf.register_new_resolver("mul", lambda a, b: a * b, replace=True)
OmegaConf.register_new_resolver("min", min, replace=True)


def compose(
    command: str = "train", overrides: Sequence[str] = (), config_folders: Sequence[str | Path] = ()
) -> DictConfig:
    """Composes the config of a command as the command line does; for notebooks and tests.

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
    return with_defaults(cfg, cfg.hydra.runtime.choices, cfg.hydra.overrides.task, None)


def chosen_configs(command: str, overrides: Sequence[str], config_folders: Sequence[str | Path] = ()) -> dict[str, str]:
    """The choice of each config group in use, defaults included.

    Example:
        >>> chosen_configs("train", ["model=rdn"])["model"], chosen_configs("train", [])["loss"]
        ('rdn', 'l1')
    """
    return _choices(_composed(command, overrides, config_folders))


def _choices(cfg: DictConfig) -> dict[str, str]:
    return {str(group): str(choice) for group, choice in cfg.hydra.runtime.choices.items()}


def chosen_model(cfg: DictConfig) -> str:
    """The name of the model's config, whatever ``name`` the results have.

    Example:
        >>> chosen_model(compose("train", ["model=rdn", "name=mine"]))
        'rdn'
    """
    typed = [override.removeprefix("model=") for override in cfg.overrides if override.startswith("model=")]
    return str(typed[-1] if typed else cfg.name)


def _composed(command: str, overrides: Sequence[str], config_folders: Sequence[str | Path]) -> DictConfig:
    """The config with Hydra's own part."""
    folders = ",".join(quoted(f"file://{Path(folder).absolute()}") for folder in config_folders)
    search = [f"hydra.searchpath=[{folders}]"] if folders else []
    typed = in_hydras_grammar(command, overrides)
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(CONF_DIR), version_base="1.3"):
        try:
            return hydra_compose(command, [*search, *typed], return_hydra_config=True)
        except (HydraException, OmegaConfBaseException) as error:
            raise explained(error, command, overrides) from None


def in_hydras_grammar(command: str, overrides: Sequence[str], sweep: bool = False) -> list[str]:
    """Overrides as Hydra reads them: file names in quotes, lists in brackets, ``none`` for an empty group.

    Args:
        command: The command that they follow.
        overrides: What was typed.
        sweep: Whether ``-m`` was typed, so that commas separate the values of several runs.

    Raises:
        ConfigError: If a key that holds one value has several, without ``-m``.

    Example:
        >>> in_hydras_grammar("evaluate", ["data.sets=set5,set14", "checkpoint=a b.ckpt"])
        ['data.sets=[set5,set14]', 'checkpoint="a b.ckpt"']
    """
    typed = with_quoted_paths(null_as_none(overrides), sweep)
    return typed if sweep else with_brackets(typed, command, lambda groups: compose(command, groups))


def explained(error: Exception, command: str, overrides: Sequence[str]) -> ConfigError:
    """One sentence for an error of Hydra or OmegaConf, with the nearest existing names."""
    return explain(error, command, overrides, partial(_with_groups, command))


def refuse_unknown_keys(command: str, overrides: Sequence[str], known: Collection[str]) -> None:
    """Raises a ``ConfigError`` for a key that there is not, sooner than Hydra, which composes the config twice.

    Args:
        command: The command that was typed.
        overrides: Its arguments.
        known: Keys that are in its file.
    """
    keys = [override.partition("=")[0] for override in overrides]
    unsure = [key for key in keys if key.isidentifier() and key not in known and not (CONF_DIR / key).is_dir()]
    if unsure and (error := unknown_key(unsure, command, overrides, partial(_with_groups, command))):
        raise error


def _with_groups(command: str, groups: Sequence[str]) -> tuple[DictConfig, list[str]]:
    """The config of some choices, without Hydra's part, and the names of all groups in use."""
    cfg = _composed(command, groups, ())
    choices = [*_choices(cfg)]
    return with_defaults(cfg, cfg.hydra.runtime.choices, cfg.hydra.overrides.task, None), choices


def build(cfg: Any, **extra: Any) -> Any:
    """Builds the object that a config node describes, or None for an empty node.

    Raises:
        ConfigError: If ``_target_`` cannot be found or does not take the arguments.
    """
    if not cfg:
        return None
    from hydra.errors import InstantiationException
    from hydra.utils import instantiate

    node, cfg = cfg, with_current_names(cfg)
    try:
        if not extra:
            return _with_known_settings(instantiate(cfg, _convert_="all"), node)
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
        raise ConfigError(f"{cfg._target_} cannot be built from its config: {cause}") from error


def _with_known_settings(made: Any, node: Any) -> Any:
    """What was built; a function that is still to be called is refused if it does not take its settings."""
    if isinstance(made, partial):
        parameters = signature(made.func).parameters
        takes_all = any(each.kind is Parameter.VAR_KEYWORD for each in parameters.values())
        for key in () if takes_all else (key for key in made.keywords if key not in parameters):
            name, place = made.func.__name__, node._get_full_key(key) if OmegaConf.is_config(node) else key
            raise ConfigError(f"{place}: {name} has no such setting; leave it out, as ~{place}")
    return made


def null_as_none(overrides: Sequence[str]) -> list[str]:
    """Replaces ``group=null``, which Hydra does not know, by ``group=none`` if the group has that file."""
    overrides = list(overrides)
    groups = [o.removesuffix("=null") if o.endswith("=null") else "" for o in overrides]
    empty = [bool(group) and (CONF_DIR / group / "none.yaml").is_file() for group in groups]
    return [f"{group}=none" if is_empty else o for o, group, is_empty in zip(overrides, groups, empty, strict=True)]


def parsed_value(override: str) -> Any:
    """The value that Hydra reads in an override, or None if there is none or more than one."""
    try:
        return OverridesParser.create().parse_override(with_quoted_paths([override])[0]).value()
    except HydraException:
        return None


def with_defaults(cfg: DictConfig, choices: Any, overrides: Any, run_dir: str | None) -> DictConfig:
    """Fills in ``name`` with the model's name, ``run_dir`` with Hydra's folder, and ``overrides`` with what was typed.

    A resumed run reads its choices of configs from ``overrides``.
    """
    with open_dict(cfg):
        cfg.pop("hydra", None)
        cfg.name = cfg.get("name") or choices.get("model")
        cfg.run_dir = cfg.get("run_dir") or run_dir or f"runs/{cfg.name or 'notebook'}"
        cfg.overrides = [
            str(override).replace("${", "\\${") for override in overrides
        ]  # as typed, not what it refers to
    return cfg
