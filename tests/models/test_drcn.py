"""DRCN: what it is at the start, and how its two losses take turns."""

from typing import Any
from unittest.mock import PropertyMock, patch

import numpy as np
import pytest
import torch
from scipy.ndimage import correlate

from sr_lightning.functional import imresize
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


def test_it_is_the_papers_equations() -> None:
    """Equations 1 to 7, with the skip of section 3.2, in NumPy."""
    model = small(scale=2, num_features=4, num_recursions=3).double()
    weight = {name: 0.3 * torch.randn_like(value) for name, value in model.net.net.state_dict().items()}
    model.net.net.load_state_dict(weight | {"weights": torch.tensor([0.5, 2.0, 0.5])})
    w = {name: value.numpy() for name, value in weight.items()}

    def conv(x: np.ndarray, name: str) -> np.ndarray:
        filters = w[f"{name}.weight"]
        parts = [[correlate(c, k, mode="constant") for c, k in zip(x, f, strict=True)] for f in filters]
        return np.array(parts).sum(1) + w[f"{name}.bias"][:, None, None]

    lr = torch.rand(1, 1, 7, 5, dtype=torch.float64)
    x = imresize(lr, 2)[0].numpy()
    h = np.maximum(0, conv(np.maximum(0, conv(x, "embedding.0")), "embedding.2"))
    pictures = []
    for _ in range(3):
        h = np.maximum(0, conv(h, "recursion"))
        pictures.append(x + conv(np.maximum(0, conv(h, "reconstruction.0")), "reconstruction.2"))
    expected = (0.5 * pictures[0] + 2 * pictures[1] + 0.5 * pictures[2]) / 3
    np.testing.assert_allclose(model(lr)[0].detach().numpy(), expected)


def test_a_mean_that_is_not_learned_is_the_plain_one() -> None:
    learned, plain = small(), small(learned_mean=False)
    names = {name for name in learned.state_dict() if name not in plain.state_dict()}
    assert names == {"net.net.weights"}
    lr = torch.rand(1, 1, 6, 6)
    with torch.no_grad():
        learned.net.net.weights.fill_(3.0)
    plain.load_state_dict({name: value for name, value in learned.state_dict().items() if name not in names})
    torch.testing.assert_close(plain(lr), learned(lr))
