"""DRCN: what it is at the start, and how its two losses take turns."""

from typing import Any
from unittest.mock import PropertyMock, patch

import pytest
import torch

from sr_lightning.models import DRCN


def batch() -> dict[str, Any]:
    return {"lr": torch.rand(2, 1, 6, 6), "hr": torch.rand(2, 1, 12, 12)}


def small(**options: Any) -> DRCN:
    torch.manual_seed(0)
    return DRCN(**{"num_features": 8, "num_recursions": 4} | options)


def test_the_recursion_begins_as_the_identity() -> None:
    predictions = small().net.net.predictions(torch.rand(1, 1, 6, 6))
    for picture in predictions[1:]:
        torch.testing.assert_close(picture, predictions[0])


def test_the_mean_is_weighted_and_normalised() -> None:
    model, lr = small(), torch.rand(1, 1, 6, 6)
    net = model.net.net
    torch.nn.init.normal_(net.recursion.weight, std=0.2)
    predictions = net.predictions(lr)
    torch.testing.assert_close(model(lr), torch.stack(predictions).mean(0))
    with torch.no_grad():
        net.weights.copy_(torch.tensor([0.0, 6.0, 0.0, 2.0]))
    torch.testing.assert_close(model(lr), 0.75 * predictions[1] + 0.25 * predictions[3])


@pytest.mark.parametrize(("epoch", "alpha"), [(0, 0.75), (1, 0.5), (3, 0), (9, 0)])
def test_the_two_losses_take_turns(epoch: int, alpha: float) -> None:
    model, data = small(alpha_epochs=4), batch()
    torch.nn.init.normal_(model.net.net.recursion.weight, std=0.2)
    with patch.object(DRCN, "current_epoch", new_callable=PropertyMock, return_value=epoch):
        losses = model.training_losses(data)
    single = [model.loss(picture, data["hr"]) for picture in model.net.net.predictions(data["lr"])]
    expected = {"ensemble": (1 - alpha) * model.loss(model(data["lr"]), data["hr"])}
    if alpha:
        expected["recursions"] = alpha * sum(single) / 4
    torch.testing.assert_close(losses, expected)


def test_without_supervision_the_mean_is_trained_alone() -> None:
    assert set(small(alpha_epochs=0).training_losses(batch())) == {"ensemble"}
