"""Checks that an HDF5 file holds all of its samples itself."""

import math
from pathlib import Path
from typing import Any

import h5py

from sr_lightning.errors import DataError

#: The most patches that a file may have, because each has a name and a size in memory.
MAX_PATCHES = 10**8


def check_place(file: Path, key: str, content: Any) -> None:
    """Refuses a dataset that would read other files: a downloaded file could name any file of this machine.

    Args:
        file: For messages.
        key: Name of the dataset.
        content: The open file.

    Raises:
        DataError: If it is linked from, stored in or put together of other files.
    """
    link: Any = content.get(key, getlink=True)
    for _ in range(100):  # links within the file, which may go in circles
        if not isinstance(link, h5py.SoftLink):
            break
        link = _first_foreign(content, link.path) or content.get(link.path, getlink=True)
    if isinstance(link, h5py.ExternalLink):
        raise DataError(f"{file}: {key} is a link to another file, {link.filename}; give that file, or copy it in")
    data = content[key]
    if not isinstance(data, h5py.Dataset):
        return
    others = [name for name, *_ in data.external or ()]
    if data.is_virtual:
        others += [source.file_name for source in data.virtual_sources() if source.file_name != "."]
    if others:
        raise DataError(f"{file}: {key} is stored in another file, {others[0]}; copy its samples into this one")


def _first_foreign(content: Any, path: str) -> Any:
    """The first link to another file on the way to ``path``."""
    parts = [part for part in path.split("/") if part]
    for end in range(1, len(parts)):
        link = content.get("/".join(parts[:end]), getlink=True)
        if isinstance(link, h5py.ExternalLink):
            return link
    return None


def check_written(file: Path, key: str, data: Any) -> None:
    """Refuses a dataset that declares more than was ever written into it.

    Raises:
        DataError: If it does, or has more patches than can be named.
    """
    if data.chunks is None:
        written, wanted, what = data.id.get_storage_size(), data.nbytes, "bytes"
    else:
        wanted = math.prod(-(-length // chunk) for length, chunk in zip(data.shape, data.chunks, strict=True))
        written, what = data.id.get_num_chunks(), "chunks"
    if written < wanted:
        raise DataError(
            f"{file}: {key} declares {len(data)} patches, but only {written} of {wanted} {what} were ever written; "
            "write it anew"
        )
    if len(data) > MAX_PATCHES:
        raise DataError(f"{file}: {key} has {len(data)} patches, more than {MAX_PATCHES}; split the file")
