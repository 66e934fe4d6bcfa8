"""The settings that a run left in its folder: read, checked for code, and compared with what the configs say today."""

import math
import re
from collections.abc import Collection, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any
from uuid import uuid4

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from sr_lightning.atomic import AnyPath
from sr_lightning.config import CONF_DIR, compose, null_as_none
from sr_lightning.config.quoting import quoted
from sr_lightning.config.renamed import current_name
from sr_lightning.errors import CheckpointError, ConfigError
from sr_lightning.training.output_places import path_of, places_outside
from sr_lightning.training.run_folders import SETTINGS, written_settings

#: Settings of one run alone, which a resumed one has of its own.
OWN = frozenset({"ckpt_path", "run_dir", "init_from", "overrides"})
_CONFIG_NAME = re.compile(r"[\w-]+(/[\w-]+)*")


def read_settings(file: AnyPath) -> dict[str, Any]:
    """The resolved config of a run, from its ``config.yaml``, with ``overrides``, what was typed for it.

    Raises:
        CheckpointError: If the file is damaged, or of a release that did not note what was typed.
    """
    file = Path(file)
    try:
        settings = written_settings(file)
        notes = file.parent / ".hydra" / "overrides.yaml"  # of the last run in the folder
        if file.name == SETTINGS and isinstance(settings, dict) and "overrides" not in settings and notes.is_file():
            settings["overrides"] = written_settings(notes)
    except (OSError, YAMLError, OmegaConfBaseException, ValueError, RecursionError) as error:
        raise CheckpointError(f"{file}: cannot be read ({' '.join(str(error).split())[:100]})") from None
    if not isinstance(settings, dict) or not isinstance(settings.get("overrides"), list):
        raise CheckpointError(
            f"{file}: does not say what was typed for its run; type all of it, model= and data= among it, beside a "
            "copy of the checkpoint in another folder"
        )
    return settings


def recorded_overrides(settings: dict[str, Any]) -> list[str]:
    """What was typed for the run and also applies when it is resumed."""
    typed = [str(override) for override in settings["overrides"]]
    return [o for o in typed if not is_per_run(override_key(o))]


def is_per_run(key: str) -> bool:
    """Whether it is a setting of one run alone, or of the command: Hydra's, where a package may be Hydra's, too."""
    return key in OWN or key.startswith("hydra") or ("@" in key and "hydra" in re.split("[@:.]", key))


def override_key(override: str) -> str:
    """What an override is of; ``data@data.sets.a`` of ``+data@data.sets.a=t91``."""
    return override.lstrip("+~").partition("=")[0]


def check_recorded(overrides: Sequence[str], file: Path, config_folders: Sequence[Path] = ()) -> None:
    """Refuses what could run code that the configs do not name: a file may come from a stranger.

    Args:
        overrides: What was typed for a run, by its file.
        file: The file.
        config_folders: Folders of configs beside those of the library.

    Raises:
        ConfigError: If a class is chosen that no config has, or a value asks for anything outside the config.
        CheckpointError: If it is no override.
    """
    allowed = _targets((CONF_DIR, *config_folders))
    for text in overrides:
        _check_override(text, override_key(text), allowed, file, config_folders)


