"""Which files are a camera's RAW files, by their names."""

from pathlib import Path

from sr_lightning.atomic import AnyPath

_ENDINGS = "3fr arw cr2 cr3 crw dcr dng erf iiq kdc mef mos mrw nef nrw orf pef qtk raf raw rw2 rwl sr2 srf srw x3f"
EXTENSIONS = frozenset(f".{ending}" for ending in _ENDINGS.split())


def is_raw(path: AnyPath) -> bool:
    """Whether a file's name ends as RAW files do.

    Example:
        >>> is_raw(Path("DSC_0001.NEF")), is_raw(Path("DSC_0001.JPG"))
        (True, False)
    """
    path = Path(path)
    return path.suffix.lower() in EXTENSIONS
