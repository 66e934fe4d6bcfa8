"""Video compression."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
import torch
from torch import Tensor

from sr_lightning.degradations.base import Degradation, Grid, Parameters
from sr_lightning.degradations.pictures import Pixels, each_picture
from sr_lightning.errors import ConfigError
from sr_lightning.functional import to_levels
from sr_lightning.limits import number_or_range

#: Encoder, decoder and the options that hold the quantiser at a number. The macroblock tree of x264 reads memory that
#: nothing has written, so that some of a thousand clips come out otherwise the second time.
_CODECS: dict[str, tuple[str, str, Callable[[int], dict[str, str]]]] = {
    "h264": (
        "libx264",
        "h264",
        lambda q: {"crf": str(q), "preset": "medium", "x264-params": "threads=1:no-mbtree=1"},
    ),
    "mpeg4": ("mpeg4", "mpeg4", lambda q: {"qmin": str(q), "qmax": str(q)}),
}


@dataclass
class VideoCodec(Degradation):
    """Compression as a frame of a video, by FFmpeg through PyAV, with colours at half the resolution (4:2:0).

    The picture is the last of a clip that a camera pans along, so it is coded as what differs from the frame before.
    The same parameters give the same bits with the same FFmpeg on the same kind of processor.

    Args:
        codec: ``h264`` or ``mpeg4``.
        quality: A whole number or the range it is drawn from, the larger the worse: ``crf`` of H.264 (0 to 51), the
            quantiser of MPEG-4 (1 to 31).
        frames: Length of the clip; 1 is a key frame alone.
        pan: How many pixels the camera moves at most from frame to frame, along each axis.

    Raises:
        ConfigError: If PyAV is not installed, or has no such encoder.
    """

    codec: Literal["h264", "mpeg4"] = "h264"
    quality: Annotated[int | Sequence[int], number_or_range(0, 51, whole=True)] = (20, 36)
    frames: Annotated[int, number_or_range(1, 100, whole=True)] = 3
    pan: Annotated[int, number_or_range(0, 100, whole=True)] = 2

    def __post_init__(self) -> None:
        super().__post_init__()
        worst, best = (31, 1) if self.codec == "mpeg4" else (51, 0)
        bounds = self.quality if isinstance(self.quality, Sequence) else (self.quality,)
        if not all(best <= q <= worst for q in bounds):
            raise ConfigError(f"degradation quality={self.quality}: of {self.codec} must be from {best} to {worst}")
        encoder = _CODECS[self.codec][0]
        try:
            import av

            av.Codec(encoder, "w")
        except ImportError:
            raise ConfigError(
                'degradation video needs PyAV; pip install "sr_lightning[video]", or choose another degradation'
            ) from None
        except ValueError:  # of which UnknownCodecError is one
            raise ConfigError(
                f"degradation codec={self.codec}: this PyAV has no encoder {encoder}; choose the other one of "
                f"{', '.join(_CODECS)}"
            ) from None

    @property
    def random(self) -> bool:
        return isinstance(self.quality, Sequence) or (self.frames > 1 and self.pan > 0)

    def draw(self, generator: np.random.Generator) -> Parameters:
        low, high = self.quality if isinstance(self.quality, Sequence) else (self.quality, self.quality)
        pan = generator.integers(-self.pan, self.pan, size=2, endpoint=True).tolist()
        return {"quality": int(generator.integers(low, high, endpoint=True)), "pan": pan}

    def apply(self, image: Tensor, parameters: Parameters, grid: Grid) -> Tensor:
        def coded(pixels: Pixels) -> Pixels:
            return _last_frame(pixels, self.codec, parameters["quality"], self.frames, parameters["pan"])

        return each_picture(image.detach().float().cpu(), coded).to(image).div_(255)


def _last_frame(pixels: Pixels, codec: str, quality: int, frames: int, pan: Sequence[int]) -> Pixels:
    """``(H, W, C)`` in [0, 1] as the last frame of a clip that was coded and decoded, in 0...255."""
    import av

    height, width, channels = pixels.shape
    levels = to_levels(torch.from_numpy(np.ascontiguousarray(pixels))).numpy().repeat(3 // channels, axis=2)
    reach = [abs(step) * (frames - 1) for step in pan]
    # The sides of a frame are even, and outside a picture its rim goes on.
    rims = [(reach[0], reach[0] + height % 2), (reach[1], reach[1] + width % 2), (0, 0)]
    around = np.pad(levels, rims, mode="edge")
    even_height, even_width = height + height % 2, width + width % 2
    encoder_name, decoder_name, options = _CODECS[codec]
    encoder: Any = av.CodecContext.create(encoder_name, "w")
    encoder.width, encoder.height, encoder.pix_fmt = even_width, even_height, "yuv420p"
    encoder.framerate, encoder.thread_count, encoder.options = 25, 1, options(quality)
    decoder: Any = av.CodecContext.create(decoder_name, "r")
    decoder.thread_count = 1
    video_frame: Any = av.VideoFrame
    packets = []
    for left in range(frames - 1, -1, -1):
        top, side = reach[0] - left * pan[0], reach[1] - left * pan[1]
        window = np.ascontiguousarray(around[top : top + even_height, side : side + even_width])
        # One thread: starting others takes many times as long as such a picture.
        frame = video_frame.from_ndarray(window, format="rgb24").reformat(format="yuv420p", threads=1)
        frame.pts = frames - 1 - left
        packets += encoder.encode(frame)
    packets += encoder.encode(None)
    decoded = [frame for packet in packets for frame in decoder.decode(packet)] + decoder.decode(None)
    last = max(decoded, key=lambda frame: frame.pts).to_ndarray(format="rgb24", threads=1)[:height, :width]
    made: Pixels = last if channels == 3 else last[..., 1:2]
    return np.ascontiguousarray(made)
