"""SRCNN: the published beginning and learning rates, and training on what no padding touches."""

from typing import Any

import pytest
import torch

from sr_lightning.errors import ConfigError
from sr_lightning.models import SRCNN


def test_begins_as_published() -> None:
    torch.manual_seed(0)
    net = SRCNN().net.net
    for layer in (net.extraction, net.mapping, net.reconstruction):
        assert layer.weight.mean().item() == pytest.approx(0, abs=2e-4)
        assert layer.weight.std().item() == pytest.approx(1e-3, rel=0.1)
        assert not layer.bias.any()


def test_the_last_layer_learns_at_a_tenth() -> None:
    model = SRCNN(optimizer=lambda groups: torch.optim.SGD(groups, lr=1e-4))
    fast, slow = model.configure_optimizers().param_groups
    net: Any = model.net.net
    assert (fast["lr"], slow["lr"]) == pytest.approx((1e-4, 1e-5))
    assert [id(p) for p in slow["params"]] == [id(p) for p in net.reconstruction.parameters()]
    assert len(fast["params"]) == 4


@pytest.mark.parametrize(("kernel", "left"), [(1, 21), (3, 19), (5, 17)])
def test_valid_training_sees_the_papers_centre(kernel: Any, left: int) -> None:
    model = SRCNN(scale=3, mapping_kernel=kernel, padding="valid", loss=torch.nn.MSELoss(reduction="sum"))
    hr = torch.rand(1, 1, 33, 33)
    torch.testing.assert_close(model.loss_terms(hr + 1, hr)["loss"], torch.tensor(float(left**2)))
    same = SRCNN(scale=3, mapping_kernel=kernel, loss=model.loss)
    torch.testing.assert_close(same.loss_terms(hr + 1, hr)["loss"], torch.tensor(33.0**2))


def test_valid_training_is_that_of_convolutions_without_padding() -> None:
    model = SRCNN(scale=3, padding="valid", loss=torch.nn.MSELoss())
    batch: Any = {"lr": torch.rand(2, 1, 11, 11), "hr": torch.rand(2, 1, 33, 33)}
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.05)

    def gradients(loss: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return torch.autograd.grad(loss, list(model.parameters()))

    ours = gradients(model.training_losses(batch)["loss"])
    assert model(batch["lr"]).shape == (2, 1, 33, 33)
    net: Any = model.net.net
    for layer in (net.extraction, net.mapping, net.reconstruction):
        layer.padding = (0, 0)
    papers = gradients(model.loss(net(batch["lr"]), batch["hr"][..., 8:25, 8:25]))
    torch.testing.assert_close(ours, papers)


def test_a_patch_without_a_centre_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"model\.padding=vaild: must be same or valid"):
        SRCNN(padding="vaild")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="padding=valid leaves nothing of 16 pixels"):
        SRCNN(padding="valid").loss_terms(torch.rand(1, 1, 16, 30), torch.rand(1, 1, 16, 30))
