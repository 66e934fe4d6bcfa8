"""Writes pictures that show how good an alignment is. No code reads them."""

import cv2
import numpy as np
from PIL import Image

from sr_lightning.atomic import atomic_write
from sr_lightning.data.srraw.files import frame_name
from sr_lightning.data.srraw.fov import crop_fov
from sr_lightning.data.srraw.shots import Shots
from sr_lightning.data.srraw.steps import Aligned


def write_views(shots: Shots, aligned: Aligned) -> None:
    """JPEGs of the aligned shots in the scene's folder.

    ``cropped`` has what each sees of the reference's field, ``aligned`` the same on the reference's pixels, and
    ``compare`` the mean of either and the reference, before and after, side by side.
    """
    height, width = shots.size
    reference = shots.read(aligned.reference)
    ratios = shots.ratios(aligned.reference)
    for frame, warp in aligned.warps.items():
        cropped = np.asarray(crop_fov(Image.fromarray(shots.read(frame)), ratios[frame]))
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
