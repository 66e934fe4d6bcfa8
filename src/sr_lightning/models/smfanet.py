"""SMFANet: gates from a coarse map, local details beside them, and convolutions of a part of the channels."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sr_lightning.blocks import Partial, pixel_shuffle
from sr_lightning.blocks.attention import moments
from sr_lightning.models.arguments import network
from sr_lightning.models.base import SuperResolutionModule
from sr_lightning.models.layouts import Layers, Layout

#: Pixels of a side for one of the coarse map.
GRID = 8
#: Most pixels of a side that one of the coarse map is computed of: all of a picture of 15 pixels.
WINDOW = 2 * GRID


def coarse_length(length: int) -> int:
    """The side of the coarse map: an eighth, rounded down, but at least 1.

    Example:
        >>> [coarse_length(n) for n in (1, 7, 8, 15, 16)]
        [1, 1, 1, 1, 2]
    """
    return length // GRID + 2 * (GRID - 1) // (length + GRID - 1)  # without a branch, so that it exports for every size


def largest(x: Tensor) -> Tensor:
    """The largest value of each cell of the coarse map; where 8 does not divide a side, cells overlap.

    Example:
        >>> x = torch.rand(1, 2, 21, 50)
        >>> torch.equal(largest(x), F.adaptive_max_pool2d(x, (2, 6)))
        True
    """
    if not torch.compiler.is_compiling():
        return F.adaptive_max_pool2d(x, (coarse_length(x.shape[2]), coarse_length(x.shape[3])))
    for dim in (2, 3):  # what ONNX has no operation for
        length, cells = x.shape[dim], coarse_length(x.shape[dim])
        cell = torch.arange(cells, device=x.device)[:, None]
        last = ((cell + 1) * length + cells - 1) // cells - 1
        index = torch.minimum(cell * length // cells + torch.arange(WINDOW, device=x.device), last)
        x = torch.unflatten(x.index_select(dim, index.flatten()), dim, (-1, WINDOW)).amax(dim + 1)
    return x


def repeated(x: Tensor, height: int, width: int) -> Tensor:
    """A coarse map at the size of the picture, each pixel that of its cell.

    Example:
        >>> x = torch.rand(1, 2, 2, 6)
        >>> torch.equal(repeated(x, 21, 50), F.interpolate(x, (21, 50)))
        True
    """
    if not torch.compiler.is_compiling():
        return F.interpolate(x, (height, width))
    for dim, length in ((2, height), (3, width)):  # in integers: onnxruntime rounds fractions otherwise
        x = x.index_select(dim, torch.arange(length, device=x.device) * x.shape[dim] // length)
    return x


def unit(x: Tensor) -> Tensor:
    """The features of each pixel at length 1.

    Example:
        >>> unit(torch.full((1, 4, 1, 1), 7.0)).flatten()
        tensor([0.5000, 0.5000, 0.5000, 0.5000])
    """
    long = x.float()  # half precision cannot hold squares
    square = long.square().sum(1, keepdim=True)  # on a processor, much faster than torch's norm
    return (long / square.clamp_min(1e-24).sqrt()).to(x.dtype)  # the gradient of black is finite


class SelfModulation(nn.Module):
    """One half of the features gated by a coarse map, the other half through local filters (the paper's SMFA).

    The coarse map has the largest value of each cell, and the variance of the whole picture.

    Example:
        >>> SelfModulation(8)(torch.rand(1, 8, 20, 17)).shape
        torch.Size([1, 8, 20, 17])
    """

    def __init__(self, num_features: int) -> None:
        super().__init__()
        n = num_features
        self.split = nn.Conv2d(n, 2 * n, 1)
        self.coarse = nn.Conv2d(n, n, 3, padding=1, groups=n)
        self.coarse_weight = nn.Parameter(torch.ones(1, n, 1, 1))
        self.variance_weight = nn.Parameter(torch.zeros(1, n, 1, 1))
        self.gate = nn.Conv2d(n, n, 1)
        self.local = nn.Sequential(
            nn.Conv2d(n, 2 * n, 3, padding=1, groups=n), nn.Conv2d(2 * n, 2 * n, 1), nn.GELU(), nn.Conv2d(2 * n, n, 1)
        )
        self.fuse = nn.Conv2d(n, n, 1)

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[-2:]
        local, wide = self.split(x).chunk(2, dim=1)
        pixels = height * width
        _, variance = moments(wide)
        variance = variance * (pixels / (pixels - 1 + 1 // pixels))  # without bias, but 0 for a single pixel
        coarse = self.coarse(largest(wide)) * self.coarse_weight + variance.to(x.dtype) * self.variance_weight
        gated = wide * repeated(F.gelu(self.gate(coarse)), height, width)
        return self.fuse(gated + self.local(local))  # type: ignore[no-any-return]


class ModulatedBlock(nn.Module):
    """Self-modulation, then a mixer with a convolution of a quarter of its channels (the paper's FMB).

    Example:
        >>> ModulatedBlock(8, 2)(torch.rand(1, 8, 20, 17)).shape
        torch.Size([1, 8, 20, 17])
    """

    def __init__(self, num_features: int, expansion: float) -> None:
        super().__init__()
        wide = int(expansion * num_features)
        quarter = wide // 4
        self.modulation = SelfModulation(num_features)
        self.mixer = nn.Sequential(
            nn.Conv2d(num_features, wide, 1),
            nn.GELU(),
            Partial(nn.Sequential(nn.Conv2d(quarter, quarter, 3, padding=1), nn.GELU()), quarter),
            nn.Conv2d(wide, num_features, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.modulation(unit(x))
        return x + self.mixer(unit(x))  # type: ignore[no-any-return]


class SMFANetNet(nn.Module):
    """Head, a chain of blocks with a skip around it, and a single pixel shuffle."""

    def __init__(self, args: "SMFANet") -> None:
        super().__init__()
        self.head = nn.Conv2d(3, args.num_features, 3, padding=1)
        self.blocks = nn.Sequential(
            *(ModulatedBlock(args.num_features, args.expansion) for _ in range(args.num_blocks))
        )
        self.tail = pixel_shuffle(args.num_features, 3, args.scale)

    def forward(self, lr: Tensor) -> Tensor:
        shallow = self.head(lr)
        return self.tail(self.blocks(shallow) + shallow)  # type: ignore[no-any-return]


@network
class SMFANet(SuperResolutionModule):
    """SMFANet, the self-modulation feature aggregation network.

    **Paper:** Zheng, Sun, Dong, Pan, SMFANet: A Lightweight Self-Modulation Feature Aggregation Network for Efficient
    Image Super-Resolution, ECCV 2024. The authors' weights load with ``weights=FILE``.

    Args:
        scale: Whole factor of enlargement.
        num_features: Channels of all blocks; 48 in SMFANet+.
        num_blocks: Number of blocks; 12 in SMFANet+.
        expansion: Factor by which the mixers widen the channels.

    Example:
        >>> SMFANet(scale=2, num_features=8, num_blocks=2)(torch.rand(1, 3, 8, 8)).shape
        torch.Size([1, 3, 16, 16])
    """

    layouts = (
        Layout(
            whose="SMFANet",
            names={
                "to_feat": "head",
                "feats.{i}.smfa.linear_0": "blocks.{i}.modulation.split",
                "feats.{i}.smfa.linear_1": "blocks.{i}.modulation.gate",
                "feats.{i}.smfa.linear_2": "blocks.{i}.modulation.fuse",
                "feats.{i}.smfa.dw_conv": "blocks.{i}.modulation.coarse",
                "feats.{i}.smfa.alpha": "blocks.{i}.modulation.coarse_weight",
                "feats.{i}.smfa.belt": "blocks.{i}.modulation.variance_weight",
                "feats.{i}.smfa.lde.conv_0.{k}": "blocks.{i}.modulation.local.{k}",
                "feats.{i}.smfa.lde.conv_1": "blocks.{i}.modulation.local.3",
                "feats.{i}.pcfn.conv_0": "blocks.{i}.mixer.0",
                "feats.{i}.pcfn.conv_1": "blocks.{i}.mixer.2.layer.0",
                "feats.{i}.pcfn.conv_2": "blocks.{i}.mixer.3",
                "to_img.0": "tail.0",
            },
        ),
    )

    scale: int = 4
    num_features: int = 36
    num_blocks: int = 8
    expansion: float = 2.0

    looks_everywhere = True

    def build_net(self) -> nn.Module:
        return SMFANetNet(self)

    @property
    def tile_multiple(self) -> int:
        """Tiles have cells of the coarse map of the whole picture."""
        return GRID

    @classmethod
    def arguments_of(cls, layers: Layers) -> dict[str, Any]:
        width = layers.outputs("head")
        return {
            "scale": layers.shuffled("tail.0"),
            "num_features": width,
            "num_blocks": layers.count("blocks.{i}.mixer.0"),
            "expansion": layers.outputs("blocks.0.mixer.0") / width,
        }
