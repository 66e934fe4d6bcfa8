"""Networks in safetensors files, which say what they are and need no config."""

from pathlib import Path
from typing import Any

from sr_lightning import tensor_files
from sr_lightning.atomic import AnyPath, atomic_write
from sr_lightning.errors import CheckpointError
from sr_lightning.models import SuperResolutionModule
from sr_lightning.weights.card import KEY, describe, parsed_card, read_tensors, sealed
from sr_lightning.weights.rebuild import network_of


def write_safetensors(model: SuperResolutionModule, path: AnyPath, card: dict[str, Any] | None = None) -> None:
    """Writes a network: its weights, its constructor's arguments, what ``describe`` says, and ``card``.

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
    with atomic_write(path) as temporary:
        temporary.write_bytes(save(state, {KEY: text}))  # its own files nobody else may read


def read_card(path: AnyPath) -> dict[str, Any]:
    """What ``write_safetensors`` noted about the network; no tensor is read.

    Raises:
        CheckpointError: If the file is missing, damaged, or of another project.
    """
    path = Path(path)
    text = tensor_files.read_safetensors(path, KEY, tensors=False)[1]
    return parsed_card(_of_this_library(text, path), path)


def load_safetensors(path: AnyPath, **recipe: Any) -> SuperResolutionModule:
    """The network that ``write_safetensors`` wrote, built of the class and arguments that the file names.

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
        raise CheckpointError(f"{path}: does not say which network it is; type model=NAME weights=FILE")
    return text
