"""Weights that others published: read without running any code in the file, then translated into our names."""

import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sr_lightning.config.paths import refuse_folder
from sr_lightning.errors import CheckpointError
from sr_lightning.models import SuperResolutionModule
from sr_lightning.tensor_files import check_numbers, read_torch
from sr_lightning.weights.card import check_entries, read_tensors

#: Entries that files keep the weights under, the preferred first: averaged weights are what papers report.
WRAPPERS = ("params_ema", "params", "state_dict", "model_state_dict", "net", "netG", "model", "generator")

#: Prefixes of every name, left by parallel training or by a module around the network.
PREFIXES = ("module.", "model.", "net.", "netG.", "generator.")


def load_published(model: SuperResolutionModule, path: str | Path) -> None:
    """Loads a file of weights into a network, completely or not at all.

    Args:
        model: Its ``SuperResolutionModule.published_state`` translates the names.
        path: ``.safetensors``, MatConvNet's ``.mat``, or what ``torch.save`` wrote under any other ending:
            a dictionary of tensors, also in the usual wrappers, or a checkpoint of this library.

    Raises:
        CheckpointError: If the file is missing or damaged, holds code, or does not fit the network; the message
            names the file and the first few weights that are missing, surplus or of another shape.
    """
    path = Path(path)
    content = _read(path)
    ours = "sr_lightning" in content
    if ours:
        check_entries(content, path)
    scale = content.get("hyper_parameters", {}).get("scale", model.scale) if ours else model.scale
    if scale != model.scale and not model.multi_scale:
        raise CheckpointError(f"{path}: trained for scale {scale}, but scale={model.scale} is asked for")
    state = _unwrapped(content, path)
    # A training loss may have weights of its own, which no published file has.
    expected = {name: value for name, value in model.state_dict().items() if not name.startswith("loss.")}
    if ours or state.keys() == expected.keys():
        state = {name: value for name, value in state.items() if not name.startswith("loss.")}
    else:
        state = _parametrized(_translated(model, _without_prefixes(state), path), expected)
    try:
        _check(state, expected, f"{path} does not fit {type(model).__name__} as configured")
    except CheckpointError as error:
        fitting = None if model.multi_scale else _scale_of(path, state, expected, model.scale)
        raise CheckpointError(f"{error}{f'; try scale={fitting}' if fitting else ''}") from None
    check_numbers(path, state, expected)
    model.load_state_dict(state, strict=False)  # strictly: checked above, with better words


def _read(path: Path) -> Mapping[str, Any]:
    """The dictionary in a file."""
    refuse_folder(path)
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file of weights")
    read = {".mat": _read_matconvnet, ".safetensors": _read_safetensors}.get(path.suffix.lower(), _read_torch)
    try:
        return read(path)
    except CheckpointError:
        raise
    except ImportError as error:
        raise CheckpointError(f"{path}: reading it takes the package {error.name}; pip install {error.name}") from None
    except Exception as error:  # the readers raise almost any class where a file is damaged
        foreign = re.search(r"GLOBAL\s+([\w.]+)", str(error))
        if foreign:
            raise CheckpointError(
                f"{path}: holds a pickled {foreign[1]}, which only runs as code, and was not loaded; "
                "ask for its state_dict(), which is plain weights"
            ) from None
        if "TorchScript" in str(error):
            raise CheckpointError(f"{path}: is a TorchScript program, not weights, and was not loaded") from None
        # torch's own messages advise to load the file without these precautions.
        reason = " ".join(str(error).split())
        reason = type(error).__name__ if "weights_only" in reason or not reason else reason[:100]
        raise CheckpointError(f"{path}: damaged, or no file of weights ({reason})") from None


def _read_torch(path: Path) -> Mapping[str, Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about formats that are refused anyway
        content = read_torch(path)
    if not isinstance(content, Mapping):
        raise CheckpointError(f"{path}: holds a {type(content).__name__}, not a dictionary of weights")
    return content


def _read_safetensors(path: Path) -> Mapping[str, Any]:
    return read_tensors(path)[0]


def _read_matconvnet(path: Path) -> Mapping[str, Any]:
    """Parameters of a DagNN by name, in MatConvNet's own layout: filters are ``(H, W, in, out)``."""
    from scipy.io import loadmat

    net = loadmat(path, variable_names=["net"]).get("net")
    fields = net.dtype.names or () if net is not None else ()
    if net is None or net.size != 1 or "params" not in fields:
        raise CheckpointError(f"{path}: holds no MatConvNet network (a struct net with params)")
    params = net["params"].item().ravel()
    return {str(param["name"].item()): torch.from_numpy(param["value"].copy()) for param in params}


def _unwrapped(content: Mapping[str, Any], path: Path) -> dict[str, Tensor]:
    """The innermost dictionary of weights."""
    while inner := next((content[key] for key in WRAPPERS if isinstance(content.get(key), Mapping)), None):
        content = inner
    if not content or not all(isinstance(k, str) and isinstance(v, Tensor) for k, v in content.items()):
        raise CheckpointError(f"{path}: holds no dictionary of weights; its entries are {_listed(content, 6)}")
    return dict(content)


def _without_prefixes(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The names without what stands before all of them."""
    while prefix := next((p for p in PREFIXES if all(name.startswith(p) for name in state)), None):
        state = {name.removeprefix(prefix): value for name, value in state.items()}
    return state


def _translated(model: SuperResolutionModule, state: dict[str, Tensor], path: Path) -> dict[str, Tensor]:
    try:
        return model.published_state(state)
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from None
    except KeyError as error:
        reason = f"lacks {error.args[0]}"
    except (IndexError, RuntimeError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
    raise CheckpointError(
        f"{path} does not fit {type(model).__name__} as configured: {reason}; the file has {_listed(state)}"
    )


def _parametrized(state: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weight normalisation as torch named it before 2.0, under the names of now where the network has those."""

    def renamed(name: str) -> str:
        new = re.sub(r"\bweight_([gv])$", lambda m: f"parametrizations.weight.original{'gv'.index(m[1])}", name)
        return new if new in expected else name

    return {renamed(name): value for name, value in state.items()}


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
    named = re.search(r"x(\d)(?!\d)", path.stem.lower())
    return int(named[1]) if named and int(named[1]) not in (0, 1, scale) else None


def _shape(value: Tensor) -> str:
    return "x".join(map(str, value.shape)) or "a scalar"


def _listed(names: Any, most: int = 3) -> str:
    """The first few of them, and how many more there are."""
    names = [str(name) for name in names]
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "") if names else "none"
