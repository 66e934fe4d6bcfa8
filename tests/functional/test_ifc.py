"""IFC against the filters and correlations of pyrtools."""

import math

import numpy as np
import pytest
import torch

from sr_lightning.functional import ifc

pyrtools = pytest.importorskip("pyrtools")


def reference_ifc(hr: np.ndarray, sr: np.ndarray) -> float:
    """The criterion of two pictures in 0...255, from the paper's and specification's description."""
    correlate, total = pyrtools.corrDn, 0.0
    pyramids = [pyrtools.pyramids.SteerablePyramidSpace(x, height=4, order=5).pyr_coeffs for x in (hr, sr)]
    for level in range(4):
        w = 2 ** (4 - level) + 1
        window = np.ones((w, w))
        for band in (0, 3):
            x, y = (p[level, band] for p in pyramids)
            x, y = (b[: b.shape[0] // 3 * 3, : b.shape[1] // 3 * 3] for b in (x, y))
            mx, my, xx, yy, xy = (
                correlate(b, window, "reflect1", step=(3, 3), start=(1, 1)) for b in (x, y, x * x, y * y, x * y)
            )
            vx, vy, cov = xx - mx * mx / w**2, yy - my * my / w**2, xy - mx * my / w**2
            vx, vy = vx.clip(0), vy.clip(0)
            g = cov / (vx + 1e-15)
            v = (vy - g * cov) / w**2
            v[g < 0], g[g < 0] = vy[g < 0], 0
            v = v.clip(1e-15)
            views = np.lib.stride_tricks.sliding_window_view(x, (3, 3))
            overlapping = views.reshape(-1, 9)
            u = views[::3, ::3].reshape(-1, 9)
            c = np.cov(overlapping, rowvar=False, bias=True)
            s = np.einsum("ni,ij,nj->n", u, np.linalg.inv(c), u).reshape(g.shape) / 9
            o = math.ceil((w - 1) / 2 / 3)
            g, v, s = (m[o:-o, o:-o, None] for m in (g, v, s))
            total += np.log2(1 + g**2 * s * np.linalg.eigvalsh(c) / (v + 1e-10)).sum()
    return total / hr.size


@pytest.mark.parametrize("size", [(72, 72), (100, 83), (131, 144)])
def test_ifc_is_the_references(size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    hr = torch.rand(2, 1, *size, dtype=torch.float64)
    hr = torch.nn.functional.avg_pool2d(hr, 5, 1, 2)
    sr = torch.nn.functional.avg_pool2d(hr, 3, 1, 1) + 0.02 * torch.randn_like(hr)
    expected = [reference_ifc(y[0].numpy() * 255, x[0].numpy() * 255) for x, y in zip(sr, hr, strict=True)]
    assert ifc(sr, hr).tolist() == pytest.approx(expected, rel=1e-8)


def test_flat_pictures_have_no_information() -> None:
    flat = torch.full((1, 1, 80, 80), 0.5)
    assert ifc(flat, flat).item() == 0
    assert ifc(torch.rand(1, 1, 80, 80), flat).item() == pytest.approx(0, abs=1e-9)
    assert ifc(flat, torch.rand(1, 1, 80, 80)).item() == pytest.approx(0, abs=1e-9)


def test_channels_are_averaged() -> None:
    sr, hr = torch.rand(1, 3, 80, 80), torch.rand(1, 3, 80, 80)
    apart = [ifc(sr[:, c : c + 1], hr[:, c : c + 1]) for c in range(3)]
    torch.testing.assert_close(ifc(sr, hr), torch.stack(apart).mean(0))


def test_too_small() -> None:
    with pytest.raises(ValueError, match="at least 72x72"):
        ifc(torch.zeros(1, 1, 71, 90), torch.zeros(1, 1, 71, 90))
