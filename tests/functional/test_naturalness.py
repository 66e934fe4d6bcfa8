"""Features of BRISQUE and NIQE beside published implementations and distributions of known shape."""

import pytest
import skimage.data
import torch

from sr_lightning.functional.naturalness import _asymmetric, _symmetric, brisque_features, niqe_features, normalise

#: Means of BasicSR's niqe.py (8d56e3a), in float64, of the camera's rows 100...291 and columns 100...387.
BASICSR = [
    2.163, 0.687217, 0.6565, 0.033234, 0.063263, 0.076935, 0.648667, 0.04292, 0.057032, 0.076337, 0.701833, -0.027347,
    0.088135, 0.074146, 0.707333, -0.024661, 0.088945, 0.075239, 2.347167, 0.677271, 0.712, 0.06414, 0.076188, 0.109683,
    0.705833, 0.065307, 0.071132, 0.108326, 0.7335, 0.002435, 0.099355, 0.098296, 0.7365, -0.024011, 0.108664, 0.092189,
]  # fmt: skip
#: piq 0.8's of the same, in a black frame of 8 pixels, which makes its zeros outside and our repeated edge the same.
PIQ = [
    1.533, 0.201293, 0.59, 0.027618, 0.052838, 0.076438, 0.58, 0.036458, 0.049766, 0.081268, 0.637, -0.03598, 0.074671,
    0.045991, 0.635, -0.036558, 0.074459, 0.04539,
]  # fmt: skip


def camera() -> torch.Tensor:
    return torch.from_numpy(skimage.data.camera()[100:292, 100:388].copy())[None, None]


def test_niqe_features_are_basicsrs() -> None:
    features, sharpness = niqe_features(camera())
    assert len(features) == len(sharpness) == 6
    assert features.mean(0).tolist() == pytest.approx(BASICSR, abs=2e-5)  # whose half size is in float32


def test_brisque_features_are_piqs() -> None:
    framed = torch.zeros_like(camera())
    framed[..., 8:-8, 8:-8] = camera()[..., 8:-8, 8:-8]
    assert brisque_features(framed)[0, :18].tolist() == pytest.approx(PIQ, abs=1e-5)


def test_fits_of_known_distributions() -> None:
    """A normal distribution has shape 2, Laplace's has 1, and each side its own width."""
    generator = torch.Generator().manual_seed(1)
    normal = torch.randn(1, 700, 700, generator=generator, dtype=torch.float64)
    laplace = torch.distributions.Laplace(torch.tensor(0.0), torch.tensor(1.0)).icdf(
        torch.rand(1, 700, 700, generator=generator).clamp(1e-6, 1 - 1e-6)
    )
    for values, shape, deviation in ((3 * normal, 2, 3), (laplace.double(), 1, 2**0.5)):
        assert [v.item() for v in _symmetric(values)] == pytest.approx([shape, deviation], rel=0.02)
    # An asymmetric one of shape 2 has more mass on its wider side.
    wide = torch.rand(normal.shape, generator=generator) < 2 / 3
    asymmetric = torch.where(wide, 2 * normal.abs(), -normal.abs())
    assert [v.item() for v in _asymmetric(asymmetric)] == pytest.approx([2, 1, 2], rel=0.02)


def test_flat_blocks_are_left_out() -> None:
    flat = torch.full((1, 3, 192, 192), 0.3)
    assert len(niqe_features(flat)[0]) == 0 and brisque_features(flat).isnan().any()
    flat[..., :96, :96] = torch.rand(96, 96, generator=torch.Generator().manual_seed(1))
    assert 1 <= len(niqe_features(flat)[0]) < 4  # and their neighbours, which the window reaches into


def test_flat_parts_have_no_sign() -> None:
    """The rounding of their mean is neither above nor below zero, which the fits would count."""
    for level in (17.0, 89.3, 200.1):
        assert not normalise(torch.full((1, 1, 20, 20), level, dtype=torch.float64))[0].any()
