"""Which names of results were taken when a command began, by one listing of each folder."""

import os
from collections.abc import Iterable
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sr_lightning.stores import names_below


class Taken:
    """Names that are there already. A million of them take 8 MB, which processes can share.

    Args:
        places: Paths or URLs of files.

    Example:
        >>> taken = Taken(["out/a.png"])
        >>> "out/a.png" in taken, "out/b.png" in taken
        (True, False)
    """

    def __init__(self, places: Iterable[str]) -> None:
        # 64 bits: of a hundred million names, two are the same once in some thousand runs.
        self.numbers: NDArray[np.uint64] = np.sort(np.fromiter(map(_number, places), np.uint64))

    def __contains__(self, place: object) -> bool:
        number = np.uint64(_number(str(place)))
        index = int(np.searchsorted(self.numbers, number))
        return index < len(self.numbers) and bool(self.numbers[index] == number)


def taken_in_store(output: str) -> Taken:
    """The files below a folder of a store.

    Raises:
        DataError: If there is no such bucket, access is refused, or the connection fails.
    """
    root = output.rstrip("/")
    return Taken(f"{root}/{name}" for name in names_below(root))


def taken_in_folders(folders: Iterable[Path]) -> Taken:
    """The files in folders of this machine."""

    def places() -> Iterable[str]:
        for folder in folders:
            with suppress(OSError), os.scandir(folder) as listing:  # one that is not there yet
                yield from (str(folder / entry.name) for entry in listing)

    return Taken(places())


def _number(place: str) -> int:
    return int.from_bytes(blake2b(os.fsencode(place), digest_size=8).digest(), "little")
