"""How damaged a picture is, and what restoring it gains, estimated by a small network that is shipped.

Statistics tell how much noise there is, but fine detail looks like noise to them. Which of two networks is better on a
picture depends on both. So a network that was trained on known damage, and on what either network made of it, looks at
the picture: ``benchmarks/condition.py`` trains it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from sr_lightning.data.files.io import Photo, to_uint8
from sr_lightning.functional import noise_estimate, to_levels
from sr_lightning.tensor_files import read_safetensors
from sr_lightning.weights.shipped import CONDITION

#: What is looked at: so many squares in a row and a column, of so many pixels a side, a multiple of JPEG's 8.
_SQUARES, _SIDE = 4, 96
#: The network needs so many pixels a side.
_LEAST = 32
#: Deviation of a square in levels that has something to look at, the step of an edge, and the share of equal pixels
#: beside edges that says that a picture is drawn.
_PLAIN, _EDGE, _EQUAL = 1.0, 32, 0.3
#: Below this quality, the network for photographs may cost so many decibels.
_COMPRESSED, _FOR_LOOKS = 80, 0.2
#: The noise that is told is estimated by statistics, which take longer than the network: on the diagonal alone.
_STEP = _SQUARES + 1


class ConditionNet(nn.Module):
    """Estimates JPEG compression of pictures, and what the network for photographs gains; also noise, to learn from.

    Example:
        >>> ConditionNet()(torch.rand(2, 3, 64, 64)).shape
        torch.Size([2, 4])
    """

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for before, after, stride in ((3, 16, 1), (16, 24, 2), (24, 32, 2), (32, 32, 1)):
            layers += [nn.Conv2d(before, after, 3, stride, padding=0), nn.ReLU()]
        self.body = nn.Sequential(*layers)
        self.head = nn.Sequential(nn.Linear(96, 32), nn.ReLU(), nn.Linear(32, 4))

    def forward(self, picture: Tensor) -> Tensor:
        """Estimates ``(N, 4)`` of pictures ``(N, 3, H, W)`` in [0, 1].

        They are ``log(1 + sigma)`` with sigma on 0...255, a tenth of 100 less the quality, and the decibels that
        the network for photographs is above that for clean pictures at x2 and at x4.
        """
        x = self.body(4 * (picture - picture.mean((2, 3), keepdim=True)))
        deviation = (x.var((2, 3)) + 1e-6).sqrt()
        least = -F.adaptive_max_pool2d(-F.avg_pool2d(x, 3, 1), 1).flatten(1)
        estimates: Tensor = self.head(torch.cat([x.mean((2, 3)), deviation, least], dim=1))
        return estimates


@dataclass(frozen=True)
class Condition:
    """What is known of a picture's damage.

    Attributes:
        noise: Deviation of the noise, on 0...255.
        quality: Of JPEG compression, 1 to 100: what the file's table says, or else the estimate.
        from_file: Whether the file says it.
        gains: Decibels that the network for photographs is expected to be above that for clean pictures, at x2 and x4.
        drawn: Whether it is drawn, written or plain, without any damage, or too small to tell.
    """

    noise: float
    quality: float
    from_file: bool = False
    gains: tuple[float, float] = (0.0, 0.0)
    drawn: bool = False

    def gain(self, factor: float) -> float:
        """The decibels expected for results so many times as large."""
        return 0.0 if self.drawn else float(np.interp(factor, (2, 4), self.gains))

    def is_for_photo(self, factor: float) -> bool:
        """Whether the network for photographs is to enlarge it so many times.

        Where the two are near each other on a strong JPEG, blocks and ringing trouble the eye more than they cost PSNR.
        """
        lost = _FOR_LOOKS if self.quality < _COMPRESSED else 0.0
        return not self.drawn and self.gain(factor) > -lost

    def __str__(self) -> str:
        if self.drawn:
            return "plain or drawn, or too small to tell"
        like = "" if self.from_file else "compressed like a "
        told = self.from_file or self.quality < _COMPRESSED
        return f"noise {self.noise:.1f}" + (f", {like}JPEG of quality {self.quality:.0f}" if told else "")


def condition_of(photos: Iterable[Photo]) -> Condition:
    """The condition of a picture, or of several that belong together.

    Example:
        >>> grey = np.full((64, 64, 3), 128, np.uint8)
        >>> noisy = grey + np.random.default_rng(0).normal(0, 20, grey.shape)
        >>> condition_of([Photo(noisy.astype(np.uint8))]).gain(2) > 0
        True
    """
    photos = list(photos)
    squares = [_with_detail(_squares(photo.pixels)) for photo in photos]
    squares = [some for some in squares if len(some) and not _is_drawn(some)]
    if not squares:
        return Condition(noise=0.0, quality=100.0, drawn=True)
    each = torch.cat([_estimates(colours) for colours in squares]).numpy()
    gains = each.mean(axis=0)[2:]
    told = [photo.metadata.jpeg_quality for photo in photos]
    quality = min((number for number in told if number), default=None)
    estimate = float(np.clip(100 - 10 * np.median(each[:, 1]), 1, 100))
    return Condition(
        noise=float(torch.cat([noise_estimate(colours[::_STEP]) for colours in squares]).median()),
        quality=estimate if quality is None else quality,
        from_file=quality is not None,
        gains=(float(gains[0]), float(gains[1])),
    )


@torch.inference_mode()
def _estimates(squares: Tensor) -> Tensor:
    """The network's, ``(squares, 4)``."""
    estimates: Tensor = _shipped()(squares.expand(-1, 3, -1, -1)).double()
    return estimates


def _squares(pixels: NDArray[np.generic]) -> Tensor:
    """Squares from all over a picture, on JPEG's grid, ``(N, C, side, side)`` in [0, 1]; none of a small picture."""
    height, width, channels = pixels.shape
    side = min(_SIDE, height, width)
    if side < _LEAST:
        return torch.empty(0, channels, _LEAST, _LEAST)
    rows, columns = _places(height, side), _places(width, side)
    squares = np.stack([_levels(pixels[y : y + side, x : x + side]) for y in rows for x in columns])
    return torch.from_numpy(squares).permute(0, 3, 1, 2).float() / 255


def _with_detail(squares: Tensor) -> Tensor:
    """Those that are not one colour: what is plain is the same to every network."""
    if not len(squares):
        return squares
    return squares[(squares * 255).flatten(2).std(2, correction=0).amax(1) > _PLAIN]


def _is_drawn(squares: Tensor) -> bool:
    """Whether most of what is beside edges is of one colour exactly, as in screenshots, drawings and text.

    Noise and JPEG leave nothing equal there, and neither does a camera.
    """
    step = (squares[..., 1:] - squares[..., :-1]).abs().amax(1, keepdim=True) * 255
    edge = step > _EDGE
    beside = F.max_pool2d(edge.float(), (1, 9), stride=1, padding=(0, 4)).bool() & ~edge
    return bool(beside.sum() > 16 and (step[beside] == 0).float().mean() > _EQUAL)


def _levels(pixels: NDArray[np.generic]) -> NDArray[np.uint8]:
    """8 bit, of 16 or of floating point in [0, 1]."""
    if np.issubdtype(pixels.dtype, np.floating):
        return to_levels(torch.from_numpy(pixels.astype(np.float32))).numpy()
    return to_uint8(pixels)


def _places(length: int, side: int) -> Sequence[int]:
    return sorted({int(at) // 8 * 8 for at in np.linspace(0, length - side, _SQUARES)})


@cache
def _shipped() -> ConditionNet:
    net = ConditionNet()
    net.load_state_dict(read_safetensors(CONDITION, "format")[0])
    return net.eval()
