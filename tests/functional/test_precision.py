"""TF32 and autocast are off where pixels are computed, and as before afterwards."""

from collections.abc import Iterator
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from sr_lightning.functional import precision

ON_GPU: Any = SimpleNamespace(is_cuda=True, device=torch.device("meta"))


@pytest.fixture
def tf32() -> Iterator[list[Any]]:
    before = [(place, name, getattr(place, name)) for place, name, _ in precision._tf32()]
    for place, name, _ in before:
        setattr(place, name, "tf32")
    yield [place for place, _, _ in before]
    for place, name, value in before:
        setattr(place, name, value)


@pytest.mark.parametrize("fails", [False, True])
def test_the_switches_of_this_torch(fails: bool, tf32: list[Any]) -> None:
    with pytest.raises(ZeroDivisionError) if fails else nullcontext(), precision.full_precision(ON_GPU):
        assert [place.fp32_precision for place in tf32] == ["ieee", "ieee"]
        assert not fails or 1 / 0
    assert [place.fp32_precision for place in tf32] == ["tf32", "tf32"]


def test_the_switches_of_an_older_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    older = SimpleNamespace(
        cudnn=SimpleNamespace(allow_tf32=True), cuda=SimpleNamespace(matmul=SimpleNamespace(allow_tf32=False))
    )
    monkeypatch.setattr(torch, "backends", older)
    with precision.full_precision(ON_GPU):
        assert not older.cudnn.allow_tf32 and not older.cuda.matmul.allow_tf32
    assert older.cudnn.allow_tf32 and not older.cuda.matmul.allow_tf32
