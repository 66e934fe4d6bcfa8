"""From what a user names to a file of weights: one way for every command and for Python."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from sr_lightning.atomic import expand_home
from sr_lightning.config.paths import refuse_folder
from sr_lightning.errors import CheckpointError, ConfigError
from sr_lightning.weights import realesrgan
from sr_lightning.weights.names import refuse_what_names_no_weights
from sr_lightning.weights.reading import WeightsFile, read_weights
from sr_lightning.weights.shipped import pretrained_networks, weights_file

#: The file of weights in a folder that ``save_pretrained`` wrote, and in a repository of the Hub.
WEIGHTS = "model.safetensors"


def find_weights(named: str | Path, scale: float | None = None, *, revision: str | None = None) -> WeightsFile:
    """The weights that a name stands for.

    In this order: a file, a shipped network, one of an installed package such as ``realesrgan``, a folder that
    ``save_pretrained`` wrote, and ``user/name`` on the Hugging Face Hub.

    Args:
        named: What the user typed.
        scale: Of networks that exist for several; 2 by default where there is one for it.
        revision: Branch, tag or commit on the Hub.

    Raises:
        ConfigError: If there is no such network, or not for this scale.
        CheckpointError: If a file is missing or damaged.
    """
    path = expand_home(named)
    if path.is_file():
        return read_weights(path)
    if str(named) in pretrained_networks():
        return read_weights(weights_file(str(named), of_scale(str(named), pretrained_networks()[str(named)], scale)))
    if str(named) in realesrgan.NAMES:
        return realesrgan.read(str(named), scale)
    if path.is_dir():
        if not (path / WEIGHTS).is_file():  # a run's folder, which no save_pretrained wrote
            refuse_folder(named)
        return read_weights(path / WEIGHTS)
    refuse_what_names_no_weights(named)
    return read_weights(download(str(named), revision))


def of_scale(name: str, scales: list[int], scale: float | None) -> int:
    """The scale of a network that exists for some; ``None`` is 2, or the first.

    Raises:
        ConfigError: If it does not exist for this one.
    """
    if scale is None:
        return 2 if 2 in scales else scales[0]
    if scale not in scales:
        raise ConfigError(f"{name} is shipped for scale {', '.join(map(str, scales))}, but not for {scale}")
    return int(scale)


def download(repo_id: str, revision: str | None = None) -> Path:
    """The file of weights of a repository of the Hub, from its cache or from there.

    Raises:
        ConfigError: If the package ``huggingface_hub`` is not installed.
        CheckpointError: If there is no such repository, or it cannot be reached.
    """
    if repo_id.count("/") != 1:
        raise CheckpointError(f"{repo_id}: no such folder, and no repository of the Hub, which is named user/name")
    fetch: Callable[..., str] = hub().hf_hub_download
    try:
        return Path(fetch(repo_id, WEIGHTS, revision=revision))
    except Exception as error:
        raise CheckpointError(f"{repo_id}: no such folder, and not found on the Hub ({first_line(error)})") from None


def hub() -> Any:
    """The package of the Hub.

    Raises:
        ConfigError: If it is not installed.
    """
    try:
        import huggingface_hub
    except ModuleNotFoundError:
        raise ConfigError('the Hugging Face hub needs an extra: pip install "sr_lightning[hub]"') from None
    return huggingface_hub


def first_line(error: Exception) -> str:
    """Of the network, of the hub, of access: all that the user can read is its first line."""
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
