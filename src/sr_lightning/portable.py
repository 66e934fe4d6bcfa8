"""Networks in files that need no config: what a file says about its network, and safetensors."""

import json
from importlib import import_module
from pathlib import Path
from typing import Any

from sr_lightning import __version__
from sr_lightning.errors import CheckpointError
from sr_lightning.files import whole
from sr_lightning.models import SuperResolutionModule

_KEY = "sr_lightning"  # of the card in a file's metadata


def describe(model: SuperResolutionModule) -> dict[str, Any]:
    """What a stranger must know to use the network, in plain values.

    Example:
        >>> from sr_lightning.models import Bicubic
        >>> card = describe(Bicubic(3))
        >>> card["network"], card["scale"], card["inputs"], card["colour"], card["range"]
        ('Bicubic', 3, ['lr'], 'luma', [0, 1])
    """
    return {
        "network": type(model).__name__,
        "scale": model.scale,
        "inputs": list(model.inputs),
        "colour": "luma" if model.luma else "rgb",
        "range": [0, 1],
        "version": __version__,
    }


def network_class(name: str, path: Path) -> type[SuperResolutionModule]:
    """The class that a file names, of this library alone: a name can run no code.

    Raises:
        CheckpointError: If it is not one.
    """
    module, _, cls = name.rpartition(".")
    try:
        kind = getattr(import_module(module), cls) if name.startswith("sr_lightning.models.") else None
    except (ImportError, AttributeError):
        kind = None
    if not (isinstance(kind, type) and issubclass(kind, SuperResolutionModule)):
        raise CheckpointError(f"{path}: written by {name or 'an unknown class'}; say which network it is with model=")
    return kind


def write_safetensors(model: SuperResolutionModule, path: Path, card: dict[str, Any] | None = None) -> None:
    """Writes a network: its weights, its constructor's arguments, what :func:`describe` says, and ``card``.

    Layers that share weights are written one by one; a loss and a discriminator are not written.

    Raises:
        CheckpointError: If an argument of the constructor is no plain value.
    """
    from safetensors.torch import save

    cls = type(model)
    about = {
        **describe(model),
        "class": f"{cls.__module__}.{cls.__qualname__}",
        "arguments": dict(model.hparams),
        **(card or {}),
    }
    try:
        text = json.dumps(about, sort_keys=True)
    except TypeError as error:
        raise CheckpointError(f"{path}: {cls.__name__} cannot be described in plain values ({error})") from None
    state = {name: value.detach().cpu().contiguous().clone() for name, value in _network_state(model).items()}
    with whole(path) as temporary:
        temporary.write_bytes(save(state, {_KEY: text}))  # its own files nobody else may read


def read_card(path: Path) -> dict[str, Any]:
    """What :func:`write_safetensors` noted about the network; no tensor is read.

    Raises:
        CheckpointError: If the file is missing, damaged, or of another project.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            text = (file.metadata() or {}).get(_KEY)
    except FileNotFoundError:
        raise CheckpointError(f"{path}: no such file of weights") from None
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path}: damaged, or no safetensors ({error})") from None
    if text is None:
        raise CheckpointError(f"{path}: does not say which network it is; give it as weights=, with model=")
    return parsed_card(text, path)


def parsed_card(text: str, path: Path, *needed: str) -> dict[str, Any]:
    """What a file says of the network in it, at least what is needed of it.

    Raises:
        CheckpointError: If that is no JSON of this library.
    """
    try:
        card: dict[str, Any] = json.loads(text)
        if isinstance(card, dict) and {*needed} <= card.keys():
            return card
    except ValueError:
        pass
    raise CheckpointError(f"{path}: what it says of its network under {_KEY} is damaged")


def read_safetensors(path: Path, **recipe: Any) -> SuperResolutionModule:
    """The network that :func:`write_safetensors` wrote, built of the class and arguments that the file names.

    Args:
        path: The file.
        recipe: Parts that files do not keep, such as ``protocol``.

    Raises:
        CheckpointError: If the file is none, names no class of this library, or its weights do not fit it.
    """
    from safetensors.torch import load_file

    card = read_card(path)
    kind: Any = network_class(card.get("class", ""), path)
    try:
        model: SuperResolutionModule = kind(**card["arguments"], **recipe)
        state = load_file(path)
        misfits = sorted(state.keys() ^ _network_state(model).keys())
        if misfits:
            raise CheckpointError(f"{path}: does not fit {kind.__name__}: {', '.join(misfits[:3])}")
        model.load_state_dict(state, strict=False)  # strictly: what is missing is for training
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise CheckpointError(f"{path}: does not fit {kind.__name__} of this version ({error})") from None
    return model.eval()


def _network_state(model: SuperResolutionModule) -> dict[str, Any]:
    return {name: value for name, value in model.state_dict().items() if name.startswith("net.")}
