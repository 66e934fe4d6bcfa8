"""One sentence for what Hydra and OmegaConf refuse, with the nearest existing names."""

import re
import shlex
from collections.abc import Callable, Sequence
from typing import Any

from hydra.errors import OverrideParseException
from omegaconf import DictConfig, OmegaConf

from sr_lightning.config.folder import CONF_DIR
from sr_lightning.config.quoting import quoted
from sr_lightning.errors import ConfigError, nearest

#: The config of some choices, and the names of all groups in use.
WithGroups = Callable[[Sequence[str]], tuple[DictConfig, list[str]]]


def explain(error: Exception, command: str, overrides: Sequence[str], with_groups: WithGroups) -> ConfigError:
    """One sentence for an error of Hydra or OmegaConf, with the nearest existing names.

    Args:
        error: What was raised.
        command: The command that was typed.
        overrides: Its arguments.
        with_groups: Composes the command's config with some of them.
    """
    if isinstance(error, OverrideParseException) and "=" not in error.override:
        return ConfigError(f"{error.override}: arguments are KEY=VALUE; --help lists the keys")
    if isinstance(error, OverrideParseException):
        return _not_read(error)
    if same := re.match(r"(\S+) appears more than once in the final defaults list", str(error)):
        typed = next((o.lstrip("+") for o in overrides if o.startswith(f"+{same[1]}=")), f"{same[1]}=CHOICE")
        return ConfigError(f"{same[1]} is chosen already; leave out the +: {typed}")
    if twice := re.match(r"Multiple values for (\S+)\. .*'override \S+: (.*)'", str(error)):
        group, choice = twice.groups()
        several = f"; for several say {group}=[default,{choice}]" * (group == "callbacks")
        return ConfigError(f"{group} is chosen already; leave out the +: {group}={choice}{several}")
    for override in sorted(overrides, key=lambda o: -len(o.partition("=")[0])):  # a.b before a, which is in it
        key, _, value = override.lstrip("+~").partition("=")
        folder = CONF_DIR / key.partition("@")[0]
        if folder.is_dir():
            options = [path.stem for path in folder.glob("*.yaml")]
            for choice in value.strip("[]").split(","):
                if choice and choice not in options and f"{key}/{choice}" in str(error):
                    return ConfigError(f"{key}={choice}: there is no such config; {nearest(choice, options)}")
        elif not override.startswith(("+", "hydra", "~")) and key in str(error):
            return _about_key(key, value, command, overrides, with_groups)
    return ConfigError(" ".join(str(error).split()))


def unknown_key(
    keys: Sequence[str], command: str, overrides: Sequence[str], with_groups: WithGroups
) -> ConfigError | None:
    """The sentence for the first of some keys that is not on the top level of the config, or None if all are.

    Args:
        keys: Of ``overrides``.
        command: The command that was typed.
        overrides: Its arguments.
        with_groups: See ``explain``.
    """
    try:
        node, groups = with_groups(_groups(overrides))
    except ConfigError:  # of the groups, which Hydra says better
        return None
    for key in keys:
        if key not in node and key not in groups:
            return ConfigError(f"{key}: there is no such key; {_nearest(key, node, groups)}")
    return None


def _not_read(error: OverrideParseException) -> ConfigError:
    """What to type instead of a value that Hydra cannot read."""
    key, _, value = error.override.partition("=")
    for opening, closing in ("[]", "{}", "()"):
        if value.startswith(opening) and value.count(opening) == value.count(closing) + 1:
            return ConfigError(f"{error.override}: {closing} is missing; type {shlex.quote(f'{key}={value}{closing}')}")
    return ConfigError(f"{error.override}: this value needs quotes; type {shlex.quote(f'{key}={quoted(value)}')}")


def _about_key(key: str, value: str, command: str, overrides: Sequence[str], with_groups: WithGroups) -> ConfigError:
    """Suggests names from the deepest level of the config tree that the key reaches, or values like that of the key."""
    try:
        node, chosen = with_groups(_groups(overrides))
    except ConfigError:
        return ConfigError(f"{key}: there is no such key; see python -m sr_lightning.{command} --cfg job")
    known: Any = OmegaConf.select(node, key, throw_on_missing=False)
    if OmegaConf.is_dict(known) and not value.startswith("{"):
        names: list[Any] = list(known)
        like = ", ".join(f"{name}: VALUE" for name in names)
        return ConfigError(f"{key}={value}: must be names and values, such as {{{like}}}")
    return ConfigError(f"{key}: there is no such key; {_nearest(key, node, chosen)}")


def _groups(overrides: Sequence[str]) -> list[str]:
    """The overrides that choose a config."""
    return [o for o in overrides if (CONF_DIR / o.partition("=")[0]).is_dir()]


def _nearest(key: str, node: Any, chosen: Sequence[str]) -> str:
    chosen = [group for group in chosen if not group.startswith("hydra")]
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
