"""Knowledge distillation: a network learns to imitate another one, its teacher."""

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from omegaconf import DictConfig
from pydantic import NonNegativeFloat
from torch import Tensor, nn

from sr_lightning.blocks.transformer import TransformerNet, to_channels
from sr_lightning.config import build
from sr_lightning.errors import ConfigError, SRError, nearest
from sr_lightning.inference.finding import find_network
from sr_lightning.limits import check_value
from sr_lightning.models import SuperResolutionModule

#: What a network that trains in a way of its own overrides.
_TRAINING = ("training_step", "training_losses")
_KEY = "distillation.features"

#: Rows and columns that features are averaged to before each place is compared with each other.
PLACES = 24


class Distillation:
    """What the training loss gets from a teacher.

    **Paper:** Hinton, Vinyals, Dean, Distilling the Knowledge in a Neural Network, 2015; features as in He et al.,
    FAKD: Feature-Affinity Based Knowledge Distillation for Efficient Image Super-Resolution, ICIP 2020.

    Args:
        picture: Weight of the L1 distance between both pictures.
        features: Layers of the network by layers of the teacher whose features it imitates. What counts is how alike
            the features of two places are, so that the layers may have other numbers of channels.
        features_weight: Weight of the distance of the features.

    Raises:
        ConfigError: If a weight is below 0, or nothing has a weight.
    """

    def __init__(
        self, picture: float = 1.0, features: Mapping[str, str] | None = None, features_weight: float = 1.0
    ) -> None:
        check_value("distillation.picture", picture, NonNegativeFloat)
        check_value("distillation.features_weight", features_weight, NonNegativeFloat)
        check_value("distillation.features", features, dict[str, str] | None)
        if not picture and not (features and features_weight):
            raise ConfigError("distillation: nothing of the teacher has a weight; set distillation.picture=1")
        self.picture, self.features, self.features_weight = picture, dict(features or {}), features_weight

    def attach(self, model: SuperResolutionModule, teacher: Any) -> None:
        """Adds the terms ``teacher`` and ``features`` to the training loss of a network.

        Raises:
            ConfigError: If the two do not fit together.
        """
        _check_fit(model, teacher)
        model.imitation = _Imitation(self, model, teacher.eval().requires_grad_(False))


