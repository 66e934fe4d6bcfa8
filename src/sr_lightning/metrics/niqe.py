"""NIQE: how far a picture is from what photographs have in common."""

import zipfile
from functools import lru_cache
from importlib.resources import files
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from sr_lightning.devices import float64_device
from sr_lightning.errors import CheckpointError
from sr_lightning.functional.naturalness import BLOCK, niqe_features

_COUNT = 36
#: Names of mean and covariance: here, in BasicSR's .npz and in the authors' .mat.
_NAMES = (("mean", "covariance"), ("mu_pris_param", "cov_pris_param"), ("mu_prisparam", "cov_prisparam"))


def niqe(image: Tensor, mean: Tensor, covariance: Tensor) -> Tensor:
    """Natural Image Quality Evaluator of each picture; less is better.

    With the authors' parameters, pristine photographs have 2 to 4.

    **Paper:** Mittal, Soundararajan, Bovik, Making a "Completely Blind" Image Quality Analyzer, IEEE SPL 2013, equation
    10: the distance between two Gaussians, of the features of the picture's blocks and of photographs' blocks.

    Args:
        image: ``(N, C, H, W)``, RGB or grey, floating point in [0, 1], or uint8 or uint16.
        mean: ``(36,)``, of photographs; see ``read_parameters``.
        covariance: ``(36, 36)``.

    Returns:
        ``(N,)`` float64; NaN of a picture with fewer than two blocks that are not flat.

    Raises:
        ValueError: If a picture has fewer than two blocks of 96x96 pixels.

    Example:
        >>> niqe(torch.zeros(1, 3, 96, 192), *read_parameters())
        tensor([nan], dtype=torch.float64)
    """
    if (image.shape[-2] // BLOCK) * (image.shape[-1] // BLOCK) < 2:
        raise ValueError(f"NIQE needs at least 96x192 pixels, got {image.shape[-2]}x{image.shape[-1]}")
    mean, covariance = (p.to(float64_device(image.device)) for p in (mean, covariance))
    scores = []
    for one in image:
        features, _ = niqe_features(one[None])
        if len(features) < 2:
            scores.append(features.new_tensor(torch.nan))
            continue
        away = features.mean(0) - mean
        common = torch.linalg.pinv((covariance + features.T.cov()) / 2)
        scores.append((away @ common @ away).sqrt())
    return torch.stack(scores)


@lru_cache(maxsize=4)
def read_parameters(file: str | Path | None = None) -> tuple[Tensor, Tensor]:
    """Mean ``(36,)`` and covariance ``(36, 36)`` of photographs' features.

    Args:
        file: BasicSR's ``niqe_pris_params.npz`` or the authors' ``modelparameters.mat``; None for those that
            ``benchmarks/niqe.py`` learnt, whose scores compare with each other alone.

    Raises:
        CheckpointError: If the file is absent, damaged, or holds something else.
    """
    path = Path(str(files("sr_lightning.metrics"))) / "niqe_parameters.npz" if file is None else Path(file)
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file; protocol.niqe_parameters= names NIQE's parameters, .npz or .mat")
    content = _arrays(path)
    for names in _NAMES:
        if {*names} <= {*content}:
            mean, covariance = (np.asarray(content[name], np.float64).squeeze() for name in names)
            if mean.shape == (_COUNT,) and covariance.shape == (_COUNT, _COUNT) and np.isfinite(covariance).all():
                return torch.from_numpy(mean), torch.from_numpy(covariance)
    raise CheckpointError(f"{path}: holds no parameters of NIQE, a mean of 36 numbers and a covariance of 36x36")


def _arrays(path: Path) -> dict[str, np.ndarray]:
    try:
        if path.suffix == ".mat":
            from scipy.io import loadmat
            from scipy.io.matlab import MatReadError

            try:
                return dict(loadmat(path))
            except MatReadError as error:
                raise ValueError(error) from None
        with np.load(path, allow_pickle=False) as content:
            return dict(content)
    except (OSError, ValueError, TypeError, NotImplementedError, zipfile.BadZipFile) as error:
        raise CheckpointError(f"{path}: cannot be read as NIQE's parameters, .npz or .mat ({error})") from None
