"""Weights that fit by shape, but not by meaning: noticed on one small photograph, as soon as they are loaded."""

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from sr_lightning.errors import CheckpointError, SRError
from sr_lightning.functional import as_unit, imresize, psnr, rgb_to_y, shave
from sr_lightning.inference.engines.agreement import truth
from sr_lightning.inference.engines.network import Network
from sr_lightning.inference.engines.onnx_network import OnnxNetwork
from sr_lightning.models.adversarial import AdversarialModule

Said = Literal["file", "config", "foreign", "shapes"]

#: LR pixels on each side, so that it takes a fraction of a second; for networks above so many parameters, fewer.
SIDE, SIDE_OF_LARGE, LARGE = 24, 16, 5_000_000
#: Decibels below bicubic that a network for PSNR never is; one in another value range is 3 to 20.
FAR = 2.0
#: The same of one for looks.
FAR_FOR_LOOKS = 6.0
#: Decibels between LR and the result reduced again, which all that were tried reach at their scale (52 and more), and
#: those for another scale do not (44 to 49). At x4 the two are too near.
CONSISTENT = {2: 50.0, 3: 50.0}


def check_on_a_photograph(network: Network, path: str | Path, said: Said = "file") -> None:
    """Warns in one sentence, with what to try, where a network makes of a photograph what it should not.

    It is told if it is far below bicubic interpolation; of foreign weights, which do not say their scale, also if they
    seem to be for another one. Networks that read mosaics, cannot enlarge so small a picture, or are trained for looks
    by a discriminator pass unseen.

    Args:
        network: With its weights.
        path: Their file.
        said: By whom it is said what network they are of: by the ``"file"`` itself; by the ``"config"``, with weights
            of this library; by the config with ``"foreign"`` weights; or by the ``"shapes"`` of foreign weights.

    Raises:
        CheckpointError: If the network gives NaN or infinity.
    """
    if network.inputs != ("lr",) or isinstance(network, AdversarialModule):
        return
    found = measured_on_a_photograph(network, path)
    if found is None:
        return
    tries = _advice(network, said)
    # A network that shapes tell, without settings that they do not, is what it is: for looks, or hardly trained.
    if found.below > (FAR if tries or said != "shapes" else FAR_FOR_LOOKS):
        what = f"it is {found.below:.0f} dB below bicubic interpolation"
    elif not found.consistent and (
        said == "foreign" or (said == "shapes" and "scale" in getattr(network, "untraced", ()))
    ):
        what = (
            f"its result, reduced again, comes within {found.consistency:.0f} dB of what it was given, "
            "where 52 are usual"
        )
        tries = [one for one in tries if one.startswith("scale")]
    else:
        return
    cause = f"try {' or '.join(tries)}, unless it was" if tries else "it was"
    warnings.warn(
        f"{path}: this network can be loaded, but on a photograph {what}; {cause} hardly trained, or for other ends",
        stacklevel=2,
    )


@dataclass(frozen=True)
class OnPhotograph:
    """What a network makes of the photograph.

    Args:
        below: Decibels of luma below bicubic interpolation.
        consistency: Decibels between LR and the result reduced again.
        scale: Of the network.
    """

    below: float
    consistency: float
    scale: int

    @property
    def consistent(self) -> bool:
        """Whether the result reduced again is LR, as far as it can be told at this scale."""
        return self.consistency >= CONSISTENT.get(self.scale, 0)


@torch.inference_mode()
def measured_on_a_photograph(network: Network, path: str | Path) -> OnPhotograph | None:
    """Enlarges the photograph; None where a network cannot, or reads something else.

    Raises:
        CheckpointError: If the network gives NaN or infinity.
    """
    if network.inputs != ("lr",) or network.scale != int(network.scale):
        return None
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
    if sr.shape[-2:] != hr.shape[-2:]:
        raise CheckpointError(
            f"{path}: the network makes {sr.shape[-1]} pixels of {lr.shape[-1]}, but its scale is said to be {scale}"
        )
    if sr.shape != hr.shape:
        return None
    ours, bicubic = (_psnr(picture, hr, scale) for picture in (sr, imresize(lr, scale)))
    return OnPhotograph(bicubic - ours, _psnr(imresize(sr, 1 / scale), lr, 2), scale)


def _psnr(picture: Tensor, hr: Tensor, border: int) -> float:
    luma = (rgb_to_y(as_unit(x)) for x in (picture.clamp(0, 1), hr))
    return float(psnr(*(shave(x, border) for x in luma)))


def _advice(network: Network, said: Said) -> list[str]:
    """Keys that may be wrong; what a file states about itself is not among them."""
    if isinstance(network, OnnxNetwork):  # others' do not say their release
        return [] if "version" in network.card else [f"foreign.white={255 if network.white == 1 else 1}"]
    tries = []
    if said != "file" and "value_range" in network.hparams:
        tries.append(f"model.value_range={1 if network.hparams['value_range'] != 1 else 255}")
    if said == "shapes":
        white, usual = network.hparams.get("value_range"), type(network).untraced
        scales = [f"scale={scale}" for scale in usual.get("scale", ()) if scale != network.scale]
        return [*([f"foreign.white={1 if white != 1 else 255}"] if "value_range" in usual else []), *scales]
    if said == "foreign" and not network.multi_scale:
        tries += [f"scale={scale}" for scale in (2, 3, 4) if scale != network.scale]
    return tries
