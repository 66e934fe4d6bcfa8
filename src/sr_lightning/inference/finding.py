"""From a name, a file, a folder or a repository of the Hub to a network with its weights."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import PositiveFloat

from sr_lightning.atomic import expand_home
from sr_lightning.config import build, compose
from sr_lightning.errors import CheckpointError, ConfigError
from sr_lightning.inference.engines.network import Network
from sr_lightning.inference.engines.onnx_network import read_onnx
from sr_lightning.inference.engines.spandrel_network import has_spandrel, spandrel_network
from sr_lightning.inference.plausible import plausible_network
from sr_lightning.inference.sanity import check_on_a_photograph
from sr_lightning.limits import check_value
from sr_lightning.models import SuperResolutionModule
from sr_lightning.weights.choose import find_weights
from sr_lightning.weights.elsewhere import find_elsewhere, network_elsewhere
from sr_lightning.weights.identify import identify
from sr_lightning.weights.load import load_weights, model_of
from sr_lightning.weights.reading import WeightsFile, refuse_what_holds_no_weights

#: What ``foreign`` calls arguments of networks.
ARGUMENTS = {"white": "value_range", "res_scale": "res_scale"}


def find_network(
    named: str | Path, scale: float | None = None, foreign: Mapping[str, Any] | None = None
) -> tuple[Network, str | None]:
    """The network that a name, a file, a folder or a repository of the Hub stands for, with its weights.

    Args:
        named: See ``load``.
        scale: Of shipped networks, 2 by default; most files have their own.
        foreign: What a file of another project does not say: see ``read_onnx``; of weights, ``white`` and
            ``res_scale``.

    Returns:
        The network, and a line about it if the file is of another project.

    Raises:
        ConfigError: If there is no such network.
        CheckpointError: If a file is missing, damaged or of no network that can be run.
    """
    foreign = {key: value for key, value in (foreign or {}).items() if value is not None}
    for key in (key for key in ARGUMENTS if key in foreign):
        check_value(f"foreign.{key}", foreign[key], PositiveFloat)
    path = expand_home(named)
    if str(named) == "bicubic":
        bicubic: SuperResolutionModule = build(compose("upscale", ["model=bicubic", f"scale={scale or 2}"]).model)
        return bicubic, None
    if path.suffix.lower() == ".onnx":
        if path.is_file():
            refuse_what_holds_no_weights(path)
        onnx = read_onnx(path, {key: value for key, value in foreign.items() if key != "res_scale"})
        check_on_a_photograph(onnx, path)
        return onnx, None
    file = find_weights(named, scale)
    network, line = network_of_file(file, scale, foreign)
    if line or path.exists():
        check_on_a_photograph(network, file.path if line else path, "shapes" if line else "file")
    return network, line


def load_named(model: SuperResolutionModule, named: str | Path, scale: float) -> None:
    """Loads what a name stands for into a network that a config describes, and tries it on a photograph.

    Raises:
        ConfigError: If there is no such network.
        CheckpointError: If the weights do not fit.
    """
    file = find_weights(named, scale)
    load_weights(model, file)
    check_on_a_photograph(model, file.path, "config" if file.is_ours else "foreign")


def network_of_file(
    file: WeightsFile, scale: float | None = None, foreign: Mapping[str, Any] | None = None, **recipe: Any
) -> tuple[SuperResolutionModule, str | None]:
    """The network of a file that has been read, and a line about it if it is of another project.

    Args:
        file: What ``find_weights`` found.
        scale: What the user asked for, if anything.
        foreign: See ``find_network``.
        recipe: Parts that files do not keep.

    Raises:
        ConfigError: If the file is for another scale, or says itself what ``foreign`` says.
        CheckpointError: If it is of no network that can be run.
    """
    foreign = {key: value for key, value in (foreign or {}).items() if value is not None}
    if file.is_ours:
        if foreign:
            raise ConfigError(f"foreign.{next(iter(foreign))}: {file.path} says itself what it is; leave foreign out")
        model = model_of(file, **recipe)
        if model.any_scale and scale not in (None, model.scale):
            model = model_of(dataclasses.replace(file, arguments={**(file.arguments or {}), "scale": scale}), **recipe)
        return model, None
    settings = {ARGUMENTS[key]: value for key, value in foreign.items() if key in ARGUMENTS}
    elsewhere = find_elsewhere(file.state)
    if elsewhere is None or not elsewhere.spandrel or not has_spandrel() or identify(file, **settings) is not None:
        return plausible_network(file, scale or foreign.get("scale"), settings, **recipe)
    try:
        run = spandrel_network(file.state, file.path)
    except CheckpointError as error:
        told = network_elsewhere(file.state, advice=False)
        raise CheckpointError(f"{file.path}: {told}; {str(error).removeprefix(f'{file.path}: ')}") from None
    return run, f"{file.path.name}: {run.title} x{run.scale}, computed by spandrel"


def from_pretrained(
    where: str | Path, *, scale: float | None = None, revision: str | None = None, **recipe: Any
) -> SuperResolutionModule:
    """A trained network to use or to train further, by any name that ``find_weights`` knows.

    Args:
        where: A file of weights of this library or another project, a folder that ``save_pretrained`` wrote, the name
            of a shipped network, or ``user/name`` on the Hugging Face Hub, which needs ``sr_lightning[hub]``.
        scale: Of a shipped network, 2 by default; of a file where no shape shows it.
        revision: Branch, tag or commit on the Hub.
        recipe: Parts that files do not keep: loss, optimizer, scheduler, protocol.

    Raises:
        CheckpointError: If a file is missing, damaged, or of no network of this library.
        ConfigError: If there is nothing of that name, or not for this scale.

    Example:
        >>> from_pretrained("span", scale=3).scale
        3
    """
    model, _ = network_of_file(find_weights(where, scale, revision=revision), scale, **recipe)
    if scale not in (None, model.scale):
        raise ConfigError(f"{where}: trained for scale {model.scale}, not for {scale}")
    return model
