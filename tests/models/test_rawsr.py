"""rawSR's fusion is the paper's formula, and its branches begin apart."""

import pytest
import torch

from sr_lightning.models.rawsr import RawSR

TINY = {"num_features": 16, "growth_rate": 4, "num_layers": 4}


@pytest.mark.parametrize(("scale", "restoration"), [(2, 1_965_488), (4, 2_297_408)])
def test_parts_have_the_published_size(scale: int, restoration: int) -> None:
    with torch.device("meta"):
        net = RawSR(scale=scale).net
        apart = RawSR(scale=scale, feature_fusion=False).net
    assert sum(p.numel() for p in net.restoration.parameters()) == restoration
    assert sum(p.numel() for p in apart.colour.parameters()) == 3_099_020


@pytest.mark.parametrize("scale", [2, 4])
def test_matrix_and_offset_act_per_pixel(scale: int) -> None:
    net = RawSR(scale=scale, **TINY).eval().net
    matrix, offset = torch.rand(3, 3), torch.rand(3)
    torch.nn.init.zeros_(net.colour.tail.weight)
    net.colour.tail.bias = torch.nn.Parameter(torch.cat([matrix.flatten(), offset]))
    raw = torch.rand(1, 1, 8, 12)
    linear = net.restoration(raw)[0]
    expected = torch.einsum("ij,njhw->nihw", matrix, linear) + offset.view(3, 1, 1)
    assert torch.allclose(net(raw, torch.rand(1, 3, 8, 12)), expected, atol=1e-5)


@pytest.mark.parametrize("variant", ["tpami", "cvpr19"])
def test_fusion_begins_with_nothing(variant: str) -> None:
    net = RawSR(**TINY, variant=variant).eval().net  # type: ignore[arg-type]
    seen = []
    net.colour.register_forward_hook(lambda _, __, out: seen.append(out))
    reference = torch.rand(1, 3, 8, 8)
    for _ in range(2):
        net(torch.rand(1, 1, 8, 8), reference)
    assert torch.equal(*seen)
    for fuse in (net.colour.fuse_quarter, net.colour.fuse_half):
        if fuse is not None:
            torch.nn.init.ones_(fuse[0].weight)
    net(torch.rand(1, 1, 8, 8), reference)
    assert not torch.allclose(seen[-1], seen[0])


def test_shuffle_gives_each_colour_its_own_channels() -> None:
    net = RawSR(**TINY).net.restoration
    features = torch.arange(48.0).view(1, 48, 1, 1)
    assert torch.equal(net.tail[-1](features)[0].flatten(1), torch.arange(48.0).view(3, 16))


def test_odd_sizes_equal_the_inner_part_of_even_ones() -> None:
    net = RawSR(**TINY).eval().net
    raw, lr = torch.rand(1, 1, 13, 18), torch.rand(1, 3, 13, 18)
    padded = [torch.nn.functional.pad(x, (0, 2, 0, 3), mode="reflect") for x in (raw, lr)]
    assert torch.allclose(net(raw, lr), net(*padded)[..., :26, :36])


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"scale": 3}, "enlarges by 2 or 4"),
        ({"scale": 4, "variant": "cvpr19"}, r"enlarges by 2 \(cvpr19\)"),
        ({"variant": "iccv"}, "must be tpami or cvpr19"),
        ({"variant": "cvpr19", "growth_rate": 5}, "growth_rate \\* num_layers = num_features"),
    ],
)
def test_wrong_settings(options: dict, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        RawSR(**{**TINY, **options})
