"""Classes and functions that moved: recorded runs and users' configs may name them as older releases did."""

import copy
from collections.abc import Iterator
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
    if not any(True for _ in _moved(cfg)):
        return cfg
    cfg = copy.deepcopy(cfg)
    for node, name in _moved(cfg):
        with flag_override(node, ["readonly", "struct"], False):
            node["_target_"] = name
    return cfg


def _moved(cfg: Any) -> Iterator[tuple[DictConfig, str]]:
    """The nodes that name a class by its old name, and its new name."""
    if not isinstance(cfg, DictConfig | ListConfig) or cfg._is_missing() or cfg._is_none() or cfg._is_interpolation():
        return
    keys = list(cfg) if isinstance(cfg, DictConfig) else range(len(cfg))
    for key in keys:
        node: Any = cfg._get_node(key)
        target = node._value() if key == "_target_" else None
        if isinstance(target, str) and current_name(target) != target:
            yield cfg, current_name(target)  # type: ignore[misc]
        else:
            yield from _moved(node)
