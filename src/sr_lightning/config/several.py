"""Several values for one key: a list if the key holds one, otherwise several runs, which ``-m`` asks for."""

import shlex
from collections.abc import Callable, Sequence

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import DictConfig, ListConfig, OmegaConf

from sr_lightning.config.folder import CONF_DIR
from sr_lightning.config.quoting import quoted
from sr_lightning.errors import ConfigError

#: Groups of which several configs may be chosen.
_GROUPS = frozenset({"callbacks", "logger"})
#: Keys that take a list and have none by default, by their last part.
_LISTS = frozenset(
    ["box", "figure", "flips", "metrics", "rotations", "scales", "targets", "upscale_factor", "white_balance"]
)


def with_brackets(overrides: Sequence[str], command: str, compose: Callable[[Sequence[str]], DictConfig]) -> list[str]:
    """Puts values that are separated by commas into brackets if their key holds a list.

    Args:
        overrides: What was typed, without ``-m``.
        command: The command that it follows.
        compose: Makes the command's config of some overrides.

    Raises:
        ConfigError: If the key holds one value. The message says what to type for several runs.
    """
    several = [override for override in overrides if _has_several(override)]
    if not several:
        return list(overrides)
    plain = compose([o for o in overrides if (CONF_DIR / f"{o.replace('=', '/')}.yaml").is_file()])
    return [_one_value(o, overrides, command, plain) if o in several else o for o in overrides]


def _has_several(override: str) -> bool:
    """Whether Hydra reads several values in it."""
    if "," not in override:
        return False
    try:
        return OverridesParser.create().parse_override(override).is_sweep_override()
    except HydraException:  # it is explained where it is used
        return False


def _one_value(override: str, overrides: Sequence[str], command: str, plain: DictConfig) -> str:
    key, _, value = override.partition("=")
    default = OmegaConf.select(plain, key, throw_on_missing=False) if key[0] not in "+~" else None
    if key in _GROUPS or key.rpartition(".")[2] in _LISTS or isinstance(default, ListConfig):
        return f"{key}=[{value}]"
    one = "" if (CONF_DIR / key).is_dir() else f"; for one value with a comma, type {shlex.quote(_quoted(key, value))}"
    typed = shlex.join(["python", "-m", f"sr_lightning.{command}", "-m", *overrides])
    raise ConfigError(f"{override}: commas ask for several runs, which need -m{one}; for several runs, type: {typed}")


def _quoted(key: str, value: str) -> str:
    return f"{key}={quoted(value)}"
