"""SMFANet: its coarse map is the authors' at every size, and pictures too small for theirs are taken."""

import pytest
import torch
import torch.nn.functional as F

from sr_lightning.models import SMFANet
from sr_lightning.models.smfanet import coarse_length, largest, repeated


@pytest.mark.parametrize("length", [*range(1, 70), 114, 127, 250, 1000])
def test_the_exported_coarse_map_is_torch_s(length: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """At 114 pixels, onnxruntime's own repetition is another one."""
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    x = torch.rand(1, 2, length, 9, generator=torch.Generator().manual_seed(length))
    cells = max(1, length // 8)
    assert coarse_length(length) == cells
    coarse = largest(x)
    assert torch.equal(coarse, F.adaptive_max_pool2d(x, (cells, 1)))
    assert torch.equal(repeated(coarse, length, 9), F.interpolate(coarse, (length, 9)))


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (7, 2), (8, 15)])
def test_small_pictures(size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    model = SMFANet(scale=3, num_features=8, num_blocks=2).eval()
    torch.nn.init.ones_(model.net.blocks[0].modulation.variance_weight)
    with torch.no_grad():
        out = model(torch.rand(1, 3, *size))
    assert out.shape == (1, 3, 3 * size[0], 3 * size[1]) and out.isfinite().all()


def test_black_has_no_direction() -> None:
    """Features of length 0, in half precision too."""
    model = SMFANet(scale=2, num_features=8, num_blocks=1).bfloat16()
    model.net.head.bias.data.zero_()
    out = model(torch.zeros(1, 3, 9, 9, dtype=torch.bfloat16))
    out.float().sum().backward()
    assert out.isfinite().all() and all(p.grad.isfinite().all() for p in model.parameters() if p.grad is not None)
