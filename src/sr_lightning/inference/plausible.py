"""Weights that fit by shape, but not by meaning: noticed on one small photograph, as soon as they are loaded."""

import warnings
from pathlib import Path

import torch
from torch import Tensor

from sr_lightning.errors import CheckpointError, SRError
from sr_lightning.functional import imresize, psnr, rgb_to_y, shave
from sr_lightning.inference.agreement import truth
from sr_lightning.inference.engines import Network
from sr_lightning.models.adversarial import AdversarialModule

#: LR pixels on each side, so that it takes a fraction of a second; for networks above so many parameters, fewer.
SIDE, SIDE_OF_LARGE, LARGE = 24, 16, 5_000_000
#: Decibels below bicubic that a network for PSNR never is; one in another value range is 3 to 20.
FAR = 2.0
#: Decibels between LR and the result reduced again, which all that were tried reach at their scale (52 and more), and
#: those for another scale do not (44 to 49). At x4 the two are too near.
CONSISTENT = {2: 50.0, 3: 50.0}


def check_on_a_photograph(network: Network, path: str | Path, foreign: bool = False) -> None:
    """Warns in one sentence, with what to try, where a network makes of a photograph what it should not.

    It is told if it is far below bicubic interpolation; of ``foreign`` weights, which do not say their scale, also if
    they seem to be for another one. Networks that read mosaics, cannot enlarge so small a picture, or are trained for
    looks by a discriminator pass unseen.

    Raises:
        CheckpointError: If the network gives NaN or infinity.
    """
    if network.inputs != ("lr",) or isinstance(network, AdversarialModule):
        return
    found = _on_a_photograph(network, path)
    if found is None:
        return
    below, consistency = found
    if below > FAR:
        what, tries = f"it is {below:.0f} dB below bicubic interpolation", _advice(network)
    elif foreign and consistency < CONSISTENT.get(network.scale, 0):
        what = f"its result, reduced again, comes within {consistency:.0f} dB of what it was given, where 52 are usual"
        tries = "another scale="
    else:
        return
    warnings.warn(
        f"{path}: this network fits by shape, but on a photograph {what}; unless it was hardly trained, or for looks, "
        f"try {tries}",
        stacklevel=2,
    )


@torch.inference_mode()
def _on_a_photograph(network: Network, path: str | Path) -> tuple[float, float] | None:
    """Decibels of luma below bicubic, and between LR and the result reduced again; None where that is not known."""
    scale, whole = network.scale, truth().shape[-1]
    large = sum(p.numel() for p in network.parameters()) > LARGE
    side = min(SIDE_OF_LARGE if large else SIDE, whole // scale)
    if side < 8:
        return None
    top, left = (min(at, whole - side * scale) for at in (24, 64))
    hr = truth()[..., top : top + side * scale, left : left + side * scale]
    lr = imresize(hr, 1 / scale, rounding="per_pass")
    training = network.training
    network.eval()
    try:
        sr = network(lr.to(next(network.parameters(), lr))).to(lr)
    except (RuntimeError, ValueError, SRError):  # of a fixed size, or a least one
        return None
    finally:
        network.train(training)
    if not sr.isfinite().all():
        raise CheckpointError(f"{path}: the network gives no numbers, but NaN or infinity: its weights are damaged")
    if sr.shape != hr.shape:
        return None
    ours, bicubic = (_psnr(picture, hr, scale) for picture in (sr, imresize(lr, scale)))
    return bicubic - ours, _psnr(imresize(sr, 1 / scale), lr, 2)


def _psnr(picture: Tensor, hr: Tensor, border: int) -> float:
    luma = (rgb_to_y(x.double()) for x in (picture.clamp(0, 1), hr))
    return float(psnr(*(shave(x, border) for x in luma)))


def _advice(network: Network) -> str:
    """What the network's own constructor, or an ONNX file's description, has to say."""
    settings = dict(getattr(network, "hparams", {}))
    tries = ["another scale="]
    if "value_range" in settings:
        tries.insert(0, f"model.value_range={1 if settings['value_range'] != 1 else 255}")
    if hasattr(network, "white"):
        tries = [f"foreign.white={255 if network.white == 1 else 1}"]
    return " or ".join(tries)
