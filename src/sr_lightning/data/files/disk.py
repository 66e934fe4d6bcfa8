"""Reports failures of disks and shared memory in one sentence."""

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sr_lightning.errors import ConfigError, DataError

#: Where loader processes leave batches for the process that trains.
SHARED_MEMORY = Path("/dev/shm")
PREFETCHED = 2  # batches that each loader process makes in advance


@contextmanager
def errors_with_file(place: object) -> Iterator[None]:
    """Turns errors of the file system within the block into a sentence that names the file.

    Args:
        place: What is named if the system does not say which file it was.

    Raises:
        DataError: If it refuses anything: a name too long, a disk that is full, damaged or gone.
    """
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DataError(f"{error.filename or place}: the disk is full; free space and run again") from None
        cure = {
            errno.ENAMETOOLONG: "choose a shorter name",
            errno.EIO: "the disk or its connection fails: copy the files elsewhere",
            errno.ESTALE: "the network drive was taken away: mount it again",
        }.get(error.errno or 0, "choose another place, or fix that and run again")
        raise DataError(f"{error.filename or place}: cannot be used ({error.strerror or error}); {cure}") from None


def check_shared_memory(workers: int, batch_bytes: int) -> None:
    """Checks that shared memory has room for the batches of loader processes, which would otherwise hang.

    Raises:
        ConfigError: If they do not.
    """
    if not workers or not SHARED_MEMORY.is_dir():
        return
    needed, free = (PREFETCHED * workers + 1) * batch_bytes, shutil.disk_usage(SHARED_MEMORY).free
    if free < needed:
        raise ConfigError(
            f"data.num_workers={workers}: the batches of loader processes need {needed / 1e6:.1f} MB of shared memory, "
            f"and {SHARED_MEMORY} has {free / 1e6:.1f} MB free; use data.num_workers=0 or a smaller data.batch_size, "
            "or give the container more (docker run --shm-size=2g)"
        )
