"""Checkpoints of this library: written whole or not at all, read without running code, checked before use."""

import pickle
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sr_lightning.atomic import AnyPath
from sr_lightning.errors import CheckpointError
from sr_lightning.models import SuperResolutionModule
from sr_lightning.models.adversary import with_discriminator
from sr_lightning.models.base import recipe_classes
from sr_lightning.tensor_files import check_numbers, is_torch_file, read_torch
from sr_lightning.weights.card import check_entries
from sr_lightning.weights.rebuild import check_fit

if TYPE_CHECKING:
    from lightning.pytorch import Trainer


def damaged(path: AnyPath, what: str) -> CheckpointError:
    """The error for a checkpoint that no run can go on from, though its weights may still be of use."""
    return CheckpointError(
        f"{path}: damaged: {what}; start a new run from its weights: init_from={path} without ckpt_path"
    )


def check_checkpoint(path: AnyPath, model: SuperResolutionModule) -> dict[str, Any]:
    """Reads a checkpoint without running any code in it, and checks that it fits the network.

    Raises:
        CheckpointError: See ``load_weights``.
    """
    path = Path(path)
    checkpoint = read_checkpoint(path)
    scale = checkpoint.get("hyper_parameters", {}).get("scale", model.scale)
    if scale != model.scale and not model.multi_scale:
        raise CheckpointError(
            f"{path}: trained for scale {scale}, but scale={model.scale} is asked for; set scale={scale}"
        )
    try:
        ours, theirs = model.state_dict(), with_discriminator(model, checkpoint)
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}: init_from={path} without ckpt_path") from None
    written_by = checkpoint.get("sr_lightning", {}).get("model", "an unknown class")
    kind, whose = type(model).__name__, written_by.rpartition(".")[2]
    try:
        check_fit(theirs, ours, f"{path}: written by {written_by}, does not fit {kind} as configured")
    except CheckpointError:
        if "." not in written_by or whose == kind:
            raise
        raise CheckpointError(
            f"{path}: written by {written_by}, does not fit {kind}; leave model= out, or choose that of {whose}"
        ) from None
    check_numbers(path, theirs, ours)
    return checkpoint


def check_recipe(path: Path, checkpoint: dict[str, Any], trainer: "Trainer") -> None:
    """Checks that a trainer's optimizers and schedules are of the classes whose state the checkpoint has.

    Another class may refuse the state in its own words, or take what it finds in it and follow the old learning rate.
    Checkpoints of releases that noted no classes are compared by the names in the states.

    Raises:
        CheckpointError: If they are not, or the optimizer has other groups of parameters.
    """
    now, then = recipe_classes(trainer), checkpoint.get("sr_lightning", {})
    schedulers = [config.scheduler for config in trainer.lr_scheduler_configs]
    cure = f"keep what the run had, or start a new run from its weights: init_from={path} without ckpt_path"
    # Schedules first: they leave names of their own in the groups of the optimizer.
    for part, objects, states in (
        ("scheduler", schedulers, checkpoint["lr_schedulers"]),
        ("optimizer", trainer.optimizers, checkpoint["optimizer_states"]),
    ):
        if part in then and (len(states) != len(then[part]) or not all(states)):
            raise damaged(path, f"the state of its {part} is missing")
        if part in then:
            same, theirs = now[part] == then[part], _named(then[part])
        else:
            same, theirs = [*map(_names, states)] == [_names(thing.state_dict()) for thing in objects], "another one"
        if not same:
            raise CheckpointError(f"{path}: its {part} is {theirs}, but {_named(now[part])} is configured; {cure}")
    ours = [_group_sizes(optimizer.state_dict()) for optimizer in trainer.optimizers]
    if ours != [_group_sizes(state) for state in checkpoint["optimizer_states"]]:
        raise CheckpointError(f"{path}: its optimizer has other groups of parameters than the one configured; {cure}")
    if then.get("parameters", now["parameters"]) != now["parameters"]:
        raise CheckpointError(f"{path}: its optimizer trained other layers than freeze= and layer_rates= say; {cure}")


def check_kinds(theirs: Any, ours: Any, where: str) -> None:
    """Checks that each part of a state is of the kind that a run which begins has there; nothing is of any kind.

    Raises:
        ValueError: If one is not, or a count is negative.
    """
    if ours is None:
        return
    if type(theirs) is not type(ours) or (type(ours) is int and theirs < min(ours, 0)):
        raise ValueError(f"{where}: {type(theirs).__name__} instead of {type(ours).__name__}")
    for name in (name for name in ours if name in theirs) if isinstance(ours, dict) else ():
        check_kinds(theirs[name], ours[name], f"{where}: {name}")


def _named(classes: list[str]) -> str:
    return " and ".join(dict.fromkeys(classes)) or "none"


def _names(state: dict[str, Any]) -> set[str]:
    """Names in a state that belong to the class, whatever release of torch wrote it."""
    return {name for name in state.get("param_groups", [state])[0] if not name.startswith("_")}


def _group_sizes(state: dict[str, Any]) -> list[int]:
    return [len(group["params"]) for group in state["param_groups"]]


def read_checkpoint(path: AnyPath) -> dict[str, Any]:
    """The dictionary of a checkpoint, with its ``state_dict``.

    Raises:
        CheckpointError: If the file is missing, damaged, or holds anything but weights and plain values.
    """
    path = Path(path)
    if path.suffix.lower() in (".pt", ".pt2") and _is_program(path):
        raise CheckpointError(f"{path}: an exported program, for torch alone; give its .ckpt, .safetensors or .onnx")
    try:
        checkpoint: dict[str, Any] = read_torch(path)
    except CheckpointError:
        raise
    except FileNotFoundError:
        raise CheckpointError(f"{path}: no such checkpoint") from None
    except pickle.UnpicklingError:
        if not is_torch_file(path):
            raise CheckpointError(f"{path}: no checkpoint, or damaged") from None
        raise CheckpointError(f"{path}: holds more than weights and plain values; not loaded") from None
    except Exception as error:  # torch raises almost any class where a file is damaged
        reason = " ".join(str(error).split())[:100] or type(error).__name__
        raise CheckpointError(f"{path}: damaged or cut short ({reason})") from None
    if not isinstance(checkpoint, dict) or "state_dict" not in checkpoint:
        raise CheckpointError(
            f"{path}: no checkpoint of this library (it has no state_dict); init_from={path} starts from its weights"
        )
    check_entries(checkpoint, path)
    return checkpoint


def _is_program(path: Path) -> bool:
    """Whether it is TorchScript or what ``torch.export`` writes: archives with code instead of ``data.pkl`` alone."""
    if not zipfile.is_zipfile(path):
        return False
    try:
        with zipfile.ZipFile(path) as archive:
            return any("/code/" in name or "archive_format" in name for name in archive.namelist())
    except zipfile.BadZipFile:  # which reading it says in its words
        return False
