"""Aligns pictures of different focal lengths, by ECC from coarse to fine or by features."""

import math
from collections.abc import Iterable, Mapping
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sr_lightning.data.srraw.fov import Affine, crop_box, crop_fov, crop_map, resize_map

Motion = Literal["affine", "rigid"]
Grey = NDArray[np.float32]  # (H, W) in [0, 1]

#: How much of the shorter side the sum of all deviations from the identity may be.
LIMITS: dict[Motion, float] = {"affine": 0.3, "rigid": 0.2}
#: Frames whose pictures resemble the reference less than this have converged to something else.
LEAST_CORRELATION = 0.5
_COARSE = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 500, 1e-6)
_FINE = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 100, 1e-8)
# Of the refinement: rounds, the most pixels that are compared, points that are rendered at once.
_ROUNDS, _PIXELS, _BAND = 3, 8_000_000, 16_000_000


class NotAlignedError(Exception):
    """The reason why a frame has no warp."""


def align_frames(
    pictures: Iterable[tuple[int, Grey]], ratios: Mapping[int, float], motion: Motion = "affine", rsz: int = 3
) -> tuple[dict[int, Affine], dict[int, str]]:
    """The warps of all frames that could be aligned with the first, and why others could not.

    A warp takes pixels of the reference to pixels of the frame's ``crop_fov``. The search begins with the warp of
    the frame before, at 1 / 2**rsz of the size (ECC, Evangelidis and Psarakis 2008, as the authors of SR-RAW have it).
    What follows is ours: from there the reference is rendered in the pixels of the short focal length itself, as
    means over their areas, and compared with them there, until nothing is left to correct.

    Args:
        pictures: Number and whole picture of each frame, the reference first.
        ratios: Focal length of the reference / that of the frame.
        motion: ``"affine"``, or ``"rigid"``: turn, zoom and shift from matched features, without refinement.
        rsz: Coarsest level.
    """
    remaining = iter(pictures)  # one at a time: they are large
    first, reference = next(remaining)
    start: Affine = np.eye(3)
    warps: dict[int, Affine] = {first: np.eye(3)}
    failures: dict[int, str] = {}
    for frame, picture in remaining:
        cropped = np.asarray(crop_fov(Image.fromarray(picture), ratios[frame]))
        try:
            if motion == "rigid":
                warp = _by_features(reference, cropped)
            else:
                warp = _by_ecc(reference, cropped, start, ratios[frame], rsz)
            check(warp, min(reference.shape), motion)
            warps[frame] = warp if motion == "rigid" else refine(reference, picture, warp, ratios[frame])
            check(warps[frame], min(reference.shape), motion)
            start = warps[frame]
        except NotAlignedError as reason:
            failures[frame] = str(reason)
    return warps, failures


def check(warp: Affine, side: int, motion: Motion) -> None:
    """Refuses warps that are too far from the identity.

    Raises:
        NotAlignedError: With the sum that decides, and its limit.
    """
    sum_, limit = float(np.abs(warp - np.eye(3)).sum()), LIMITS[motion] * side
    if not sum_ < limit:
        raise NotAlignedError(f"its warp deviates by {sum_:.0f} from the identity, where {limit:.0f} is the limit")


