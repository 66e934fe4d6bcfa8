"""Writes pictures that show how good an alignment is. No code reads them."""

from collections.abc import Mapping

import cv2
import numpy as np
from PIL import Image

from sr_lightning.atomic import atomic_write
from sr_lightning.data.srraw.files import frame_name
from sr_lightning.data.srraw.fov import Affine, crop_fov
from sr_lightning.data.srraw.scene import Shots


def write_views(shots: Shots, warps: Mapping[int, Affine]) -> None:
    """JPEGs of the aligned shots in the scene's folder.

    ``cropped`` has what each sees of the first one's field, ``aligned`` the same on the first one's pixels, and
    ``compare`` the mean of either and the first, before and after, side by side.
    """
    height, width = shots.size
    reference = shots.read(1)
    for frame, warp in warps.items():
        cropped = np.asarray(crop_fov(Image.fromarray(shots.read(frame)), shots.ratios[frame]))
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        before, after = (
            np.asarray(cv2.warpAffine(cropped, matrix[:2], (width, height), flags=flags))
            for matrix in (np.eye(3), warp)
        )
        means = [(picture // 2 + reference // 2).astype(np.uint8) for picture in (before, after)]
        for kind, pixels in (("cropped", cropped), ("aligned", after), ("compare", np.hstack(means))):
            path = shots.scene.folder / kind / f"{frame_name(frame)}.jpg"
            with atomic_write(path) as temporary:
                Image.fromarray(pixels).save(temporary, quality=100)
