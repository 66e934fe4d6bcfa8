"""Simulates a camera: from a linear picture to a mosaic and a JPEG."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import NonNegativeInt, PlainValidator
from torch import Tensor

from sr_lightning.data.raw_synthesis.kernels import camera_kernel
from sr_lightning.degradations import JPEG, Grid
from sr_lightning.degradations.base import noise_generator
from sr_lightning.errors import ConfigError
from sr_lightning.functional import to_levels
from sr_lightning.functional.bayer import mosaic
from sr_lightning.functional.demosaic import DEMOSAIC
from sr_lightning.functional.isp import SRGB_TO_XYZ, develop
from sr_lightning.limits import check_settings, number_or_range

Range = float | Sequence[float]
Matrix = Sequence[Sequence[float]]

#: CIE XYZ to camera RGB of four cameras: Brooks et al., Unprocessing Images for Learned Raw Denoising, CVPR 2019, who
#: also give the ranges of the gains.
XYZ_TO_CAMERA = (
    ((1.0234, -0.2969, -0.2266), (-0.5625, 1.6328, -0.0469), (-0.0703, 0.2188, 0.6406)),
    ((0.4913, -0.0541, -0.0202), (-0.6130, 1.3513, 0.2906), (-0.1564, 0.2151, 0.7183)),
    ((0.8380, -0.2630, -0.0639), (-0.2887, 1.0725, 0.2496), (-0.0627, 0.1427, 0.5438)),
    ((0.6596, -0.2079, -0.0562), (-0.4782, 1.3016, 0.1933), (-0.0970, 0.1581, 0.5181)),
)


class ISP(NamedTuple):
    """A camera's rendering: white balance, and the matrix from balanced camera RGB to linear sRGB."""

    gains: Sequence[float]
    matrix: Matrix


class PhotoParameters(NamedTuple):
    """The random parameters of one photograph, except its noise."""

    radius: float
    size: int
    walk_seed: int
    sigma_shot: float
    sigma_read: float
    quality: int | None
    isp: ISP
    exposure: float = 0.0


def _colour_matrix(value: Any) -> Any:
    try:
        table = np.asarray(value, dtype=float)
    except (TypeError, ValueError):
        table = np.zeros(0)
    if table.shape != (3, 3) or np.abs(table.sum(1) - 1).max() > 1e-3 or abs(np.linalg.det(table)) < 1e-3:
        raise ValueError("must be three rows of three numbers that sum to 1, or null")
    return value


