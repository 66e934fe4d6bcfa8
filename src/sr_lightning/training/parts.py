"""The configs of a run's callbacks and loggers."""

from typing import Any

from omegaconf import DictConfig, OmegaConf

from sr_lightning.errors import ConfigError


def parts_of(cfg: DictConfig, group: str) -> list[Any]:
    """The configs of a run's callbacks, or of its loggers, each of which describes an object.

    Args:
        cfg: Of the run.
        group: ``callbacks`` or ``logger``.

    Raises:
        ConfigError: If one has settings alone, as an experiment leaves them where other callbacks are typed.
    """
    parts = {name: part for name, part in (cfg.get(group) or {}).items() if part}
    for name, part in parts.items():
        if not (OmegaConf.is_dict(part) and "_target_" in part):
            usual = {"callbacks": "default", "logger": "csv"}[group]
            raise ConfigError(
                f"{group}.{name}: has settings, but nothing that they are for; add it, such as "
                f"{group}=[{usual},{name}], or leave it out, as {group}.{name}=null"
            )
    return list(parts.values())
