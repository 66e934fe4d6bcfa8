"""Descriptions of networks in files: they are checked before use, and networks are made from them.

The same checks serve checkpoints, safetensors and ONNX. The schema of a card is below; the schema of a network's
arguments is the signature of its constructor.
"""

import inspect
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, Literal, get_type_hints

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model
from torch import Tensor
from torch.nn.modules.module import register_module_module_registration_hook

from sr_lightning.errors import CheckpointError
from sr_lightning.files import refuse_folder
from sr_lightning.models import SuperResolutionModule
from sr_lightning.weight_files import check_archive, check_numbers, checksum

KEY = "sr_lightning"  # of the card in a file's metadata
LARGEST = 2**16  # features, layers, pixels: more of anything is damage
LARGEST_SCALE = 64

_Whole = Annotated[int, Field(ge=1, le=LARGEST)]
_Scale = Annotated[int, Field(ge=1, le=LARGEST_SCALE)]
_Two = Field(min_length=2, max_length=2)


class _Schema(BaseModel):
    """Each entry must have exactly its type: a text is no number, and NaN is refused. Any may be absent."""

    model_config = ConfigDict(strict=True, arbitrary_types_allowed=True, allow_inf_nan=False)


class _Closed(_Schema):
    model_config = ConfigDict(extra="forbid")


class Card(_Schema):
    """What :func:`~sr_lightning.portable.describe` and :func:`~sr_lightning.portable.write_safetensors` write."""

    network: str = ""
    scale: _Scale = 1
    inputs: Annotated[list[Literal["lr", "raw", "white_balance"]], Field(min_length=1, max_length=3)] = ["lr"]
    colour: Literal["luma", "rgb"] = "rgb"
    range: Annotated[list[Annotated[float, Field(ge=0, le=LARGEST)]], _Two] = [0, 1]
    version: str = ""
    arguments: dict[str, Any] = {}
    precision: str = ""
    halo: Annotated[int, Field(ge=0, le=LARGEST)] = 0
    window: Annotated[list[_Whole], _Two] = [1, 1]
    multiple: _Whole = 1
    sha256: str = ""


class _Note(_Schema):
    """What :meth:`~sr_lightning.models.SuperResolutionModule.on_save_checkpoint` writes."""

    model: str = ""
    version: str = ""
    optimizer: list[str] = []
    scheduler: list[str] = []


class _Arguments(_Schema):
    """The arguments of a constructor that are read without knowing the network."""

    scale: _Scale = 1


class _Checkpoint(_Schema):
    """The entries of a checkpoint that are read before Lightning loads it."""

    state_dict: dict[str, Tensor]
    hyper_parameters: _Arguments = _Arguments()
    sr_lightning: _Note = _Note()
    epoch: int = 0
    global_step: int = 0
    optimizer_states: list[dict[str, Any]] = []
    lr_schedulers: list[dict[str, Any]] = []
    callbacks: dict[str, Any] = {}
    loops: dict[str, Any] = {}


def parsed_card(text: str, path: Path, *needed: str) -> dict[str, Any]:
    """The description of a network from the metadata of a file.

    Raises:
        CheckpointError: If it is no JSON of this library, or lacks an entry that is needed.
    """
    try:
        card: dict[str, Any] = json.loads(text)
    except (ValueError, RecursionError):
        raise CheckpointError(f"{path}: the description of its network ({KEY} in its metadata) is damaged") from None
    _check(Card, card, f"{path}: the description of its network ({KEY} in its metadata) is damaged")
    if missing := [name for name in needed if name not in card]:
        raise CheckpointError(
            f"{path}: the description of its network ({KEY} in its metadata) is damaged: it lacks {missing[0]}"
        )
    return card


def check_entries(checkpoint: Mapping[str, Any], path: Path) -> None:
    """Checks that the entries of a checkpoint that this library reads have the types that it writes.

    Raises:
        CheckpointError: If one has not.
    """
    _check(_Checkpoint, checkpoint, f"{path}: damaged, or no checkpoint of this library")


