"""``ckpt_path=FILE`` is enough to resume a run: it keeps the settings that it was started with."""

import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sr_lightning.cli.arguments import is_sweep
from sr_lightning.config import chosen_configs, compose, parsed_value
from sr_lightning.errors import CheckpointError, ConfigError
from sr_lightning.ranks import is_first_process
from sr_lightning.training.recorded_settings import (
    check_recorded,
    differences,
    is_below,
    is_group,
    is_per_run,
    override_key,
    read_settings,
    recorded_overrides,
)
from sr_lightning.training.run_folders import SETTINGS


def with_settings_of_run(argv: Sequence[str]) -> list[str]:
    """Puts the settings of a run before what is typed to resume it. What is typed wins.

    They come from ``config.yaml`` in the run's folder: first what was typed for the run, then every value that would
    still be another one, as when a default has changed since. Another choice of a config group drops what the run had
    below that group, and another experiment drops everything. A sweep resumes nothing.

    Raises:
        CheckpointError: If no settings lie beside the checkpoint, and ``model=`` and ``data=`` are not typed.
        ConfigError: If the settings name code that no config of this library does.

    Example:
        >>> with_settings_of_run(["model=rdn", "scale=3"])
        ['model=rdn', 'scale=3']
    """
    given = list(argv)
    path = None if is_sweep(given) else _checkpoint(given)
    if path is None:
        return given
    typed = {
        override_key(arg): "null" if arg[0] == "~" else arg.partition("=")[2] for arg in given if _is_override(arg)
    }
    file = _settings_of(path)
    if file is None:
        if {"model", "data"} <= typed.keys():
            return given
        raise CheckpointError(
            f"{path}: {SETTINGS} of its run is neither in its folder nor in the one above, so its settings are unknown"
            "; put the checkpoint back into its run folder, or type model=, data= and all other settings of the run"
        )
    settings, search = read_settings(file), _config_folders(given)
    recorded = recorded_overrides(settings)
    check_recorded([o for o in recorded if override_key(o) not in typed], file, search)
    try:
        choices = chosen_configs("train", recorded, search)
    except ConfigError as error:
        hint = "" if search else "; if its run had --config-dir FOLDER, type that again"
        raise ConfigError(f"{file}: {error}{hint}") from None
    others = [key for key, choice in typed.items() if is_group(key, search) and choices.get(key) != choice]
    if "experiment" in others:
        return given
    dropped = [o for o in recorded if any(is_below(override_key(o), group) for group in others)]
    recorded = [o for o in recorded if o not in dropped]
    same = [o for o in recorded if override_key(o) not in others]
    new = [arg for arg in given if _is_override(arg) and override_key(arg) in others]
    today = [*same, *_added_where_the_run_added(new, recorded)]
    if new:
        _check_typed(new, today, search)
    settled = [*typed, *(["name"] if "model" in others else [])]  # the name follows the model
    unlike = differences(settings, today, file, search, settled, others)
    kept = [o for o in recorded if override_key(o) not in typed or _is_removal_of_added(o, given)]
    kept += unlike.values()
    _tell(file.parent, kept, dropped, [_changed(key, new, settings, choices) for key, new in typed.items()], typed)
    given = _added_where_the_run_added(given, recorded)
    first = next(i for i, arg in enumerate(given) if _is_override(arg))  # Hydra wants overrides side by side
    return [*given[:first], *kept, *given[first:]]


def _check_typed(new: Sequence[str], overrides: Sequence[str], search: Sequence[Path]) -> None:
    """Refuses another choice of a group, among the overrides, that the run's config does not take."""
    try:
        compose("train", overrides, search)
    except ConfigError as error:
        typed = " ".join(new)
        raise ConfigError(str(error) if str(error).startswith(typed) else f"{typed}: {error}") from None


def _checkpoint(argv: Sequence[str]) -> Path | None:
    """The checkpoint to resume, if one is named and exists. The command reports a missing one later."""
    arg = next((arg for arg in reversed(argv) if _is_override(arg) and override_key(arg) == "ckpt_path"), None)
    value = parsed_value(arg) if arg else None
    return Path(value) if isinstance(value, str) and Path(value).is_file() else None


def _settings_of(checkpoint: Path) -> Path | None:
    """The settings of the run that wrote it; for ``checkpoints.1``, which a later run renamed, ``config.1.yaml``."""
    folders = checkpoint.absolute().parents[:2]
    aside = re.fullmatch(r"checkpoints(\.\d+)", folders[0].name)
    name = f"config{aside[1]}.yaml" if aside else SETTINGS
    return next((folder / name for folder in folders if (folder / name).is_file()), None)


def _config_folders(argv: Sequence[str]) -> list[Path]:
    """Folders of configs that were typed, whose code may run."""
    flags = ("--config-dir", "-cd")
    after = [argv[i + 1] for i, arg in enumerate(argv[:-1]) if arg in flags]
    return [Path(value) for value in after + [arg.partition("=")[2] for arg in argv if arg.startswith("--config-dir=")]]


def _is_override(arg: str) -> bool:
    return arg.startswith("~") or ("=" in arg and not arg.startswith("-"))


def _is_removal_of_added(override: str, given: Sequence[str]) -> bool:
    """What is taken out with ``~`` has to be there."""
    return override[0] == "+" and f"~{override_key(override)}" in given and override not in given


def _added_where_the_run_added(given: list[str], recorded: Sequence[str]) -> list[str]:
    """Adds a ``+`` to typed keys that the run had to add, because the config does not have them."""
    added = {override_key(o) for o in recorded if o.startswith("+")}
    return [
        f"+{arg}" if _is_override(arg) and arg[0] not in "+~" and override_key(arg) in added else arg for arg in given
    ]


def _tell(
    folder: Path, kept: Sequence[str], dropped: Sequence[str], changed: Sequence[str], typed: dict[str, str]
) -> None:
    """Prints one line about what is kept and what is changed. Only the first process of a run prints it."""
    if not is_first_process():
        return
    here = folder.relative_to(Path.cwd()) if folder.is_relative_to(Path.cwd()) else folder
    anew = any(not is_per_run(key) for key in typed)
    parts = {
        f"resuming {here} with its settings": kept or ["as typed" if anew else "the defaults"],
        "changed": [change for change in changed if change],
        "dropped": dropped,
    }
    said = "; ".join(f"{part}: {' '.join(values)}" for part, values in parts.items() if values)
    line = f"{said}; new results go to {typed.get('hydra.run.dir') or typed.get('run_dir') or 'a new folder'}"
    print("".join(c if c.isprintable() else "?" for c in line), file=sys.stderr)


def _changed(key: str, value: str, settings: Any, choices: dict[str, str]) -> str:
    """What was typed, with the value that the run had, or nothing if they are the same."""
    if is_per_run(key):
        return ""
    before = choices[key] if key in choices else _at(settings, key)
    if before == parsed_value(f"{key}={value}"):
        return ""
    return f"{key}={value}" + ("" if before is None or isinstance(before, dict) else f" (was {before})")


def _at(settings: Any, key: str) -> Any:
    for part in key.split("."):
        settings = settings.get(part) if isinstance(settings, dict) else None
    return settings
