"""Bicubic interpolation, the baseline of every table."""

from typing import ClassVar, Unpack, get_args

from torch import Tensor, nn

from sr_lightning.errors import ConfigError
from sr_lightning.functional import imresize
from sr_lightning.functional.coordinates import size_at
from sr_lightning.functional.packed import PackedGrid, check_grid, enlarge_packed
from sr_lightning.functional.resize import Edge, Rounding
from sr_lightning.models.arguments import network
from sr_lightning.models.base import SuperResolutionModule
from sr_lightning.types import Recipe


class BicubicNet(nn.Module):
    """MATLAB's bicubic enlargement of any number of channels."""

    def __init__(self, args: "Bicubic") -> None:
        super().__init__()
        for key, value, choices in (
            ("edge", args.edge, get_args(Edge)),
            ("rounding", args.rounding, get_args(Rounding)),
        ):
            if value not in choices:
                raise ConfigError(f"model.{key}={value}: there are {', '.join(choices)}")
        self.scale, self.edge, self.rounding = args.scale, args.edge, args.rounding

    def forward(self, lr: Tensor) -> Tensor:
        if self.scale == int(self.scale):
            return imresize(lr, self.scale, edge=self.edge, rounding=self.rounding)
        size = size_at(lr.shape[-2], self.scale), size_at(lr.shape[-1], self.scale)
        return imresize(lr, size=size, edge=self.edge, rounding=self.rounding)


@network
class Bicubic(SuperResolutionModule):
    """Bicubic interpolation as MATLAB's ``imresize`` does it; nothing to train.

    **Paper:** R. Keys, Cubic convolution interpolation for digital image processing, IEEE TASSP 1981.

    Args:
        scale: Factor of enlargement; whole, but for evaluation.
        edge: What lies outside the picture, ``"symmetric"`` or ``"replicate"``.
        rounding: ``"none"``, ``"per_pass"`` for what MATLAB does with 8-bit pictures, or ``"once"`` at the end.

    Raises:
        ConfigError: If ``edge`` or ``rounding`` is none of these.

    Example:
        >>> import torch
        >>> Bicubic(scale=2)(torch.rand(1, 3, 4, 4)).shape
        torch.Size([1, 3, 8, 8])
    """

    whole_scales: ClassVar[bool] = False  # as the baseline of networks of any scale

    scale: int = 2
    edge: Edge = "symmetric"
    rounding: Rounding = "none"

    def build_net(self) -> nn.Module:
        return BicubicNet(self)

    def assemble(self, **recipe: Unpack[Recipe]) -> None:
        super().assemble(**recipe)
        self.luma = True  # every channel is treated alike, so a luma protocol may give luma alone


class PackedBicubicNet(nn.Module):
    """``enlarge_packed``."""

    def __init__(self, args: "PackedBicubic") -> None:
        super().__init__()
        self.scale, self.grid = args.scale, args.grid

    def forward(self, lr: Tensor) -> Tensor:
        return enlarge_packed(lr, self.scale, self.grid)


@network
class PackedBicubic(SuperResolutionModule):
    """Bicubic interpolation of a packed mosaic, each colour to where the finer sensor has it; nothing to train.

    **Paper:** R. Keys, Cubic convolution interpolation for digital image processing, IEEE TASSP 1981.

    Args:
        scale: Whole factor of enlargement.
        grid: Where the samples of the input lie: sensor, cells or first.

    Raises:
        ConfigError: If ``grid`` is none of these.

    Example:
        >>> import torch
        >>> PackedBicubic(scale=2)(torch.rand(1, 4, 4, 4)).shape
        torch.Size([1, 4, 8, 8])
    """

    packed = True
    halo = 2

    scale: int = 2
    grid: PackedGrid = "sensor"

    def build_net(self) -> nn.Module:
        check_grid(self.grid)
        return PackedBicubicNet(self)


def baseline_of(model: SuperResolutionModule, **recipe: Unpack[Recipe]) -> SuperResolutionModule:
    """Bicubic interpolation on the grid of a network, which tables compare it with.

    Example:
        >>> from sr_lightning.models import Packed
        >>> type(baseline_of(Packed(scale=2, num_features=8, num_blocks=1))).__name__
        'PackedBicubic'
    """
    if model.packed:
        return PackedBicubic(scale=model.scale, grid=getattr(model, "grid", "sensor"), **recipe)
    return Bicubic(scale=model.scale, **recipe)
