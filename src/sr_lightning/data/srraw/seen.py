"""What a shot of a long focal length looks like in the pixels of a shorter one."""

import math
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from sr_lightning.data.srraw.fov import Affine, crop_box, crop_map, resize_map

Grey = NDArray[np.float32]  # (H, W) in [0, 1]

# The most pixels that are compared, and points that are rendered at once.
_PIXELS, _BAND = 8_000_000, 16_000_000


class View:
    """A shot's own pixels of what the reference sees, and the reference in these pixels.

    Args:
        picture: The whole picture of the shorter focal length.
        ratio: Focal length of the reference / that of the picture.

    Attributes:
        seen: The picture's part; of large pictures, means of blocks.
        to_crop: From its pixels to those of ``crop_fov(picture, ratio)``.
    """

    def __init__(self, picture: Grey, ratio: float) -> None:
        left, top, right, bottom = crop_box(picture.shape[0], picture.shape[1], ratio)
        step = math.ceil(math.sqrt((right - left) * (bottom - top) / _PIXELS))
        part = picture[top:bottom, left:right]
        self.seen = means(part[: part.shape[0] // step * step, : part.shape[1] // step * step], step)
        height, width = self.seen.shape
        box = (left, top, left + step * width, top + step * height)
        crop = crop_map(picture.shape[0], picture.shape[1], ratio)
        self.to_crop: Affine = np.linalg.inv(crop) @ resize_map((width, height), box)
        self._fine = 2 * math.ceil(ratio * step)

    def rendered(self, reference: Grey, to_reference: Affine) -> tuple[Grey, NDArray[np.uint8]]:
        """The reference in the same pixels, and 255 where it covers all of a pixel and its neighbours."""
        height, width = self.seen.shape
        covered = _covered(to_reference, height, width, *reference.shape)
        mask: Any = cv2.erode(covered, np.ones((3, 3)))
        return render(reference, to_reference, height, width, self._fine), mask


def render(reference: Grey, to_reference: Affine, height: int, width: int, fine: int) -> Grey:
    """The reference in larger pixels, each the mean of ``fine`` x ``fine`` points, a band of rows at a time."""
    rows = max(1, _BAND // (width * fine**2))
    bands = []
    for top in range(0, height, rows):
        count = min(rows, height - top)
        matrix = to_reference @ resize_map((width * fine, count * fine), (0, top, width, top + count))
        points: Any = cv2.warpAffine(
            reference,
            matrix[:2],
            (width * fine, count * fine),
            flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        )
        bands.append(means(points, fine))
    return np.concatenate(bands)


def means(image: Grey, size: int) -> Grey:
    """The mean of every block of ``size`` x ``size`` pixels."""
    height, width = image.shape
    blocks = image.reshape(height // size, size, width // size, size)
    return np.asarray(blocks.mean((1, 3), dtype=np.float32))


def _covered(to_reference: Affine, height: int, width: int, ref_height: int, ref_width: int) -> NDArray[np.uint8]:
    """255 where a pixel of the frame, all of it, lies within the reference."""
    y, x = np.mgrid[:height, :width]
    half = np.abs(to_reference[:2, :2]).sum(1) / 2
    u, v = (row[0] * x + row[1] * y + row[2] for row in to_reference[:2])
    inside = (u - half[0] >= -0.5) & (u + half[0] <= ref_width - 0.5)
    inside &= (v - half[1] >= -0.5) & (v + half[1] <= ref_height - 0.5)
    return np.where(inside, np.uint8(255), np.uint8(0))
