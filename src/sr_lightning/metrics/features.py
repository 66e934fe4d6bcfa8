"""Distances between a classifier's features: LPIPS and DISTS."""

from collections.abc import Callable
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sr_lightning.blocks.vgg import VGGFeatures
from sr_lightning.devices import in_float64
from sr_lightning.errors import CheckpointError, ConfigError
from sr_lightning.functional.precision import full_precision
from sr_lightning.functional.psnr import checked_pair
from sr_lightning.tensor_files import read_torch_state

_VGG = ("relu1_2", "relu2_2", "relu3_3", "relu4_3", "relu5_3")
_ALEX = ("relu1", "relu2", "relu3", "relu4", "relu5")
_MIN_SIDE = 32


class LPIPSDistance(nn.Module):
    """Learned perceptual distance of each picture; 0 where they are equal.

    **Paper:** Zhang, Isola, Efros, Shechtman, Wang, The Unreasonable Effectiveness of Deep Features as a Perceptual
    Metric, CVPR 2018, equation 1; version 0.1.

    Args:
        weights: torchvision's file of VGG16 or AlexNet, which decides the network. Most papers report AlexNet. The
            channel weights come from torchmetrics, unless the file holds ``lin0.model.1.weight`` and so on.

    Raises:
        CheckpointError: If the file is absent, damaged or of another network.
    """

    lin0: Tensor

    def __init__(self, weights: str | Path) -> None:
        super().__init__()
        state = _read(weights, "LPIPS' network: VGG16's or AlexNet's as torchvision publishes them")
        first = state.get("features.0.weight", state.get("0.weight"))
        alex = isinstance(first, Tensor) and first.shape[-1] == 11
        self.layers = _ALEX if alex else _VGG
        self.features = VGGFeatures(weights, self.layers, "alexnet" if alex else "vgg16")
        if "lin0.model.1.weight" not in state:
            state = channel_weights("lpips_models/alex.pth" if alex else "lpips_models/vgg.pth")
        for i in range(len(self.layers)):
            self.register_buffer(f"lin{i}", _entry(state, f"lin{i}.model.1.weight", weights).flatten())

    def forward(self, sr: Tensor, hr: Tensor) -> Tensor:
        """``(N,)`` float64 of pictures ``(N, 1 or 3, H, W)`` in [0, 1], of at least 32 pixels each way."""
        sr, hr = (image.to(self.lin0.device, torch.float32) for image in _check(sr, hr, "LPIPS"))
        ours, truth = self.features(sr), self.features(hr)
        with full_precision(sr):
            layers = [
                torch.einsum("nchw,c->nhw", (_unit(ours[name]) - _unit(truth[name])).square(), lin).mean((1, 2))
                for name, lin in zip(self.layers, self.buffers(recurse=False), strict=True)
            ]
        return in_float64(torch.stack(layers)).sum(0)


class DISTSDistance(nn.Module):
    """Distance in structure and texture of each picture; 0 where they are equal.

    **Paper:** Ding, Ma, Wang, Simoncelli, Image Quality Assessment: Unifying Structure and Texture Similarity, IEEE
    TPAMI 2020, equations 4 to 6.

    Args:
        weights: torchvision's file of VGG16. The channel weights come from torchmetrics 1.8 or newer, unless the file
            holds ``alpha`` and ``beta``.

    Raises:
        CheckpointError: If the file is absent, damaged or of another network.
    """

    alpha: Tensor
    beta: Tensor

    def __init__(self, weights: str | Path) -> None:
        super().__init__()
        state = _read(weights, "DISTS' network: VGG16's as torchvision publishes it")
        self.features = VGGFeatures(weights, _VGG, "vgg16", pooling=_L2Pool())
        if "alpha" not in state:
            state = channel_weights("dists_models/weights.pt")
        alpha, beta = (_entry(state, name, weights).flatten() for name in ("alpha", "beta"))
        total = alpha.sum() + beta.sum()
        self.register_buffer("alpha", alpha / total)
        self.register_buffer("beta", beta / total)

    def forward(self, sr: Tensor, hr: Tensor) -> Tensor:
        """``(N,)`` float64 of pictures ``(N, 1 or 3, H, W)`` in [0, 1], of at least 32 pixels each way."""
        sr, hr = (image.to(self.alpha.device, torch.float32) for image in _check(sr, hr, "DISTS"))
        similarity = []
        with full_precision(sr):
            for x, y in zip(self._maps(sr), self._maps(hr), strict=True):
                mean_x, mean_y = x.mean((2, 3)), y.mean((2, 3))
                texture = (2 * mean_x * mean_y + 1e-6) / (mean_x.square() + mean_y.square() + 1e-6)
                x, y = x - mean_x[..., None, None], y - mean_y[..., None, None]
                covariance, variances = (x * y).mean((2, 3)), (x.square() + y.square()).mean((2, 3))
                similarity.append((texture, (2 * covariance + 1e-6) / (variances + 1e-6)))
            texture, structure = (in_float64(torch.cat(terms, 1)) for terms in zip(*similarity, strict=True))
            return 1 - texture @ in_float64(self.alpha) - structure @ in_float64(self.beta)

    def _maps(self, image: Tensor) -> list[Tensor]:
        return [image.float().expand(-1, 3, -1, -1), *self.features(image).values()]


class _L2Pool(nn.Module):
    """Root of the blurred squares at every second pixel, with a Hann window of three."""

    def forward(self, x: Tensor) -> Tensor:
        taps = x.new_tensor([0.25, 0.5, 0.25])
        kernel = torch.outer(taps, taps).expand(x.shape[1], 1, 3, 3)
        return (F.conv2d(x.square(), kernel, stride=2, padding=1, groups=x.shape[1]) + 1e-12).sqrt()


@lru_cache(maxsize=4)
def load_once(kind: Callable[[str], nn.Module], weights: str) -> nn.Module:
    """The network of that kind and file; reading it again for every picture would take longer than the picture."""
    return kind(weights)


def _read(weights: str | Path | None, what: str) -> dict[str, Any]:
    if weights is None:
        raise ConfigError(f"weights: needs a file, {what}")
    return read_torch_state(Path(weights), what)


def _unit(features: Tensor) -> Tensor:
    """Features of length 1 at every position."""
    return features / (torch.linalg.vector_norm(features, dim=1, keepdim=True) + 1e-10)  # type: ignore[no-any-return]  # at 0 its slope is 0


def _check(sr: Tensor, hr: Tensor, name: str) -> tuple[Tensor, Tensor]:
    sr, hr = checked_pair(sr, hr)
    if min(sr.shape[-2:]) < _MIN_SIDE:
        raise ValueError(f"{name} needs at least {_MIN_SIDE}x{_MIN_SIDE} pixels, got {sr.shape[-2]}x{sr.shape[-1]}")
    return sr, hr


def channel_weights(name: str) -> dict[str, Any]:
    """The authors' channel weights, from a file of torchmetrics.

    torchmetrics has no public function that returns them: its metrics need torchvision and download a network. A test
    fails when a release of torchmetrics moves the files.

    Args:
        name: The file, below torchmetrics' folder of image metrics.

    Raises:
        CheckpointError: If the file is missing; the weights may also stand in the file of the network.
    """
    path = Path(str(files("torchmetrics"))) / "functional" / "image" / name
    return read_torch_state(path, "channel weights; install torchmetrics 1.9, or add them to the network's own file")


def _entry(state: dict[str, Any], name: str, path: str | Path) -> Tensor:
    if not isinstance(state.get(name), Tensor):
        raise CheckpointError(f"{path}: {name} is missing")
    return state[name].detach().float()  # type: ignore[no-any-return]
