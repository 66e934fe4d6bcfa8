"""LIIF: a picture as a function of the place, so that one network enlarges by any factor."""

from collections.abc import Mapping
from itertools import pairwise, product
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sr_lightning.blocks import MeanShift
from sr_lightning.errors import ConfigError
from sr_lightning.functional.coordinates import Axis, Beside, beside, size_at
from sr_lightning.functional.precision import full_precision
from sr_lightning.losses import Charbonnier, Mix
from sr_lightning.models.arguments import network
from sr_lightning.models.base import SuperResolutionModule
from sr_lightning.models.layouts import Layers, Layout
from sr_lightning.models.trunks import trunk, trunk_of
from sr_lightning.types import Batch

#: Side of the parts of a result whose pixels are computed at once: each hidden layer of one takes 17 MB.
PART = 128


class LIIFNet(nn.Module):
    """A trunk that makes features of LR pixels, and a decoder that makes a colour of a place and of features beside it.

    The decoder reads the 3x3 features around an LR pixel, the place as seen from there, and the size of the pixels of
    the result. What its first layer makes of features does not depend on the place. It is computed once for each LR
    pixel, as a convolution.
    """

    def __init__(self, args: "LIIF") -> None:
        super().__init__()
        self.scale: float = args.scale
        self.shift = MeanShift(2.0, (0.5, 0.5, 0.5))  # -1 to 1, before and after
        network = trunk(args.trunk, args.trunk_args)
        self.trunk, self.width = network.net, int(network.num_features)
        self.multiple, self.halo, self.looks_everywhere = network.tile_multiple, network.halo, network.looks_everywhere
        widths = [9 * self.width + 4, *[args.hidden_features] * args.hidden_layers, 3]
        self.decoder = nn.Sequential(*(nn.Linear(inputs, outputs) for inputs, outputs in pairwise(widths)))

    def forward(self, lr: Tensor, scale: float | None = None) -> Tensor:
        features, lengths = self.features(lr), lr.shape[-2:]
        size = size_at(lengths[0], scale or self.scale), size_at(lengths[1], scale or self.scale)
        rows, columns = Axis(size[0], lengths[0]), Axis(size[1], lengths[1])
        if torch.is_grad_enabled() or torch.compiler.is_exporting() or torch.jit.is_tracing():  # type: ignore[attr-defined, no-untyped-call]
            return self.pixels(features, rows, columns)
        out = lr.new_empty(len(lr), 3, *size)
        for row, column in product(rows.parts(PART, margin=1), columns.parts(PART, margin=1)):
            part = features[..., row.begin : row.end, column.begin : column.end]
            out[..., row.first : row.last, column.first : column.last] = self.pixels(part, row, column)
        return out

    def features(self, lr: Tensor) -> Tensor:
        """Features ``(N, C, H, W)`` of pictures ``(N, 3, H, W)`` in [0, 1]."""
        return self.trunk.features(self.shift(lr))  # type: ignore[no-any-return, operator]

    def pixels(self, features: Tensor, rows: Axis, columns: Axis) -> Tensor:
        """The colours ``(N, 3, h, w)`` of some rows and columns of a result.

        Args:
            features: Of the LR pixels beside them, and of one pixel more on all sides, as far as there is one.
            rows: Those of the result, and of LR.
            columns: The same.
        """
        y = rows.beside(features).map(lambda each: each[:, None, :, None])
        x = columns.beside(features).map(lambda each: each[:, None, None, :])
        return self._colours(features, y, x, self._of_cell(rows, columns))

    def pixels_at(self, features: Tensor, places: Tensor, size: tuple[int, int]) -> Tensor:
        """The colours ``(N, 3, Q, 1)`` of some pixels of each result.

        Args:
            features: Of all of LR.
            places: ``(N, Q)``, the numbers of the pixels, counted row by row.
            size: Height and width of the results.
        """
        rows, columns = (Axis(*lengths) for lengths in zip(size, features.shape[-2:], strict=True))
        y = beside(places[..., None] // size[1], *rows[:2], features.dtype)
        x = beside(places[..., None] % size[1], *columns[:2], features.dtype)
        return self._colours(features, y, x, self._of_cell(rows, columns))

    def _colours(self, features: Tensor, y: Beside, x: Beside, of_cell: Tensor) -> Tensor:
        """At places ``(N, ...)``: the mean of what the decoder makes of each of the four LR pixels beside a place."""
        first = self._of_features(features)
        count, height, width = first.shape[:3]
        first = first.flatten(0, 2)
        before = (torch.arange(count, device=first.device) * (height * width)).view(-1, *[1] * (y.index.ndim - 2))
        of_row, of_column = self._weight[:, -4], self._weight[:, -3]
        of_y, of_x = y.share, x.share
        mean: Any = 0
        for v, u in product((0, 1), repeat=2):
            near = before + y.index[v] * width + x.index[u]
            of_place = y.distance[v][..., None] * of_row + (x.distance[u][..., None] * of_column + of_cell)
            hidden = first[near.flatten()] + of_place.expand(*near.shape, -1).flatten(0, -2)
            mean = mean + (of_y[v] * of_x[u])[..., None] * self._after_first(hidden).view(*near.shape, 3)
        return self.shift.undo(mean.movedim(-1, 1))

    @property
    def _weight(self) -> Tensor:
        """Of the first layer: for 3x3 features, place (2) and size of a pixel (2)."""
        return self.decoder[0].weight  # type: ignore[return-value]

    def _of_features(self, features: Tensor) -> Tensor:
        """What the first layer makes of the features around each LR pixel: ``(N, H, W, hidden)``."""
        weight = self._weight[:, :-4].reshape(-1, self.width, 3, 3)
        return F.conv2d(features, weight, padding=1).permute(0, 2, 3, 1)

    def _of_cell(self, rows: Axis, columns: Axis) -> Tensor:
        """What the first layer makes of the size of a pixel, in halves of an LR pixel, and its bias."""
        high, wide = (2 * axis.length / axis.size for axis in (rows, columns))
        return high * self._weight[:, -2] + (wide * self._weight[:, -1] + self.decoder[0].bias)  # type: ignore[operator]

    def _after_first(self, x: Tensor) -> Tensor:
        """The other layers, for ``(places, hidden)``; the last one in float32, because it makes colours."""
        _, *hidden, last = list(self.decoder)
        for layer in hidden:
            x = layer(F.relu(x).to(self._weight.dtype))
        with full_precision(x):
            return last(F.relu(x).to(self._weight.dtype))  # type: ignore[no-any-return]


def _published(trunk_names: Mapping[str, str], *constants: str) -> Layout:
    """The names of the authors' files with one of their encoders."""
    names = {f"encoder.{theirs}": f"trunk.{ours}" for theirs, ours in trunk_names.items()}
    return Layout(
        whose="LIIF",
        names={**names, "imnet.layers.{2i}": "decoder.{i}"},
        constants=tuple(f"encoder.{name}" for name in constants),  # which the authors' network does not use
    )


def _is_of_pixels(loss: nn.Module) -> bool:
    """Whether a loss compares each pixel alone."""
    if isinstance(loss, Mix):
        return all(map(_is_of_pixels, loss.losses.values()))
    return isinstance(loss, nn.L1Loss | nn.MSELoss | nn.SmoothL1Loss | nn.HuberLoss | Charbonnier)


@network
class LIIF(SuperResolutionModule):
    """LIIF, the local implicit image function, on any network that has features before its tail.

    **Paper:** Chen, Liu, Wang, Learning Continuous Image Representation with Local Implicit Image Function, CVPR 2021.
    With the paper's feature unfolding, local ensemble and cell decoding. ``upscale factor=3.7`` computes at that scale.

    Args:
        scale: Any factor of enlargement, from 1; it is used where nobody asks for another.
        trunk: The network whose features it reads: edsr, rdn, rcan, rrdb, swinir, hat, dat, atd or pft.
        trunk_args: Arguments of that network, where they are not its usual ones, such as ``{"num_blocks": 32}``.
        hidden_features: Channels of the decoder.
        hidden_layers: Its layers before the last one.
        num_queries: Pixels of each patch that a training step computes, drawn anew; None for all, which losses need
            that look at more than one pixel.

    Example:
        >>> net = LIIF(trunk_args={"num_features": 8, "num_blocks": 1}, hidden_features=16)
        >>> net(torch.rand(1, 3, 8, 10)).shape, net(torch.rand(1, 3, 8, 10), scale=3.7).shape
        (torch.Size([1, 3, 16, 20]), torch.Size([1, 3, 30, 37]))
    """

    layouts = (
        _published(
            {"head.0": "head", "body.{i}.body.{j}": "body.{i}.body.{j}", "body.{i}": "body.{i}"}, "sub_mean", "add_mean"
        ),
        _published(
            {
                "SFENet{i}": "shallow{i}",
                "RDBs.{i}.convs.{j}.conv.0": "blocks.{i}.layers.{j}.0",
                "RDBs.{i}.LFF": "blocks.{i}.fusion",
                "GFF.{i}": "fusion.{i}",
            }
        ),
    )
    scale_layers = ()
    multi_scale: ClassVar[bool] = True
    any_scale: ClassVar[bool] = True
    whole_scales: ClassVar[bool] = False

    scale: float = 2  # type: ignore[assignment]  # of all other networks a whole number
    trunk: str = "edsr"
    trunk_args: Mapping[str, Any] | None = None
    hidden_features: int = 256
    hidden_layers: int = 4
    num_queries: int | None = 2304

    def build_net(self) -> nn.Module:
        return LIIFNet(self)

    def forward(self, *inputs: Tensor, scale: float | None = None) -> Tensor:
        return self.net(*inputs, scale=scale)  # type: ignore[no-any-return]

    def training_losses(self, batch: Batch) -> dict[str, Tensor]:
        """The loss of pixels that are drawn in each patch; the sizes of LR and HR say what the scale is."""
        self.check_channels(batch)
        net, hr = self.net, batch["hr"]
        assert isinstance(net, LIIFNet)
        features, size = net.features(batch["lr"]), (hr.shape[2], hr.shape[3])
        pixels = size[0] * size[1]
        if self.num_queries is None or pixels <= self.num_queries:
            rows, columns = (Axis(*lengths) for lengths in zip(size, features.shape[-2:], strict=True))
            return self.loss_terms(net.pixels(features, rows, columns).float(), hr.float())
        if not _is_of_pixels(self.loss):
            raise ConfigError("loss: looks at several pixels, and LIIF draws single ones; set model.num_queries=null")
        places = torch.rand(len(hr), pixels, device=hr.device).argsort(1)[:, : self.num_queries]
        sr = net.pixels_at(features, places, size)
        truth = hr.flatten(2).gather(2, places[:, None].expand(-1, hr.shape[1], -1))
        return self.loss_terms(sr.float(), truth[..., None].float())

    @property
    def tile_multiple(self) -> int:
        """As of the trunk."""
        return int(self.net.multiple)  # type: ignore[arg-type]

    @property
    def looks_everywhere(self) -> bool:  # type: ignore[override]
        """As the trunk."""
        return bool(self.net.looks_everywhere)

    @property
    def halo(self) -> int | None:  # type: ignore[override]
        """As far as the trunk looks, and the pixels beside a place and those around them; None if it is measured."""
        return None if self.net.halo is None else int(self.net.halo) + 2  # type: ignore[arg-type]

    @classmethod
    def arguments_of(cls, layers: Layers) -> dict[str, Any]:
        trunk, trunk_args = trunk_of(layers.below("trunk."))
        return {
            "scale": 2,  # or any other
            "trunk": trunk,
            "trunk_args": trunk_args,
            "hidden_features": layers.outputs("decoder.0"),
            "hidden_layers": layers.count("decoder.{i}") - 1,
        }
