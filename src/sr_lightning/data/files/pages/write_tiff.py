"""Writes a TIFF of several pages, each with its own size, depth and metadata."""

from collections.abc import Iterable
from pathlib import Path

from sr_lightning.data.files.exif import append_folders
from sr_lightning.data.files.pages.layout import Page
from sr_lightning.data.files.writing import exif_of, write_tiff_page

_LARGEST = 2**32 - 2**25  # bytes that a TIFF holds, as tifffile counts


def write_tiff_pages(path: Path, pages: Iterable[Page], size: int) -> None:
    """Writes pages as they come.

    Args:
        path: Of the result.
        pages: What to write.
        size: Bytes that all of them have at most; above 4 GB, the file is a BigTIFF.
    """
    import tifffile

    exifs = []
    with tifffile.TiffWriter(path, byteorder="<", bigtiff=size > _LARGEST) as file:
        for page in pages:
            exifs.append(exif_of(page.photo, with_dpi=True))
            write_tiff_page(file.write, page.photo, exifs[-1], subfiletype=2)
    for number, exif in enumerate(exifs):
        append_folders(path, exif, number)