def differences(
    settings: dict[str, Any],
    overrides: Sequence[str],
    file: Path,
    config_folders: Sequence[Path] = (),
    typed: Collection[str] = (),
    groups: Collection[str] = (),
) -> dict[str, str]:
    """An override for every key whose value in the settings is not the one that the configs give today.

    A default that has changed since then is such a key, or what depends on the machine, as ``precision=auto`` does.
    Folders from the environment that are no longer there stay as the environment says.

    Args:
        settings: The resolved config of a run.
        overrides: What was typed for it, and another choice of groups.
        file: The file of the settings.
        config_folders: Folders of configs beside those of the library.
        typed: Keys that are typed anew, whose values in the settings do not matter.
        groups: Groups of which another config is typed, of whose keys the same holds.

    Raises:
        ConfigError: See ``check_recorded``; or a setting no longer exists, or results would go to another place
            than the folder of the new run.
    """
    allowed = _targets((CONF_DIR, *config_folders))
    found: dict[str, str] = {}
    new_folder = f"/{uuid4().hex}"  # no file knows it
    while True:  # what other keys refer to comes first, and mostly settles them
        try:
            cfg = compose("train", [*overrides, *found.values(), f"run_dir={new_folder}"], config_folders)
            now: Any = OmegaConf.to_container(cfg, resolve=True)
        except (ConfigError, OmegaConfBaseException) as error:
            raise ConfigError(f"{file}: {' '.join(str(error).split())}") from None
        unlike = [(key, then, is_new) for key, then, is_new in _unlike(settings, now)]
        unlike = [u for u in unlike if u[0] not in found and u[0] not in typed]
        unlike = [u for u in unlike if not any(is_below(f"{u[0]}.", group) for group in groups)]
        unlike = [u for u in unlike if not _is_the_machines(u[1], _raw(cfg, u[0]), settings.get("run_dir"))]
        if not unlike:
            break
        roots = [u for u in unlike if not _refers(_raw(cfg, u[0]))]
        for key, then, is_new in roots or unlike:
            text = f"{'+' if is_new else ''}{key}={_as_hydra_reads(then)}"
            _check_override(text, key, allowed, file, config_folders)
            found[key] = text
    for key, value in _places_typed_by_nobody(now, new_folder, overrides, config_folders, typed):
        text = found.get(key, f"{key}={_as_hydra_reads(value)}")
        raise ConfigError(
            f"{file}: {text} is outside of the new run's folder, where results go; type it again if you trust it, or "
            "type another value"
        )
    return found


def _places_typed_by_nobody(
    config: dict[str, Any],
    run_dir: str,
    overrides: Sequence[str],
    config_folders: Sequence[Path],
    typed: Collection[str],
) -> Iterator[tuple[str, Any]]:
    """Places outside of the run's folder that are neither typed anew nor chosen by a file of configs."""
    keys = [f"{key}." for key in typed if not is_group(key, config_folders)]
    outside = [place for place in places_outside(config, run_dir) if not f"{place[0]}.".startswith(tuple(keys))]
    if not outside:
        return
    chosen = [o for o in overrides if is_group(o, config_folders)]  # files of the library, or of a folder typed
    cfg = compose("train", [*chosen, f"run_dir={run_dir}"], config_folders)
    files: Any = OmegaConf.to_container(cfg, resolve=True)
    of_files = list(places_outside(files, run_dir))
    yield from (place for place in outside if place not in of_files)


def is_below(key: str, group: str) -> bool:
    """Whether the key is of what a choice of the group puts into the config."""
    package, part = (name.rpartition("@")[2].replace("/", ".") for name in (group, key))
    return part.startswith(f"{package}.")


def is_group(override: str, config_folders: Sequence[Path] = ()) -> bool:
    """Whether the override chooses a config of a group."""
    group = override_key(override).partition("@")[0]
    return any((folder / group).is_dir() for folder in (CONF_DIR, *config_folders))


def _parsed(text: str, file: Path) -> Override:
    try:
        return OverridesParser.create().parse_override(text)
    except HydraException:
        raise CheckpointError(f"{file}: {text!r} is no setting") from None


def _unlike(then: dict[str, Any], now: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any, bool]]:
    """Key, value then, and whether the key is not there now; a key that is new now has its default."""
    for name, value in then.items():
        key = f"{prefix}{name}"
        if is_per_run(key):
            continue
        if isinstance(value, dict) and isinstance(now.get(name), dict):
            yield from _unlike(value, now[name], f"{key}.")
        elif name not in now or not _same(value, now[name]):
            yield key, value, name not in now


