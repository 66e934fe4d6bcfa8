"""PLKSR and RealPLKSR: what this library does not read of them, and their enlargement."""

import pytest
import torch
import torch.nn.functional as F

from sr_lightning.blocks import DySample
from sr_lightning.weights.elsewhere import network_elsewhere


@pytest.mark.parametrize("layer", ["lk.mn_conv", "lk.convs.0"])
def test_several_kernels_are_named(layer: str) -> None:
    names = ("feats.0.weight", f"feats.1.{layer}.weight", "feats.1.refine.weight")
    state = {name: torch.zeros(64, 64, 1, 1) for name in names}
    assert "this is PLKSR with several kernels, 64 features: not in this library" in str(network_elsewhere(state))


def test_dysample_without_offsets_is_bilinear() -> None:
    torch.manual_seed(0)
    layer, x = DySample(12, 12, 3), torch.rand(2, 12, 5, 7)
    with torch.no_grad():
        layer.offset.weight.zero_()
        layer.offset.bias.zero_()  # type: ignore[union-attr]
        layer.fuse.weight[:] = torch.eye(12)[:, :, None, None]
        layer.fuse.bias.zero_()  # type: ignore[union-attr]
        expected = F.interpolate(x, scale_factor=3, mode="bilinear", align_corners=False)
        torch.testing.assert_close(layer(x), expected, atol=1e-5, rtol=0)


def test_dysample_in_half_precision_reads_the_same_places() -> None:
    """Columns beyond 256 have no halves in bfloat16."""
    torch.manual_seed(0)
    layer, x = DySample(12, 3, 2), torch.rand(1, 12, 2, 600)
    with torch.no_grad():
        full, half = layer(x), layer.bfloat16()(x.bfloat16()).float()
    assert (full - half).abs().max() < 0.05
