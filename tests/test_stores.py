"""Whose fault it is: a store's answers are told as its own, and errors of this machine's disk are not."""

import errno
from pathlib import Path
from typing import Any

import pytest
from fsspec.implementations.memory import MemoryFileSystem

from sr_lightning.errors import DataError
from sr_lightning.stores import fetch


@pytest.mark.parametrize(
    ("error", "is_the_stores"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), False),
        (PermissionError(errno.EACCES, "Permission denied", "{here}"), False),
        (PermissionError(errno.EACCES, "Access Denied", "bucket/a.png"), True),
        (FileNotFoundError("bucket/a.png"), True),
    ],
)
def test_errors_of_this_machine_are_not_told_as_the_stores(
    error: OSError, is_the_stores: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = str(tmp_path / "a.png")
    if error.filename == "{here}":
        error = PermissionError(error.errno, error.strerror, here)

    def failing(*args: Any, **kwargs: Any) -> None:
        raise error

    monkeypatch.setattr(MemoryFileSystem, "get_file", failing)
    with pytest.raises(DataError if is_the_stores else OSError) as told:
        fetch("memory://bucket/a.png", here)
    assert is_the_stores or told.value is error
