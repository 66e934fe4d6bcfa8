"""A network made again from what its file says: the class, the arguments of its constructor, and the weights.

The schema of the arguments is the signature of the constructor.
"""

import inspect
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, get_type_hints

import torch
from pydantic import create_model
from torch import Tensor, nn
from torch.nn.modules.module import register_module_module_registration_hook
from torch.overrides import TorchFunctionMode

from sr_lightning.errors import CheckpointError
from sr_lightning.models import SuperResolutionModule
from sr_lightning.tensor_files import check_numbers
from sr_lightning.weights.card import LARGEST, LARGEST_SCALE, AnyScale, ClosedSchema, Scale, Schema, check_schema


def network_class(name: Any, path: Path) -> type[SuperResolutionModule]:
    """The class that a file names. Only networks of this library are accepted, so that a name can run no code.

    Raises:
        CheckpointError: If it is not one.
    """
    module, _, cls = name.rpartition(".") if isinstance(name, str) else ("", "", "")
    try:
        kind = getattr(import_module(module), cls) if module.startswith("sr_lightning.models.") else None
    except (ImportError, AttributeError, ValueError, OSError):
        kind = None
    if not (isinstance(kind, type) and issubclass(kind, SuperResolutionModule)):
        shown = name[:100] if isinstance(name, str) and name else "an unknown class"
        raise CheckpointError(f"{path}: written by {shown}; say which network it is with model=")
    return kind


def network_of(
    name: Any, arguments: Any, state: Mapping[str, Tensor], path: Path, **recipe: Any
) -> SuperResolutionModule:
    """A network made from the class, arguments and weights in a file.

    Everything is checked first: the arguments against the constructor's signature, and the shapes against a network on
    the meta device, which needs no memory for weights and may have no more layers than the file has weights for.

    Args:
        name: The class, with its module.
        arguments: The arguments of its constructor.
        state: Its weights; those of a loss are left out.
        path: The file, for errors.
        recipe: Parts that files do not keep, such as ``protocol``.

    Raises:
        CheckpointError: If there is no such network, or one of them does not fit it.
    """
    kind: Any = network_class(name, path)
    if isinstance(arguments, Mapping):
        arguments = {**kind.earlier_defaults, **arguments}
    _check_arguments(kind, arguments, f"{path}: does not fit {kind.__name__} of this version")
    state = {name: value for name, value in state.items() if not name.startswith("loss.")}
    try:
        with without_values(), _layers_for(len(state), path):
            blank = kind(**arguments)
        check_fit(state, network_state(blank, state), f"{path}: does not fit {kind.__name__}")
        check_numbers(path, state, blank.state_dict())
        model: SuperResolutionModule = kind(**arguments, **recipe)
        model.load_state_dict(state, strict=False)  # strictly: what is missing is for training
    except CheckpointError:
        raise
    except Exception as error:  # whatever a constructor trips over
        raise CheckpointError(f"{path}: does not fit {kind.__name__} of this version ({_reason(error)})") from None
    return model


def network_state(model: SuperResolutionModule, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights that a file must hold: all but the loss, and those that only training needs if the file has them."""
    parts = {name.partition(".")[0] for name in state} | {"net"}
    return {name: value for name, value in model.state_dict().items() if name.partition(".")[0] in parts - {"loss"}}


def check_fit(state: Mapping[str, Tensor], expected: Mapping[str, Tensor], complaint: str) -> None:
    """Raises CheckpointError unless names and shapes are the same."""
    misfits = [*(state.keys() ^ expected.keys())]
    misfits += [name for name in state.keys() & expected.keys() if state[name].shape != expected[name].shape]
    if misfits:
        named = ", ".join(sorted(name[:80] for name in misfits)[:3])
        raise CheckpointError(f"{complaint}: {len(misfits)} tensors differ, such as {named}")


def _check_arguments(kind: Any, arguments: Any, complaint: str) -> None:
    check_schema(_arguments_of(kind), arguments, complaint)
    for name, argument in arguments.items():
        argument = [*argument.values()] if isinstance(argument, dict) else argument
        numbers = argument if isinstance(argument, list | tuple) else [argument]
        if len(numbers) > LARGEST_SCALE or any(isinstance(n, int | float) and abs(n) > LARGEST for n in numbers):
            raise CheckpointError(f"{complaint}: {name}: more than {LARGEST}, which no network has")


@cache
def _arguments_of(kind: Any) -> type[Schema]:
    """A schema of the arguments that a constructor takes from files, without the parts of a recipe."""
    hints = get_type_hints(kind.__init__) | {"scale": AnyScale if kind.any_scale else Scale}
    fields: dict[str, Any] = {
        name: (hints[name], ... if p.default is p.empty else p.default)
        for name, p in list(inspect.signature(kind.__init__).parameters.items())[1:]
        if p.kind is not p.VAR_KEYWORD
    }
    return create_model(kind.__name__, __base__=ClosedSchema, **fields)


@contextmanager
def without_values() -> Iterator[None]:
    """Makes networks of names and shapes alone, which take neither memory nor time."""
    with torch.device("meta"), _NothingDrawn():
        yield


class _NothingDrawn(TorchFunctionMode):
    """To draw normal values, which no layer on the meta device has, torch would import its compiler for seconds."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func in (Tensor.normal_, nn.init.normal_):
            return args[0] if args else kwargs["tensor"]
        return func(*args, **kwargs)


@contextmanager
def _layers_for(tensors: int, path: Path) -> Iterator[None]:
    """Stops the construction of a network, in this thread, that has far more layers than the file has weights for."""
    left, mine = 1000 + 20 * tensors, threading.get_ident()

    def count(*_: Any) -> None:
        nonlocal left
        left -= threading.get_ident() == mine
        if left < 0:
            raise CheckpointError(f"{path}: its network has far more layers than the file has weights for")

    hook = register_module_module_registration_hook(count)
    try:
        yield
    finally:
        hook.remove()


def _reason(error: Exception) -> str:
    return " ".join(str(error).split())[:150] or type(error).__name__
