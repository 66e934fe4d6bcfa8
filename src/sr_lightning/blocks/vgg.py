"""Convolutions of a classifier as fixed features for losses and metrics, with weights from a file."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Self

import torch
from pydantic import PositiveFloat
from torch import Tensor, nn

from sr_lightning.blocks.normalization import Standardize
from sr_lightning.errors import CheckpointError, ConfigError, nearest
from sr_lightning.functional.precision import full_precision
from sr_lightning.limits import check_value
from sr_lightning.tensor_files import read_torch_state

#: Convolutions before each pooling, and their channels.
CONVOLUTIONS = {"vgg16": (2, 2, 3, 3, 3), "vgg19": (2, 2, 4, 4, 4)}
CHANNELS = (64, 128, 256, 512, 512)
#: Where torchvision publishes the weights, and what of them is needed: the entries ``features.*``.
FILES = {"vgg16": "vgg16-397923af.pth", "vgg19": "vgg19-dcbb9e9d.pth", "alexnet": "alexnet-owt-7be5be79.pth"}


#: A network whose weights come from no file.
RANDOM = "random"


class VGGFeatures(nn.Module):
    """Features of RGB pictures at chosen layers of VGG16, VGG19 or AlexNet, without a gradient for the weights.

    The weights are not parameters and not in the ``state_dict``: they are neither trained, nor saved, nor counted, and
    parallel training does not send them around; they do follow the module to its device.

    **Paper:** Simonyan, Zisserman, Very Deep Convolutional Networks for Large-Scale Image Recognition, ICLR 2015.
    AlexNet is torchvision's, of Krizhevsky, One Weird Trick for Parallelizing Convolutional Neural Networks, 2014.

    Random features (``network="random"``) need no file: VGG19's layers, with weights that are drawn once and for all.
    **Papers:** He, Wang, Hopcroft, A Powerful Generative Model Using Random Weights for the Deep Image Representation,
    NeurIPS 2016; initialised as He et al., Delving Deep into Rectifiers, ICCV 2015.

    Args:
        weights: A file of torchvision's names, ``features.0.weight`` and so on; None for a random network.
        layers: ``conv5_4`` is the fourth convolution after the fourth pooling, ``relu5_4`` the ReLU after it;
            AlexNet's are ``relu1`` to ``relu5``.
        network: ``"vgg16"``, ``"vgg19"``, ``"alexnet"`` or ``"random"``.
        pooling: Layer between VGG's blocks, default maximum of 2x2.
        width: Channels, relative to VGG's; below 1 for a network of one's own, or a random one, that is faster.

    Raises:
        ConfigError: If there is no such network or layer, no file is given, or one for random weights.
        CheckpointError: If the file is absent, damaged or of another network.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        weights: str | Path | None,
        layers: Iterable[str],
        network: str = "vgg19",
        pooling: nn.Module | None = None,
        width: float = 1.0,
    ) -> None:
        super().__init__()
        if network not in (*FILES, RANDOM):
            raise ConfigError(f"network={network}: there are {', '.join((*FILES, RANDOM))}")
        places, modules = _architecture("vgg19" if network == RANDOM else network, pooling, width)
        for layer in layers:
            if layer not in places:
                raise ConfigError(f"layers: {network} has no layer {layer}; {nearest(layer, places)}")
        self.places = {places[layer]: layer for layer in layers}
        if not self.places:
            raise ConfigError("layers: give at least one, such as layers={conv5_4: 1.0}")
        net = nn.Sequential(*modules[: max(self.places) + 1])
        if network == RANDOM:
            if weights is not None:
                raise ConfigError(f"network=random: has no use for weights={weights}; choose network=vgg19")
            _draw(net)
        elif weights is None:
            raise ConfigError(
                f"this loss needs the weights of {network}: torchvision's {FILES[network]}, by loss.weights=FILE or in "
                "a sum by its name, such as loss.losses.perceptual.weights=FILE; without, set network=random there"
            )
        else:
            _load(net, Path(weights), network)
        # In a list, where torch does not look for parameters.
        self._net = [net.requires_grad_(False).eval()]
        self.standardize = Standardize()  # as the published weights were trained

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """Features ``(N, C, H', W')`` in float32 by layer, of pictures ``(N, 1 or 3, H, W)`` in [0, 1]."""
        features = {}
        with full_precision(image):
            x = self.standardize(image.float().expand(-1, 3, -1, -1))
            for i, layer in enumerate(self._net[0]):
                x = layer(x)
                if i in self.places:
                    features[self.places[i]] = x
        return features

    def _apply(self, fn: Any, recurse: bool = True) -> Self:
        self._net[0]._apply(fn)  # type: ignore[no-untyped-call]
        return super()._apply(fn, recurse)  # type: ignore[no-untyped-call, no-any-return]


def _architecture(
    network: str, pooling: nn.Module | None = None, width: float = 1.0
) -> tuple[dict[str, int], list[nn.Module]]:
    """Index of each layer by name, and the layers, in the order of the weight files."""
    check_value("width", width, PositiveFloat)
    if network == "alexnet":
        if width != 1:
            raise ConfigError(f"width={width}: alexnet has its own; leave it out")
        return _alexnet()
    places: dict[str, int] = {}
    modules: list[nn.Module] = []
    before = 3
    for block, (count, full) in enumerate(zip(CONVOLUTIONS[network], CHANNELS, strict=True), start=1):
        channels = max(1, round(width * full))
        for i in range(1, count + 1):
            places[f"conv{block}_{i}"], places[f"relu{block}_{i}"] = len(modules), len(modules) + 1
            modules += [nn.Conv2d(before, channels, 3, padding=1), nn.ReLU()]
            before = channels
        modules.append(pooling or nn.MaxPool2d(2))
    return places, modules


def _alexnet() -> tuple[dict[str, int], list[nn.Module]]:
    places: dict[str, int] = {}
    modules: list[nn.Module] = []
    width = 3
    shapes = ((64, 11, 4, 2), (192, 5, 1, 2), (384, 3, 1, 1), (256, 3, 1, 1), (256, 3, 1, 1))
    for i, (channels, size, stride, padding) in enumerate(shapes, start=1):
        if i in (2, 3):
            modules.append(nn.MaxPool2d(3, 2))
        places[f"conv{i}"], places[f"relu{i}"] = len(modules), len(modules) + 1
        modules += [nn.Conv2d(width, channels, size, stride, padding), nn.ReLU()]
        width = channels
    return places, modules


def _draw(net: nn.Sequential) -> None:
    """The same weights in every run, and to rounding on every machine; features keep their size from layer to layer."""
    generator = torch.Generator().manual_seed(0)
    for layer in net:
        if isinstance(layer, nn.Conv2d):
            with torch.no_grad():
                layer.weight.copy_(
                    torch.randn(layer.weight.shape, generator=generator) * (2 / layer.weight[0].numel()) ** 0.5
                )
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]


def _load(net: nn.Sequential, path: Path, network: str) -> None:
    state = read_torch_state(path, f"{network}'s weights; torchvision's is {FILES[network]}")
    ours = net.state_dict()
    found = {name: state.get(f"features.{name}", state.get(name)) for name in ours}
    for name, value in ours.items():
        theirs = found[name]
        if not isinstance(theirs, Tensor) or theirs.shape != value.shape:
            shape = f"has the shape {tuple(theirs.shape)}" if isinstance(theirs, Tensor) else "is missing"
            raise CheckpointError(f"{path}: no weights of {network}: features.{name} {shape}")
    net.load_state_dict(found)