def _same(a: Any, b: Any) -> bool:
    return bool(a == b) or (isinstance(a, float) and isinstance(b, float) and math.isnan(a) and math.isnan(b))


def _raw(cfg: Any, key: str) -> Any:
    """The value as the config writes it, with its interpolation."""
    *parents, last = key.split(".")
    node = OmegaConf.select(cfg, ".".join(parents)) if parents else cfg
    return OmegaConf.to_container(node, resolve=False).get(last) if OmegaConf.is_dict(node) else None  # type: ignore[union-attr]


def _refers(raw: Any) -> bool:
    """Whether the value depends on another key."""
    return isinstance(raw, str) and re.search(r"\$\{[\w.]+\}|[,:]\$\{", raw) is not None


def _is_the_machines(then: Any, raw: Any, run_dir: Any) -> bool:
    """A path in the folder of the run that was, or a folder of the environment that is not there any more.

    Or a number of processes that whoever starts them decides.
    """
    if isinstance(raw, str) and raw.startswith(("${started_per_node:", "${started_nodes:")):
        return True
    if not isinstance(then, str):
        return False
    of_environment = isinstance(raw, str) and ("oc.env" in raw or "${data_dir}" in raw)
    in_its_folder = bool(run_dir and Path(path_of(then)).is_relative_to(str(run_dir)))
    return in_its_folder or (of_environment and not Path(then).exists())


def _check_override(text: str, key: str, allowed: frozenset[str], file: Path, config_folders: Sequence[Path]) -> None:
    """See ``check_recorded``. It checks what Hydra reads in the text: a file may say more than it seems to."""
    (written,) = null_as_none([text])
    read = _parsed(written, file)
    value = None if read.is_delete() or read.is_sweep_override() else read.value()
    if is_group(text, config_folders):
        names = value if isinstance(value, list) else [value]
        if not read.is_delete() and not all(isinstance(n, str) and _CONFIG_NAME.fullmatch(n) for n in names):
            raise ConfigError(f"{file}: {text!r} is no choice of a config")
    elif read.key_or_group != key:
        raise CheckpointError(f"{file}: {text!r} is no setting")
    else:
        _check_value(key, value, allowed, file, text)


def _check_value(key: str, value: Any, allowed: frozenset[str], file: Path, text: str) -> None:
    """Refuses classes that no config names, and interpolations that reach outside of the config."""
    if key.rpartition(".")[2] == "_target_" and not (isinstance(value, str) and {value, current_name(value)} & allowed):
        raise ConfigError(
            f"{file}: {text!r} runs code that the configs of this library do not name; if you trust it, type it again, "
            "or --config-dir with the folder that names it"
        )
    if isinstance(value, str) and re.search(r"\$\{(?![\w.]+\})", value):  # a key alone: anything nested may be a call
        raise ConfigError(f"{file}: {text!r} reads more than settings; if you trust it, type it again")
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, part in parts:
        _check_value(f"{key}.{name}", part, allowed, file, text)


@cache
def _targets(folders: tuple[Path, ...]) -> frozenset[str]:
    """Every class that a config in these folders names."""
    texts = (path.read_text(encoding="utf-8") for folder in folders for path in folder.rglob("*.yaml"))
    return frozenset(name for text in texts for name in re.findall(r"_target_:\s*([\w.]+)", text))


def _as_hydra_reads(value: Any) -> str:
    r"""A plain value in Hydra's grammar.

    Example:
        >>> _as_hydra_reads({"a": [1, 0.5, None, True], "b": 'say "x"'})
        '{a:[1,0.5,null,true],b:"say \\"x\\""}'
    """
    if isinstance(value, dict):
        return "{" + ",".join(f"{key}:{_as_hydra_reads(part)}" for key, part in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_as_hydra_reads, value)) + "]"
    if isinstance(value, str):
        return quoted(value)
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else repr(value)
