"""Files of tensors, as ``torch.save`` and safetensors write them: read without running code, and checked.

Nothing else in the package calls ``torch.load`` or ``safe_open``.
"""

import hashlib
import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sr_lightning.config.paths import refuse_folder
from sr_lightning.errors import CheckpointError


def check_archive(path: Path) -> None:
    """Compares every part of what ``torch.save`` wrote with its CRC32, which torch itself writes but never reads.

    Files that are no archive, as torch wrote until 2020, and archives written without checksums pass.

    Raises:
        CheckpointError: If a part is not what was written, or it is a folder.
    """
    refuse_folder(path)
    if not path.is_file() or not zipfile.is_zipfile(path):
        return
    try:
        with zipfile.ZipFile(path) as archive:
            without = not any(part.CRC for part in archive.infolist())
            changed = None if without else archive.testzip()
    except Exception as error:  # zipfile raises a dozen classes where a file is damaged
        reason = " ".join(str(error).split())[:100] or type(error).__name__
        raise CheckpointError(f"{path}: damaged or cut short ({reason})") from None
    if changed is not None:
        raise CheckpointError(f"{path}: damaged: {changed} is not what was written (its CRC32 differs); copy it again")


def read_torch(path: str | Path) -> Any:
    """What ``torch.save`` wrote, if it holds only weights and plain values and has not changed since.

    Raises:
        CheckpointError: If its parts are not what was written.
        Exception: Whatever torch raises for a file that ``torch.save`` did not write.
    """
    check_archive(Path(path))
    return torch.load(path, map_location="cpu", weights_only=True)


def is_torch_file(path: Path) -> bool:
    """Whether it begins as torch writes files: an archive, or a pickle until 2020."""
    with path.open("rb") as file:
        return file.read(2) in (b"PK", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")


def read_torch_state(path: str | Path, what: str) -> dict[str, Any]:
    """The dictionary in a file that a part of a network needs; an empty one where the file holds something else.

    Args:
        path: What ``torch.save`` wrote.
        what: What it should hold, for the error.

    Raises:
        CheckpointError: If it is absent, damaged, or holds more than weights.
    """
    try:
        state = read_torch(path)
    except CheckpointError:
        raise
    except FileNotFoundError:
        raise CheckpointError(f"{path}: no such file of {what}") from None
    except pickle.UnpicklingError:
        raise CheckpointError(f"{path}: holds more than weights, or is damaged; not loaded") from None
    except Exception as error:  # of almost any class
        raise CheckpointError(f"{path}: damaged or cut short ({' '.join(str(error).split())[:100]})") from None
    return state if isinstance(state, dict) else {}


def read_safetensors(path: Path, entry: str, *, tensors: bool = True) -> tuple[dict[str, Tensor], str | None]:
    """The tensors of a ``.safetensors`` file, and an entry of its metadata, None where there is none.

    Args:
        path: The file.
        entry: The entry's name.
        tensors: Whether the tensors are read; without them it takes a moment.

    Raises:
        CheckpointError: If the file is missing or damaged.
    """
    from safetensors import safe_open

    refuse_folder(path)
    try:
        with safe_open(path, framework="pt") as file:
            text = (file.metadata() or {}).get(entry)
            names = file.keys() if tensors else ()
            return {name: file.get_tensor(name) for name in names}, text
    except FileNotFoundError:
        raise CheckpointError(f"{path}: no such file of weights") from None
    except Exception as error:  # of several classes, some of them Rust's
        reason = " ".join(str(error).split())[:150] or type(error).__name__
        raise CheckpointError(f"{path}: damaged, or no safetensors ({reason})") from None


def checksum(text: str, tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 of a text and of tensors: their names, types, shapes and bytes, in the order of the names.

    Example:
        >>> checksum("", {"a": torch.zeros(2)})[:8], checksum("", {"a": torch.zeros(1, 2)})[:8]
        ('4b92d6e3', '0b44e100')
    """
    total = hashlib.sha256(text.encode())
    for name in sorted(tensors):
        value = tensors[name].detach().cpu().contiguous()
        total.update(f"\n{name} {value.dtype} {tuple(value.shape)}\n".encode())
        total.update(value.reshape(-1).view(torch.uint8).numpy().data if value.numel() else b"")
    return total.hexdigest()


def check_numbers(path: str | Path, state: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> None:
    """Checks tensors that fit by name and shape: of the same kind of number, and none of them NaN or infinite.

    Weights in half or double precision fit a network in float32.

    Raises:
        CheckpointError: If one is not.
    """
    for name, ours in expected.items():
        value = state.get(name)
        if value is None:
            continue
        plain = value.layout == torch.strided and value.device.type != "meta" and not value.is_quantized
        if not plain or (value.is_floating_point(), value.is_complex()) != (
            ours.is_floating_point(),
            ours.is_complex(),
        ):
            kind = str(value.dtype).removeprefix("torch.") if plain else "no plain tensor"
            raise CheckpointError(f"{path}: {name} is {kind}, and the network has {str(ours.dtype)[6:]} there")
        if not value.to(ours.dtype).isfinite().all():
            raise CheckpointError(
                f"{path}: {name} holds NaN or infinity: the run that wrote it diverged, or the file is damaged; "
                "take an earlier checkpoint"
            )
