"""Config files are read once in a process of tests: reading them is a third of what composing a config costs."""

import copy
from pathlib import Path
from typing import Any

from hydra._internal.config_repository import ConfigRepository
from hydra.core.object_type import ObjectType


def remember_configs() -> None:
    """Has Hydra keep what it has read from a file, until the file changes."""
    read, known = ConfigRepository.load_config, {}

    def load_config(self: ConfigRepository, config_path: str) -> Any:
        source = self._find_object_source(config_path, ObjectType.CONFIG)
        if source is None:
            return read(self, config_path)
        path = Path(source.path, source._normalize_file_name(config_path))
        changed = path.stat().st_mtime_ns if path.is_file() else 0  # Hydra's own files stay as they are
        key = type(source), source.provider, path, changed
        if key not in known:
            known[key] = read(self, config_path)
        return copy.deepcopy(known[key])

    ConfigRepository.load_config = load_config  # type: ignore[method-assign]
