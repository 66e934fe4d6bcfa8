"""LapSRN and MS-LapSRN: a Laplacian pyramid doubles the picture at each level, and each level has a loss."""

import math
import re
from collections.abc import Sequence
from typing import Any, ClassVar, Literal, Unpack, cast

import torch
from torch import Tensor, nn

from sr_lightning.blocks import Luma, luma
from sr_lightning.functional import imresize, modcrop, rgb_to_y
from sr_lightning.functional.precision import full_precision
from sr_lightning.losses import Charbonnier
from sr_lightning.models.arguments import network
from sr_lightning.models.base import ParameterGroup, SuperResolutionModule
from sr_lightning.models.lapsrn_matconvnet import levels_of_the_authors, one_level_of_the_authors
from sr_lightning.models.layouts import Layers, Layout, State
from sr_lightning.types import Batch, Recipe


class Doubling(nn.ConvTranspose2d):
    """Transposed convolution to exactly twice the size.

    The authors' 3x3 kernel gives one row and column too many, of which MatConvNet drops the last;
    torch's ``padding=1, output_padding=1`` would drop the first, and shift the picture by one pixel.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel: Literal[3, 4], bias: bool) -> None:
        if kernel not in (3, 4):
            raise ValueError(f"a deconvolution of LapSRN has 3x3 or 4x4 weights, not {kernel}x{kernel}")
        super().__init__(in_channels, out_channels, kernel, stride=2, padding=kernel - 3, bias=bias)

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        return super().forward(x)[..., : 2 * x.shape[-2], : 2 * x.shape[-1]]


class ImageBranch(nn.ConvTranspose2d):
    """Learned enlargement of the picture itself, bilinear at first.

    Computed in full precision: bf16 cannot tell neighbouring 8-bit levels apart.

    Example:
        >>> import torch
        >>> ImageBranch(1)(torch.ones(1, 1, 4, 4))[0, 0, 3, 1:-1].detach()
        tensor([1., 1., 1., 1., 1., 1.])
    """

    def __init__(self, channels: int) -> None:
        super().__init__(channels, channels, 4, stride=2, padding=1, groups=channels, bias=False)
        line = torch.tensor([0.25, 0.75, 0.75, 0.25])
        with torch.no_grad():
            self.weight.copy_(torch.outer(line, line).expand_as(self.weight))

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        with full_precision(x):
            return super().forward(x.to(self.weight.dtype))


class Level(nn.Module):
    """One doubling of LapSRN: features ``(N, F, H, W)`` and picture ``(N, C, H, W)`` to twice the size."""

    def __init__(self, channels: int, num_features: int, num_layers: int, kernel: Literal[3, 4], bias: bool) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for _ in range(num_layers):
            layers += [nn.Conv2d(num_features, num_features, 3, padding=1, bias=bias), _activation()]
        self.features = nn.Sequential(*layers, Doubling(num_features, num_features, kernel, bias), _activation())
        self.residual = nn.Conv2d(num_features, channels, 3, padding=1, bias=bias)
        self.image = ImageBranch(channels)

    def forward(self, features: Tensor, image: Tensor) -> tuple[Tensor, Tensor]:
        features = self.features(features)
        return features, self.image(image) + self.residual(features)


class LapSRNNet(nn.Module):
    """First convolution and as many levels as reach the scale.

    Example:
        >>> import torch
        >>> net = LapSRN(scale=3, num_features=8, num_layers=2).core
        >>> [tuple(picture.shape[-2:]) for picture in net.pyramid(torch.rand(1, 1, 7, 5))]
        [(14, 10), (21, 15)]
    """

    def __init__(self, args: "LapSRN") -> None:
        super().__init__()
        self.scale = args.scale
        self.num_levels = count = _num_levels(args.scale)
        if args.num_levels is not None and args.num_levels < count:
            raise ValueError(f"num_levels={args.num_levels}: scale={args.scale} takes {count}")
        self.num_layers = (10 if count <= 2 else 5) if args.num_layers is None else args.num_layers
        self.head = nn.Sequential(
            nn.Conv2d(args.channels, args.num_features, 3, padding=1, bias=args.bias), _activation()
        )
        self.levels = nn.ModuleList(
            Level(args.channels, args.num_features, self.num_layers, args.deconv_kernel, args.bias)
            for _ in range(args.num_levels or count)
        )
        _initialise(self, cast(nn.Conv2d, self.head[0]))

    def pyramid(self, lr: Tensor) -> list[Tensor]:
        """The pictures of all levels; the last one has ``scale`` times the input's size."""
        features, image, pictures = self.head(lr), lr, []
        for level in self.levels[: self.num_levels]:
            features, image = level(features, image)
            pictures.append(image)
        return _fitted(pictures, lr, self.scale)

    def forward(self, lr: Tensor) -> Tensor:
        return self.pyramid(lr)[-1]


