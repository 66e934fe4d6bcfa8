"""Run folders: every run has one to itself, and a start that fails leaves none behind."""

import errno
import itertools
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import OmegaConf

from sr_lightning.errors import ConfigError
from sr_lightning.files import whole

#: What a run writes once it has begun, and by which its folder is known: all its settings.
SETTINGS = "config.yaml"
#: Held by the process whose run the folder is; the system frees it when that process ends, however it ends.
LOCK = ".lock"
#: What a folder holds before its run has begun: Hydra's notes and log, and what loggers open.
_BEFORE = (".hydra", "*.log", LOCK, "hparams.yaml", "wandb", "tensorboard")


def new_folder(path: str) -> str:
    """Makes a folder of that name, or of the name with the first free number, which no other run has.

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
    """The folder of a run, which no other process may use meanwhile; it is removed if the run did not begin.

    Raises:
        ConfigError: If another process uses it, or it cannot be made.
    """
    folder = Path(path)
    if int(os.environ.get("LOCAL_RANK", 0)) > 0:  # the first process of a distributed run holds it for all
        yield folder
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / LOCK)
        unused = _holds_nothing_else(folder)
        lock.acquire(timeout=0)
    except Timeout:
        raise ConfigError(f"{folder}: another run uses this folder; choose one with hydra.run.dir=FOLDER") from None
    except OSError as error:
        reason = error.strerror or error
        raise ConfigError(
            f"{folder}: cannot be a run folder ({reason}); choose one with hydra.run.dir=FOLDER"
        ) from None
    try:
        yield folder
    finally:
        began = (folder / SETTINGS).exists() or not unused or not _holds_nothing_else(folder)
        if not began and not _is_of_a_sweep():  # whose table counts the runs that failed
            _remove(folder)
        (folder / LOCK).unlink(missing_ok=True)
        lock.release()


def set_aside(path: Path, keep: bool = False) -> Path | None:
    """Renames what an earlier run left under this name, ``metrics.csv`` to ``metrics.1.csv``: nothing is lost.

    Args:
        path: The file or folder, which need not be there.
        keep: Copies it instead: it must not be missing before the new one is there.

    Returns:
        What it is now.
    """
    if not path.exists():
        return None
    numbered = (path.with_suffix(f".{i}{path.suffix}") for i in itertools.count(1))
    free = next(free for free in numbered if not free.exists())
    if not keep:
        return path.rename(free)
    with whole(free) as temporary:
        shutil.copy2(path, temporary)
    return free


def _holds_nothing_else(folder: Path) -> bool:
    return all(any(path.match(known) for known in _BEFORE) for path in folder.iterdir())


def _is_of_a_sweep() -> bool:
    return HydraConfig.initialized() and HydraConfig.get().mode == RunMode.MULTIRUN


def _remove(folder: Path) -> None:
    """Removes the folder, and those above it that held nothing else, up to the working folder."""
    shutil.rmtree(folder, ignore_errors=True)
    for parent in folder.absolute().parents:
        if parent == Path.cwd() or not parent.is_relative_to(Path.cwd()):
            return
        try:
            parent.rmdir()
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOENT, errno.EACCES, errno.EBUSY):
                raise
            return
