"""Where a run's config sends what the run makes."""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

#: Parts of a config whose objects write: files, or to a server.
_WRITERS = ("callbacks", "logger", "trainer")
#: Keys of folders, of Lightning's classes and ours.
_FOLDERS = frozenset({"default_root_dir", "dir", "dirpath", "folder", "log_dir", "root_dir", "save_dir"})
#: Keys of stores of MLflow, in files or on servers.
_STORES = frozenset({"artifact_location", "artifact_uri", "registry_uri", "tracking_uri"})
#: How the address of a file begins.
_FILE = re.compile(r"(sqlite:///|file://(?=/)|file:(?=/))")
#: Keys of servers and accounts on them.
_ACCOUNTS = frozenset({"base_url", "entity", "host", "settings"})


def places_outside(config: dict[str, Any], run_dir: str) -> Iterator[tuple[str, Any]]:
    """Key and value of every place for results that is not in the folder of the run.

    Args:
        config: A resolved config.
        run_dir: The folder; a whole path.

    Example:
        >>> logger = {"csv": {"save_dir": "/runs/a/logs"}, "wandb": {"save_dir": "/etc", "entity": "me"}}
        >>> list(places_outside({"logger": logger}, "/runs/a"))
        [('logger.wandb.save_dir', '/etc'), ('logger.wandb.entity', 'me')]
    """
    for part in _WRITERS:
        yield from _outside(part, config.get(part), run_dir)


def _outside(key: str, value: Any, run_dir: str) -> Iterator[tuple[str, Any]]:
    name = key.rpartition(".")[2]
    if name in _ACCOUNTS and value is not None:
        yield key, value
    elif isinstance(value, dict | list):
        for inner, part in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _outside(f"{key}.{inner}", part, run_dir)
    elif isinstance(value, str) and _leads_outside(name, value, run_dir):
        yield key, value


def _leads_outside(name: str, value: str, run_dir: str) -> bool:
    """Names of files and of runs are joined to folders: ``/x`` and ``../x`` lead out of any."""
    value = path_of(value) if name in _STORES else value
    path = Path(value)
    anywhere = name in _FOLDERS | _STORES or path.is_absolute() or value.startswith("~") or ".." in path.parts
    return anywhere and not Path(os.path.normpath(value)).is_relative_to(run_dir)


def path_of(address: str) -> str:
    """The path in the address of a file or a SQLite store; anything else as it is.

    Example:
        >>> path_of("sqlite:////runs/a/mlflow.db"), path_of("file:///runs/a"), path_of("http://server/a")
        ('/runs/a/mlflow.db', '/runs/a', 'http://server/a')
    """
    return _FILE.sub("", address, count=1) if _FILE.match(address) else address