@dataclass(frozen=True)
class Camera:
    """The ranges from which the parameters of photographs are drawn.

    **Paper:** Xu, Ma, Sun, Towards Real Scene Super-Resolution With Raw Images, CVPR 2019, section 3.1: blur, sampling,
    mosaic, noise, and the camera's own picture as reference. Walk, JPEG quality and the alignment of LR and HR are
    choices made here.

    Args:
        defocus: Radius of the disk in HR pixels.
        motion: Size of the random walk in HR pixels, a whole number.
        sigma_shot: Noise has the variance ``sigma_shot^2 x + sigma_read^2`` at the signal ``x``.
        sigma_read: The noise without light.
        exposure: How much brighter the scene is than its picture, in EV; what is brighter than white is clipped.
        blind: Whether blur is drawn for each photograph. If false, one blur, drawn by ``kernel_seed``, serves all.
        kernel_seed: The seed of the blur if ``blind`` is false.
        demosaic: ``bilinear``, ``malvar`` or ``menon``, for the reference.
        quality: The quality of the reference's JPEG, a whole number; None leaves it uncompressed.
        red_gain: White balance of sRGB pictures, whose camera is not known.
        blue_gain: As ``red_gain``.
        matrix: Balanced camera RGB to linear sRGB, for sRGB pictures; None mixes those of four cameras.

    Raises:
        ConfigError: If a setting is out of its limits.
    """

    defocus: Annotated[Range, number_or_range(0, 32)] = (1.0, 5.0)
    motion: Annotated[int | Sequence[int], number_or_range(1, 63, whole=True)] = (3, 11)
    sigma_shot: Annotated[Range, number_or_range(0, 1)] = (0.0, 1e-2)
    sigma_read: Annotated[Range, number_or_range(0, 1)] = (0.0, 1e-3)
    exposure: Annotated[Range, number_or_range(-8, 8)] = 0.0
    blind: bool = True
    kernel_seed: NonNegativeInt = 0
    demosaic: Literal["bilinear", "malvar", "menon"] = "malvar"
    quality: Annotated[int | Sequence[int], number_or_range(1, 100, whole=True)] | None = (90, 100)
    red_gain: Annotated[Range, number_or_range(0.1, 10)] = (1.9, 2.4)
    blue_gain: Annotated[Range, number_or_range(0.1, 10)] = (1.5, 1.9)
    matrix: Annotated[Matrix, PlainValidator(_colour_matrix)] | None = None

    def __post_init__(self) -> None:
        check_settings(self, "data.camera.")
        if self.demosaic == "menon":
            _need_colour_demosaicing()

    def draw(self, generator: np.random.Generator) -> PhotoParameters:
        """Draws one photograph's parameters. Each uses its own random number, so other ranges do not change it."""
        blur = generator.random(3)
        sigma_shot, sigma_read, quality, red, blue, *mix = generator.random(9)
        if not self.blind:
            blur = np.random.default_rng(self.kernel_seed).random(3)
        exposure = generator.random()
        return PhotoParameters(
            between(self.defocus, blur[0]),
            _uniform_int(self.motion, blur[1]),
            int(blur[2] * 2**53),
            between(self.sigma_shot, sigma_shot),
            between(self.sigma_read, sigma_read),
            None if self.quality is None else _uniform_int(self.quality, quality),
            ISP((between(self.red_gain, red), 1.0, between(self.blue_gain, blue)), self.matrix or _mixed(mix)),
            between(self.exposure, exposure),
        )

    def sensor(self, linear: Tensor, kernel: Tensor, shot: PhotoParameters, scale: int, noise_seed: int) -> Tensor:
        """Makes the mosaic of a linear picture: blur, sampling, filter array, noise, clipping.

        Args:
            linear: ``(3, scale * H + K - 1, scale * W + K - 1)``, camera RGB in [0, 1], with what lies around.
            kernel: ``(K, K)``, see ``camera_kernel``.
            shot: The parameters.
            scale: Whole factor.
            noise_seed: Decides the noise.

        Returns:
            ``(1, H, W)``, RGGB.
        """
        begin = scale // 2
        sampled = F.conv2d(linear[:, None, begin:, begin:], kernel[None, None], stride=scale)[:, 0]
        return noisy(mosaic(sampled), shot.sigma_shot**2, shot.sigma_read**2, noise_seed).clamp(0, 1)

    def render(self, raw: Tensor, isp: ISP) -> Tensor:
        """The camera's picture ``(3, H, W)`` uint8 of its mosaic ``(1, H, W)``, before compression."""
        picture = develop(DEMOSAIC[self.demosaic](raw[None])[0], isp.gains, torch.tensor(isp.matrix))
        return to_levels(picture)

    def describe(self) -> dict[str, Any]:
        """The settings, for result files."""
        return asdict(self)


def noisy(signal: Tensor, shot: float, read: float, seed: int) -> Tensor:
    """A linear signal with Gaussian noise of variance ``shot * signal + read``, not clipped.

    Example:
        >>> bool((noisy(torch.ones(4), 0.0, 0.0, seed=1) == 1).all())
        True
    """
    sigma = (shot * signal + read).clamp_min(0).sqrt()
    return signal + sigma * torch.randn(signal.shape, generator=noise_generator(seed)).to(signal)


def blur_kernel(shot: PhotoParameters, scale: int) -> Tensor:
    """The blur of a photograph."""
    return camera_kernel(shot.radius, shot.size, shot.walk_seed, scale)


def jpeg_compressed(picture: Tensor, quality: int | None) -> Tensor:
    """Compresses and decompresses a picture ``(3, H, W)`` uint8 by JPEG."""
    if quality is None:
        return picture
    coded = JPEG(quality).apply(
        picture[None].float() / 255, {"quality": quality}, Grid(picture.shape[1], picture.shape[2], 1)
    )
    return to_levels(coded[0])


def _mixed(weights: Sequence[float]) -> Matrix:
    """A matrix between those of the four cameras."""
    to_camera = np.tensordot(np.asarray(weights) / np.sum(weights), np.asarray(XYZ_TO_CAMERA), 1)
    from_srgb = to_camera @ np.asarray(SRGB_TO_XYZ)
    inverse = np.linalg.inv(from_srgb / from_srgb.sum(1, keepdims=True))
    return tuple((float(r), float(g), float(b)) for r, g, b in inverse)


def between(value: Range, share: float) -> float:
    """The number at a share of a range; a single number is its own range.

    Example:
        >>> between([1.0, 3.0], 0.25), between(2.0, 0.25)
        (1.5, 2.0)
    """
    low, high = value if isinstance(value, Sequence) else (value, value)
    return float(low + share * (high - low))


def _uniform_int(value: int | Sequence[int], share: float) -> int:
    low, high = value if isinstance(value, Sequence) else (value, value)
    return int(low + np.floor(share * (high - low + 1)))


def _need_colour_demosaicing() -> None:
    from importlib.util import find_spec

    if find_spec("colour_demosaicing") is None:
        raise ConfigError("data.camera.demosaic=menon needs: python -m pip install colour-demosaicing")
