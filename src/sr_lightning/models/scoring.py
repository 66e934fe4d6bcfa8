"""How a network is scored on one whole picture."""

from dataclasses import replace
from typing import Any

from torch import Tensor

from sr_lightning.errors import PictureError
from sr_lightning.functional import as_unit
from sr_lightning.functional.precision import full_precision
from sr_lightning.strips.whole import in_strips
from sr_lightning.types import Batch


def score(model: Any, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
    """Super-resolves one whole picture and scores it by the network's protocol.

    Args:
        model: A ``SuperResolutionModule``.
        batch: ``hr`` and, if the data set has its own low-resolution picture, ``lr``; uint8, or float in [0, 1].
            ``lr`` without ``hr`` is measured alone.

    Returns:
        The SR picture ``(1, C, H, W)`` in [0, 1] and each metric's value.

    Raises:
        PictureError: If the protocol cannot score the picture.
    """
    try:
        return _score(model, batch)
    except ValueError as error:
        raise PictureError(f"{batch['name'][0]}: cannot be scored by {model.protocol.name}: {error}") from None


def _score(model: Any, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
    protocol = model.protocol
    if "hr" not in batch:
        sr = _without_truth(model, batch)
        return sr, protocol.measure(sr)
    lr, sr, hr = model.reconstruct(batch, model.luma)
    if sr.shape[1] == hr.shape[1] or not protocol.rgb_metrics():
        return sr, protocol.score(sr, hr, model.scale, lr)
    # Luma was enough for the protocol, but some of its metrics are of RGB.
    colour = protocol.rgb_metrics()
    plain = tuple(metric for metric in protocol.metrics if metric not in colour)
    without = replace(protocol, metrics=plain or ["psnr"], lpips_weights=None, dists_weights=None)
    scores = without.score(sr, hr, model.scale, lr) if plain else {}
    _, in_rgb, hr = model.reconstruct(batch, luma=False)
    return sr, {**scores, **replace(protocol, metrics=colour).score(in_rgb, hr, model.scale)}


def reconstruct(model: Any, batch: Batch, luma: bool) -> tuple[Tensor, Tensor, Tensor]:
    """LR, SR and HR of one whole picture, prepared by the protocol.

    Args:
        model: A ``SuperResolutionModule``.
        batch: See ``score``.
        luma: Asks for luma alone.

    Raises:
        PictureError: If the picture is smaller than the scale.
    """
    lr, hr = model.protocol.prepare(batch["hr"], batch.get("lr"), model.scale, luma)
    if min(lr.shape[-2:]) < 1:
        raise PictureError(f"{batch['name'][0]}: too small for scale {model.scale}")
    return lr, _super_resolved(model, batch, lr), hr


def _without_truth(model: Any, batch: Batch) -> Tensor:
    """SR of a picture that has no truth, in RGB."""
    lr = as_unit(batch["lr"])
    return _super_resolved(model, batch, lr.expand(-1, 3, -1, -1) if lr.shape[1] == 1 else lr)


def _super_resolved(model: Any, batch: Batch, lr: Tensor) -> Tensor:
    parameter = next(model.parameters(), None)
    small = lr if parameter is None else lr.to(parameter)
    grey_for_rgb = lr.shape[1] == 1 and not model.luma
    small = small.expand(-1, 3, -1, -1) if grey_for_rgb else small

    def super_resolve(picture: Tensor) -> Tensor:
        return model.super_resolve({**batch, "lr": picture})  # type: ignore[no-any-return]

    with full_precision(small):  # scores do not depend on the precision of training
        sr = in_strips(model, super_resolve, small) if model.tile_multiple == 1 else super_resolve(small)
    return sr.mean(1, keepdim=True) if grey_for_rgb else sr