def refine(reference: Grey, picture: Grey, warp: Affine, ratio: float) -> Affine:
    """Corrects a warp by fractions of the frame's own pixels.

    Args:
        reference: Picture of the longest focal length.
        picture: The whole picture of a shorter one.
        warp: From the reference to ``crop_fov(picture, ratio)``.
        ratio: Of the focal lengths.

    Raises:
        NotAlignedError: If the correction diverges.
    """
    left, top, right, bottom = crop_box(picture.shape[0], picture.shape[1], ratio)
    step = math.ceil(math.sqrt((right - left) * (bottom - top) / _PIXELS))
    seen = picture[top:bottom, left:right]
    seen = _means(seen[: seen.shape[0] // step * step, : seen.shape[1] // step * step], step)
    height, width = seen.shape
    box = (left, top, left + step * width, top + step * height)
    to_crop = np.linalg.inv(crop_map(picture.shape[0], picture.shape[1], ratio)) @ resize_map((width, height), box)
    for _ in range(_ROUNDS):
        to_reference = np.linalg.inv(warp) @ to_crop
        rendered = render(reference, to_reference, height, width, 2 * math.ceil(ratio * step))
        mask = cv2.erode(_covered(to_reference, height, width, *reference.shape), np.ones((3, 3)))
        correction = _ecc(seen, rendered, np.eye(3), _FINE, mask, 3)
        warp = to_crop @ np.linalg.inv(to_reference @ correction)
    return warp


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
        bands.append(_means(points, fine))
    return np.concatenate(bands)


def _covered(to_reference: Affine, height: int, width: int, ref_height: int, ref_width: int) -> NDArray[np.uint8]:
    """255 where a pixel of the frame, all of it, lies within the reference."""
    y, x = np.mgrid[:height, :width]
    half = np.abs(to_reference[:2, :2]).sum(1) / 2
    u, v = (row[0] * x + row[1] * y + row[2] for row in to_reference[:2])
    inside = (u - half[0] >= -0.5) & (u + half[0] <= ref_width - 0.5)
    inside &= (v - half[1] >= -0.5) & (v + half[1] <= ref_height - 0.5)
    return np.where(inside, np.uint8(255), np.uint8(0))


def _means(image: Grey, size: int) -> Grey:
    """The mean of every block of ``size`` x ``size`` pixels."""
    height, width = image.shape
    blocks = image.reshape(height // size, size, width // size, size)
    return np.asarray(blocks.mean((1, 3), dtype=np.float32))


def _by_ecc(reference: Grey, cropped: Grey, warp: Affine, ratio: float, rsz: int) -> Affine:
    """ECC at two levels, the reference blurred as much as the enlarged frame is."""
    blurred = cv2.GaussianBlur(reference, (0, 0), 0.4 * ratio)
    for level in range(rsz, max(rsz - 2, -1), -1):
        (small, small_map), (other, other_map) = (_shrunk(image, 2**level) for image in (blurred, cropped))
        begin = np.linalg.inv(other_map) @ warp @ small_map
        warp = other_map @ _ecc(small, other, begin, _COARSE, None, 5) @ np.linalg.inv(small_map)
    return warp


def _shrunk(image: Any, factor: int) -> tuple[Grey, Affine]:
    """A smaller picture, and the map from its pixels to those of the large one."""
    height, width = image.shape
    size = (max(1, round(width / factor)), max(1, round(height / factor)))
    small: Any = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return small, resize_map(size, (0, 0, width, height))


def _ecc(template: Grey, image: Grey, begin: Affine, criteria: Any, mask: Any, blur: int) -> Affine:
    try:
        matrix: Any = begin[:2].astype(np.float32)
        correlation, matrix = cv2.findTransformECC(
            template, image, matrix, cv2.MOTION_AFFINE, criteria, inputMask=mask, gaussFiltSize=blur
        )
    except cv2.error:
        raise NotAlignedError("ECC does not converge") from None
    if not (correlation >= LEAST_CORRELATION and np.isfinite(matrix).all()):
        raise NotAlignedError(f"ECC ends with a correlation of {correlation:.2f}, below {LEAST_CORRELATION}")
    return np.vstack([matrix, [0, 0, 1]]).astype(np.float64)


def _by_features(reference: Grey, cropped: Grey) -> Affine:
    """Rotation, zoom and shift on which most of the matched SIFT features agree."""
    sift: Any = cv2.SIFT.create()
    bytes_ = [(image * 255).clip(0, 255).astype(np.uint8) for image in (reference, cropped)]
    (points, features), (other_points, other_features) = (sift.detectAndCompute(image, None) for image in bytes_)
    if features is None or other_features is None or min(len(features), len(other_features)) < 2:
        raise NotAlignedError("it has no features to match")
    pairs = cv2.BFMatcher().knnMatch(features, other_features, k=2)
    good = [best for best, second in pairs if best.distance < 0.75 * second.distance]
    matrix = None
    if len(good) >= 3:
        source = np.array([points[match.queryIdx].pt for match in good], dtype=np.float32)
        target = np.array([other_points[match.trainIdx].pt for match in good], dtype=np.float32)
        matrix, _ = cv2.estimateAffinePartial2D(source, target, method=cv2.RANSAC, ransacReprojThreshold=2.0)
    if matrix is None:
        raise NotAlignedError(f"{len(good)} of its features have a match, which is too few")
    return np.vstack([matrix, [0, 0, 1]]).astype(np.float64)
