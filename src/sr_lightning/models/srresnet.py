"""SRResNet: the residual network before EDSR, with normalisation."""

from collections.abc import Callable
from functools import partial
from typing import Literal

from torch import Tensor, nn

from sr_lightning.blocks import PackedRaw, ResidualBlock, normalization, upsampler
from sr_lightning.errors import ConfigError
from sr_lightning.models.arguments import network
from sr_lightning.models.base import SuperResolutionModule

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "leaky_relu": partial(nn.LeakyReLU, 0.2, inplace=True),
    "prelu": nn.PReLU,
}


class SRResNetNet(nn.Module):
    """9x9 convolution, normalised residual blocks within one long skip, pixel shuffles, 9x9 convolution."""

    def __init__(self, args: "SRResNet") -> None:
        super().__init__()
        if args.activation not in ACTIVATIONS:
            raise ConfigError(f"activation={args.activation}: there are {' and '.join(ACTIVATIONS)}")
        act = ACTIVATIONS[args.activation]
        width, raw = args.num_features, args.input == "raw"
        self.head = nn.Sequential(nn.Conv2d(4 if raw else 3, width, 9, padding=4), act())
        self.body = nn.Sequential(
            *(ResidualBlock(width, norm=args.norm, activation=act) for _ in range(args.num_blocks)),
            nn.Conv2d(width, width, 3, padding=1),
            *normalization(args.norm, width),
        )
        # A packed mosaic has half the size of the mosaic.
        scale = 2 * args.scale if raw else args.scale
        self.tail = nn.Sequential(upsampler(width, scale, activation=act), nn.Conv2d(width, 3, 9, padding=4))

    def forward(self, lr: Tensor) -> Tensor:
        shallow = self.head(lr)
        return self.tail(self.body(shallow) + shallow)  # type: ignore[no-any-return]


@network
class SRResNet(SuperResolutionModule):
    """SRResNet as the SRNet authors compare with it; ``norm=batch activation=prelu`` is that of the paper.

    **Paper:** Ledig et al., Photo-Realistic Single Image Super-Resolution Using a Generative Adversarial Network,
    CVPR 2017. The variant of the SRNet authors has instance normalisation and LeakyReLU 0.2. Its statistics cover the
    whole input, so the result of a tile differs from the same part of the whole picture's result.

    Args:
        scale: Whole factor of enlargement, gradual by its prime factors.
        num_features: Channels of all blocks.
        num_blocks: Number of residual blocks.
        norm: instance, batch or none.
        activation: leaky_relu or prelu.
        input: rgb or raw. With raw, the input is a packed mosaic of four channels, and white balance is the last step.

    Example:
        >>> import torch
        >>> SRResNet(scale=4, num_features=8, num_blocks=2)(torch.rand(1, 3, 8, 8)).shape
        torch.Size([1, 3, 32, 32])
    """

    scale: int = 4
    num_features: int = 64
    num_blocks: int = 16
    norm: str = "instance"
    activation: Literal["leaky_relu", "prelu"] = "leaky_relu"
    input: Literal["rgb", "raw"] = "rgb"

    def build_net(self) -> nn.Module:
        if self.input not in ("rgb", "raw"):
            raise ConfigError(f"input={self.input}: there are rgb and raw")
        if self.input == "rgb":
            return SRResNetNet(self)
        self.inputs = ("raw", "white_balance")  # type: ignore[misc]  # of all other networks a class variable
        return PackedRaw(SRResNetNet(self), self.scale)
