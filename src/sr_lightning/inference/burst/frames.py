"""Reads the frames of a burst, aligns them, and leaves out those that do not fit."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from sr_lightning.data.files.raw import RawPicture, read_raw
from sr_lightning.errors import DataError, PictureError
from sr_lightning.functional.bayer import crop_to_pattern, pack
from sr_lightning.inference.burst.align import Warp, align
from sr_lightning.inference.burst.kernels import kernel_fields
from sr_lightning.inference.burst.noise import NoiseModel, Planes, noise_of
from sr_lightning.inference.burst.robustness import robustness

#: Frames as whole numbers take half the memory; so much below black is kept.
BLACK = 4096
_TOP = 65535 - BLACK
#: The mean of a frame that shows nothing.
_DARKEST = 1e-5
#: A frame that is so many times brighter or darker than the reference is left out.
_LARGEST_GAIN = 8.0
#: The reference is no more than this share brighter or darker than the frames usually are.
_LIKE = 0.25
#: So many references are tried, if less than half of the frames fit one.
_TRIES = 3


@dataclass(frozen=True)
class Frame:
    """A frame that is aligned.

    Attributes:
        packed: ``(4, H, W)`` uint16: red, two greens, blue; see ``BLACK``.
        warp: From the reference's half-size plane to this one's.
        weight: ``(H, W)`` in [0, 1]: how much each part counts; None for all.
        gain: What brings it to the reference's brightness.
    """

    packed: NDArray[np.uint16]
    warp: Warp
    weight: NDArray[np.float16] | None = None
    gain: float = 1.0

    def planes(self, rows: slice = slice(None)) -> Planes:
        """Its samples, or some rows of them, in the reference's brightness."""
        return (self.packed[:, rows].astype(np.float32) - BLACK) * np.float32(self.gain / _TOP)


@dataclass(frozen=True)
class Burst:
    """Frames of one scene.

    Attributes:
        like: The reference, cropped to RGGB: white balance, matrix, turn.
        source: Its file.
        frames: The reference and those that were aligned with it.
        kernels: See ``kernel_fields``.
        noise: Of the reference.
        left_out: The reason for each file that is not among them.
    """

    like: RawPicture
    source: Path
    frames: list[Frame]
    kernels: NDArray[np.float32]
    noise: NoiseModel
    left_out: dict[Path, str]


def read_burst(
    paths: Sequence[Path | str],
    white_balance: str | Sequence[float] = "camera",
    on_progress: Callable[[float], None] = lambda share: None,
) -> Burst:
    """Reads RAW files of one scene; the sharpest that most others fit is the reference.

    Args:
        paths: The files; each is read twice, or more if not all fit.
        white_balance: See ``Development``.
        on_progress: Told which share is done.

    Raises:
        DataError: If fewer than two can be used.
    """
    files = [Path(path) for path in paths]
    unread: dict[Path, str] = {}
    looks: dict[Path, _Look] = {}
    for number, path in enumerate(files):
        try:
            raw = read_raw(path)
            if raw.measured:
                looks[path] = _look(_packed(raw))
            else:
                unread[path] = "has no Bayer mosaic"
        except PictureError as error:
            unread[path] = str(error).removeprefix(f"{path}: ")
        on_progress(0.3 * (number + 1) / len(files))
    best: Burst | None = None
    for source in _references(looks):
        burst = _aligned_to(source, list(looks), white_balance, lambda share: on_progress(0.3 + 0.7 * share))
        best = burst if best is None or len(burst.frames) > len(best.frames) else best
        if len(best.frames) > len(looks) / 2:
            break
    left_out = unread | (best.left_out if best else {})
    if best is None or len(best.frames) < 2:
        raise DataError(_too_few(left_out))
    return replace(best, left_out=left_out)


def largest_shift(burst: Burst) -> float:
    """By how many pixels of the mosaic the frame that moved most is moved, at the middle."""
    _, height, width = burst.frames[0].packed.shape
    middle = np.array([width / 2, height / 2, 1])
    return float(max(2 * np.abs(frame.warp @ middle - middle[:2]).max() for frame in burst.frames))


