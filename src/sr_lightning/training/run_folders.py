"""Run folders: each run has its own, and a start that fails leaves none behind."""

import itertools
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import yaml
from filelock import FileLock, Timeout
from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf
from yaml import YAMLError

from sr_lightning.atomic import atomic_write, remove_leftovers
from sr_lightning.cli.sweep_jobs import is_run_of_sweep
from sr_lightning.errors import ConfigError
from sr_lightning.ranks import is_first_process

#: All settings of a run, written when it begins. The file marks a run folder.
SETTINGS = "config.yaml"
#: The checkpoint that a run goes on from.
LAST = "checkpoints/last.ckpt"
#: Held by the process whose run the folder is; the system frees it when that process ends, however it ends.
LOCK = ".lock"
#: What a folder holds before its run has begun: what loggers open, beside Hydra's notes and log.
_BEFORE = frozenset({"hparams.yaml", "wandb", "tensorboard", "mlflow.db", ".mlflow.db.lock", "mlflow_artifacts"})
_LONGEST = 1 << 18  # bytes of settings; a run has about 5,000


def written_settings(file: Path) -> Any:
    """The content of a file of settings in a run folder. It may come from a stranger.

    Raises:
        ValueError: If it is too long, or says something by ``*alias``, of which a few lines can fill the memory.
        Exception: Whatever OmegaConf and YAML raise for a damaged file.
    """
    if file.stat().st_size > _LONGEST:
        raise ValueError(f"longer than {_LONGEST} bytes")
    if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(file.read_text(encoding="utf-8"))):
        raise ValueError("runs write no aliases")
    return OmegaConf.to_container(OmegaConf.load(file))


