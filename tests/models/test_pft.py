"""PFT: what is computed of some pixels is what is computed of all, where the others have no weight."""

from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor

from sr_lightning.errors import ConfigError
from sr_lightning.models import PFT
from sr_lightning.models.pft import FocusedAttention, halving, products, weighted_sums


def some_of(pixels: int, count: int) -> tuple[Tensor, Tensor, Tensor]:
    """Queries, keys and values are the same; some pixels of each; and weights of these."""
    torch.manual_seed(0)
    return (
        torch.rand(2, 3, pixels, 4),
        torch.rand(2, 3, pixels, pixels).argsort(-1)[..., :count],
        torch.rand(2, 3, pixels, count),
    )


@pytest.mark.parametrize("count", [2, 20])  # by keys that are picked, and by products that are picked
def test_products(count: int) -> None:
    x, index, _ = some_of(40, count)
    torch.testing.assert_close(products(x, x, index), (x @ x.mT).gather(-1, index))


@pytest.mark.parametrize("exported", [False, True])
def test_weighted_sums(exported: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: exported)
    x, index, weights = some_of(9, 5)
    expected = torch.zeros_like(x)
    for w, h, p, s in product(*map(range, index.shape)):
        expected[w, h, p] += weights[w, h, p, s] * x[w, h, index[w, h, p, s]]
    torch.testing.assert_close(weighted_sums(x, index, weights), expected)


def test_weights_are_multiplied() -> None:
    """The paper's words: those of the block before times those of this one, and their sum is 1 again."""
    torch.manual_seed(0)
    x, blocks = torch.rand(1, 4, 4, 6), [FocusedAttention(6, 2, 4, 0, 16, 3, shared_bias=False) for _ in range(2)]
    weights, attention = [], None
    for block in blocks:
        torch.nn.init.normal_(block.bias.table)
        q, k, _ = block.qkv(x).view(16, 3, 2, 3).permute(1, 2, 0, 3)
        weights.append((q @ k.mT * 3**-0.5 + block.bias()).softmax(-1))
        _, attention = block(x, None, attention)
    together = weights[0] * weights[1]
    q, k, bias = attention  # type: ignore[misc]
    torch.testing.assert_close((q @ k.mT + bias)[0].softmax(-1), together / together.sum(-1, keepdim=True))


def test_as_many_as_the_paper_keeps() -> None:
    assert halving(1024, 5) == [1024, 256, 128, 64, 32]


@pytest.mark.parametrize("kept", [(16, 4, 2), (), 4, (16, 0), (16, 2.5)])
def test_as_many_numbers_as_groups(kept: Any) -> None:
    with pytest.raises(ConfigError, match=r"^kept=.*: must be null or 2 numbers from 1, one for each group"):
        PFT(scale=2, num_features=12, num_blocks=(2, 2), num_heads=3, window=4, kept=kept)
