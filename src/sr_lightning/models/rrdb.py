"""RRDB: the generator of ESRGAN and Real-ESRGAN, dense blocks in residual blocks in residual blocks."""

import math
from typing import Any, ClassVar

from torch import Tensor, nn

from sr_lightning import blocks
from sr_lightning.blocks.dense import leaky_relu
from sr_lightning.models.arguments import network
from sr_lightning.models.base import SuperResolutionModule
from sr_lightning.models.layouts import Layers, Layout


class RRDBNet(nn.Module):
    """Head, RRDBs with a skip around all of them, steps of nearest enlargement, two convolutions."""

    def __init__(self, args: "RRDB") -> None:
        super().__init__()
        features = args.num_features
        self.scale, self.unshuffle = args.scale, args.unshuffle
        self.head = nn.Conv2d(3 * args.unshuffle**2, features, 3, padding=1)
        self.body = nn.Sequential(
            *(blocks.RRDB(features, args.growth_rate) for _ in range(args.num_blocks)),
            nn.Conv2d(features, features, 3, padding=1),
        )
        self.upsampler = blocks.upsampler(features, args.scale * args.unshuffle, "nearest", activation=leaky_relu)
        self.last = nn.Sequential(
            nn.Conv2d(features, features, 3, padding=1), leaky_relu(), nn.Conv2d(features, 3, 3, padding=1)
        )

    def features(self, lr: Tensor) -> Tensor:
        """What the upsampler enlarges."""
        x = self.head(lr)
        return x + self.body(x)  # type: ignore[no-any-return]

    def forward(self, lr: Tensor) -> Tensor:
        height, width = lr.shape[-2:]
        sr = self.last(self.upsampler(self.features(blocks.unshuffle(lr, self.unshuffle))))
        return sr[..., : height * self.scale, : width * self.scale]  # type: ignore[no-any-return]


@network
class RRDB(SuperResolutionModule):
    """RRDB, the network of ESRGAN and Real-ESRGAN.

    **Papers:** Wang, Yu, Wu, Gu, Liu, Dong, Qiao, Loy, ESRGAN: Enhanced Super-Resolution Generative Adversarial
    Networks, ECCVW 2018; Wang, Xie, Dong, Shan, Real-ESRGAN: Training Real-World Blind Super-Resolution with Pure
    Synthetic Data, ICCVW 2021. Real-ESRGAN's networks for x1 and x2 are those for x4 after a pixel unshuffle:
    ``unshuffle`` 4 and 2. The paper's other parts, a discriminator and its losses, are not here: this trains the
    networks that it calls PSNR-oriented, or any loss that is chosen.

    Args:
        scale: Whole factor of enlargement.
        num_features: Channels of all blocks.
        growth_rate: Channels that each dense layer adds.
        num_blocks: RRDBs; 23, or 6 in Real-ESRGAN's network for anime.
        unshuffle: Factor by which the input is reduced into channels first; 1 leaves it as it is.

    Example:
        >>> import torch
        >>> RRDB(scale=2, num_features=8, growth_rate=4, num_blocks=1)(torch.rand(1, 3, 8, 9)).shape
        torch.Size([1, 3, 16, 18])
    """

    layouts = (
        Layout(
            whose="BasicSR",
            names={
                "conv_first": "head",
                "body.{i}.rdb{j}.conv{k}": "body.{i}.body.{j-1}.layers.{k-1}",
                "conv_body": "body.{n}",
                "conv_up{i}": "upsampler.{3i-2}",
                "conv_hr": "last.0",
                "conv_last": "last.2",
            },
        ),
        Layout(
            whose="ESRGAN",
            names={
                "conv_first": "head",
                "RRDB_trunk.{i}.RDB{j}.conv{k}": "body.{i}.body.{j-1}.layers.{k-1}",
                "trunk_conv": "body.{n}",
                "upconv{i}": "upsampler.{3i-2}",
                "HRconv": "last.0",
                "conv_last": "last.2",
            },
        ),
        *(
            Layout(
                whose="ESRGAN (old names)",
                names={
                    "model.0": "head",
                    "model.1.sub.{i}.RDB{j}.conv{k}.0": "body.{i}.body.{j-1}.layers.{k-1}",
                    "model.1.sub.{i}.RDB{j}.conv{k}": "body.{i}.body.{j-1}.layers.{k-1}",  # KAIR's last one
                    "model.1.sub.{i}": "body.{i}",
                    **{f"model.{3 * i}": f"upsampler.{3 * i - 2}" for i in range(1, steps + 1)},
                    f"model.{3 * steps + 2}": "last.0",
                    f"model.{3 * steps + 4}": "last.2",
                },
            )
            for steps in range(4)
        ),
    )
    after_features = ("upsampler", "last")
    untraced: ClassVar = {"scale": (2, 3)}
    spandrel: ClassVar = {"scale": (1, 2, 4, 8, 16), "growth_rate": (32,), "unshuffle": (1, 2, 4)}

    scale: int = 4
    num_features: int = 64
    growth_rate: int = 32
    num_blocks: int = 23
    unshuffle: int = 1

    def build_net(self) -> nn.Module:
        return RRDBNet(self)

    @property
    def tile_multiple(self) -> int:
        """Tiles begin on multiples of the factor of unshuffling."""
        return self.unshuffle

    @property
    def halo(self) -> int:  # type: ignore[override]
        """The reach of all convolutions; at most 64 pixels of the features, where little is left of a change.

        Measured with Real-ESRGAN's x4 of 23 blocks on a photograph: 32 leave differences of up to 4.8 levels of 8 bit
        beside whole pictures, 64 of 0.4, 96 of 0.004.
        """
        return self.unshuffle * min(15 * self.num_blocks + 4, 64)

    @classmethod
    def arguments_of(cls, layers: Layers) -> dict[str, Any]:
        unshuffle = math.isqrt(layers.inputs("head") // 3)
        steps = layers.numbers("upsampler.{i}")
        return {
            "scale": 2 ** len(steps) // unshuffle,  # one step may also be for x3
            "num_features": layers.outputs("head"),
            "growth_rate": layers.outputs("body.0.body.0.layers.0"),
            "num_blocks": layers.count("body.{i}.body.0.layers.0"),
            "unshuffle": unshuffle,
        }