class _Imitation:
    """Watches a network's forward pass, and compares it with that of its teacher."""

    def __init__(self, how: Distillation, model: SuperResolutionModule, teacher: nn.Module) -> None:
        self.how, self.teacher, self.model = how, teacher, model
        self.seen: dict[str, Tensor] = {}
        self.shown: dict[str, Tensor] = {}
        model.net.register_forward_hook(self._of_net)
        for ours, theirs in how.features.items():
            watched, shown = _layer(model, ours, _KEY), _layer(teacher, theirs, f"{_KEY}.{ours}")
            _keeping(self.seen, ours, watched, _gives_maps(model, ours, watched), in_training=True)
            _keeping(self.shown, ours, shown, _gives_maps(teacher, theirs, shown), in_training=False)

    def __deepcopy__(self, memo: Any) -> "_Imitation":
        """Itself: an average of the weights needs no second teacher."""
        return self

    def _of_net(self, net: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        if net.training:
            self.seen |= {"": inputs[0], "sr": output}

    def __call__(self) -> dict[str, Tensor]:
        """The terms of the step at hand."""
        lr, sr = self.seen.pop(""), self.seen.pop("sr")
        self.teacher.to(lr.device)
        with torch.no_grad():
            target = self.teacher(lr.detach())
        if not isinstance(sr, Tensor) or sr.shape != target.shape:
            shape = tuple(sr.shape) if isinstance(sr, Tensor) else "several pictures"
            raise ConfigError(
                f"teacher: it makes pictures of {tuple(target.shape)}, and {type(self.model).__name__} {shape}; "
                "choose another teacher"
            )
        terms = {"teacher": self.how.picture * F.l1_loss(sr.float(), target.float())} if self.how.picture else {}
        if self.how.features:
            for ours, theirs in self.how.features.items():
                if ours not in self.seen or ours not in self.shown:
                    idle = theirs if ours in self.seen else ours
                    raise ConfigError(f"{_KEY}.{ours}: {idle} computes nothing by itself; choose one of its layers")
            pairs = [(self.seen.pop(layer), self.shown.pop(layer)) for layer in self.how.features]
            distances = torch.stack([F.l1_loss(affinity(ours), affinity(theirs)) for ours, theirs in pairs])
            terms["features"] = self.how.features_weight * distances.mean()
        return terms


def affinity(features: Tensor) -> Tensor:
    """How alike the features of two places are, from -1 to 1; features of large maps are averaged before.

    Args:
        features: ``(N, C, H, W)``.

    Returns:
        ``(N, places, places)`` in float32.

    Example:
        >>> affinity(torch.tensor([1.0, -2.0]).view(1, 1, 1, 2))[0]
        tensor([[ 1., -1.],
                [-1.,  1.]])
    """
    height, width = (min(PLACES, side) for side in features.shape[-2:])
    if (height, width) != features.shape[-2:]:
        features = F.adaptive_avg_pool2d(features, (height, width))
    directions = F.normalize(features.float().flatten(2), dim=1)
    return directions.transpose(1, 2) @ directions


def distil(cfg: DictConfig, model: SuperResolutionModule) -> None:
    """Gives a network the teacher that the config names, if it names one.

    Raises:
        SRError: If there is no such network, or it does not fit.
    """
    if not cfg.teacher:
        return
    try:
        teacher, _ = find_network(cfg.teacher, model.scale)
    except SRError as error:
        said = str(error).removeprefix(f"{cfg.teacher}: ")
        raise type(error)(f"teacher={cfg.teacher}: {said}") from None
    if cfg.data.get("scales"):
        raise ConfigError("teacher: has one scale, and data.scales trains several; set data.scales=null")
    build(cfg.distillation).attach(model, teacher)


def _check_fit(model: SuperResolutionModule, teacher: Any) -> None:
    ours, theirs = type(model).__name__, getattr(teacher, "title", type(teacher).__name__)
    own = any(vars(SuperResolutionModule)[name] is not getattr(type(model), name) for name in _TRAINING)
    if own or model.inputs != ("lr",):
        raise ConfigError(f"teacher: {ours} trains in a way of its own, without a teacher; leave teacher= out")
    if not isinstance(teacher, nn.Module):
        raise ConfigError(f"teacher: {theirs} is a program that torch cannot run; give the weights that it was made of")
    if teacher.scale != model.scale:
        raise ConfigError(
            f"teacher: {theirs} enlarges by {teacher.scale}, and {ours} by {model.scale}; they must agree"
        )
    if model.luma and not getattr(teacher, "luma", False):
        raise ConfigError(f"teacher: {theirs} takes RGB, and {ours} luma alone; choose a teacher on luma, such as vdsr")


def _layer(network: nn.Module, name: str, key: str) -> nn.Module:
    layers = dict(getattr(network, "net", network).named_modules())
    if name not in layers:
        near = [layer for layer in layers if layer and layer.count(".") < 2]
        raise ConfigError(f"{key}: {type(network).__name__} has no layer {name!r}; {nearest(name, near)}")
    layer: nn.Module = layers[name]
    return layer


def _keeping(place: dict[str, Tensor], name: str, layer: nn.Module, maps: bool, in_training: bool) -> None:
    """Keeps what a layer gives, as ``(N, C, H, W)``; ``maps`` says that it gives ``(N, H, W, C)``."""

    def keep(module: nn.Module, inputs: Any, output: Any) -> None:
        if not isinstance(output, Tensor) or output.ndim != 4:
            raise ConfigError(f"{_KEY}.{name}: the layer gives no map of features; choose another one")
        if module.training == in_training:
            place[name] = to_channels(output) if maps else output

    layer.register_forward_hook(keep)


def _gives_maps(network: nn.Module, name: str, layer: nn.Module) -> bool:
    """Whether a layer of a network with attention gives ``(N, H, W, C)``: all in its body but convolutions."""
    first = next(iter(layer.children()), layer)
    in_body = isinstance(getattr(network, "net", None), TransformerNet) and name.split(".")[0] == "body"
    return in_body and not isinstance(layer, nn.Conv2d) and not isinstance(first, nn.Conv2d)