def result_of(run: Path) -> dict[str, Any] | None:
    """What a run's ``results.json`` holds; None if it wrote none."""
    try:
        content = json.loads((run / "results.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) and isinstance(content.get("sets"), dict) else None


def typed_for(run: Path) -> list[str] | None:
    """What was typed for a run that began; None for another folder."""
    try:
        return [str(override) for override in written_settings(run / SETTINGS)["overrides"]]
    except (OSError, TypeError, KeyError, ValueError, YAMLError):
        return None


def new_folder(path: str) -> str:
    """Creates a folder of that name. If it exists, the first free number is added to the name.

    Example:
        >>> import tempfile
        >>> wanted = tempfile.mkdtemp() + "/run"
        >>> [new_folder(wanted).removeprefix(wanted) for _ in range(3)]
        ['', '_2', '_3']
    """
    for suffix in itertools.chain([""], (f"_{number}" for number in itertools.count(2))):
        with suppress(FileExistsError):
            Path(path + suffix).mkdir(parents=True)
            return path + suffix
    raise AssertionError("numbers do not end")


# Kept in the config, since Hydra asks for the folder more than once.
OmegaConf.register_new_resolver("new_folder", new_folder, use_cache=True, replace=True)


@contextmanager
def run_folder(path: str | Path) -> Iterator[Path]:
    """The folder of a run, locked against other processes. It is removed if the run did not begin.

    Raises:
        ConfigError: If another process uses it, or it cannot be made.
    """
    folder = Path(path)
    if not is_first_process():  # the first process of a distributed run holds it for all
        yield folder
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / LOCK)
        unused = _holds_only(folder, frozenset())
        lock.acquire(timeout=0)
    except Timeout:
        wait = "wait for its end, then type the same command again"
        cure = wait if is_run_of_sweep() else "choose another with run_dir=FOLDER"
        raise ConfigError(f"{folder}: another run uses this folder; {cure}") from None
    except OSError as error:
        reason = error.strerror or error
        raise ConfigError(f"{folder}: cannot be a run folder ({reason}); choose another with run_dir=FOLDER") from None
    try:
        yield folder
    finally:
        began = (folder / SETTINGS).exists() or not unused or not _holds_only(folder, _BEFORE)
        if not began and not is_run_of_sweep():  # whose table counts the runs that failed
            _remove(folder)
        (folder / LOCK).unlink(missing_ok=True)
        lock.release()


def backup_existing(folder: Path, names: Sequence[str]) -> dict[Path, Path]:
    """Renames what an earlier run left, such as ``metrics.csv`` to ``metrics.1.csv``, so that nothing is lost.

    Its settings are copied: a run that is killed before the new ones are there can still be resumed.

    Args:
        folder: Of the run.
        names: Of files and folders in it; all that are there get the same number.

    Returns:
        Their new places by their old ones.
    """
    for number in itertools.count(1):
        places = {path: path.with_suffix(f".{number}{path.suffix}") for path in (folder / name for name in names)}
        if not any(place.exists() for place in places.values()):
            break
    there = {path: place for path, place in places.items() if path.exists()}
    for path, place in there.items():
        if path.name != SETTINGS:
            path.rename(place)
            continue
        with atomic_write(place) as temporary:
            shutil.copy2(path, temporary)
    return there


def metrics_files(folder: Path) -> list[Path]:
    """The ``metrics.csv`` of a run, after those of its parts that ended early and were resumed.

    A run that was not resumed has its checkpoints put aside under the same number.
    """
    parts: list[Path] = []
    for number in itertools.count(1):
        part, settings = folder / f"metrics.{number}.csv", folder / f"config.{number}.yaml"
        if not part.exists() and not settings.exists():
            return [*parts, folder / "metrics.csv"]
        if (folder / f"checkpoints.{number}").exists():
            parts = []
        elif part.exists():  # a part that was killed at once logged nothing
            parts.append(part)
    raise AssertionError("numbers do not end")


@contextmanager
def earlier_run_backed_up(folder: Path, ckpt_path: str | None) -> Iterator[None]:
    """Renames the files of an earlier run in the folder, and its checkpoints unless this run goes on from one of them.

    All of it gets one number, so that checkpoints can be told whose they are. It is put back if this run does not
    begin, which is when it writes its settings.
    """
    names = [SETTINGS, "metrics.csv", "results.json"]
    if not (ckpt_path and Path(ckpt_path).resolve().is_relative_to((folder / "checkpoints").resolve())):
        names.append("checkpoints")
    before = _written(folder / SETTINGS)
    renamed = backup_existing(folder, names)
    try:
        yield
    except BaseException:
        if _written(folder / SETTINGS) == before:
            for path, aside in renamed.items():
                aside.replace(path)
        raise


def sweep_leftovers(folder: Path, ckpt_path: str | None) -> None:
    """Removes what killed runs left in the folder, and in that of the run which is resumed."""
    of_checkpoint = [Path(ckpt_path).parent, Path(ckpt_path).parent.parent] if ckpt_path else []
    for place in (folder, folder / "checkpoints", *of_checkpoint[:1]):
        remove_leftovers(place)
    if of_checkpoint and (of_checkpoint[1] / SETTINGS).exists():
        remove_leftovers(of_checkpoint[1])


def _written(path: Path) -> tuple[int, int] | None:
    """Inode and time of change: they differ when the file is written again."""
    return (path.stat().st_ino, path.stat().st_mtime_ns) if path.exists() else None


def short_path(folder: Path) -> Path:
    """A folder as a user would type it."""
    return folder.relative_to(Path.cwd()) if folder.is_relative_to(Path.cwd()) else folder


def _holds_only(folder: Path, names: frozenset[str]) -> bool:
    """Whether it holds nothing but these, and what Hydra makes; a log of another program is not Hydra's."""
    hydras = {".hydra", f"{HydraConfig.get().job.name}.log"} if HydraConfig.initialized() else set()
    return {path.name for path in folder.iterdir()} <= {LOCK} | hydras | names


def _remove(folder: Path) -> None:
    """Removes the folder, and those above it that held nothing else, up to the working folder.

    Those that a path passes through are among them, as ``a`` of ``a/../b``.
    """
    shutil.rmtree(folder, ignore_errors=True)
    for parent in folder.absolute().parents:
        if parent.name != ".." and Path.cwd() in Path(os.path.normpath(parent)).parents:
            with suppress(OSError):  # it holds something else, or is a link to a folder
                parent.rmdir()
