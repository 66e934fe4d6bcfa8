"""Classes and functions that moved: recorded runs and users' configs may name them as older releases did."""

import copy
from typing import Any

from omegaconf import DictConfig, ListConfig, flag_override

#: Where the modules of release 0.1.0 are now.
MOVED = {
    **{
        f"sr_lightning.data.{name}": f"sr_lightning.data.sets.{name}"
        for name in (
            "benchmarks", "div2k", "flickr2k", "folder", "hdf5", "mixture", "pair_list", "samples", "shards", "t91"
        )
    },
    "sr_lightning.callbacks": "sr_lightning.training.callbacks",
    "sr_lightning.schedules": "sr_lightning.training.schedules",
    "sr_lightning.sweep": "sr_lightning.training.sweep",
}  # fmt: skip


def current_name(target: str) -> str:
    """The name of today for a ``_target_`` of an older release; others stay.

    Example:
        >>> current_name("sr_lightning.data.t91.T91"), current_name("torch.optim.Adam")
        ('sr_lightning.data.sets.t91.T91', 'torch.optim.Adam')
    """
    module, _, name = target.rpartition(".")
    return f"{MOVED[module]}.{name}" if module in MOVED else target


def with_current_names(cfg: Any) -> Any:
    """A config whose targets exist in this release: the config itself where nothing has moved, otherwise a copy."""
    if not _has_old_names(cfg):
        return cfg
    cfg = copy.deepcopy(cfg)
    _rename(cfg)
    return cfg


def _nodes(cfg: Any) -> list[Any]:
    if isinstance(cfg, DictConfig) and not cfg._is_missing() and not cfg._is_none() and not cfg._is_interpolation():
        return [cfg, *(part for key in cfg for part in _nodes(cfg._get_node(key)))]
    if isinstance(cfg, ListConfig) and not cfg._is_missing() and not cfg._is_none() and not cfg._is_interpolation():
        return [part for index in range(len(cfg)) for part in _nodes(cfg._get_node(index))]
    return []


def _old(node: DictConfig) -> str | None:
    target = node._get_node("_target_")
    name = target._value() if target is not None else None  # type: ignore[union-attr]
    return name if isinstance(name, str) and current_name(name) != name else None


def _has_old_names(cfg: Any) -> bool:
    return any(_old(node) for node in _nodes(cfg))


def _rename(cfg: Any) -> None:
    for node in _nodes(cfg):
        if name := _old(node):
            with flag_override(node, ["readonly", "struct"], False):
                node["_target_"] = current_name(name)
