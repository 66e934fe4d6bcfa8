"""LapSRN and MS-LapSRN: a Laplacian pyramid doubles the picture at each level, and each level has a loss."""

import math
import re
from collections.abc import Callable, Sequence
from typing import Literal, Unpack, cast

import torch
from torch import Tensor, nn

from sr_lightning.blocks import Luma, luma
from sr_lightning.functional import imresize, modcrop, rgb_to_y
from sr_lightning.functional.precision import full_precision
from sr_lightning.losses import Charbonnier
from sr_lightning.models.arguments import network
from sr_lightning.models.base import ParameterGroup, SuperResolutionModule
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
        count = _num_levels(args.scale)
        self.num_layers = (10 if count <= 2 else 5) if args.num_layers is None else args.num_layers
        self.head = nn.Sequential(
            nn.Conv2d(args.channels, args.num_features, 3, padding=1, bias=args.bias), _activation()
        )
        self.levels = nn.ModuleList(
            Level(args.channels, args.num_features, self.num_layers, args.deconv_kernel, args.bias)
            for _ in range(count)
        )
        _initialise(self, cast(nn.Conv2d, self.head[0]))

    def pyramid(self, lr: Tensor) -> list[Tensor]:
        """The pictures of all levels; the last one has ``scale`` times the input's size."""
        features, image, pictures = self.head(lr), lr, []
        for level in self.levels:
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

    def renamed(self, state: dict[str, Tensor], ours: Callable[[str], str | None]) -> dict[str, Tensor]:
        """A published state under our names; MatConvNet's arrays also in torch's order of axes."""
        expected, result = self.state_dict(), {}
        prefix = "net.net." if self.luma else "net."
        for name, value in state.items():
            key = ours(name) or name
            like = expected.get(prefix + key)
            if like is not None and name.endswith(("_f", "_b")) and value.numel() == like.numel():
                value = _from_matconvnet(value, like)
            result[key] = value
        return super().published_state(result)


def _from_matconvnet(value: Tensor, like: Tensor) -> Tensor:
    """Height, width, in, out (transposed: out, in), perhaps without axes of length one, to torch's order.

    Both libraries correlate, and both transpose that same operation: nothing is flipped.
    """
    if like.ndim == 1:
        return value.reshape(like.shape)
    height, width = like.shape[2:]
    return value.reshape(height, width, like.shape[1], like.shape[0]).permute(3, 2, 0, 1).contiguous()


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

    scale: int = 2
    channels: int = 1
    num_features: int = 64
    num_layers: int | None = None
    deconv_kernel: Literal[3, 4] = 3
    bias: bool = True
    bias_lr: float = 0.1

    def build_net(self) -> nn.Module:
        return luma(LapSRNNet(self), self.channels, self.scale)

    def training_losses(self, batch: Batch) -> dict[str, Tensor]:
        (lr, hr), scale = self.pair(batch), self.checked_scale(batch.get("scale"))
        return self.level_losses(cast(LapSRNNet, self.core).pyramid(lr), hr, scale, self.targets(batch))

    def published_state(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """Names of the authors' MatConvNet files and of the PyTorch port as they are here."""
        deconv = 2 * cast(LapSRNNet, self.core).num_layers
        numbers = [int(match[1]) for name in state if (match := re.match(r"level(\d+)_", name))]
        count = max(numbers, default=0)

        def authors(name: str) -> str | None:
            match = re.fullmatch(r"(?:level(\d+)_)?(input_conv|conv(\d+)|upconv|residual_conv|img_up)_([fb])", name)
            if not match or (match[1] is None) != (match[2] == "input_conv"):
                return None
            kind = "weight" if match[4] == "f" else "bias"
            if match[1] is None:
                return f"head.0.{kind}"
            # The authors count levels from the largest picture down.
            level = f"levels.{count - int(match[1])}"
            if match[3]:
                return f"{level}.features.{2 * (int(match[3]) - 1)}.{kind}"
            layer = {"upconv": f"features.{deconv}", "residual_conv": "residual", "img_up": "image"}[match[2]]
            return f"{level}.{layer}.{kind}"

        def port(name: str) -> str | None:
            if name == "conv_input.weight":
                return "head.0.weight"
            match = re.fullmatch(r"convt_(?:([IR])(\d+)|F(\d+)\.0\.cov_block\.(\d+))\.weight", name)
            if not match:
                return None
            if match[1]:
                return f"levels.{int(match[2]) - 1}.{'image' if match[1] == 'I' else 'residual'}.weight"
            return f"levels.{int(match[3]) - 1}.features.{match[4]}.weight"

        return self.renamed(state, lambda name: authors(name) or port(name))


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

    def published_state(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """Names of the authors' MatConvNet files as they are here."""
        layers = {"input_conv": "head", "upconv": "features.1", "residual_conv": "residual", "img_up": "image"}

        def ours(name: str) -> str | None:
            match = re.fullmatch(r"(input_conv|conv(\d+)|upconv|residual_conv|img_up)_([fb])", name)
            if not match:
                return None
            layer = f"block.{2 * int(match[2]) - 1}" if match[2] else layers[match[1]]
            return f"{layer}.{'weight' if match[3] == 'f' else 'bias'}"

        return self.renamed(state, ours)
