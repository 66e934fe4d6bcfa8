"""Contextual bilateral loss: for pictures that are not aligned to the pixel."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from sr_lightning.blocks.vgg import VGGFeatures
from sr_lightning.functional.precision import full_precision
from sr_lightning.functional.psnr import check_same_shape


def contextual_bilateral(
    sr: Tensor,
    hr: Tensor,
    distance: Literal["cosine", "l2"],
    spatial_weight: float = 0.1,
    bandwidth: float = 0.5,
    max_positions: int = 63**2,
) -> Tensor:
    """CoBi of two maps of features: whether each of ``hr`` has one like it in ``sr``, preferably nearby.

    **Paper:** Zhang, Chen, Ng, Koltun, Zoom to Learn, Learn to Zoom, CVPR 2019, equations 3 and 4, on the contextual
    loss of Mechrez, Talmi, Zelnik-Manor, ECCV 2018. With distances ``d_ij`` between place i of ``sr`` and j of
    ``hr``: affinity ``A_ij = softmax_j(-d_ij / (min_j d_ij + 1e-3) / bandwidth)``; the same of the places' distances,
    with coordinates in [0, 1); as in the authors' code the two affinities are mixed, where equation 4 adds the
    distances, and the loss is ``-log(mean_j max_i A_ij)``.

    The distances of a place i of ``sr`` are compared over all places of ``hr``, as in Mechrez et al. In the authors'
    functions the first argument has the part of ``hr``, and they call it ``vgg_real``; here ``sr`` comes first. Their
    repository has no call of these functions.

    Otherwise than in their code, the mean feature and the places drawn are those of one picture, not of the batch, a
    drawn place keeps its coordinates, and these reach 1, where theirs reach 255, which makes the affinity of places
    that of each place with itself alone.

    Args:
        sr: Features ``(N, C, H, W)``.
        hr: The same shape.
        distance: ``"cosine"``, half of one minus it, after subtracting the mean feature of ``hr``, or ``"l2"``, the sum
            of squares.
        spatial_weight: Part of the affinity of places; more, 0.5 or above, keeps training from drifting.
        bandwidth: Smaller makes the affinities harder.
        max_positions: Where there are more places, so many are drawn, the same in both.

    Returns:
        A scalar in float32, the mean over pictures; 0 where every feature has its like only at its own place.

    Example:
        >>> x = torch.eye(16).reshape(1, 16, 4, 4)  # no two places are alike
        >>> round(contextual_bilateral(x, x, "l2", spatial_weight=0).item(), 4)
        0.0
    """
    check_same_shape(sr, hr)
    height, width = sr.shape[-2:]
    rows, columns = torch.meshgrid(torch.arange(height) / height, torch.arange(width) / width, indexing="ij")
    places = torch.stack([rows.flatten(), columns.flatten()], dim=1)
    sr, hr = (x.float().flatten(2).transpose(1, 2) for x in (sr, hr))
    if len(places) > max_positions:
        chosen = torch.randperm(len(places))[:max_positions]
        places = places[chosen]
        sr, hr = sr[:, chosen.to(sr.device)], hr[:, chosen.to(hr.device)]
    with full_precision(sr):
        nearby = _affinity(_squares(*[places.to(sr.device)] * 2), bandwidth)
        # The affinities of one picture are 63**4 numbers: made again on the way back rather than kept for all.
        one: Any = (distance, nearby, spatial_weight, bandwidth)
        return torch.stack(
            [checkpoint(_one, a, b, *one, use_reentrant=False) for a, b in zip(sr, hr, strict=True)]
        ).mean()


def _one(sr: Tensor, hr: Tensor, distance: str, nearby: Tensor, spatial_weight: float, bandwidth: float) -> Tensor:
    """The loss of one picture, of features ``(places, C)``."""
    if distance == "cosine":
        mean = hr.mean(0)
        raw = (1 - F.normalize(sr - mean, dim=1) @ F.normalize(hr - mean, dim=1).mT).clamp_min(0) / 2
    else:
        raw = _squares(sr, hr)
    affinity = (1 - spatial_weight) * _affinity(raw, bandwidth) + spatial_weight * nearby
    return -affinity.amax(0).mean().log()


def _squares(a: Tensor, b: Tensor) -> Tensor:
    """Squared distances, from differences: products of large features cancel to noise."""
    return torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist").square()


def _affinity(distances: Tensor, bandwidth: float) -> Tensor:
    relative = distances / (distances.amin(1, keepdim=True) + 1e-3)
    return torch.softmax(-relative / bandwidth, dim=1)


class CoBi(nn.Module):
    """CoBi of RGB patches and, with a file of VGG19's weights, of its features.

    As in the authors' code, features are taken after the ReLU, VGG's poolings are means, and a whole map is compared at
    once: their code can cut it into quarters, which is off. Theirs are the weights of the network's own authors, whose
    pictures are in 0...255, here torchvision's.

    Args:
        patch_size: Side of the RGB patches in pixels, in 0...255, compared by ``"l2"``.
        patch_weight: Weight of their term.
        weights: VGG19's weights as torchvision publishes them; None leaves the features out.
        layers: Weight of each layer, compared by ``"cosine"``, default relu1_2 and relu2_2 1, relu3_2 0.5.
        spatial_weight: As in ``contextual_bilateral``, like the following.
        bandwidth: Smaller makes the affinities harder.
        max_positions: Where there are more places, so many are drawn.

    Raises:
        CheckpointError: If the file is absent, damaged or of another network.
    """

    def __init__(
        self,
        patch_size: int = 5,
        patch_weight: float = 1.0,
        weights: str | Path | None = None,
        layers: Mapping[str, float] | None = None,
        spatial_weight: float = 0.1,
        bandwidth: float = 0.5,
        max_positions: int = 63**2,
    ) -> None:
        super().__init__()
        self.patch_size, self.patch_weight = patch_size, patch_weight
        self.layers = dict(layers or {"relu1_2": 1.0, "relu2_2": 1.0, "relu3_2": 0.5}) if weights else {}
        self.features = VGGFeatures(weights, self.layers, pooling=nn.AvgPool2d(2)) if weights else None
        self.options = (spatial_weight, bandwidth, max_positions)

    def forward(self, sr: Tensor, hr: Tensor) -> Tensor:
        check_same_shape(sr, hr)
        terms = [self.patch_weight * contextual_bilateral(self._patches(sr), self._patches(hr), "l2", *self.options)]
        if self.features is not None:
            ours = self.features(sr)
            with torch.no_grad():
                truth = self.features(hr)
            terms += [
                weight * contextual_bilateral(ours[layer], truth[layer], "cosine", *self.options)
                for layer, weight in self.layers.items()
            ]
        return torch.stack(terms).sum()

    def _patches(self, image: Tensor) -> Tensor:
        """All patches, ``(N, C * patch_size**2, H', W')``."""
        height, width = (side - self.patch_size + 1 for side in image.shape[-2:])
        if min(height, width) < 1:
            raise ValueError(f"pictures of {tuple(image.shape[-2:])} have no patch of {self.patch_size} pixels")
        patches = F.unfold(image.float() * 255, self.patch_size)
        return patches.reshape(*patches.shape[:2], height, width)