class MSLapSRNNet(nn.Module):
    """One level, whose weights serve every doubling.

    Its convolutions follow their activation, and run ``num_recursions`` times; each time the level's input is added.

    Example:
        >>> import torch
        >>> net = MSLapSRN(num_features=8, num_layers=2).core
        >>> [tuple(picture.shape[-2:]) for picture in net.pyramid(torch.rand(1, 1, 7, 5), scale=8)]
        [(14, 10), (28, 20), (56, 40)]
    """

    def __init__(self, args: "MSLapSRN") -> None:
        super().__init__()
        self.scale = args.scale
        self.num_recursions = args.num_recursions
        self.head = nn.Conv2d(args.channels, args.num_features, 3, padding=1)
        self.block = nn.Sequential()
        for _ in range(args.num_layers):
            # Not in place: the first of them activates what is added afterwards.
            self.block += nn.Sequential(
                nn.LeakyReLU(0.2), nn.Conv2d(args.num_features, args.num_features, 3, padding=1)
            )
        self.features = nn.Sequential(_activation(), Doubling(args.num_features, args.num_features, 3, bias=True))
        self.residual = nn.Conv2d(args.num_features, args.channels, 3, padding=1)
        self.image = ImageBranch(args.channels)
        _initialise(self, self.head)

    def pyramid(self, lr: Tensor, scale: int | None = None) -> list[Tensor]:
        """The pictures of all levels; the last one has ``scale`` times the input's size."""
        scale = self.scale if scale is None else scale
        features, image, pictures = self.head(lr), lr, []
        for _ in range(_num_levels(scale)):
            x = features
            for _ in range(self.num_recursions):
                x = self.block(x) + features
            features = self.features(x)
            image = self.image(image) + self.residual(features)
            pictures.append(image)
        return _fitted(pictures, lr, scale)

    def forward(self, lr: Tensor, scale: int | None = None) -> Tensor:
        return self.pyramid(lr, scale)[-1]


def _activation() -> nn.LeakyReLU:
    return nn.LeakyReLU(0.2, inplace=True)


def _num_levels(scale: int) -> int:
    if scale < 2:
        raise ValueError(f"scale={scale}: LapSRN enlarges by 2 or more")
    return (scale - 1).bit_length()


def _initialise(net: nn.Module, first: nn.Conv2d) -> None:
    """The authors' initial weights. Image branches initialise themselves."""
    for layer in net.modules():
        if isinstance(layer, nn.Conv2d | Doubling):
            fan = layer.kernel_size[0] * layer.kernel_size[1] * first.out_channels
            nn.init.normal_(layer.weight, std=1e-3 if layer is first else math.sqrt(2 / fan))
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def _fitted(pictures: list[Tensor], lr: Tensor, scale: int) -> list[Tensor]:
    """The last level of a scale that is no power of two is resized to it, as the authors do for x3."""
    if scale == 2 ** len(pictures):
        return pictures
    return [*pictures[:-1], imresize(pictures[-1], size=(scale * lr.shape[-2], scale * lr.shape[-1]))]