@dataclass(frozen=True)
class _Look:
    """What a frame is chosen as the reference by."""

    shape: tuple[int, ...]
    brightness: float
    sharpness: float


def _look(planes: Planes) -> _Look:
    green = _green(planes)
    detail = cv2.GaussianBlur(green, (0, 0), 1.0) - cv2.GaussianBlur(green, (0, 0), 2.0)
    return _Look(planes.shape, float(planes.mean()), float(np.var(detail) / max(float(np.var(green)), 1e-12)))


def _references(looks: dict[Path, _Look]) -> list[Path]:
    """The sharpest frames, the best first.

    They have the usual size, and the usual brightness too, because noise looks sharp in dark frames.
    """
    if len(looks) < 2:
        return []
    (shape, _), *_ = Counter(look.shape for look in looks.values()).most_common(1)
    usual = float(np.median([look.brightness for look in looks.values() if look.shape == shape]))
    like = {path: abs(look.brightness - usual) for path, look in looks.items() if look.shape == shape}
    near = [path for path, off in like.items() if off <= max(_LIKE * abs(usual), min(like.values()))]
    return sorted(near, key=lambda path: -looks[path].sharpness)[:_TRIES]


def _aligned_to(
    source: Path, files: list[Path], white_balance: str | Sequence[float], on_progress: Callable[[float], None]
) -> Burst:
    """The burst of a reference."""
    raw = read_raw(source, white_balance=white_balance)
    like = replace(raw, mosaic=crop_to_pattern(raw.mosaic, raw.pattern, "RGGB"), pattern="RGGB")
    reference = _packed(raw)
    noise = noise_of(reference)
    frames, left_out = [Frame(_stored(reference), np.eye(3)[:2])], {}
    others = [path for path in files if path != source]
    for number, path in enumerate(others):
        try:
            frames.append(_aligned(reference, _packed(read_raw(path)), noise))
        except DataError as error:
            left_out[path] = str(error).removeprefix(f"{path}: ")
        on_progress((number + 1) / len(others))
    return Burst(like, source, frames, kernel_fields(reference, noise, len(frames)), noise, left_out)


def _aligned(reference: Planes, planes: Planes, noise: NoiseModel) -> Frame:
    if planes.shape != reference.shape:
        (height, width), (rows, columns) = planes.shape[1:], reference.shape[1:]
        raise DataError(f"has {2 * width}x{2 * height} pixels, and not {2 * columns}x{2 * rows}")
    if min(float(reference.mean()), float(planes.mean())) <= _DARKEST:
        raise DataError("one of the two is black")
    gain = float(reference.mean() / planes.mean())
    if not 1 / _LARGEST_GAIN <= gain <= _LARGEST_GAIN:
        raise DataError(f"is {1 / gain:.2g} times as bright as the reference")
    gain = 1.0 if abs(gain - 1) < 0.05 else gain  # hands and clouds, not the camera's setting
    warp = align(_green(reference), _green(planes) * np.float32(gain))
    seen = NoiseModel(noise.shot * max(gain, 1), noise.read * max(gain, 1) ** 2)
    weight = robustness(reference, planes * np.float32(gain), warp, seen)
    return Frame(_stored(planes), warp, weight, gain)


def _packed(raw: RawPicture) -> Planes:
    return pack(crop_to_pattern(raw.mosaic, raw.pattern, "RGGB")).numpy()


def _stored(planes: Planes) -> NDArray[np.uint16]:
    return np.asarray(np.clip(planes * _TOP + BLACK, 0, 65535).round(), np.uint16)


def _green(planes: Planes) -> NDArray[np.float32]:
    return np.asarray((planes[1] + planes[2]) / 2, np.float32)


def _too_few(left_out: dict[Path, str]) -> str:
    reasons = "".join(f"\n  {path}: {reason}" for path, reason in left_out.items())
    return f"fewer than two frames can be merged; leave burst= out to enlarge each{reasons}"
