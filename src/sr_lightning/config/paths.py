"""Checks of typed paths, before work begins and before torch is imported."""

import os
import re
from pathlib import Path

from omegaconf import DictConfig

from sr_lightning.atomic import AnyPath, expand_home
from sr_lightning.errors import CheckpointError, ConfigError, PictureError

#: Endings of files of weights: such a name is never one of the Hub.
WEIGHT_FILES = (".ckpt", ".onnx", ".pth", ".pt", ".safetensors", ".bin", ".param", ".mat", ".npz", ".pb")


def refuse_folder(path: AnyPath, first: str = "best.ckpt") -> None:
    """Raises a ``CheckpointError`` if the path is a folder instead of a file of weights.

    Args:
        path: The path as typed.
        first: The checkpoint to suggest before others in the folder.
    """
    folder = expand_home(path)
    if not os.path.isdir(folder):  # noqa: PTH112  # of any length
        return
    places = ("*.ckpt", "checkpoints/*.ckpt", "*/checkpoints/*.ckpt", "*.safetensors", "*.pth")
    found = [file for place in places for file in sorted(folder.glob(place))]
    found.sort(key=lambda file: file.name != first)
    such_as = f", such as {found[0]}" if found else ""
    raise CheckpointError(f"{path}: is a folder; name a file{such_as}")


def refuse_bad_weights(cfg: DictConfig) -> None:
    """Raises an error if two files of weights are given, or if one is missing."""
    if cfg.get("checkpoint") and cfg.get("weights"):
        raise ConfigError("checkpoint and weights are both given, but a network has one set of weights; leave one out")
    if not isinstance(teacher := cfg.get("teacher"), str | os.PathLike | None):
        raise ConfigError(f"teacher={teacher}: names one network; leave brackets out")
    names = ("init_from", "checkpoint", "weights")  # also name networks, which are looked up later
    for key, what in (("ckpt_path", "checkpoint"), *((name, "file of weights") for name in names)):
        path = cfg.get(key)
        if path is not None and not isinstance(path, str | os.PathLike):
            raise ConfigError(f"{key}={path}: names one {what}; leave brackets out")
        if key in names and path is not None and _may_be_a_name(str(path)):
            continue
        if path is not None and not os.path.exists(os.path.expanduser(path)):  # noqa: PTH110, PTH111
            raise CheckpointError(f"{path}: no such {what}")
        if path is not None and not (key in names and os.path.isfile(os.path.join(path, "model.safetensors"))):  # noqa: PTH113, PTH118
            refuse_folder(path, first="last.ckpt" if key == "ckpt_path" else "best.ckpt")


def _may_be_a_name(text: str) -> bool:
    """Whether a text that is no file may be a shipped network, or ``user/name`` on the Hub."""
    plain = re.fullmatch(r"[\w-][\w.-]*(/[\w.-]+)?", text) is not None
    place, slash, _ = text.partition("/")
    here = bool(slash) and os.path.isdir(place)  # noqa: PTH112
    return plain and not here and not text.lower().endswith(WEIGHT_FILES) and not os.path.lexists(text)


def output_is_no_folder(output: Path | str) -> ConfigError:
    """The error for an ``output`` that is a file, or has the name of one."""
    return ConfigError(f"output={output}: names a folder; results are named by pattern=, as in pattern=%name_large")


def refuse_unwritable(folder: Path | str) -> None:
    """Raises a ``PictureError`` if the folder cannot be written to or created."""
    try:
        there = next(parent for parent in (Path(folder), *Path(folder).resolve().parents) if parent.exists())
    except OSError as error:  # such as a name that is too long
        raise PictureError(f"{folder}: cannot be used ({error.strerror}); choose another output=") from None
    if not there.is_dir() or not os.access(there, os.W_OK):
        raise PictureError(f"{there}: nothing can be written here; choose another output=")