@network
class Pyramid(SuperResolutionModule):
    """LapSRN and MS-LapSRN share this: the loss of every level, slow biases, and the authors' files."""

    bias_lr: float

    def assemble(self, **recipe: Unpack[Recipe]) -> None:
        if recipe.get("loss") is None:
            recipe["loss"] = Charbonnier()
        super().assemble(**recipe)

    @property
    def core(self) -> nn.Module:
        """The network inside the luma wrapper."""
        return self.net.net if isinstance(self.net, Luma) else self.net

    def parameter_groups(self) -> list[ParameterGroup]:
        biased = any(name.endswith(".bias") for name, _ in self.named_parameters())
        return self.slower("bias", self.bias_lr) if biased else super().parameter_groups()

    def pair(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """LR and HR as the network sees them."""
        self.check_channels(batch)
        lr, hr = batch["lr"], batch["hr"]
        if self.luma:
            lr, hr = (rgb_to_y(image) if image.shape[1] == 3 else image for image in (lr, hr))
        return lr, hr

    def targets(self, batch: Batch) -> dict[int, Tensor]:
        """The truth of levels below the last, by their factor to LR: ``hr_x2`` and ``hr_x4``, if the batch has them."""
        given = {factor: cast(Tensor, batch[key]) for factor in (2, 4) if (key := f"hr_x{factor}") in batch}  # type: ignore[literal-required]
        if self.luma:
            return {factor: rgb_to_y(image) if image.shape[1] == 3 else image for factor, image in given.items()}
        return given

    def level_losses(
        self, pictures: list[Tensor], hr: Tensor, scale: int, targets: dict[int, Tensor] | None = None
    ) -> dict[str, Tensor]:
        """One term for each level, against the truth at its size: one of ``targets``, or ``hr`` made smaller."""
        levels = [f"x{2**i}" for i in range(1, len(pictures))] + [f"x{scale}"]
        losses: dict[str, Tensor] = {}
        for i, (level, picture) in enumerate(zip(levels, pictures, strict=True), 1):
            truth = (targets or {}).get(2**i) if i < len(pictures) else None
            if truth is None:
                truth = imresize(hr, size=(picture.shape[-2], picture.shape[-1]))
            terms = self.loss_terms(picture.float(), truth)
            losses |= {level if name == "loss" else f"{level}_{name}": value for name, value in terms.items()}
        return losses


def _without_biases_of_the_image(state: State) -> State:
    """Lornatang's, whose layers 2, 5 and 8 enlarge the picture; their biases are added by the residual's layers."""
    result = State(state)
    for name in state:
        if (match := re.fullmatch(r"laplacian_pyramid_conv(\d+)\.bias", name)) and int(match[1]) % 3 == 2:
            residual = f"laplacian_pyramid_conv{int(match[1]) + 1}.bias"
            result[residual] = state[residual] + result.pop(name)
    return result


@network
class LapSRN(Pyramid):
    """LapSRN for x2, x4 or x8; scales between them use the next larger pyramid and a bicubic reduction.

    **Paper:** Lai, Huang, Ahuja, Yang, Deep Laplacian Pyramid Networks for Fast and Accurate Super-Resolution,
    CVPR 2017. Without another ``loss`` it is the sum over levels of the mean Charbonnier loss with eps = 1e-3.
    The paper sums over pixels, so that each level weighs as much as it has pixels: at x4 the x2 level a quarter of the
    last one, at x8 the levels 1/16, 1/4 and 1; with means all weigh the same. ``loss.reduction=sum`` is the paper's,
    and goes with its SGD at 1e-5 (``experiment=lapsrn_291_x4_paper``).

    Args:
        scale: Whole factor of enlargement, 2 or more.
        channels: 1 for luma, 3 for RGB.
        num_features: Channels of the hidden layers.
        num_levels: Levels of the pyramid; None for as many as the scale takes. With more of them, as where a file of x4
            is used for x2, the last ones have no use.
        num_layers: Convolutions of each level before its deconvolution; None for the authors' 10, or 5 from three
            levels on.
        deconv_kernel: Size of the features' deconvolutions: the authors' 3, or the 4 of the PyTorch port.
        bias: Whether the layers have biases; the port's have none.
        bias_lr: Learning rate of the biases relative to the weights; the authors' 0.1.

    Example:
        >>> import torch
        >>> LapSRN(scale=4, num_features=8, num_layers=2)(torch.rand(1, 3, 8, 8)).shape
        torch.Size([1, 3, 32, 32])
    """

    layouts = (
        Layout(
            whose="LapSRN (MatConvNet)",
            names={
                name: name for name in ("head.0", "levels.{i}.features.{j}", "levels.{i}.residual", "levels.{i}.image")
            },
            prepare=levels_of_the_authors,
        ),
        Layout(
            whose="pytorch-LapSRN",
            names={
                "conv_input": "head.0",
                "convt_I{i}": "levels.{i-1}.image",
                "convt_R{i}": "levels.{i-1}.residual",
                "convt_F{i}.0.cov_block.{j}": "levels.{i-1}.features.{j}",
            },
        ),
        Layout(
            whose="Lornatang's LapSRN-PyTorch",
            names={
                "conv1.0": "head.0",
                "laplacian_pyramid_conv{3i+1}.{j}.cl.0": "levels.{i}.features.{2j}",
                "laplacian_pyramid_conv{3i+1}.{j}": "levels.{i}.features.{2j}",
                "laplacian_pyramid_conv{3i+2}": "levels.{i}.image",
                "laplacian_pyramid_conv{3i+3}": "levels.{i}.residual",
            },
            prepare=_without_biases_of_the_image,
        ),
    )
    untraced: ClassVar = {"scale": (2, 4, 8)}

    scale: int = 2
    channels: int = 1
    num_features: int = 64
    num_levels: int | None = None
    num_layers: int | None = None
    deconv_kernel: Literal[3, 4] = 3
    bias: bool = True
    bias_lr: float = 0.1

    def build_net(self) -> nn.Module:
        return luma(LapSRNNet(self), self.channels, self.scale)

    def training_losses(self, batch: Batch) -> dict[str, Tensor]:
        (lr, hr), scale = self.pair(batch), self.checked_scale(batch.get("scale"))
        return self.level_losses(cast(LapSRNNet, self.core).pyramid(lr), hr, scale, self.targets(batch))

    @classmethod
    def arguments_of(cls, layers: Layers) -> dict[str, Any]:
        num_layers = layers.numbers("levels.0.features.{i}")[-1] // 2
        num_levels = layers.count("levels.{i}.residual")
        return {
            "scale": 2**num_levels,
            "channels": layers.inputs("head.0"),
            "num_features": layers.outputs("head.0"),
            "num_levels": num_levels,
            "num_layers": num_layers,
            "deconv_kernel": layers.kernel(f"levels.0.features.{2 * num_layers}"),
            "bias": layers.has_bias("head.0"),
        }


@network
class MSLapSRN(Pyramid):
    """MS-LapSRN: one set of weights for all levels and all scales. D5R2 by default.

    **Paper:** Lai, Huang, Ahuja, Yang, Fast and Accurate Image Super-Resolution with Deep Laplacian Pyramid Networks,
    IEEE TPAMI 2018; the variant SS, in which every recursion adds the level's input. The loss is the sum of
    ``LapSRN``'s loss over ``train_scales``.

    Args:
        scale: Whole factor of enlargement, 2 or more; ``forward`` takes others too.
        channels: 1 for luma, 3 for RGB.
        num_features: Channels of the hidden layers.
        num_layers: D, convolutions of the recursive block.
        num_recursions: R, number of times that a level applies it.
        train_scales: Scales that every batch trains besides its own, with LR made from its HR; the authors' 2, 4, 8.
        bias_lr: Learning rate of the biases relative to the weights; the authors' 0.1.

    Example:
        >>> import torch
        >>> MSLapSRN(scale=2, num_features=8)(torch.rand(1, 3, 8, 8), scale=3).shape
        torch.Size([1, 3, 24, 24])
    """

    multi_scale = True
    layouts = (
        Layout(
            whose="MS-LapSRN (MatConvNet)",
            names={name: name for name in ("head", "block.{i}", "features.{i}", "residual", "image")},
            prepare=one_level_of_the_authors,
        ),
    )
    untraced: ClassVar = {"num_recursions": (2, 5, 8)}

    scale: int = 2
    channels: int = 1
    num_features: int = 64
    num_layers: int = 5
    num_recursions: int = 2
    train_scales: Sequence[int] = (2, 4, 8)
    bias_lr: float = 0.1

    def build_net(self) -> nn.Module:
        return luma(MSLapSRNNet(self), self.channels, self.scale)

    def training_losses(self, batch: Batch) -> dict[str, Tensor]:
        (lr, hr), own = self.pair(batch), self.checked_scale(batch.get("scale"))
        losses: dict[str, Tensor] = {}
        for scale in sorted({own, *self.train_scales}):
            truth = hr if scale == own else modcrop(hr, scale)
            small = lr if scale == own else imresize(truth, 1 / scale)
            pictures = cast(MSLapSRNNet, self.core).pyramid(small, scale)
            targets = self.targets(batch) if scale == own else None
            losses |= {f"x{scale}_{k}": v for k, v in self.level_losses(pictures, truth, scale, targets).items()}
        return losses

    @classmethod
    def arguments_of(cls, layers: Layers) -> dict[str, Any]:
        return {
            "scale": 2,
            "channels": layers.inputs("head"),
            "num_features": layers.outputs("head"),
            "num_layers": layers.count("block.{i}"),
        }
