"""What a file says about its network: written, sealed, and checked before use, in every format."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, WrapValidator
from torch import Tensor

from sr_lightning.errors import CheckpointError
from sr_lightning.models import SuperResolutionModule
from sr_lightning.tensor_files import checksum, read_safetensors
from sr_lightning.version import __version__

KEY = "sr_lightning"  # of the card in a file's metadata
LARGEST = 2**16  # features, layers, pixels: more of anything is damage
LARGEST_SCALE = 64

_Whole = Annotated[int, Field(ge=1, le=LARGEST)]
Scale = Annotated[int, Field(ge=1, le=LARGEST_SCALE)]
AnyScale = Annotated[
    Scale, WrapValidator(lambda n, whole: n if isinstance(n, float) and 1 <= n <= LARGEST_SCALE else whole(n))
]
_Two = Field(min_length=2, max_length=2)


class Schema(BaseModel):
    """Each entry must have exactly its type: a text is no number, and NaN is refused. Any may be absent."""

    model_config = ConfigDict(strict=True, arbitrary_types_allowed=True, allow_inf_nan=False)


class ClosedSchema(Schema):
    """No other entries than those it names."""

    model_config = ConfigDict(extra="forbid")


class Card(Schema):
    """What ``describe`` and ``write_safetensors`` write."""

    network: str = ""
    scale: AnyScale = 1
    inputs: Annotated[list[Literal["lr", "raw", "white_balance"]], Field(min_length=1, max_length=3)] = ["lr"]
    colour: Literal["luma", "rgb"] = "rgb"
    range: Annotated[list[Annotated[float, Field(ge=0, le=LARGEST)]], _Two] = [0, 1]
    version: str = ""
    arguments: dict[str, Any] = {}
    precision: str = ""
    halo: Annotated[int, Field(ge=0, le=LARGEST)] = 0
    looks_everywhere: bool = False
    tile_multiple: _Whole = 1
    window: Annotated[list[_Whole], _Two] = [1, 1]
    multiple: _Whole = 1
    sha256: str = ""


class _Note(Schema):
    """What ``SuperResolutionModule.on_save_checkpoint`` writes."""

    model: str = ""
    version: str = ""
    optimizer: list[str] = []
    scheduler: list[str] = []
    parameters: list[str] = []


class _Arguments(Schema):
    """The arguments of a constructor that are read without knowing the network."""

    scale: AnyScale = 1


class _Checkpoint(Schema):
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
    check_schema(Card, card, f"{path}: the description of its network ({KEY} in its metadata) is damaged")
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
    check_schema(_Checkpoint, checkpoint, f"{path}: damaged, or no checkpoint of this library")


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
    tensors, text = read_safetensors(path, KEY)
    if text is not None:
        card = parsed_card(text, path)
        if "sha256" in card and sealed(card, tensors) != json.dumps(card, sort_keys=True):
            raise CheckpointError(f"{path}: damaged: it is not what was written (its SHA-256 differs); copy it again")
    return tensors, text


def describe(model: SuperResolutionModule) -> dict[str, Any]:
    """What a stranger must know to use the network, in plain values.

    Example:
        >>> from sr_lightning.models import Bicubic
        >>> card = describe(Bicubic(scale=3))
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


def check_schema(schema: type[Schema], value: Any, complaint: str) -> None:
    """Raises a CheckpointError that names the first wrong entry."""
    try:
        schema.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = "".join(f"{str(part)[:80]}: " for part in first["loc"])
        raise CheckpointError(f"{complaint}: {where}{first['msg'].lower()}") from None
