"""MS-SSIM against an independent implementation and, for odd sizes, MATLAB's rule of halving."""

import numpy as np
import pytest
import torch
from scipy.ndimage import correlate
from skimage.metrics import structural_similarity

from sr_lightning.functional import ms_ssim


def pair(height: int, width: int) -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    hr = torch.rand(2, 3, height, width, dtype=torch.float64)
    return (hr + 0.1 * torch.randn_like(hr)).clamp(0, 1), hr


def test_against_pytorch_msssim() -> None:
    other = pytest.importorskip("pytorch_msssim")
    sr, hr = pair(192, 176)  # where sizes stay even: it puts zeros beside odd pictures
    expected = other.ms_ssim(sr, hr, data_range=1, size_average=False)
    torch.testing.assert_close(ms_ssim(sr, hr), expected, atol=1e-6, rtol=0)  # its window is in float32


def test_odd_sizes_are_halved_as_by_matlab() -> None:
    sr, hr = pair(163, 171)
    x, y = sr[0, 0].numpy(), hr[0, 0].numpy()
    expected = 1.0
    for level, weight in enumerate((0.0448, 0.2856, 0.3001, 0.2363, 0.1333)):
        if level:
            # imfilter(x, ones(2) / 4, 'symmetric') looks one pixel ahead; SciPy looks back unless told.
            x, y = (correlate(a, np.full((2, 2), 0.25), mode="reflect", origin=-1)[::2, ::2] for a in (x, y))
        options = {"data_range": 1, "gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
        similarity = structural_similarity(x, y, full=True, **options)[1]
        # Without the means' term: K1 so large that luminance is 1 everywhere.
        contrast = structural_similarity(x, y, full=True, K1=1e8, **options)[1]
        expected *= (contrast if level < 4 else similarity)[5:-5, 5:-5].mean() ** weight
    assert ms_ssim(sr[:1, :1], hr[:1, :1]).item() == pytest.approx(expected, abs=1e-9)


def test_too_small() -> None:
    with pytest.raises(ValueError, match="at least 161x161"):
        ms_ssim(torch.zeros(1, 1, 160, 200), torch.zeros(1, 1, 160, 200))
