"""Weights of any file into a network, and the network that a file is of."""

import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from sr_lightning.errors import CheckpointError
from sr_lightning.models import SuperResolutionModule
from sr_lightning.models.layouts import State, contradicted
from sr_lightning.tensor_files import check_numbers
from sr_lightning.weights.describe import in_words
from sr_lightning.weights.elsewhere import network_elsewhere
from sr_lightning.weights.identify import Identified, identify, under_names_of
from sr_lightning.weights.known_files import known_arguments
from sr_lightning.weights.reading import WeightsFile, read_weights, shown
from sr_lightning.weights.rebuild import network_of


def load_model(path: Path | str, **recipe: Any) -> SuperResolutionModule:
    """The network that a file is of, with its weights.

    A file of this library names its class and arguments. In one of another project, names and shapes tell them.
    No code in the file is run.

    Args:
        path: A file of any format that ``read_weights`` knows.
        recipe: Parts that files do not keep, such as ``protocol``.

    Raises:
        CheckpointError: If the file cannot be read, or is of no network of this library; the message says of which.
    """
    return model_of(read_weights(path), **recipe)


def model_of(file: WeightsFile, **recipe: Any) -> SuperResolutionModule:
    """The network of a file that has been read, for use; see ``load_model``.

    Args:
        file: What ``read_weights`` read.
        recipe: Parts that files do not keep.

    Raises:
        CheckpointError: If it is of no network of this library.
    """
    if file.is_ours:
        return network_of(file.written_by, file.arguments, file.state, file.path, **recipe).eval()
    return identified(file).build(**recipe).eval()


def identified(file: WeightsFile, settings: Mapping[str, Any] | None = None) -> Identified:
    """Which network a file of another project is of.

    Raises:
        CheckpointError: If it is none of this library; the message says which one it is, where that is known.
    """
    found = identify(file, **{**known_arguments(file), **(settings or {})})
    if found is None:
        if (elsewhere := network_elsewhere(file.state)) is not None:
            raise CheckpointError(f"{file.path}: {elsewhere}")
        names = ", ".join(shown(name) for name in list(file.state)[:3])
        raise CheckpointError(
            f"{file.path}: holds {len(file.state)} tensors ({names} ...) of no network that is known here; "
            "if it is one of this library, say which: model=NAME"
        )
    return found


def load_weights(model: SuperResolutionModule, source: str | Path | WeightsFile) -> None:
    """Loads a file of weights into a network, completely or not at all.

    Args:
        model: The network; its ``layouts`` translate names of other projects.
        source: A file of any format that ``read_weights`` knows, of this library or another, or what that read.

    Raises:
        CheckpointError: If the file is missing or damaged, holds code, or does not fit the network; the message
            names the file, what it seems to be, and the first few weights that are missing, surplus or of another
            shape.
    """
    file = source if isinstance(source, WeightsFile) else read_weights(source)
    if file.is_ours:
        _check_scale(file, model)
    # A training loss may have weights of its own, which no published file has; checkpoints have a discriminator apart.
    judged = any(name.startswith("discriminator.") for name in file.state)
    apart = ("loss.",) if judged else ("loss.", "discriminator.")
    expected = {name: value for name, value in model.state_dict().items() if not name.startswith(apart)}
    complaint = f"{file.path} does not fit {type(model).__name__} as configured"
    if file.is_ours or file.state.keys() == expected.keys():
        state = {name: value for name, value in file.state.items() if not name.startswith(apart)}
    else:
        state = _translated(model, file, complaint)
    try:
        _check(state, expected, complaint)
    except CheckpointError as error:
        raise CheckpointError(f"{error}{_hint(file, model, state, expected)}") from None
    check_numbers(file.path, state, expected)
    if file.is_ours:
        tell_contradictions(model, file, file.arguments or {}, "weights")
    model.load_state_dict(state, strict=False)  # strictly: checked above, with better words


def tell_contradictions(model: SuperResolutionModule, file: WeightsFile, stated: Mapping[str, Any], key: str) -> None:
    """Warns of settings that shapes do not show, and that the weights were trained with otherwise."""
    unseen = {name: stated[name] for name in model.untraced if name in stated and name != "scale"}
    own = {name: model.hparams.get(name) for name in unseen}
    differ = {name: value for name, value in unseen.items() if _as_list(value) != _as_list(own[name])}
    if apart := differ if file.is_ours else contradicted(unseen, model.hparams):
        theirs = ", ".join(f"{name}={value}" for name, value in apart.items())
        ours = ", ".join(f"{name}={own[name]}" for name in apart)
        warnings.warn(f"{key}={file.path}: trained with {theirs}, but this network has {ours}", stacklevel=3)


