"""A sensor's picture in memory."""

from dataclasses import dataclass

from torch import Tensor

IDENTITY = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))


@dataclass(frozen=True)
class RawPicture:
    """A sensor's picture.

    Attributes:
        mosaic: ``(1, H, W)`` float32, linear: black is 0 and white 1; noise may lie below, nothing is clipped.
        pattern: Colours of the first four pixels, such as ``"RGGB"``.
        gains: White balance of R, G, B as shot, green 1.
        matrix: Balanced camera RGB to linear sRGB ``(3, 3)``, rows summing to one; identity where unknown.
        flip: Turn for display, as LibRaw counts: 0 none, 3 by 180 degrees, 5 left, 6 right.
        measured: Whether the samples are the sensor's own; else they were sampled again from interpolated colours.
        baseline_exposure: Stops by which a DNG is to be shown brighter than its mosaic is; other files have 0.
    """

    mosaic: Tensor
    pattern: str
    gains: tuple[float, float, float] = (1.0, 1.0, 1.0)
    matrix: tuple[tuple[float, float, float], ...] = IDENTITY
    flip: int = 0
    baseline_exposure: float = 0.0
    measured: bool = True
