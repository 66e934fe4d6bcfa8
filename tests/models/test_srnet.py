"""SRNet: how the branches exchange features, the ablations, the label and the losses."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F

from sr_lightning.errors import ConfigError
from sr_lightning.functional import imresize
from sr_lightning.losses import Mix, nonlocal_relation_loss, relation_loss
from sr_lightning.models import EDSR, SRNet


def small(**options: Any) -> SRNet:
    torch.manual_seed(0)
    return SRNet(**{"scale": 2, "num_features": 16, "num_blocks": 2} | options)


def batch(**extra: torch.Tensor) -> Any:
    torch.manual_seed(1)
    return {"lr": torch.rand(2, 3, 16, 16), "hr": torch.rand(2, 3, 32, 32), "name": ["a", "b"], **extra}


@pytest.mark.parametrize(
    ("attention", "scale", "expected"),
    [
        ("mix", 4, 3_429_678),
        ("mix", 8, 3_725_102),
        ("none", 4, 3_035_142),
        ("channel", 4, 3_035_142 + 34 * 580),
        ("mpr_sa", 4, 3_035_142 + 34 * 11_024),
    ],
)
def test_counts(attention: str, scale: int, expected: int) -> None:
    with torch.device("meta"):
        assert sum(p.numel() for p in SRNet(scale=scale, attention=attention).parameters()) == expected


@pytest.mark.parametrize("options", [{}, {"fusion_sign": 1, "skip_from": "shallow"}])
def test_features_cross_in_reverse_order(options: dict[str, Any]) -> None:
    net, lr = small(**options).net.eval(), torch.rand(1, 3, 7, 9)
    mean = torch.tensor([0.4488, 0.4371, 0.4040]).view(1, 3, 1, 1)
    x = (lr - mean) * 255
    a0 = net.auxiliary.head(x)
    an = net.auxiliary.body(a0) + a0
    f0 = net.zoom.head(x)
    g = net.attention_head(f0 + an if options else f0 - an)
    h = net.attention_tail(net.zoom.body(g) + a0) + (f0 if options else g)
    sr, label = net.both(lr)
    torch.testing.assert_close(sr, net.zoom.tail(h) / 255 + mean)
    torch.testing.assert_close(label, net.auxiliary.tail(an) / 255 + mean)
    assert torch.equal(net(lr), sr)


def test_a_relu_follows_every_pixel_shuffle() -> None:
    tail = small(scale=4).net.zoom.tail[0]
    assert [type(layer).__name__ for layer in tail] == ["Conv2d", "PixelShuffle", "ReLU"] * 2


@pytest.mark.parametrize("attention", ["none", "channel", "spatial", "sa", "msa", "mpr_sa", "channel+sa", "mix"])
def test_ablations(attention: str) -> None:
    model = small(attention=attention)
    assert model(torch.rand(1, 3, 6, 9)).shape == (1, 3, 12, 18)
    branches = 2 * sum(p.numel() for p in EDSR(scale=2, num_features=16, num_blocks=2).parameters())
    assert (sum(p.numel() for p in model.parameters()) == branches) == (attention == "none")


def test_without_a_label_it_is_what_bicubic_lacks() -> None:
    model, b = small(), batch()
    terms = model.training_losses(b)
    sr, predicted = model.net.both(b["lr"])
    torch.testing.assert_close(terms["picture"], F.l1_loss(sr, b["hr"]))
    difference = (b["hr"] - imresize(b["lr"], 2)).abs()
    torch.testing.assert_close(terms["auxiliary"], F.l1_loss(predicted, difference))
    assert set(terms) == {"picture", "auxiliary"}


def test_a_label_of_the_data_is_used() -> None:
    model, label = small(auxiliary_weight=0.5), torch.rand(2, 3, 32, 32)
    b = batch(label=label)
    predicted = model.net.both(b["lr"])[1]
    torch.testing.assert_close(model.training_losses(b)["auxiliary"], 0.5 * F.l1_loss(predicted, label))


def test_every_term_of_a_sum() -> None:
    mix = Mix({"l1": torch.nn.L1Loss(), "l2": torch.nn.MSELoss()}, {"l2": 3.0})
    model, b = small(loss=mix, auxiliary_weight=0.5), batch(label=torch.rand(2, 3, 32, 32))
    terms = model.training_losses(b)
    assert list(terms) == ["picture_l1", "picture_l2", "auxiliary_l1", "auxiliary_l2"]
    sr, predicted = model.net.both(b["lr"])
    torch.testing.assert_close(terms["picture_l2"], 3 * F.mse_loss(sr, b["hr"]))
    torch.testing.assert_close(terms["auxiliary_l1"], 0.5 * F.l1_loss(predicted, b["label"]))


@pytest.mark.parametrize(("name", "loss"), [("r", relation_loss), ("rnl", nonlocal_relation_loss)])
def test_relation_losses(name: Any, loss: Any) -> None:
    model, b = small(relation=name, relation_weight=0.1), batch(label=torch.rand(2, 3, 32, 32))
    sr, predicted = model.net.both(b["lr"])
    torch.testing.assert_close(model.training_losses(b)["relation"], 0.1 * loss(sr, b["hr"], predicted, b["label"]))


def test_batches_that_do_not_fit() -> None:
    with pytest.raises(ConfigError, match=r"the patches have one channel, and SRNet takes RGB"):
        small().training_losses(batch(lr=torch.rand(2, 1, 16, 16)))
    with pytest.raises(ConfigError, match="SRNet has weights for scale 2 alone, not for 4"):
        small().training_losses(batch(scale=4))  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="SRNet enlarges the picture itself"):
        small().training_losses(batch(scale=1))  # type: ignore[arg-type]


def test_unknown_names_are_explained() -> None:
    with pytest.raises(ConfigError, match="relation=rn: there is no such loss; did you mean"):
        small(relation="rn")
    with pytest.raises(ConfigError, match="skip_from=last"):
        small(skip_from="last")