def _as_list(value: Any) -> Any:
    return [*value] if isinstance(value, list | tuple) else value


def _check_scale(file: WeightsFile, model: SuperResolutionModule) -> None:
    scale = (file.arguments or {}).get("scale", model.scale)
    if scale != model.scale and not model.multi_scale:
        raise CheckpointError(
            f"{file.path}: trained for scale {scale}, but scale={model.scale} is asked for; set scale={scale}"
        )


def _translated(model: SuperResolutionModule, file: WeightsFile, complaint: str) -> State:
    """The weights under the names of the network."""
    try:
        return under_names_of(model, model.published_state(file.state))
    except CheckpointError as error:
        raise CheckpointError(f"{file.path}: {error}") from None
    except KeyError as error:
        reason = f"lacks {error.args[0]}"
    except (IndexError, RuntimeError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
    raise CheckpointError(f"{complaint}: {reason}; the file has {_listed(file.state)}")


def _hint(file: WeightsFile, model: SuperResolutionModule, state: State, expected: Mapping[str, Tensor]) -> str:
    """What to type instead: the network that the file is of, or another scale."""
    if file.is_ours:
        whose = str(file.written_by)
        if whose.rpartition(".")[2] == type(model).__name__ or "." not in whose:
            return ""
        return f"; it was written by {whose}: leave model= out, or choose that of {whose.rpartition('.')[2]}"
    try:
        found = identify(file)
    except CheckpointError:
        found = None
    if found is not None and found.kind is not type(model):
        return f"; it is {in_words(found.kind, found.arguments)}: leave model= out"
    if found is None and (elsewhere := network_elsewhere(file.state)):
        return f"; {elsewhere}"
    fitting = None if model.multi_scale else _scale_of(file.path, state, expected, model.scale)
    return f"; try scale={fitting}" if fitting else "; leave model= out" if found else ""


def _check(state: Mapping[str, Tensor], expected: Mapping[str, Tensor], complaint: str) -> None:
    """Raises unless names and shapes are the same."""
    missing = [name for name in expected if name not in state]
    surplus = [name for name in state if name not in expected]
    shapes = [
        f"{name} is {_shape(value)} in the file and {_shape(expected[name])} here"
        for name, value in state.items()
        if name in expected and value.shape != expected[name].shape
    ]
    found = [
        *([f"the file lacks {_listed(missing)}"] if missing else []),
        *([f"the network has no {_listed(surplus)}"] if surplus else []),
        *([_listed(shapes)] if shapes else []),
    ]
    if found:
        raise CheckpointError(f"{complaint}: {'; '.join(found)}")


def _scale_of(path: Path, state: Mapping[str, Tensor], expected: Mapping[str, Tensor], scale: int) -> int | None:
    """Another scale that the file seems to be for: by the channels that a shuffle makes pixels of, or by its name."""
    shapes = {(value.shape, expected[name].shape) for name, value in state.items() if name in expected}
    unlike = [(theirs, ours) for theirs, ours in shapes if theirs != ours]
    ratios = {theirs.numel() / ours.numel() for theirs, ours in unlike}
    more_features = any(theirs[1:] != ours[1:] for theirs, ours in unlike)
    if len(ratios) == 1 and not more_features:
        fitting: float = scale * ratios.pop() ** 0.5
        if abs(fitting - round(fitting)) < 1e-6:
            return round(fitting)
    return scale_in_name(path, besides=(scale,))


def scale_in_name(path: Path, besides: tuple[int, ...] = ()) -> int | None:
    """The scale that the name of a file states, such as 3 of ``VDSR_x3.pth``.

    Example:
        >>> scale_in_name(Path("4x_anime.pth")), scale_in_name(Path("EDSR_x234.pth"))
        (4, None)
    """
    stem = path.stem.lower()
    named = re.search(r"(?<!\d)x(\d)(?!\d)", stem) or re.search(r"(?<!\d)(\d)x(?!\d)", stem)
    number = int(named[1]) if named else 0
    return number if number not in (0, 1, *besides) else None


def _shape(value: Tensor) -> str:
    return "x".join(map(str, value.shape)) or "a scalar"


def _listed(names: Any, most: int = 3) -> str:
    """The first few of them, and how many more there are."""
    names = [shown(name) for name in names]
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "") if names else "none"
