"""Aligns pictures of different focal lengths, by ECC from coarse to fine or by features."""

from collections.abc import Iterable, Mapping
from typing import Any, Literal, NamedTuple

import cv2
import numpy as np
from PIL import Image

from sr_lightning.data.srraw.fov import Affine, crop_fov, resize_map
from sr_lightning.data.srraw.judge import Figures, compare
from sr_lightning.data.srraw.seen import Grey, View

Motion = Literal["affine", "rigid"]

#: How much of the shorter side the sum of all deviations from the identity may be.
LIMITS: dict[Motion, float] = {"affine": 0.3, "rigid": 0.2}
#: Frames whose pictures resemble the reference less than this have converged to something else.
LEAST_CORRELATION = 0.5
_COARSE = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 500, 1e-6)
_FINE = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 100, 1e-8)
# Of the refinement.
_ROUNDS = 3


class NotAlignedError(Exception):
    """The reason why a frame has no warp."""


class Alignment(NamedTuple):
    """Warps of the frames that could be aligned, the reference first; why others could not; and the figures."""

    warps: dict[int, Affine]
    failures: dict[int, str]
    figures: dict[int, Figures]


def align_frames(
    pictures: Iterable[tuple[int, Grey]], ratios: Mapping[int, float], motion: Motion = "affine", rsz: int = 3
) -> Alignment:
    """Aligns all frames with the first.

    A warp takes pixels of the reference to pixels of the frame's ``crop_fov``. The search begins with the warp of
    the frame before, at 1 / 2**rsz of the size (ECC, Evangelidis and Psarakis 2008, as the authors of SR-RAW have it).
    What follows is ours: from there the reference is rendered in the pixels of the short focal length itself, as
    means over their areas, and compared with them there, until nothing is left to correct.

    Args:
        pictures: Number and whole picture of each frame, the reference first.
        ratios: One focal length / that of each frame.
        motion: ``"affine"``, or ``"rigid"``: turn, zoom and shift from matched features, without refinement.
        rsz: Coarsest level.
    """
    result = Alignment({}, {}, {})
    remaining = iter(pictures)  # one at a time: they are large
    first = next(remaining, None)
    if first is None:
        return result
    number, reference = first
    start: Affine = np.eye(3)
    result.warps[number] = np.eye(3)
    for frame, picture in remaining:
        ratio = ratios[frame] / ratios[number]
        cropped = np.asarray(crop_fov(Image.fromarray(picture), ratio))
        try:
            if motion == "rigid":
                warp = _by_features(reference, cropped)
            else:
                warp = _by_ecc(reference, cropped, start, ratio, rsz)
            check(warp, min(reference.shape), motion)
            view = View(picture, ratio)
            if motion == "affine":
                warp = refine(reference, view, warp)
                check(warp, min(reference.shape), motion)
        except NotAlignedError as reason:
            result.failures[frame] = str(reason)
            continue
        start = result.warps[frame] = warp
        rendered, mask = view.rendered(reference, np.linalg.inv(warp) @ view.to_crop)
        result.figures[frame] = compare(view.seen, rendered, mask)
        if number not in result.figures:  # the next focal length tells most of the reference itself
            result.figures[number] = compare(rendered, view.seen, mask)._replace(residual=0.0)
    return result


def check(warp: Affine, side: int, motion: Motion) -> None:
    """Refuses warps that are too far from the identity.

    Raises:
        NotAlignedError: With the sum that decides, and its limit.
    """
    sum_, limit = float(np.abs(warp - np.eye(3)).sum()), LIMITS[motion] * side
    if not sum_ < limit:
        raise NotAlignedError(f"its warp deviates by {sum_:.0f} from the identity, where {limit:.0f} is the limit")


def refine(reference: Grey, view: View, warp: Affine) -> Affine:
    """Corrects a warp by fractions of the frame's own pixels.

    Args:
        reference: Picture of the longest focal length.
        view: Of a shorter one.
        warp: From the reference to the frame's ``crop_fov``.

    Raises:
        NotAlignedError: If the correction diverges.
    """
    for _ in range(_ROUNDS):
        to_reference = np.linalg.inv(warp) @ view.to_crop
        rendered, mask = view.rendered(reference, to_reference)
        correction = _ecc(view.seen, rendered, np.eye(3), _FINE, mask, 3)
        warp = view.to_crop @ np.linalg.inv(to_reference @ correction)
    return warp


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