def sealed(card: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> str:
    """The card as text for a file, with a checksum over the card and the tensors.

    Raises:
        TypeError: If the card holds something that JSON cannot hold.
    """
    text = json.dumps({name: value for name, value in card.items() if name != "sha256"}, sort_keys=True)
    return json.dumps({**card, "sha256": checksum(text, tensors)}, sort_keys=True)


def read_tensors(path: Path) -> tuple[dict[str, Tensor], str | None]:
    """The tensors in a ``.safetensors`` file, and the text of its card; files of others have none.

    Raises:
        CheckpointError: If the file is missing or damaged, or does not match the checksum in its card.
    """
    from safetensors import safe_open

    refuse_folder(path)
    try:
        with safe_open(path, framework="pt") as file:
            text = (file.metadata() or {}).get(KEY)
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # no dictionary
    except FileNotFoundError:
        raise CheckpointError(f"{path}: no such file of weights") from None
    except Exception as error:  # of several classes, some of them Rust's
        raise CheckpointError(f"{path}: damaged, or no safetensors ({_reason(error)})") from None
    if text is not None:
        card = parsed_card(text, path)
        if "sha256" in card and sealed(card, tensors) != json.dumps(card, sort_keys=True):
            raise CheckpointError(f"{path}: damaged: it is not what was written (its SHA-256 differs); copy it anew")
    return tensors, text


def read_archive(path: Path) -> Any:
    """What ``torch.save`` wrote, if it holds only weights and plain values and has not changed since.

    Raises:
        CheckpointError: If its parts are not what was written.
        Exception: Whatever torch raises for a file that ``torch.save`` did not write.
    """
    check_archive(path)
    return torch.load(path, map_location="cpu", weights_only=True)


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
    _check_arguments(kind, arguments, f"{path}: does not fit {kind.__name__} of this version")
    state = {name: value for name, value in state.items() if not name.startswith("loss.")}
    try:
        with torch.device("meta"), _layers_for(len(state)):
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
    _check(_arguments_of(kind), arguments, complaint)
    for name, argument in arguments.items():
        numbers = argument if isinstance(argument, list | tuple) else [argument]
        if len(numbers) > LARGEST_SCALE or any(isinstance(n, int | float) and abs(n) > LARGEST for n in numbers):
            raise CheckpointError(f"{complaint}: {name}: more than {LARGEST}, which no network has")


@cache
def _arguments_of(kind: Any) -> type[_Schema]:
    """A schema of the arguments that a constructor takes from files, without the parts of a recipe."""
    hints = get_type_hints(kind.__init__)
    fields: dict[str, Any] = {
        name: (_Scale if name == "scale" else hints[name], ... if p.default is p.empty else p.default)
        for name, p in list(inspect.signature(kind.__init__).parameters.items())[1:]
        if p.kind is not p.VAR_KEYWORD
    }
    return create_model(kind.__name__, __base__=_Closed, **fields)


def _check(schema: type[_Schema], value: Any, complaint: str) -> None:
    """Raises a CheckpointError that names the first wrong entry."""
    try:
        schema.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = "".join(f"{str(part)[:80]}: " for part in first["loc"])
        raise CheckpointError(f"{complaint}: {where}{first['msg'].lower()}") from None


@contextmanager
def _layers_for(tensors: int) -> Iterator[None]:
    """Stops the construction of a network, in this thread, that has far more layers than the file has weights for."""
    left, mine = 1000 + 20 * tensors, threading.get_ident()

    def count(*_: Any) -> None:
        nonlocal left
        left -= threading.get_ident() == mine
        if left < 0:
            raise CheckpointError("it has far more layers than the file has weights for")

    hook = register_module_module_registration_hook(count)
    try:
        yield
    finally:
        hook.remove()


def _reason(error: Exception) -> str:
    return " ".join(str(error).split())[:150] or type(error).__name__
