"""SRCNN: three convolutions on the bicubically enlarged picture."""

from typing import Any, ClassVar, Literal

from torch import Tensor, nn

from sr_lightning.blocks import bicubic, luma
from sr_lightning.errors import ConfigError
from sr_lightning.models.arguments import network
from sr_lightning.models.base import ParameterGroup, SuperResolutionModule
from sr_lightning.models.layouts import Layers, Layout, State


class SRCNNNet(nn.Module):
    """Bicubic enlargement, then patch extraction, non-linear mapping and reconstruction."""

    def __init__(self, args: "SRCNN") -> None:
        super().__init__()
        self.scale = args.scale
        self.enlarge = bicubic(args.enlargement)
        half = args.num_features // 2
        self.extraction = nn.Conv2d(args.channels, args.num_features, 9, padding=4)
        self.mapping = nn.Conv2d(args.num_features, half, args.mapping_kernel, padding=args.mapping_kernel // 2)
        self.reconstruction = nn.Conv2d(half, args.channels, 5, padding=2)
        self.relu = nn.ReLU(inplace=True)
        for layer in (self.extraction, self.mapping, self.reconstruction):
            nn.init.normal_(layer.weight, std=1e-3)
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]

    def forward(self, lr: Tensor, scale: int | None = None) -> Tensor:
        x = self.enlarge(lr, self.scale if scale is None else scale)
        x = self.relu(self.extraction(x))
        x = self.relu(self.mapping(x))
        return self.reconstruction(x)  # type: ignore[no-any-return]


def _of_colour(state: State) -> State | None:
    """The files of mmagic, which have yjn870's names; yjn870's are all for luma."""
    return state if state["conv1.weight"].shape[1] == 3 else None


_NAMES = {"conv1": "extraction", "conv2": "mapping", "conv3": "reconstruction"}


@network
class SRCNN(SuperResolutionModule):
    """SRCNN 9-1-5, 9-3-5 or 9-5-5; the output has the full size.

    **Paper:** Dong, Loy, He, Tang, Image Super-Resolution Using Deep Convolutional Networks, IEEE TPAMI 2016.
    The paper trains without padding, on the smaller output that is left: the pixels whose value depends on no padding.

    Args:
        scale: Whole factor of enlargement.
        channels: 1 for luma, 3 for RGB.
        num_features: Filters of the first layer; the second has half as many.
        mapping_kernel: Size of the middle layer's filters: 1, 3 or 5.
        last_layer_lr: Learning rate of the last layer relative to the others; the paper's 0.1.
        padding: ``"same"`` compares whole patches in training, ``"valid"`` their centres alone, as the paper does.
        enlargement: matlab, or torch as in mmagic, whose bicubic kernel is sharper.

    Example:
        >>> import torch
        >>> SRCNN(scale=2)(torch.rand(1, 3, 8, 8)).shape
        torch.Size([1, 3, 16, 16])
    """

    layouts = (
        Layout(whose="mmagic", names=_NAMES, arguments={"enlargement": "torch"}, prepare=_of_colour),
        Layout(whose="SRCNN-pytorch", names=_NAMES),
        Layout(
            whose="Lornatang's SRCNN-PyTorch",
            names={"features.0": "extraction", "map.0": "mapping", "reconstruction": "reconstruction"},
        ),
    )
    untraced: ClassVar = {"scale": (2, 3, 4)}

    enlarges_first = True

    scale: int = 2
    channels: int = 1
    num_features: int = 64
    mapping_kernel: Literal[1, 3, 5] = 5
    last_layer_lr: float = 0.1
    padding: Literal["same", "valid"] = "same"
    enlargement: str = "matlab"

    def build_net(self) -> nn.Module:
        if self.padding not in ("same", "valid"):
            raise ConfigError(f"model.padding={self.padding}: must be same or valid")
        return luma(SRCNNNet(self), self.channels, self.scale)

    @property
    def border(self) -> int:
        """Pixels at each side whose value depends on padding: half of every filter."""
        return 4 + self.mapping_kernel // 2 + 2 if self.padding == "valid" else 0

    def loss_terms(self, sr: Tensor, hr: Tensor) -> dict[str, Tensor]:
        if min(hr.shape[-2:]) <= 2 * self.border:
            raise ConfigError(
                f"model.padding=valid leaves nothing of {min(hr.shape[-2:])} pixels; set a larger data.patch_size"
            )
        return super().loss_terms(_centre(sr, self.border), _centre(hr, self.border))

    def parameter_groups(self) -> list[ParameterGroup]:
        return self.slower("reconstruction", self.last_layer_lr)

    @classmethod
    def arguments_of(cls, layers: Layers) -> dict[str, Any]:
        return {
            "scale": 2,
            "channels": layers.inputs("extraction"),
            "num_features": layers.outputs("extraction"),
            "mapping_kernel": layers.kernel("mapping"),
        }


def _centre(picture: Tensor, border: int) -> Tensor:
    height, width = picture.shape[-2:]
    return picture[..., border : height - border, border : width - border]
