"""A RAW file in LibRaw's hands, with what its DNG tags say of the picture made from it."""

from pathlib import Path
from typing import Any

import numpy as np
import rawpy
from numpy.typing import NDArray

from sr_lightning.data.files.raw.dng_tags import DngTags
from sr_lightning.data.files.raw.opcodes import is_warp, warped
from sr_lightning.data.files.raw.turning import turned_upright

_X_TRANS = (6, 6)
_X_TRANS_TILE = 512  # LibRaw's interpolation for X-Trans needs so many pixels a side
_MOST = 65535
_DEGREES = {90: 6, 180: 3, 270: 5}


class RawFile:
    """LibRaw's file; what is not here, is LibRaw's.

    Args:
        path: Where it is.
        raw: The file as ``rawpy`` opened it.
        tags: Its DNG's tags, if it is one.
    """

    def __init__(self, path: Path, raw: Any, tags: DngTags | None) -> None:
        self.path, self.tags = path, tags or DngTags()
        self._raw = raw
        self._sizes, self.num_colors = raw.sizes, raw.num_colors  # before LibRaw's processing, which changes them

    def __getattr__(self, name: str) -> Any:
        return getattr(self._raw, name)

    @property
    def sizes(self) -> Any:
        """LibRaw's sizes; ``iheight`` and ``iwidth`` are those of the rendered picture, before it is turned."""
        height, width, aspect = self._sizes.iheight, self._sizes.iwidth, self._sizes.pixel_aspect
        if aspect < 1:
            height = int(height / aspect + 0.5)
        elif aspect > 1:
            width = int(width * aspect + 0.5)
        rows, columns = self.crop(height, width)
        return self._sizes._replace(iheight=rows.stop - rows.start, iwidth=columns.stop - columns.start)

    @property
    def flip(self) -> int:
        """LibRaw's code of the turn for display; some files have degrees instead."""
        noted = int(self._sizes.flip)
        return _DEGREES.get(noted, noted)

    @property
    def baseline_exposure(self) -> float:
        """Stops by which a DNG is to be shown brighter than its samples are."""
        return self.tags.baseline_exposure

    @property
    def warps(self) -> bool:
        """Whether the rendered picture loses its lens's distortion."""
        return any(map(is_warp, self.tags.opcodes))

    def crop(self, height: int, width: int) -> tuple[slice, slice]:
        """Rows and columns of the DNG's default crop, in a picture of that size of all visible samples."""
        if self.tags.crop is None:
            return slice(0, height), slice(0, width)
        scales = height / self._sizes.height, width / self._sizes.width
        (top, left), (high, wide) = np.reshape(self.tags.crop, (2, 2)) * scales
        top, left = min(round(top), height - 1), min(round(left), width - 1)
        return slice(top, min(top + max(round(high), 1), height)), slice(left, min(left + max(round(wide), 1), width))

    def postprocess(self, *, warp: bool = True, user_flip: int | None = None, **options: Any) -> NDArray[Any]:
        """LibRaw's rendering, then without the lens's distortion, cropped, and turned: ``(H, W, 3)``.

        Args:
            warp: Whether distortion is removed, where the file says how.
            user_flip: LibRaw's code of a turn, in place of the file's.
            options: Further ones of ``rawpy``'s ``postprocess``.
        """
        sizes = self._sizes
        pattern, small = self._raw.raw_pattern, min(sizes.height, sizes.width) < _X_TRANS_TILE
        if small and pattern is not None and pattern.shape == _X_TRANS:
            options = {"demosaic_algorithm": rawpy.DemosaicAlgorithm.VNG} | options
        *black, fourth = self._raw.black_level_per_channel
        common = min(black)
        if self._raw.raw_type == rawpy.RawType.Stack and fourth < common <= max(black) <= _MOST:
            # A fourth channel that is not there makes LibRaw forget that white lies above black.
            options = {"user_black": common, "user_cblack": [*(level - common for level in black), 0]} | options
        picture = self._raw.postprocess(user_flip=0, **options)
        if picture.shape[-1] == 1:  # a monochrome sensor
            picture = picture.repeat(3, axis=-1)
        for step in self.tags.opcodes:
            if warp and is_warp(step):
                picture = warped(step, picture)
        flip = self.flip if user_flip is None else user_flip
        return turned_upright(picture[self.crop(*picture.shape[:2])], flip)
