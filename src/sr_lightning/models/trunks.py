"""Networks without their tails, whose features another tail enlarges."""

from collections.abc import Iterator, Mapping
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

import torch

import sr_lightning.models as models
from sr_lightning.errors import ConfigError, nearest
from sr_lightning.models.base import SuperResolutionModule
from sr_lightning.models.layouts import Layers


def trunk_class(name: str) -> type[SuperResolutionModule]:
    """The network of a name, such as ``edsr``.

    Raises:
        ConfigError: If there is none, or none that has features before a tail.
    """
    found = _class_in(name) if name in _modules() else None
    if found is None:
        raise ConfigError(f"trunk={name}: no network with features before its tail; {nearest(name, dict(_trunks()))}")
    return found


def trunk(name: str, arguments: Mapping[str, Any] | None) -> Any:
    """A network of which only the layers for its features are left.

    Args:
        name: Of the network.
        arguments: Of it, where they are not the usual ones.

    Example:
        >>> edsr = trunk("edsr", {"num_features": 8, "num_blocks": 2})
        >>> edsr.net.features(torch.rand(1, 3, 6, 7)).shape, "tail" in dict(edsr.net.named_children())
        (torch.Size([1, 8, 6, 7]), False)
    """
    kind: Any = trunk_class(name)
    try:
        network = kind(**(arguments or {}))
    except TypeError as error:
        raise ConfigError(f"trunk_args: {error}") from None
    for layer in kind.after_features:
        delattr(network.net, layer)
    return network


def trunk_of(layers: Layers) -> tuple[str, dict[str, Any] | None]:
    """The name and arguments of the trunk with these layers; arguments are None where they are the usual ones.

    Raises:
        KeyError: If there is none.
    """
    for name, kind in _trunks():
        try:
            found = kind.arguments_of(layers)
            found = {key: value for key, value in found.items() if key != "scale" and value != getattr(kind, key)}
            with torch.device("meta"):
                net = trunk(name, found).net
        except (ConfigError, LookupError, TypeError, ValueError, ArithmeticError, RuntimeError):  # of another network
            continue
        if layers == Layers(net.state_dict()):
            return name, found or None
    raise KeyError("trunk")


def _modules() -> list[str]:
    return [module.name for module in iter_modules(models.__path__)]


def _class_in(name: str) -> type[SuperResolutionModule] | None:
    content = vars(import_module(f"{models.__name__}.{name}"))
    found = next((kind for key, kind in content.items() if key.lower() == name and isinstance(kind, type)), None)
    return found if getattr(found, "after_features", ()) else None


def _trunks() -> Iterator[tuple[str, type[SuperResolutionModule]]]:
    for name in _modules():
        if (kind := _class_in(name)) is not None:
            yield name, kind
