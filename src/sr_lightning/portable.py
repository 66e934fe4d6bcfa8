"""Networks in files that need no config: what a file says about its network, and safetensors."""

from pathlib import Path
from typing import Any

from sr_lightning import __version__
from sr_lightning.cards import KEY, network_of, parsed_card, read_tensors, sealed
from sr_lightning.errors import CheckpointError
from sr_lightning.files import AnyPath, whole
from sr_lightning.models import SuperResolutionModule


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


def write_safetensors(model: SuperResolutionModule, path: AnyPath, card: dict[str, Any] | None = None) -> None:
    """Writes a network: its weights, its constructor's arguments, what :func:`describe` says, and ``card``.

    Layers that share weights are written one by one; a loss and a discriminator are not written.

    Raises:
        CheckpointError: If an argument of the constructor is no plain value.
    """
    path = Path(path)
    from safetensors.torch import save

    cls = type(model)
    about = {
        **describe(model),
        "class": f"{cls.__module__}.{cls.__qualname__}",
        "arguments": dict(model.hparams),
        **(card or {}),
    }
    state = {
        name: value.detach().cpu().contiguous().clone()
        for name, value in model.state_dict().items()
        if name.startswith("net.")
    }
    try:
        text = sealed(about, state)
    except TypeError as error:
        raise CheckpointError(f"{path}: {cls.__name__} cannot be described in plain values ({error})") from None
    with whole(path) as temporary:
        temporary.write_bytes(save(state, {KEY: text}))  # its own files nobody else may read


def read_card(path: AnyPath) -> dict[str, Any]:
    """What :func:`write_safetensors` noted about the network; no tensor is read.

    Raises:
        CheckpointError: If the file is missing, damaged, or of another project.
    """
    path = Path(path)
    from safetensors import safe_open

    try:
        with safe_open(path, framework="pt") as file:
            text = (file.metadata() or {}).get(KEY)
    except FileNotFoundError:
        raise CheckpointError(f"{path}: no such file of weights") from None
    except Exception as error:  # of several classes, some of them Rust's
        raise CheckpointError(f"{path}: damaged, or no safetensors ({error})") from None
    return parsed_card(_of_this_library(text, path), path)


def read_safetensors(path: AnyPath, **recipe: Any) -> SuperResolutionModule:
    """The network that :func:`write_safetensors` wrote, built of the class and arguments that the file names.

    Args:
        path: The file.
        recipe: Parts that files do not keep, such as ``protocol``.

    Raises:
        CheckpointError: If the file is none, names no class of this library, or its weights do not fit it.
    """
    path = Path(path)
    state, text = read_tensors(path)
    card = parsed_card(_of_this_library(text, path), path)
    return network_of(card.get("class"), card.get("arguments"), state, path, **recipe).eval()


def _of_this_library(text: str | None, path: Path) -> str:
    if text is None:
        raise CheckpointError(f"{path}: does not say which network it is; give it as weights=, with model=")
    return text
