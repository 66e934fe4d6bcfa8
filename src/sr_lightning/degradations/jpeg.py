"""JPEG compression."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
from torch import Tensor

from sr_lightning.degradations.base import Degradation, Grid, Parameters, is_range
from sr_lightning.degradations.pictures import Pixels, each_picture
from sr_lightning.limits import number_or_range


@dataclass
class JPEG(Degradation):
    """JPEG compression and decompression.

    Args:
        quality: 1 to 100, a whole number, or the range it is drawn from.
        codec: ``pillow``, the codec of real files with Pillow's settings, on the CPU; or ``kornia``, differentiable and
            on the device, which rounds as an approximation.
    """

    quality: Annotated[int | Sequence[int], number_or_range(1, 100, whole=True)] = (30, 95)
    codec: Literal["pillow", "kornia"] = "pillow"

    @property
    def random(self) -> bool:
        return is_range(self.quality)

    def draw(self, generator: np.random.Generator) -> Parameters:
        if isinstance(self.quality, Sequence):
            return {"quality": int(generator.integers(self.quality[0], self.quality[1], endpoint=True))}
        return {"quality": self.quality}

    def apply(self, image: Tensor, parameters: Parameters, grid: Grid) -> Tensor:
        if self.codec == "kornia":
            return _differentiable(image, parameters["quality"])
        coded = each_picture(image.detach().float().cpu(), lambda pixels: _coded(pixels, parameters["quality"]))
        return coded.to(image).div_(255)


def _coded(pixels: Pixels, quality: int) -> Pixels:
    """``(H, W, C)`` in [0, 1] through a file in memory to uint8: the same pixels as Pillow's, in half the time."""
    import cv2

    opencv: Any = cv2  # whose types know no numbers beside pictures
    levels = opencv.multiply(pixels, (255.0,) * 4, dtype=cv2.CV_8U)  # clipped and rounded
    colour = pixels.shape[-1] == 3
    blue_first = opencv.cvtColor(levels, cv2.COLOR_RGB2BGR) if colour else levels
    _, file = opencv.imencode(".jpg", blue_first, [cv2.IMWRITE_JPEG_QUALITY, quality])
    decoded = opencv.imdecode(file, cv2.IMREAD_UNCHANGED)
    made: Pixels = opencv.cvtColor(decoded, cv2.COLOR_BGR2RGB) if colour else decoded
    return made


def _differentiable(image: Tensor, quality: int) -> Tensor:
    from kornia.enhance import jpeg_codec_differentiable

    x = image.float().clamp(0, 1)
    x = x.expand(-1, 3, -1, -1) if x.shape[1] == 1 else x
    coded: Tensor = jpeg_codec_differentiable(x, x.new_tensor([float(quality)]))
    coded = coded.clamp(0, 1).to(image.dtype)
    return coded.mean(1, keepdim=True) if image.shape[1] == 1 else coded
